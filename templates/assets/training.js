"use strict";
// Training curves, and (with a baseline) the similarity of the states along training.
RR.views.push(() => ["curve-loss", "curve-score"].forEach((name) => RR.curve(name, RR.epochs())));
RR.views.push(() => RR.curve("similarity", RR.epochs(), 1));
// Bars of the steps that were left out: their numbers, and a click that selects the first of these steps.
RR.views.push(function leftOut() {
  const host = RR.byId("left-out");
  if (!host) return;
  const barOf = (event) => event.target.closest?.("[data-step]");
  host.addEventListener("pointermove", (event) => { const bar = barOf(event); RR.tip(bar ? [bar.dataset.says] : null); });
  host.addEventListener("pointerleave", () => RR.tip(null));
  host.addEventListener("click", (event) => {
    const bar = barOf(event), { reading } = RR;
    if (!bar || !reading) return;
    const step = Number(bar.dataset.step), now = RR.selection.sequence ?? reading.first;
    const sequence = reading.lengths[now] > step ? now : [...reading.lengths].findIndex((length) => length > step);
    if (sequence >= 0) RR.chooseStep(sequence, step);
  });
});
