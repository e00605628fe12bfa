"use strict";
// The row of the chosen map among those that say how far each can be trusted, and the same in a line.
RR.sayTrust = function () {
  for (const row of document.querySelectorAll("#map-trust tr[data-method]")) row.setAttribute("aria-current", row.dataset.method === RR.byId("method").value);
  const [trust, continuity, kept, apart] = [...document.querySelectorAll("#map-trust tr[aria-current=true] td")].map((cell) => cell.textContent.trim());
  RR.byId("map-trusted").textContent = `How far this map can be trusted: trustworthiness ${trust}, continuity ${continuity}, distances kept ${kept}, difference of two seeds ${apart} · all maps`;
  const method = document.querySelector("#map-trust tr[aria-current=true] th").textContent.split(",")[0], said = " keeps neighbours with trustworthiness ";
  if (RR.byId("title-map").textContent.includes(said)) RR.title("map", `${method}${said}${trust}, distances with rank correlation ${kept}`); // as titles.py has it
};
// Where the dots of the map lie: by which method, in the plane or turned in space, at which epoch, of which network.
// The map is that of the last epoch; the states of other epochs and of a baseline were placed into it.
// Then come the states of the sentences given by hand, G of them, where this map takes others and shows the last epoch.
RR.mapPlaces = function (map, P, G, redraw) {
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
    const { flat, space, placed, given, columns, scale } = chosen(), which = placed === null ? -1 : asked(), xy = new Float32Array(2 * (P + G)).fill(NaN);
    const lay = (first, count, source, width, stretch) => {
      for (let p = 0; p < count; p++) {
        const [x, y] = solid() ? project(source, p) : [stretch * source[width * p], stretch * source[width * p + 1]];
        xy[2 * (first + p)] = x;
        xy[2 * (first + p) + 1] = y;
      }
    };
    const guests = [columns, columns === 3 ? scale : 1];
    if (which < 0) lay(0, P, RR.arrays[solid() ? space : flat ?? space], solid() || flat === null ? 3 : 2, flat === null ? scale : 1);
    else lay(0, P, RR.arrays[placed].subarray(which * P * columns, (which + 1) * P * columns), ...guests);
    if (given !== null && asked() < 0) lay(P, G, RR.arrays[given], ...guests);
    return xy;
  }
  // In words: the method, and whose states the dots are.
  function says() {
    const { name, placed, given } = chosen(), which = asked(), shown = [`${name}${solid() ? ", in 3-D" : ""}; axes carry no unit`];
    const beyond = (far) => (far === null ? "" : `, ${far} times as far from the states of the map as these from each other`);
    if (which < 0) return given === null ? shown : [...shown, `framed: ${G} states of sentences given by --sentence, placed into the map${beyond(map.givenStrangeness)}`];
    if (placed === null) return [...shown, `this map shows epoch ${last} of this network alone`];
    const owner = which === map.epochs.length ? `states of ${map.baseline}` : `states of epoch ${map.epochs[which]}`;
    return [...shown, `${owner}, placed into the map of epoch ${last}${beyond(map.strangeness[which])}`];
  }
  function dress(plot) {
    view.disabled = chosen().space === null;
    turn.classList.toggle("solid", solid());
    turn.toggleAttribute("tabindex", solid());
    if (solid()) {
      turn.tabIndex = 0;
      for (const tool of plot.figure.toolbar.tools) if (["PanTool", "BoxSelectTool"].includes(tool.type)) tool.active = false; // they drag as well
    }
    RR.sayTrust();
  }
  const controls = [method, view, whose].filter(Boolean);
  return { dots, says, dress, controls };
};
