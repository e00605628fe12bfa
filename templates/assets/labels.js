"use strict";
// Which steps of the map carry their token as a label: the rules of Garcia, Munz and Weiskopf (2021), each for the step
// after a jump or the step before it. A step is labelled if any rule that is switched on says so.
RR.labelRules = {
  // The state moved by at least this share of the largest move of all steps.
  distance: (reading, threshold) => {
    const distance = reading.array("distance"), least = threshold * reading.largestDistance;
    return (p, next) => next <= reading.last(p) && distance[p] >= least;
  },
  // The probability of a class changed by at least this much (of any class; for two classes they change alike).
  confidence: (reading, threshold) => (p, next) => {
    if (next > reading.last(p)) return false;
    const now = reading.probabilities(p, RR.selection.epoch), then = reading.probabilities(next, RR.selection.epoch);
    return now.some((value, k) => Math.abs(value - then[k]) >= threshold);
  },
  // The expected class changed.
  change: (reading) => (p, next) => next <= reading.last(p) && reading.winner(p, RR.selection.epoch) !== reading.winner(next, RR.selection.epoch),
};

// Steps to label among `from` <= p < `to`: Map of step to "after" or "before".
RR.labelled = function (reading, options, from, to) {
  const found = new Map();
  for (const { rule, threshold, side } of options) {
    const jumps = RR.labelRules[rule](reading, threshold);
    for (let p = from; p < to; p++) if (jumps(p, p + 1)) found.set(side === "after" ? p + 1 : p, side);
  }
  return found;
};

RR.labelControls = function (host, reading, changed) {
  const rows = [["distance", "state moves by", 0.4], ["confidence", "probability changes by", 0.3], ["change", "class changes", null]]
    .filter(([rule]) => rule === "distance" || reading.has);
  const options = rows.flatMap(([rule, text, start]) => {
    const slider = start === null ? null : RR.el("input", { type: "range", min: 0, max: 1, step: 0.01, value: start, "aria-label": `${text} at least`, "data-threshold": rule });
    const value = RR.el("output", {}, start === null ? "" : `${Math.round(100 * start)}%`);
    const sides = ["after", "before"].map((side) => ({ side, box: RR.el("input", { type: "checkbox", "data-rule": rule, "data-side": side }) }));
    host.append(RR.el("span", { class: "rule" }, text, ...(slider ? [slider, value] : []), ...sides.map(({ side, box }) => RR.el("label", {}, box, ` ${side}`))));
    slider?.addEventListener("input", () => { value.textContent = `${Math.round(100 * slider.value)}%`; changed(); });
    sides.forEach(({ box }) => box.addEventListener("change", changed));
    return sides.map(({ side, box }) => ({ rule, side, on: () => box.checked, threshold: () => Number(slider?.value ?? 0) }));
  });
  return () => options.filter((option) => option.on()).map(({ rule, side, threshold }) => ({ rule, side, threshold: threshold() }));
};
