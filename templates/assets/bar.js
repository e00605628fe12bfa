"use strict";
// The bar: state, epoch, and what is selected, with a way to let go of each.
RR.views.push(function bar() {
  const { description } = RR, node = RR.byId("bar");
  if (!node) return;
  node.hidden = false;
  const state = RR.byId("state");
  state?.addEventListener("change", () => RR.set({ state: Number(state.value), words: RR.selection.words, units: [], cluster: null }));
  const epochs = RR.epochs();
  const slider = RR.byId("epoch");
  if (epochs.length < 2) RR.byId("epoch-control").hidden = true;
  slider.max = Math.max(0, epochs.length - 1);
  slider.addEventListener("input", () => RR.set({ epoch: Number(slider.value) }));
  RR.byId("clear").addEventListener("click", RR.clear);

  RR.on(["state", "epoch", "words", "units", "cluster", "node", "sequence", "pinned", "step", "range"], (selection) => {
    if (state) state.value = selection.state;
    slider.value = selection.epoch;
    RR.byId("epoch-name").textContent = epochs.length ? `${epochs[selection.epoch]} of ${epochs[epochs.length - 1]}` : "";
    const picks = [];
    const pick = (text, release) => picks.push(RR.el("button", { type: "button", class: "pick", onclick: release, "aria-label": `${text}: let go` }, RR.el("span", {}, text), "×"));
    selection.words.forEach((word) => pick(RR.quoted(description.words.names[word]), () => RR.chooseWord(word)));
    selection.units.forEach((unit) => pick(`unit ${unit}`, () => RR.chooseUnit(unit)));
    if (selection.cluster !== null) pick(`cluster ${selection.cluster + 1}`, () => RR.set({ cluster: null }));
    if (selection.node !== null) pick(`machine state ${RR.nodeLetter(selection.node)}`, () => RR.set({ node: null }));
    if (selection.sequence !== null) pick(description.sequences.ids[selection.sequence], () => RR.set({ sequence: null, step: null }));
    selection.pinned.forEach((q) => pick(`beside: ${description.sequences.ids[q]}`, () => RR.set({ pinned: selection.pinned.filter((other) => other !== q) })));
    if (selection.step !== null) pick(`step ${selection.step + 1}`, () => RR.set({ step: null, lens: null }));
    if (selection.range.length) pick(`steps ${selection.range.map((t) => t + 1).join(" to ")}`, () => RR.set({ range: [] }));
    RR.byId("chosen").replaceChildren(...(picks.length ? picks : [RR.el("span", { class: "hint" }, `Click a ${RR.noun()}, a unit, a sequence, a step or an epoch: every view follows.`)]));
    RR.byId("clear").hidden = picks.length < 2;
  });
});
// The epochs of the page: those with an expected prediction, else those of MM-PHATE.
RR.epochs = () => {
  const { sequences, dynamics } = RR.description;
  return sequences?.epochs.length ? sequences.epochs : dynamics?.epochs ?? [];
};
