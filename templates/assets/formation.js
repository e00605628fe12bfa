"use strict";
// How the representation formed: the panels are drawn already; here they get the selected epoch, values and clicks.
RR.views.push(function formation() {
  const { formation: formed } = RR.description, host = RR.byId("panels");
  if (!formed || !host) return;
  const { epochs, steps, units } = formed;
  // The selectable epoch of the page nearest to an epoch, and the place of the nearest embedded one.
  const choose = (epoch) => RR.epochs().reduce((best, value, at, all) => (Math.abs(value - epoch) < Math.abs(all[best] - epoch) ? at : best), 0);
  const nearest = (epoch) => epochs.reduce((best, value, at) => (Math.abs(value - epoch) < Math.abs(epochs[best] - epoch) ? at : best), 0);
  const rows = { similarity: 1, participation: 1, change: 2, purity: 2, alignment: 2 };

  const cursors = [...host.querySelectorAll(".panel")].map((panel) => {
    const plot = panel.querySelector(".panel-plot"), id = panel.dataset.panel;
    const [first, last] = [...panel.querySelectorAll(".panel-ends span")].map((end) => Number(end.textContent.replace("epoch ", "")));
    const here = RR.el("div", { class: "here" });
    plot.append(here);
    const epochAt = (event) => { const box = plot.getBoundingClientRect(); return first + (last - first) * Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)); };
    plot.addEventListener("click", (event) => RR.set({ epoch: choose(epochAt(event)) }));
    plot.addEventListener("pointermove", (event) => {
      const place = nearest(epochAt(event)), lines = [`epoch ${epochs[place]}`], values = rows[id] && RR.arrays[`formation.${id}`];
      if (rows[id] === 2) lines.push(`in the activity ${RR.number(values[epochs.length + place])}`, `in the picture ${RR.number(values[place])}`);
      else if (values) lines.push(RR.number(values[place]));
      RR.tip(lines);
    });
    plot.addEventListener("pointerleave", () => RR.tip(null));
    return (epoch) => { here.style.left = `${100 * (epoch - first) / Math.max(1, last - first)}%`; };
  });

  // Entropies of every step and of every unit, each over the epochs; light is widely spread.
  const heats = [["within_step", "picture"], ["within_step", "activity"], ["within_unit", "picture"], ["within_unit", "activity"]].map(([name, space]) => {
    const values = RR.arrays[`formation.${name}.${space}`], [, height] = values.shape, known = values.filter(Number.isFinite);
    if (!known.length) return null;
    const low = Math.min(...known), high = Math.max(...known), canvas = RR.el("canvas", { width: epochs.length, height, role: "img" });
    const what = name === "within_step" ? "step" : "unit", title = name === "within_step" ? "Spread of the units, step by step" : "Spread of the steps, unit by unit";
    canvas.setAttribute("aria-label", `${title}, ${space}: ${epochs.length} epochs by ${height} ${what}s`);
    const key = RR.el("span", { class: "legend" });
    const cell = (event) => { const box = canvas.getBoundingClientRect(), at = (size, share) => Math.max(0, Math.min(size - 1, Math.floor(size * share))); return [at(epochs.length, (event.clientX - box.left) / box.width), at(height, (event.clientY - box.top) / box.height)]; };
    canvas.addEventListener("click", (event) => {
      const [e, row] = cell(event);
      RR.set({ epoch: choose(epochs[e]), ...(what === "unit" ? { units: [units[row]], lens: "unit" } : {}) });
    });
    canvas.addEventListener("pointermove", (event) => {
      const [e, row] = cell(event);
      RR.tip([`epoch ${epochs[e]}, ${what === "step" ? `step ${steps[row] + 1}` : `unit ${units[row]}`}`, `${RR.number(values[e * height + row])} nats in the ${space}`]);
    });
    canvas.addEventListener("pointerleave", () => RR.tip(null));
    RR.byId("heats").append(RR.el("div", { class: "heat" }, RR.el("h4", {}, `${title}, in the ${space}`), canvas, key));
    return () => {
      const brush = canvas.getContext("2d");
      brush.clearRect(0, 0, epochs.length, height);
      for (let e = 0; e < epochs.length; e++) for (let row = 0; row < height; row++) {
        const value = values[e * height + row];
        if (!Number.isFinite(value)) continue;
        brush.fillStyle = RR.orderColour((value - low) / (high - low || 1));
        brush.fillRect(e, row, 1, 1);
      }
      key.replaceChildren(RR.legendKey({ ramp: RR.orderRamp(), low: `${RR.number(low)} nats`, high: RR.number(high) }), `${what}s downwards, epochs to the right`);
    };
  }).filter(Boolean);

  RR.on(["epoch"], () => cursors.forEach((move) => move(RR.epochs()[RR.selection.epoch])));
  RR.on(["theme"], () => heats.forEach((draw) => draw()));
  heats.forEach((draw) => draw());
});
