"use strict";
// What a run expects after each step of a sequence, and the running text coloured by it. Used by report and comparison.
RR.reader = function (description) {
  const array = (name) => RR.arrays[`${description.prefix}.${name}`];
  const lengths = array("lengths"), starts = RR.starts(lengths), output = array("step_output");
  const [epochs, , classes] = output.shape;
  const values = array("values"), features = values.length ? values.shape[1] : 0;
  const reader = {
    ...description, array, lengths, starts, classes, epochs, features,
    has: output.length > 0,
    extent: RR.extent(values),
    owner(p) { // the sequence of a displayed step
      let low = 0, high = lengths.length;
      while (high - low > 1) { const middle = (low + high) >> 1; if (starts[middle] <= p) low = middle; else high = middle; }
      return low;
    },
    last: (p) => starts[reader.owner(p) + 1] - 1,
    probabilities: (p, epoch) => (output.length ? RR.row(output, Math.min(epoch ?? epochs - 1, epochs - 1), p) : null),
    winner(p, epoch) {
      const found = reader.probabilities(p, epoch);
      if (!found) return -1;
      let best = 0;
      for (let k = 1; k < found.length; k++) if (found[k] > found[best]) best = k;
      return best;
    },
    token: (p) => (array("tokens").length ? description.tokenNames[array("tokens")[p]] : `step ${p - starts[reader.owner(p)] + 1}`),
    label: (q) => (array("labels").length ? array("labels")[q] : -1),
    // Tagging: the true tag of a step, -1 elsewhere; and whether it was missed.
    target: (p) => (array("targets").length ? array("targets")[p] : -1),
    missed: (p, epoch) => reader.target(p) >= 0 && reader.winner(p, epoch) !== reader.target(p),
    // The model's own prediction; for an earlier epoch, the expected prediction at the last step.
    predicted: (q, epoch) => {
      const last = epoch === undefined || epoch === null || epoch >= epochs - 1;
      if (last || !output.length) return array("predicted").length ? array("predicted")[q] : -1;
      return array("predicted").length ? reader.winner(starts[q + 1] - 1, epoch) : -1;
    },
  };
  // Several single characters in a row: a character corpus, set tight.
  reader.characters = description.tokenNames.length > 0 && description.tokenNames.every((token) => [...token].length <= 1 || token.startsWith("<"));
  return reader;
};

// One token (or shape) of a running text.
RR.tokenNode = function (reader, p, tint, choose) {
  const shape = reader.features > 0;
  const node = RR.el("button", { type: "button", class: `token${shape ? " shape" : ""}`, "data-p": p, onclick: () => choose(p) });
  if (shape) node.append(RR.shape(RR.row(reader.array("values"), p), ...reader.extent, { width: 44, height: 26 }), String(p - reader.starts[reader.owner(p)] + 1));
  else node.append(RR.visible(reader.token(p)));
  if (tint) { node.style.setProperty("--tint", tint); node.style.setProperty("--on", RR.inkOn(tint)); }
  node.addEventListener("pointerenter", () => RR.point(p));
  node.addEventListener("pointerleave", () => RR.point(-1));
  return node;
};
RR.predictionTint = function (reader, p, epoch) {
  const winner = reader.winner(p, epoch);
  return winner < 0 ? null : RR.classTint(winner, reader.probabilities(p, epoch)[winner], reader.classes);
};
RR.classLegend = function (id, names) {
  const MOST = 30;
  const keys = names.slice(0, MOST).map((label, k) => ({ colour: RR.classColour(k), label }));
  RR.legend(id, names.length > MOST ? [...keys, { colour: "transparent", label: `and ${names.length - MOST} more` }] : keys);
};
