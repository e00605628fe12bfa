"use strict";
// MM-PHATE: node (epoch e, step t, unit u) is point (e * T + t) * U + u.
RR.views.push(function dynamics() {
  const { dynamics: found } = RR.description;
  if (!found) return;
  const E = found.epochs.length, T = found.steps.length, U = found.units.length, N = E * T * U, FRAME = 450; // milliseconds
  const FAINT = 0.03; // of points that are not chosen: where they lie is seen where they are many
  const [view, colouring, only, paths, play, scrub, box] = ["view", "colour", "only", "paths", "play", "scrub", "box"].map((name) => RR.byId(`dynamics-${name}`));
  const epochOf = (i) => Math.floor(i / (T * U)), stepOf = (i) => Math.floor(i / U) % T, unitOf = (i) => i % U;
  const nearest = (values, wanted) => values.reduce((best, value, at) => (Math.abs(value - wanted) < Math.abs(values[best] - wanted) ? at : best), 0);
  // The embedded epoch shown: the page can select fewer, and the one last asked for here stays while its nearest is selected.
  let shown = E - 1;
  const epochIn = (epoch) => nearest(RR.epochs(), epoch);
  const epochPlace = () => (RR.selection.epoch === null || epochIn(found.epochs[shown]) === RR.selection.epoch ? shown : nearest(found.epochs, RR.epochs()[RR.selection.epoch]));
  const stepPlace = () => nearest(found.steps, RR.selection.step ?? found.steps.at(-1));
  // Place u of a unit: number `found.units[u]` of the state of its layer (or direction) `found.layerOf[u]`.
  const named = (u) => (found.layers.length > 1 ? `${found.layers[found.layerOf[u]]}, unit ${found.units[u]}` : `unit ${found.units[u]}`);
  // Co-clusters of the units of a layer's embedded state; null where there are none.
  const communities = (layer) => {
    const state = found.stateOf[layer], units = RR.description.units[state];
    return units ? RR.row(RR.arrays[`${units.prefix}.unitLabels`], RR.selection.state === state ? RR.kPlace() : RR.defaultPlace(units)) : null;
  };
  // Places of the units that the selection stands for: picked ones, those of the cluster, or the five a word moves most.
  // A selected cell state or gate stands for the units of its layer.
  const chosenUnits = () => {
    const { units, cluster, words, lens, state } = RR.selection, layer = found.layerOfState[state] ?? (found.layers.length > 1 ? null : 0);
    const own = [...found.units.keys()].filter((u) => found.layerOf[u] === layer), number = (u) => found.units[u];
    if (units.length) return new Set(own.filter((u) => units.includes(number(u))));
    if (cluster !== null) { const labels = RR.row(RR.unitsOf().array("unitLabels"), RR.kPlace()); return new Set(own.filter((u) => labels[number(u)] === cluster)); }
    if (lens === "word" && words.length) { const response = RR.row(RR.response(), words.at(-1)), size = (u) => Math.abs(response[number(u)]); return new Set(own.sort((a, b) => size(b) - size(a)).slice(0, 5)); }
    return null;
  };
  const ramp = (values, name) => [{ ramp: RR.orderRamp(), low: `${name} ${values[0]}`, high: String(values.at(-1)) }];
  const keys = (numbers, name) => [...new Set(numbers)].sort((a, b) => a - b).slice(0, 12).map((number) => ({ colour: number < 0 ? RR.css("muted") : RR.classColour(number), label: name(number) }));
  // For every colouring: a function of the point, and the legend.
  const modes = {
    epoch: () => [(i) => RR.orderColour(epochOf(i) / Math.max(1, E - 1)), ramp(found.epochs, "epoch")],
    step: () => [(i) => RR.orderColour(stepOf(i) / Math.max(1, T - 1)), ramp(found.steps.map((step) => step + 1), "step")],
    layer: () => [(i) => RR.classColour(found.layerOf[unitOf(i)]), found.layers.map((name, layer) => ({ colour: RR.classColour(layer), label: `${name} (${found.layerOf.filter((of) => of === layer).length} units)` }))],
    unit: () => [(i) => RR.classColour(unitOf(i) % 30), [{ colour: RR.css("muted"), label: `one colour per unit (${U}); point at a dot for its number` }]],
    community: () => {
      const labels = found.layers.map((_, layer) => communities(layer));
      if (!labels.some(Boolean)) return [() => RR.css("muted"), [{ colour: RR.css("muted"), label: "no co-clusters in this run" }]];
      const own = found.units.map((unit, u) => labels[found.layerOf[u]]?.[unit] ?? -1);
      return [(i) => (own[unitOf(i)] < 0 ? RR.css("muted") : RR.classColour(own[unitOf(i)])), keys(own, (label) => (label < 0 ? "unassigned" : `cluster ${label + 1}`))];
    },
    group: () => {
      const groups = RR.arrays["dynamics.groups"], members = RR.arrays["dynamics.wordGroups"];
      const name = (group) => (group < 0 ? `no ${RR.noun()} read by enough sequences` : `cluster ${group + 1}: ${[...members.keys()].filter((word) => members[word] === group).slice(0, 3).map((word) => RR.visible(RR.description.words.names[word])).join(", ")}, …`);
      return [(i) => (groups[i] < 0 ? RR.css("muted") : RR.classColour(groups[i])), keys(groups, name)];
    },
    active: () => { const active = RR.arrays["dynamics.active"], names = RR.description.sequences?.classNames ?? []; return [(i) => RR.classColour(active[i]), keys(active, (label) => names[label] ?? `class ${label + 1}`)]; },
  };

  let colour = [], alpha = new Float32Array(N);
  const pictures = RR.smallPictures(() => pictures(colour, alpha));
  RR.plot("dynamics", (plot) => {
    let timer = null;
    const flat = () => view.value === "plane";
    const project = RR.turntable(RR.byId("turn"), () => place(), () => !flat() && !box.checked);
    const nodes = RR.nodeList((i) => ({ epoch: found.epochs[epochOf(i)], step: found.steps[stepOf(i)], unit: unitOf(i) }), { number: (u) => found.units[u], state: (u) => found.stateOf[found.layerOf[u]], name: named }, (epoch) => { shown = found.epochs.indexOf(epoch); return epochIn(epoch); }, () => draw());
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
      found.units.forEach((_, u) => {
        if (!chosen?.has(u)) return;
        const route = only.checked ? Array.from({ length: T }, (_, step) => (e * T + step) * U + u) : Array.from({ length: E }, (_, epoch) => (epoch * T + t) * U + u);
        drawn.x.push(route.map((i) => data.x[i])); drawn.y.push(route.map((i) => data.y[i])); drawn.color.push(RR.css("ink"));
      });
      plot.fill("dynamics.path", drawn);
    }
    function draw() {
      const [shade, legend] = modes[colouring.value](), chosen = chosenUnits(), boxed = nodes.chosen(), e = epochPlace();
      const nearStep = RR.selection.step === null ? null : stepPlace();
      colour = Array.from({ length: N }, (_, i) => shade(i));
      alpha = Float32Array.from({ length: N }, (_, i) => {
        if (only.checked && epochOf(i) !== e) return FAINT;
        if (boxed) return boxed.has(i) ? 0.95 : 0.08;
        const faded = e < E - 1 && epochOf(i) !== e ? 0.3 : 1; // an earlier epoch was chosen: it stands out
        let strength = chosen ? (chosen.has(unitOf(i)) ? 1 : 0.06) : 0.62;
        if (nearStep !== null && stepOf(i) !== nearStep) strength *= 0.3;
        return Math.max(strength * faded, FAINT);
      });
      RR.legend("dynamics-legend", legend);
      scrub.value = e;
      RR.byId("dynamics-epoch").textContent = `epoch ${found.epochs[e]}`;
      pictures(colour, alpha);
      place();
    }
    // The places of the points never change while the epochs play, only which of them are shown.
    const stop = () => { clearInterval(timer); timer = null; play.setAttribute("aria-pressed", "false"); play.textContent = "Play the epochs"; };
    function start() {
      let e = epochPlace() === E - 1 ? -1 : epochPlace();
      only.checked = true;
      play.setAttribute("aria-pressed", "true");
      play.textContent = "Stop";
      const next = () => { e += 1; go(e); if (e === E - 1) stop(); };
      timer = setInterval(next, FRAME);
      next();
    }
    function go(e) {
      const before = RR.selection.epoch;
      shown = e;
      RR.set({ epoch: epochIn(found.epochs[e]) });
      if (RR.selection.epoch === before) draw();
    }
    play.addEventListener("click", () => (timer ? stop() : start()));
    scrub.addEventListener("input", () => { stop(); only.checked = true; go(Number(scrub.value)); });
    box.addEventListener("change", () => { plot.find("dynamics.box").active = box.checked; });
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
      click: (indices) => nodes.show(box.checked && indices.length > 1 ? indices.filter((i) => !only.checked || epochOf(i) === epochPlace()) : indices.slice(0, 1)),
      over: ([i]) => {
        if (i === undefined) { RR.tip(null); return; }
        const u = unitOf(i), label = communities(found.layerOf[u])?.[found.units[u]];
        RR.tip([`${named(u)}${label >= 0 ? `, cluster ${label + 1}` : ""}`, `epoch ${found.epochs[epochOf(i)]}, step ${found.steps[stepOf(i)] + 1}`, ...nodes.says(i)]);
      },
    });
    RR.on(["epoch", "units", "cluster", "words", "step", "theme", "mode", "k", "lens", "state"], draw);
    draw();
  });
});
