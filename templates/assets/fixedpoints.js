"use strict";
// Fixed and slow points: one is chosen in the plane or in the list; its eigenvalues, its modes, what the head says there
// and the visited states nearest to it are shown. The map of the states marks the points of the same input.
RR.fixedInput = RR.description.fixed?.first ?? 0;
RR.fixedPoint = RR.description.fixed?.chosen ?? -1;
RR.fixedListeners = [];
RR.fixedMarks = function (method, wanted) {
  const marks = { x: [], y: [], marker: [], fill: [], color: [] }, { fixed } = RR.description;
  if (!wanted || !fixed?.placed.includes(method)) return marks;
  const places = RR.arrays[`fixed.map.${method}`], owners = RR.arrays["fixed.owners"], kinds = RR.arrays["fixed.kinds"];
  for (let point = 0; point < owners.length; point++) {
    if (owners[point] !== RR.fixedInput) continue;
    marks.x.push(places[2 * point]); marks.y.push(places[2 * point + 1]);
    marks.marker.push(kinds[point] === 2 ? "x" : "circle");
    marks.fill.push(RR.css(kinds[point] === 0 ? "ink" : "panel"));
    marks.color.push(RR.css(point === RR.fixedPoint ? "up" : "ink"));
  }
  return marks;
};
RR.views.push(function fixedPoints() {
  const found = RR.description.fixed, plane = document.querySelector("#fixed-plane svg");
  if (!found || !plane) return;
  const array = (name) => RR.arrays[`fixed.${name}`], M = array("owners").length, reading = RR.reading;
  const input = RR.byId("fixed-input"), list = RR.byId("fixed-point"), says = RR.byId("fixed-says");
  const KINDS = ["stable point", "saddle", "slow point"], nodes = [...plane.querySelectorAll(".point")];
  // The values travel rounded: how many of them grow, the largest first, is told apart.
  const grows = (point, place) => place < array("unstable")[point], SURE = 1e-3, ENDLESS = 1e6;
  const steps = (times) => (times > ENDLESS ? "never ends" : `${RR.number(times)} steps`);
  const name = (point) => `${KINDS[array("kinds")[point]]}${array("unstable")[point] ? `, ${array("unstable")[point]} growing` : ""}, ${array("arrivals")[point]} start${array("arrivals")[point] === 1 ? "" : "s"}`;
  const outputs = (point) => [...(array("outputs").length ? RR.row(array("outputs"), point) : [])].map((output, place) => `${RR.quoted(found.outputs[output])} ${RR.number(RR.row(array("output_values"), point)[place])}`);

  function spectrum(point) {
    const svg = document.querySelector("#fixed-spectrum svg"), group = svg.querySelector(".eigenvalues"), side = svg.viewBox.baseVal.width, radius = Number(svg.querySelector(".unit").getAttribute("r"));
    const at = (part) => Math.min(side - 8, Math.max(8, side / 2 + radius * part)), values = RR.row(array("eigenvalues"), point), dots = [];
    for (let i = 0; i < values.length; i += 2) {
      const [re, im] = [values[i], values[i + 1]], size = Math.hypot(re, im);
      const dot = RR.svg("circle", { class: grows(point, i / 2) ? "out" : "in", cx: at(re), cy: at(-im), r: 4, "data-hint": "" });
      dots.push(RR.hint(dot, [`λ = ${RR.number(re)} ${im < 0 ? "−" : "+"} ${RR.number(Math.abs(im))} i`, `|λ| = ${RR.number(size)}`, `${grows(point, i / 2) ? "grows" : "lasts"}: ${steps(RR.row(array("times"), point)[i / 2] ?? 1 / Math.abs(Math.log(size)))}`]));
    }
    group.replaceChildren(...dots);
    RR.byId("fixed-which").textContent = `Eigenvalues of one step at the chosen ${KINDS[array("kinds")[point]]}`;
  }
  // The slowest modes: how long, how fast they turn, how much the head sees, which of the other inputs pushes most.
  function modes(point) {
    const times = RR.row(array("times"), point), read = RR.row(array("readout"), point), values = RR.row(array("eigenvalues"), point), own = array("owners")[point], rows = [];
    for (let mode = 0; mode < times.length && rows.length < 5; mode++) {
      const [re, im] = [values[2 * mode], values[2 * mode + 1]], size = Math.hypot(re, im);
      if (im < -SURE) continue; // the other of a pair
      const drive = RR.row(array("drive"), point, mode), turns = Math.abs(Math.atan2(im, re));
      let best = -1;
      drive.forEach((push, other) => { if (other !== own && (best < 0 || push > drive[best])) best = other; });
      rows.push(RR.el("tr", {}, ...[grows(point, mode) ? "grows" : times[mode] > ENDLESS ? "stays" : "dies out", RR.number(size), steps(times[mode]), (re < 0 || im > SURE) && turns * times[mode] > 0.3 ? `${RR.number(2 * Math.PI / turns)} steps` : "–", RR.percent(read[mode]), best < 0 ? "–" : found.inputs[best]].map((text, column) => RR.el("td", { class: column && column < 5 ? "n" : column ? null : "whole" }, text))));
    }
    const heads = ["mode", "|λ|", "time constant", "turns in", "seen by the head", "pushed most by"];
    return RR.el("div", { class: "scroll", tabindex: "0" }, RR.el("table", { class: "plain modes" }, RR.el("thead", {}, RR.el("tr", {}, ...heads.map((head, column) => RR.el("th", { scope: "col", class: column && column < 5 ? "n" : null }, head)))), RR.el("tbody", {}, ...rows)));
  }
  function near(point) {
    const around = reading.features ? 3 : reading.characters ? 14 : 6, rows = [...RR.row(array("nearest"), point)].map((p, place) => [p, RR.row(array("distances"), point)[place]]).filter(([p]) => p >= 0);
    return RR.el("ul", { class: "places" }, ...rows.map(([p, far]) => RR.placeRow(reading, p, {
      low: p - around, high: p + around, tint: (other) => RR.textTint(reading, other), marked: (other) => other === p,
      head: [`, step ${p - reading.starts[reading.owner(p)] + 1} · ${far.toFixed(2)} of the typical distance`],
    })));
  }
  function tell(point) {
    const q = array("speeds")[point], said = outputs(point);
    const facts = [name(point), q < 1e-20 ? "q\u00a0=\u00a00 to rounding" : `q\u00a0=\u00a0${RR.exponential(q, 1)}`, ...(said.length ? [`the head says there: ${said.join(", ")}`] : [])];
    const left = RR.el("div", {}, RR.el("h4", {}, "Its leading modes"), modes(point));
    says.replaceChildren(RR.el("p", { class: "note" }, `${facts.join(" · ")}`), RR.el("div", { class: "motion-says" }, left, ...(reading ? [RR.el("div", {}, RR.el("h4", {}, "Visited states nearest to it"), near(point))] : [])));
  }
  function choose(point) {
    RR.fixedPoint = point;
    for (const node of nodes) node.classList.toggle("on", Number(node.dataset.point) === point);
    list.value = String(point);
    if (point < 0) { says.replaceChildren(); document.querySelector("#fixed-spectrum .eigenvalues").replaceChildren(); }
    else { spectrum(point); tell(point); }
    for (const follow of RR.fixedListeners) follow();
  }
  function at(own) {
    RR.fixedInput = own;
    for (const group of plane.querySelectorAll(".input")) group.setAttribute("visibility", Number(group.dataset.input) === own ? "visible" : "hidden");
    const points = [...Array(M).keys()].filter((point) => array("owners")[point] === own);
    list.replaceChildren(...points.map((point, place) => RR.el("option", { value: point }, `${place + 1}: ${name(point)}`)));
    list.disabled = !points.length;
    RR.title("fixed-points", found.titles[own]);
    RR.note("fixed-points", found.notes[own]);
    choose(points.includes(found.chosen) ? found.chosen : points[0] ?? -1);
  }
  for (const node of nodes) node.dataset.hint = "";
  for (const node of nodes) RR.hint(node, () => { const point = Number(node.dataset.point), said = outputs(point); return [name(point), `slowest: ${steps(RR.row(array("times"), point)[0])}`, ...(said.length ? [`head: ${said.join(", ")}`] : [])]; });
  plane.addEventListener("click", (event) => {
    const node = event.target.closest(".point"), trail = event.target.closest(".trail");
    if (node) choose(Number(node.dataset.point));
    else if (trail) RR.chooseSequence(Number(trail.dataset.sequence));
  });
  input.addEventListener("change", () => at(Number(input.value)));
  list.addEventListener("change", () => choose(Number(list.value)));
  if (reading) RR.tellTokens(says);
  RR.on(["sequence"], ({ sequence }) => { for (const trail of plane.querySelectorAll(".trail")) trail.classList.toggle("on", Number(trail.dataset.sequence) === sequence); });
  RR.on(["output", "theme"], () => { if (RR.fixedPoint >= 0) tell(RR.fixedPoint); });
  at(found.first);
});
