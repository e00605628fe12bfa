"use strict";
// MM-PHATE: node (epoch e, step t, unit u) is point (e * T + t) * U + u.
RR.views.push(function dynamics() {
  const { dynamics: found } = RR.description;
  if (!found) return;
  const E = found.epochs.length, T = found.steps.length, U = found.units.length, N = E * T * U;
  const view = RR.byId("dynamics-view"), colouring = RR.byId("dynamics-colour"), only = RR.byId("dynamics-only"), node = RR.byId("turn");
  const epochOf = (i) => Math.floor(i / (T * U)), stepOf = (i) => Math.floor(i / U) % T, unitOf = (i) => i % U;
  // The embedded epoch nearest to the selected one.
  const epochPlace = () => {
    const wanted = RR.epochs()[RR.selection.epoch] ?? found.epochs.at(-1);
    return found.epochs.reduce((best, epoch, place) => (Math.abs(epoch - wanted) < Math.abs(found.epochs[best] - wanted) ? place : best), 0);
  };
  // Units that the selection stands for: picked ones, those of the cluster, or the five a word moves most.
  const chosenUnits = () => {
    const { units, cluster, words, lens } = RR.selection;
    if (units.length) return new Set(units);
    if (cluster !== null) { const labels = RR.row(RR.unitsOf().array("unitLabels"), RR.kPlace()); return new Set(found.units.filter((unit) => labels[unit] === cluster)); }
    if (lens === "word" && words.length) { const response = RR.row(RR.response(), words.at(-1)); return new Set([...found.units].sort((a, b) => Math.abs(response[b]) - Math.abs(response[a])).slice(0, 5)); }
    return null;
  };

  RR.plot("dynamics", (plot) => {
    let colour = [], alpha = new Float32Array(N);
    const flat = () => view.value === "plane";
    const project = RR.turntable(node, () => place());
    function place() {
      const data = { x: new Float32Array(N), y: new Float32Array(N), color: colour, alpha, size: new Float32Array(N) };
      const plane = RR.arrays["dynamics.plane"], space = RR.arrays["dynamics.space"];
      for (let i = 0; i < N; i++) {
        const [x, y, depth] = flat() ? [plane[2 * i], plane[2 * i + 1], 0] : project(space, i);
        data.x[i] = x; data.y[i] = y;
        data.size[i] = 5 - depth / 800;
      }
      plot.fill("dynamics.points", data);
      paths(data);
    }
    // One line per chosen unit through the epochs, at the selected (else last) embedded step.
    function paths(data) {
      const chosen = chosenUnits(), lines = { x: [], y: [], color: [] };
      const step = Math.max(0, found.steps.reduce((best, t, at) => (Math.abs(t - (RR.selection.step ?? 1e9)) < Math.abs(found.steps[best] - (RR.selection.step ?? 1e9)) ? at : best), 0));
      found.units.forEach((unit, u) => {
        if (!chosen?.has(unit)) return;
        const nodes = Array.from({ length: E }, (_, e) => (e * T + step) * U + u);
        lines.x.push(nodes.map((i) => data.x[i])); lines.y.push(nodes.map((i) => data.y[i])); lines.color.push(RR.css("ink"));
      });
      plot.fill("dynamics.path", lines);
    }
    function draw() {
      const labels = RR.description.units.length ? RR.row(RR.description.units[0] && RR.arrays[`${RR.description.units[0].prefix}.unitLabels`], RR.selection.state === 0 ? RR.kPlace() : RR.defaultPlace(RR.description.units[0])) : null;
      const modes = {
        epoch: (i) => RR.orderColour(epochOf(i) / Math.max(1, E - 1)),
        step: (i) => RR.orderColour(stepOf(i) / Math.max(1, T - 1)),
        unit: (i) => (labels ? RR.classColour(Math.max(0, labels[found.units[unitOf(i)]])) : RR.css("muted")),
      };
      const chosen = chosenUnits(), e = epochPlace(), { step } = RR.selection;
      const nearStep = step === null ? null : found.steps.reduce((best, t, at) => (Math.abs(t - step) < Math.abs(found.steps[best] - step) ? at : best), 0);
      colour = Array.from({ length: N }, (_, i) => modes[colouring.value](i));
      alpha = Float32Array.from({ length: N }, (_, i) => {
        if (only.checked && epochOf(i) !== e) return 0.03;
        const faded = e < E - 1 && epochOf(i) !== e ? 0.3 : 1; // an earlier epoch was chosen: it stands out
        let strength = chosen ? (chosen.has(found.units[unitOf(i)]) ? 1 : 0.06) : 0.62;
        if (nearStep !== null && stepOf(i) !== nearStep) strength *= 0.3;
        return strength * faded;
      });
      const last = found.epochs.at(-1);
      if (colouring.value === "epoch") RR.legend("dynamics-legend", [{ ramp: RR.orderRamp(), low: `epoch ${found.epochs[0]}`, high: String(last) }]);
      else if (colouring.value === "step") RR.legend("dynamics-legend", [{ ramp: RR.orderRamp(), low: `step ${found.steps[0] + 1}`, high: String(found.steps.at(-1) + 1) }]);
      else RR.legend("dynamics-legend", [{ colour: RR.css("muted"), label: "one colour per cluster of units (default state)" }]);
      place();
    }
    view.addEventListener("change", draw);
    colouring.addEventListener("change", draw);
    only.addEventListener("change", draw);
    RR.touch(plot, "dynamics.points", {
      click: ([i]) => {
        const epoch = RR.epochs().reduce((best, value, at, all) => (Math.abs(value - found.epochs[epochOf(i)]) < Math.abs(all[best] - found.epochs[epochOf(i)]) ? at : best), 0);
        RR.set({ epoch, units: [found.units[unitOf(i)]], lens: "unit" });
      },
      over: ([i]) => RR.tip(i === undefined ? null : [`unit ${found.units[unitOf(i)]}`, `epoch ${found.epochs[epochOf(i)]}, step ${found.steps[stepOf(i)] + 1}`]),
    });
    RR.on(["epoch", "units", "cluster", "words", "step", "theme", "k", "lens"], draw);
    draw();
  });
});
