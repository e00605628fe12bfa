"use strict";
// How the representation formed: the panels are drawn already; here they get the selected epoch, values and clicks.
RR.views.push(function formation() {
  const { formation: layers, dynamics } = RR.description, hosts = [...document.querySelectorAll(".formed")];
  if (!layers || !hosts.length) return;
  const { epochs, steps } = layers[0]; // the same for all states
  // The selected state, or one of its layer (of a gate); all are shown where no state can be selected.
  const layerOf = (state) => dynamics.layerOfState[state], selectable = layers.every(({ state }) => state >= 0);
  const place = (wanted) => layers.findIndex(({ state }) => state >= 0 && wanted(state)), now = () => RR.selection.state;
  const here = () => [place((state) => state === now()), place((state) => layerOf(state) === layerOf(now()))].find((at) => at >= 0) ?? 0;
  // The selectable epoch of the page nearest to an epoch, and the place of the nearest embedded one.
  const choose = (epoch) => RR.epochs().reduce((best, value, at, all) => (Math.abs(value - epoch) < Math.abs(all[best] - epoch) ? at : best), 0);
  const nearest = (epoch) => epochs.reduce((best, value, at) => (Math.abs(value - epoch) < Math.abs(epochs[best] - epoch) ? at : best), 0);
  // What the tooltip of a panel says: its array, and what the rows of it are.
  const spaces = ["in the picture", "in the activity"], said = {
    similarity: [".similarity", [""]], participation: [".participation", [""]],
    change: [".change", spaces], purity: [".purity", spaces], alignment: [".alignment", spaces],
    read: [".probes.read", ["read from other sequences", "with shuffled labels"]], information: [".probes.held", ["bits", "bits that one shuffle in 20 exceeds"]],
  };

  const cursors = hosts.flatMap((host, place) => [...host.querySelectorAll(".panel")].map((panel) => {
    const plot = panel.querySelector(".panel-plot"), [name, rows] = said[panel.dataset.panel] ?? [];
    const array = name?.replace(/^\./, `${layers[place].prefix}.`);
    const [first, last] = [...panel.querySelectorAll(".panel-ends span")].map((end) => Number(end.textContent.replace("epoch ", "")));
    const mark = RR.el("div", { class: "here" });
    plot.append(mark);
    const epochAt = (event) => { const box = plot.getBoundingClientRect(); return first + (last - first) * Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)); };
    plot.addEventListener("click", (event) => RR.set({ epoch: choose(epochAt(event)) }));
    plot.addEventListener("pointermove", (event) => {
      const place = nearest(epochAt(event));
      RR.tip([`epoch ${epochs[place]}`, ...(rows ?? []).map((name, row) => `${name} ${RR.number(RR.arrays[array][row * epochs.length + place])}`.trim())]);
    });
    plot.addEventListener("pointerleave", () => RR.tip(null));
    return (epoch) => { mark.style.left = `${100 * (epoch - first) / Math.max(1, last - first)}%`; };
  }));

  // What is known of every step or every unit, over the epochs: two maps at a time; light is much.
  const nats = (value, space) => `${RR.number(value)} nats in the ${space}`;
  const spread = (name, title, what) => ["picture", "activity"].map((space) => ({ array: `${layers[here()].prefix}.${name}.${space}`, title: `${title}, in the ${space}`, what, unit: "nats", says: (value) => nats(value, space) }));
  const readable = ({ prefix, probes: { what, measure, sequences } }) => {
    const read = measure === "R²" ? (value) => `R² ${RR.number(value)}` : RR.percent;
    return ["what can be read at each step", [
      { array: `${prefix}.probes.accuracy`, title: `A linear probe reads the ${what}, step by step`, what: "step", unit: `of ${sequences} sequences`, format: read, says: (value, at) => `${read(value)} of ${sequences} sequences; with shuffled labels ${read(RR.arrays[`${prefix}.probes.control`][at])}` },
      { array: `${prefix}.probes.information`, title: "Bits in the leading directions, step by step", what: "step", unit: "bits", says: (value) => `${RR.number(value)} bits, less bias` },
    ]];
  };
  const views = () => [
    ["spread of the units in each step", spread("within_step", "Spread of the units, step by step", "step")],
    ["spread of the steps of each unit", spread("within_unit", "Spread of the steps, unit by unit", "unit")],
    ...(layers[here()].probes ? [readable(layers[here()])] : []),
  ].map(([name, maps]) => [name, maps.filter(({ array }) => RR.arrays[array].some(Number.isFinite))]).filter(([, maps]) => maps.length);
  const choice = RR.byId("heats-of");
  let heats = [], shown = [];
  const show = () => { RR.byId("heats").replaceChildren(); heats = (shown.find(([name]) => name === choice.value)?.[1] ?? []).map(heat); heats.forEach((draw) => draw()); };
  function layer() {
    const wanted = choice.value;
    hosts.forEach((host, place) => { host.hidden = selectable && place !== here(); });
    if (selectable) RR.byId("title-formation").textContent = hosts[here()].dataset.heading;
    shown = views();
    choice.replaceChildren(...shown.map(([name]) => RR.el("option", {}, name)));
    if (shown.some(([name]) => name === wanted)) choice.value = wanted;
    choice.closest(".controls").hidden = !shown.length;
    show();
  }

  function heat({ array, title, what, unit, says, format = RR.number }) {
    const { units } = layers[here()], values = RR.arrays[array], [, height] = values.shape, known = values.filter(Number.isFinite);
    const low = Math.min(...known), high = Math.max(...known), canvas = RR.el("canvas", { width: epochs.length, height, role: "img" });
    canvas.setAttribute("aria-label", `${title}: ${epochs.length} epochs by ${height} ${what}s`);
    const key = RR.el("span", { class: "legend" });
    const cell = (event) => { const box = canvas.getBoundingClientRect(), at = (size, share) => Math.max(0, Math.min(size - 1, Math.floor(size * share))); return [at(epochs.length, (event.clientX - box.left) / box.width), at(height, (event.clientY - box.top) / box.height)]; };
    canvas.addEventListener("click", (event) => {
      const [e, row] = cell(event);
      RR.set({ epoch: choose(epochs[e]), ...(what === "unit" ? { units: [units[row]], lens: "unit" } : {}) });
    });
    canvas.addEventListener("pointermove", (event) => {
      const [e, row] = cell(event), at = e * height + row;
      RR.tip([`epoch ${epochs[e]}, ${what === "step" ? `step ${steps[row] + 1}` : `unit ${units[row]}`}`, says(values[at], at)]);
    });
    canvas.addEventListener("pointerleave", () => RR.tip(null));
    RR.byId("heats").append(RR.el("div", { class: "heat" }, RR.el("h4", {}, title), canvas, key));
    return () => {
      const brush = canvas.getContext("2d");
      brush.clearRect(0, 0, epochs.length, height);
      for (let e = 0; e < epochs.length; e++) for (let row = 0; row < height; row++) {
        const value = values[e * height + row];
        if (!Number.isFinite(value)) continue;
        brush.fillStyle = RR.orderColour((value - low) / (high - low || 1));
        brush.fillRect(e, row, 1, 1);
      }
      key.replaceChildren(RR.legendKey({ ramp: RR.orderRamp(), low: format(low), high: `${format(high)} ${unit}` }), `${what}s downwards, epochs to the right`);
    };
  }

  RR.on(["epoch"], () => cursors.forEach((move) => move(RR.epochs()[RR.selection.epoch])));
  RR.on(["theme"], () => heats.forEach((draw) => draw()));
  RR.on(["state"], layer);
  choice.addEventListener("change", show);
  layer();
});
