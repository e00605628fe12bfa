"use strict";
// Where the network was in nearly the same state: the states of other sequences nearest to that of the selected step.
// One place in its context, as a row of a list: what is there, a head that leads to it, and the tokens around it.
RR.placeRow = function (reading, p, { low, high, tint, marked, head }) {
  const q = reading.owner(p), first = Math.max(reading.starts[q], low), end = Math.min(reading.starts[q + 1], high + 1);
  const choose = (other) => RR.chooseStep(q, other - reading.starts[q]);
  const text = RR.el("div", { class: `running context${reading.characters ? " chars" : ""}` });
  if (first > reading.starts[q]) text.append("… ");
  for (let other = first; other < end; other++) {
    const token = RR.tokenNode(reading, other, tint(other), choose);
    token.classList.toggle("meant", marked(other));
    text.append(token);
  }
  if (end < reading.starts[q + 1]) text.append(" …");
  const link = RR.el("button", { type: "button", class: "link", onclick: () => choose(p) }, reading.ids[q]);
  return RR.el("li", {}, RR.el("p", { class: "note" }, link, ...head), text);
};
// The tokens of such lists say what the others of the page say.
RR.tellTokens = function (node) {
  node.addEventListener("pointerover", (event) => { const token = event.target.closest(".token"); if (token) RR.tip(RR.stepTip(Number(token.dataset.p))); });
  node.addEventListener("pointerout", () => RR.tip(null));
};

RR.views.push(function similar() {
  const node = RR.byId("similar"), kinds = RR.description.similar, reading = RR.reading, P = reading?.starts[reading.shown];
  if (!node || !reading || !kinds.length) return;
  // Those of the selected state, if they were compared; without units there is no choice of states.
  const chosen = () => { const name = RR.description.states[RR.selection.state]; return name === undefined ? kinds[0] : kinds.find(({ state }) => state === name); };
  const around = reading.features ? 3 : reading.characters ? 14 : 6;
  const row = (p, head) => RR.placeRow(reading, p, {
    low: p - around, high: p + around, tint: (other) => RR.textTint(reading, other), marked: (other) => other === p,
    head: [`, step ${p - reading.starts[reading.owner(p)] + 1} of ${reading.lengths[reading.owner(p)]}`, ...head, ...reading.shows.says(reading, p).map((line) => ` · ${line}`)],
  });
  // A sentence given by hand is compared here with the displayed states that the page carries.
  const compared = (p, count, unit) => {
    const own = RR.description.units.length ? RR.stateAt(p) : undefined, all = [];
    for (let other = 0; own && other < P; other++) {
      const state = RR.stateAt(other);
      if (state) all.push([other, Math.sqrt(own.reduce((sum, value, i) => sum + (value - state[i]) ** 2, 0)) / unit]);
    }
    return { near: all.sort(([a, far], [b, further]) => far - further || a - b).slice(0, count), among: all.length };
  };
  function draw() {
    const { sequence, step } = RR.selection, q = sequence ?? reading.first, p = reading.starts[q] + (step ?? reading.lengths[q] - 1);
    const where = `${step === null ? "the last step" : `step ${step + 1}`} of ${reading.ids[q]}`;
    const found = chosen();
    if (!found) {
      RR.title("similar", "States of other sequences most like a selected one");
      RR.note("similar", RR.description.states[RR.selection.state]);
      const which = kinds.map(({ state }) => state).join(", ");
      node.replaceChildren(RR.el("p", {}, `Computed for ${which}: choose ${kinds.length > 1 ? "one of these" : "it"} in the bar.`));
      return;
    }
    const neighbours = RR.arrays[`${found.prefix}.neighbours`], distances = RR.arrays[`${found.prefix}.distances`];
    RR.title("similar", `States of other sequences most like the one after ${where}`);
    const byHand = p >= P ? compared(p, neighbours.shape[1], found.unit) : null, among = byHand ? byHand.among : P;
    RR.note("similar", `${found.state}, last epoch · the ${neighbours.shape[1]} nearest of the ${among.toLocaleString("en")} displayed states${among < P ? " that this page carries" : ""}, Euclidean, original space, not rescaled · typical distance ${RR.number(found.unit)}, the median of ${found.pairs.toLocaleString("en")} pairs; ${RR.percent(found.angleShare)} of all neighbours are also near by angle${step === null ? " · select a step" : ""}`);
    const near = byHand?.near ?? [...RR.row(neighbours, p)].map((other, i) => [other, RR.row(distances, p)[i]]).filter(([other]) => other >= 0);
    const rows = near.map(([other, far]) => {
      const meter = RR.el("span", { class: "far", "aria-hidden": "true" });
      meter.style.setProperty("--share", Math.min(1, far));
      return row(other, [" · ", meter, ` ${far < 0.005 ? "the same state, or nearly" : `${far.toFixed(2)} of the typical distance`}`]);
    });
    const list = near.length ? RR.el("ol", { class: "places" }, ...rows) : RR.el("p", { class: "note" }, "This state is not finite, or no other sequence has one.");
    node.replaceChildren(RR.el("ul", { class: "places" }, row(p, [" · here"])), list);
    mark();
  }
  const mark = () => { for (const token of node.querySelectorAll(".token")) token.classList.toggle("pointed", Number(token.dataset.p) === RR.pointed); };
  RR.tellTokens(node);
  RR.on(["sequence", "step", "state", "output", "theme"], RR.whileSeen(node.closest("figure"), draw));
  RR.onPoint(mark);
});
