"use strict";
// Which steps of the map carry their token as a label: the rules of Garcia, Munz and Weiskopf (2021), each for the step
// after a jump or the step before it. A step is labelled if any rule that is switched on says so.
RR.labelRules = {
  // The state moved by at least this share of the largest move of all steps.
  distance: (reading, threshold) => {
    const distance = reading.array("distance"), least = threshold * reading.largestDistance;
    return (p, next) => next <= reading.last(p) && distance[p] >= least;
  },
  // The expected prediction changed by at least this much: the probability of any class (for two classes they change
  // alike), of the chosen label, or the chosen quantity as a share of its range.
  output: (reading, threshold) => {
    const [low, high] = reading.kind === "quantities" ? reading.extentOf(RR.selection.output) : [0, 1], least = threshold * (high - low);
    return RR.outputJump(reading, (now, then) => now.some((value, k) => (reading.kind === "classes" || k === RR.selection.output) && Math.abs(value - then[k]) >= least));
  },
  // Another class is expected, or other labels are named.
  change: (reading) => RR.outputJump(reading, reading.kind === "labels" ? (now, then) => now.some((value, k) => (value >= 0.5) !== (then[k] >= 0.5))
    : (now, then, p, next) => reading.winner(p, RR.selection.epoch) !== reading.winner(next, RR.selection.epoch)),
};

// Whether two consecutive steps of a sequence, both with an expected prediction, differ.
RR.outputJump = (reading, differ) => (p, next) => {
  if (next > reading.last(p)) return false;
  const now = reading.outputs(p, RR.selection.epoch), then = reading.outputs(next, RR.selection.epoch);
  return now !== null && then !== null && differ(now, then, p, next);
};

// Labels that would cover one before them go a line further down; `scale`: px of a unit of the map.
RR.stagger = function ({ x, y, text, dy }, scale) {
  const LINE = 14, MANY = 60, left = (i) => scale * x[i], right = (i) => left(i) + 7 * text[i].length, down = (i) => dy[i] - scale * y[i];
  const covers = (i, j) => Math.abs(down(i) - down(j)) < LINE - 1 && left(i) < right(j) && left(j) < right(i);
  for (let i = 1; i < Math.min(MANY, x.length); i++) {
    for (let j = 0; j < i; j++) if (covers(i, j)) { dy[i] = down(j) + LINE + scale * y[i]; j = -1; }
  }
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

// The bars of the state's moves show where the rule for them draws its line, while it is switched on.
RR.thresholdLine = function (plot, reading) {
  const host = RR.byId("map-labels"), line = plot.find("distance.threshold");
  const draw = () => {
    const slider = host.querySelector("[data-threshold=distance]"), on = host.querySelector("[data-rule=distance]:checked");
    line.setv({ visible: on !== null, location: Number(slider?.value ?? 0) * reading.largestDistance });
  };
  if (!host) return;
  host.addEventListener("input", draw);
  host.addEventListener("change", draw);
  draw();
};

RR.labelControls = function (host, reading, changed) {
  const rows = [["distance", "state moves by", 0.4], ...reading.shows.rules(reading)];
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
