"use strict";
// What the state of the selected step depends on: a bar over every token, as high as its share of the strongest.
RR.views.push(function salience() {
  const node = RR.byId("text"), told = RR.byId("text-dependence"), reading = RR.reading, { dependence } = RR.description;
  if (!node || !dependence) return;
  const known = !dependence.reason;
  // Of every state: where the rows of a sequence begin, and how many of its steps were looked at.
  const states = (dependence.states ?? []).map((state, number) => {
    const array = (name) => RR.arrays[`dependence${number}.${name}`], places = new Map();
    let rows = 0, cells = 0;
    array("lengths").forEach((length, i) => { places.set(array("sequences")[i], { rows, cells, length }); rows += length; cells += length * length; });
    return { state, array, places };
  });
  // Of the state that is selected above; of a gate, or where it was not recorded, of the first one.
  const here = () => states.find(({ state }) => state === RR.description.states[RR.selection.state]) ?? states[0];
  // The row of a step: its strongest norm and the share of every input; null where it was not computed.
  const rowOf = (q, t) => {
    const { array, places } = here() ?? { places: new Map() }, found = places.get(q);
    if (!found || t >= found.length || !reading.isLast(RR.selection.epoch)) return null;
    const start = found.cells + t * found.length;
    return { largest: array("largest")[found.rows + t], shares: array("shares").subarray(start, start + found.length) };
  };
  function say(q, t) {
    if (!known) return `What a state depends on is not shown: ${dependence.reason}.`;
    const { state, places } = here(), found = places.get(q);
    if (!found) return `What ${state} depends on was computed for ${[...places.keys()].filter((other) => other < reading.shown).length} of the ${reading.shown} displayed sequences, not for this one.`;
    if (!reading.isLast(RR.selection.epoch)) return "What a state depends on was computed at the last epoch only.";
    if (t === null) return "Select a step: bars over the tokens will show what its state depends on.";
    if (t >= found.length) return `What a state depends on was computed for the first ${found.length} steps of this sequence.`;
    const { largest } = rowOf(q, t);
    if (!(largest > 0)) return `The state after step ${t + 1} does not change with any input (all derivatives are 0).`;
    return `Bars over the tokens: how strongly the state after step ${t + 1} depends on each; full height is the strongest, ${RR.number(largest)} (${state}).`;
  }
  // To the next sequence for which it is known, at its last step.
  function lead(q) {
    const { places } = here(), next = [...places.keys()].sort((a, b) => a - b).find((other) => other > q) ?? Math.min(...places.keys());
    return RR.el("button", { type: "button", class: "link", onclick: () => RR.chooseStep(next, places.get(next).length - 1) }, "Show the next one that has it");
  }
  function draw() {
    const { sequence, step } = RR.selection, q = sequence ?? 0, row = step === null ? null : rowOf(q, step);
    const shown = row !== null && row.largest > 0;
    node.classList.toggle("leaning", shown);
    for (const token of node.querySelectorAll(".token")) token.style.setProperty("--share", shown ? row.shares[Number(token.dataset.p) - reading.starts[q]] ?? 0 : 0);
    told.replaceChildren(say(q, step), ...(known && here().places.size && !here().places.has(q) ? [" ", lead(q)] : []));
  }
  const tip = RR.stepTip;
  RR.stepTip = (p) => {
    const { sequence, step } = RR.selection, q = reading.owner(p), row = step !== null && q === sequence ? rowOf(q, step) : null, share = row?.shares[p - reading.starts[q]];
    return [...tip(p), ...(share === undefined || !(row.largest > 0) ? [] : [`the state after step ${step + 1} depends on it by ${RR.number(share * row.largest)} (${RR.percent(share)} of the strongest)`])];
  };
  RR.on(["sequence", "step", "epoch", "output", "theme", "lens", "units", "state"], draw);
  draw();
});
