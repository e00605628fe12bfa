"use strict";
// Where the dots of the map lie: by which method, in the plane or turned in space, at which epoch, of which network.
// The map is that of the last epoch; the states of other epochs and of a baseline were placed into it.
RR.mapPlaces = function (map, P, redraw) {
  const [method, view, whose, turn] = ["method", "map-view", "map-whose", "map-turn"].map((id) => RR.byId(id));
  const chosen = () => map.methods[method.value], last = RR.epochs().at(-1);
  const solid = () => view.value === "space" && chosen().space !== null;
  const nearest = (epochs, wanted) => epochs.reduce((best, epoch, at) => (Math.abs(epoch - wanted) < Math.abs(epochs[best] - wanted) ? at : best), 0);
  // Which of the placed states are asked for; -1 for the states that the map was made of.
  const asked = () => {
    if (whose?.value === "baseline") return map.epochs.length;
    const epochs = [...map.epochs, last], at = nearest(epochs, RR.epochs()[RR.selection.epoch] ?? last);
    return at === epochs.length - 1 ? -1 : at;
  };
  const project = RR.turntable(turn, redraw, solid);

  function dots() {
    const { flat, space, placed, columns, scale } = chosen(), which = placed === null ? -1 : asked(), xy = new Float32Array(2 * P);
    const width = which < 0 ? (solid() ? 3 : 2) : columns;
    const source = which < 0 ? RR.arrays[solid() ? space : flat] : RR.arrays[placed].subarray(which * P * width, (which + 1) * P * width);
    const stretch = which >= 0 && width === 3 ? scale : 1;
    for (let p = 0; p < P; p++) {
      const [x, y] = solid() ? project(source, p) : [stretch * source[width * p], stretch * source[width * p + 1]];
      xy[2 * p] = x;
      xy[2 * p + 1] = y;
    }
    return xy;
  }
  // In words: the method, and whose states the dots are.
  function says() {
    const { name, placed } = chosen(), which = asked(), shown = [`${name}${solid() ? ", in 3-D" : ""}; axes carry no unit`];
    if (which < 0) return shown;
    if (placed === null) return [...shown, `this map shows epoch ${last} of this network alone`];
    const far = map.strangeness[which];
    const like = far === null ? "" : `, ${far} times as far from the states of the map as these from each other`;
    const owner = which === map.epochs.length ? `states of ${map.baseline}` : `states of epoch ${map.epochs[which]}`;
    return [...shown, `${owner}, placed into the map of epoch ${last}${like}`];
  }
  function dress(plot) {
    view.disabled = chosen().space === null;
    turn.classList.toggle("solid", solid());
    turn.toggleAttribute("tabindex", solid());
    if (solid()) {
      turn.tabIndex = 0;
      for (const tool of plot.figure.toolbar.tools) if (["PanTool", "BoxSelectTool"].includes(tool.type)) tool.active = false; // they drag as well
    }
    for (const row of document.querySelectorAll("#map-trust tr[data-method]")) row.setAttribute("aria-current", row.dataset.method === method.value);
    const [trust, continuity, kept, apart] = [...document.querySelectorAll("#map-trust tr[aria-current=true] td")].map((cell) => cell.textContent.trim());
    RR.byId("map-trusted").textContent = `How far this map can be trusted: trustworthiness ${trust}, continuity ${continuity}, distances kept ${kept}, difference of two seeds ${apart} · all maps`;
  }
  const controls = [method, view, whose].filter(Boolean);
  return { dots, says, dress, controls };
};
