"use strict";
// MM-PHATE: node (epoch e, step t, unit u) is point (e * T + t) * U + u.
RR.views.push(function dynamics() {
  const { dynamics: found } = RR.description;
  if (!found) return;
  const E = found.epochs.length, T = found.steps.length, U = found.units.length, N = E * T * U, FRAME = 450; // milliseconds
  const [view, colouring, only, paths, play] = ["view", "colour", "only", "paths", "play"].map((name) => RR.byId(`dynamics-${name}`));
  const epochOf = (i) => Math.floor(i / (T * U)), stepOf = (i) => Math.floor(i / U) % T, unitOf = (i) => i % U;
  const nearest = (values, wanted) => values.reduce((best, value, at) => (Math.abs(value - wanted) < Math.abs(values[best] - wanted) ? at : best), 0);
  const epochPlace = () => nearest(found.epochs, RR.epochs()[RR.selection.epoch] ?? found.epochs.at(-1));
  const stepPlace = () => nearest(found.steps, RR.selection.step ?? found.steps.at(-1));
  // Co-clusters of the units of the first recorded state, which is the one embedded; null where there are none.
  const communities = () => {
    const [units] = RR.description.units;
    return units ? RR.row(RR.arrays[`${units.prefix}.unitLabels`], RR.selection.state === 0 ? RR.kPlace() : RR.defaultPlace(units)) : null;
  };
  // Units that the selection stands for: picked ones, those of the cluster, or the five a word moves most.
  const chosenUnits = () => {
    const { units, cluster, words, lens } = RR.selection;
    if (units.length) return new Set(units);
    if (cluster !== null) { const labels = RR.row(RR.unitsOf().array("unitLabels"), RR.kPlace()); return new Set(found.units.filter((unit) => labels[unit] === cluster)); }
    if (lens === "word" && words.length) { const response = RR.row(RR.response(), words.at(-1)); return new Set([...found.units].sort((a, b) => Math.abs(response[b]) - Math.abs(response[a])).slice(0, 5)); }
    return null;
  };
  const ramp = (values, name) => [{ ramp: RR.orderRamp(), low: `${name} ${values[0]}`, high: String(values.at(-1)) }];
  const keys = (numbers, name) => [...new Set(numbers)].sort((a, b) => a - b).slice(0, 12).map((number) => ({ colour: number < 0 ? RR.css("muted") : RR.classColour(number), label: name(number) }));
  // For every colouring: a function of the point, and the legend.
  const modes = {
    epoch: () => [(i) => RR.orderColour(epochOf(i) / Math.max(1, E - 1)), ramp(found.epochs, "epoch")],
    step: () => [(i) => RR.orderColour(stepOf(i) / Math.max(1, T - 1)), ramp(found.steps.map((step) => step + 1), "step")],
    unit: () => [(i) => RR.classColour(unitOf(i) % 30), [{ colour: RR.css("muted"), label: `one colour per unit (${U}); point at a dot for its number` }]],
    community: () => {
      const labels = communities();
      if (!labels) return [() => RR.css("muted"), [{ colour: RR.css("muted"), label: "no co-clusters in this run" }]];
      const own = found.units.map((unit) => labels[unit]);
      return [(i) => (own[unitOf(i)] < 0 ? RR.css("muted") : RR.classColour(own[unitOf(i)])), keys(own, (label) => (label < 0 ? "unassigned" : `cluster ${label + 1}`))];
    },
    active: () => { const active = RR.arrays["dynamics.active"], names = RR.description.sequences?.classNames ?? []; return [(i) => RR.classColour(active[i]), keys(active, (label) => names[label] ?? `class ${label + 1}`)]; },
  };

  // The same points by other methods, in small canvases of the same colours.
  const pictures = (RR.description.pictures?.methods ?? []).map((method, m) => {
    const canvas = RR.el("canvas", { width: 520, height: 520, role: "img", "aria-label": `${method} of the same points` });
    RR.byId("pictures").append(RR.el("div", { class: "picture" }, RR.el("h4", {}, method), canvas));
    return (colour, alpha) => {
      const brush = canvas.getContext("2d"), xy = RR.arrays[`pictures.${m}`], where = (value) => 260 + 0.255 * value;
      brush.clearRect(0, 0, 520, 520);
      RR.arrays["pictures.places"].forEach((i, at) => {
        brush.globalAlpha = alpha[i];
        brush.fillStyle = colour[i];
        brush.beginPath();
        brush.arc(where(xy[2 * at]), where(-xy[2 * at + 1]), 4, 0, 2 * Math.PI);
        brush.fill();
      });
    };
  });

  RR.plot("dynamics", (plot) => {
    let colour = [], alpha = new Float32Array(N), timer = null;
    const flat = () => view.value === "plane";
    const project = RR.turntable(RR.byId("turn"), () => place());
    function place() {
      const data = { x: new Float32Array(N), y: new Float32Array(N), color: colour, alpha, size: new Float32Array(N) };
      const plane = RR.arrays["dynamics.plane"], space = RR.arrays["dynamics.space"];
      for (let i = 0; i < N; i++) {
        const [x, y, depth] = flat() ? [plane[2 * i], plane[2 * i + 1], 0] : project(space, i);
        data.x[i] = x; data.y[i] = y;
        data.size[i] = 5 - depth / 800;
      }
      plot.fill("dynamics.points", data);
      lines(data);
    }
    // One line per chosen unit: through the epochs at the selected (else last) step, or through the steps of one epoch.
    function lines(data) {
      const chosen = paths.checked ? chosenUnits() : null, drawn = { x: [], y: [], color: [] };
      const e = epochPlace(), t = stepPlace();
      found.units.forEach((unit, u) => {
        if (!chosen?.has(unit)) return;
        const nodes = only.checked ? Array.from({ length: T }, (_, step) => (e * T + step) * U + u) : Array.from({ length: E }, (_, epoch) => (epoch * T + t) * U + u);
        drawn.x.push(nodes.map((i) => data.x[i])); drawn.y.push(nodes.map((i) => data.y[i])); drawn.color.push(RR.css("ink"));
      });
      plot.fill("dynamics.path", drawn);
    }
    function draw() {
      const [shade, legend] = modes[colouring.value](), chosen = chosenUnits(), e = epochPlace();
      const nearStep = RR.selection.step === null ? null : stepPlace();
      colour = Array.from({ length: N }, (_, i) => shade(i));
      alpha = Float32Array.from({ length: N }, (_, i) => {
        if (only.checked && epochOf(i) !== e) return 0.03;
        const faded = e < E - 1 && epochOf(i) !== e ? 0.3 : 1; // an earlier epoch was chosen: it stands out
        let strength = chosen ? (chosen.has(found.units[unitOf(i)]) ? 1 : 0.06) : 0.62;
        if (nearStep !== null && stepOf(i) !== nearStep) strength *= 0.3;
        return strength * faded;
      });
      RR.legend("dynamics-legend", legend);
      RR.byId("dynamics-epoch").textContent = only.checked ? `epoch ${found.epochs[e]}` : "";
      for (const picture of pictures) picture(colour, alpha);
      place();
    }
    // The places of the points never change while the epochs play, only which of them are shown.
    const stop = () => { clearInterval(timer); timer = null; play.setAttribute("aria-pressed", "false"); play.textContent = "Play the epochs"; };
    function start() {
      let e = epochPlace() === E - 1 ? -1 : epochPlace();
      only.checked = true;
      play.setAttribute("aria-pressed", "true");
      play.textContent = "Stop";
      const next = () => { e += 1; RR.set({ epoch: nearest(RR.epochs(), found.epochs[e]) }); if (e === E - 1) stop(); };
      timer = setInterval(next, FRAME);
      next();
      draw();
    }
    play.addEventListener("click", () => (timer ? stop() : start()));
    for (const control of [view, colouring, only, paths]) control.addEventListener("change", draw);
    const angles = { front: [0, 0], side: [Math.PI / 2, 0], top: [0, Math.PI / 2] }, presets = RR.byId("dynamics-presets");
    // One unit is as long across as it is down, whatever the width of the window.
    const { x_range: across, y_range: down } = plot.figure, reach = down.end;
    new ResizeObserver(() => {
      const shape = plot.place.clientWidth / plot.place.clientHeight, [x, y] = [Math.max(1, shape), Math.max(1, 1 / shape)].map((times) => reach * times);
      across.setv({ start: -x, end: x });
      down.setv({ start: -y, end: y });
    }).observe(plot.place);
    view.addEventListener("change", () => { presets.hidden = flat(); });
    presets.addEventListener("click", (event) => { const name = event.target.dataset?.turn; if (name) project.look(...angles[name]); });
    RR.touch(plot, "dynamics.points", {
      click: ([i]) => {
        const step = found.steps[stepOf(i)], patch = { epoch: nearest(RR.epochs(), found.epochs[epochOf(i)]), units: [found.units[unitOf(i)]], lens: "unit" };
        const lengths = RR.arrays["sequences.lengths"], now = RR.selection.sequence;
        const sequence = now !== null && lengths[now] > step ? now : lengths?.findIndex((length) => length > step) ?? -1;
        RR.set(sequence < 0 ? patch : { ...patch, sequence, step });
      },
      over: ([i]) => {
        if (i === undefined) { RR.tip(null); return; }
        const unit = found.units[unitOf(i)], label = communities()?.[unit], active = RR.arrays["dynamics.active"][i];
        RR.tip([`unit ${unit}${label >= 0 ? `, cluster ${label + 1}` : ""}`, `epoch ${found.epochs[epochOf(i)]}, step ${found.steps[stepOf(i)] + 1}`, ...(active === undefined ? [] : [`most active class: ${RR.description.sequences?.classNames[active] ?? active}`])]);
      },
    });
    RR.on(["epoch", "units", "cluster", "words", "step", "theme", "mode", "k", "lens"], draw);
    draw();
  });
});
