"use strict";
// One run's sequences and what it expects after each step of them. Used by report and comparison.
RR.reader = function (description) {
  const array = (name) => RR.arrays[`${description.prefix}.${name}`];
  const lengths = array("lengths"), starts = RR.starts(lengths), output = array("step_output"), own = array("outputs"), truths = array("truths");
  const [epochs] = output.shape, classes = description.classNames.length;
  const values = array("values"), features = values.length ? values.shape[1] : 0;
  const perStep = description.task === "step-regression";
  const scales = new Map(), errors = new Map(), unknown = new Set(description.unknown);
  const reader = {
    ...description, array, lengths, starts, classes, epochs, features, perStep,
    shows: RR.kinds[description.kind],
    has: output.length > 0,
    // The displayed sequences come first, then those given by hand, which have no answers.
    shown: description.shown ?? lengths.length,
    given: (q) => q >= reader.shown,
    unknown: (p) => unknown.has(p),
    extent: RR.extent(values),
    owner(p) { // the sequence of a displayed step
      let low = 0, high = lengths.length;
      while (high - low > 1) { const middle = (low + high) >> 1; if (starts[middle] <= p) low = middle; else high = middle; }
      return low;
    },
    last: (p) => starts[reader.owner(p) + 1] - 1,
    isLast: (epoch) => epoch === undefined || epoch === null || epoch >= epochs - 1,
    // Expected prediction of a step; null where the model was not run on the sequence up to it.
    outputs(p, epoch) {
      if (!output.length) return null;
      const found = RR.row(output, Math.min(epoch ?? epochs - 1, epochs - 1), p);
      return found.every(Number.isFinite) ? found : null;
    },
    winner(p, epoch) {
      const found = reader.outputs(p, epoch);
      if (!found) return -1;
      let best = 0;
      for (let k = 1; k < found.length; k++) if (found[k] > found[best]) best = k;
      return best;
    },
    token: (p) => (array("tokens").length ? description.tokenNames[array("tokens")[p]] : `step ${p - starts[reader.owner(p)] + 1}`),
    // Language models: the name of the token that came next; undefined where none did or it is not known.
    next(p) {
      if (!array("surprisal").length) return undefined;
      if (array("targets").length) return description.tokenNames[array("targets")[p]];
      return p < reader.last(p) ? reader.token(p + 1) : undefined;
    },
    label: (q) => (array("labels").length ? array("labels")[q] : -1),
    // Tagging: the true tag of a step, -1 elsewhere; and whether it was missed.
    target: (p) => (description.task === "tagging" && array("targets").length ? array("targets")[p] : -1),
    missed: (p, epoch) => reader.target(p) >= 0 && reader.winner(p, epoch) !== reader.target(p),
    // The model's own class; for an earlier epoch, the expected prediction at the last step.
    predicted: (q, epoch) => {
      if (!array("predicted").length) return -1;
      return reader.isLast(epoch) || !output.length ? array("predicted")[q] : reader.winner(starts[q + 1] - 1, epoch);
    },
    confidence(q, epoch) {
      if (reader.isLast(epoch) || !output.length) return array("confidence")[q];
      const found = reader.outputs(starts[q + 1] - 1, epoch);
      return found ? Math.max(...found) : NaN;
    },
    // The same for labels and quantities: probability or value of output k.
    answer(q, k, epoch) {
      if (!own.length) return NaN;
      return reader.isLast(epoch) || !output.length ? own[q * classes + k] : reader.outputs(starts[q + 1] - 1, epoch)?.[k] ?? NaN;
    },
    truth: (p, k) => (truths.length ? truths[(perStep ? p : reader.owner(p)) * classes + k] : NaN),
    there: (q, k) => reader.truth(starts[q], k) >= 0.5,
    // Prediction minus target; at each step, the root mean square of that.
    error(q, k, epoch) {
      if (!perStep) return reader.answer(q, k, epoch) - reader.truth(starts[q], k);
      const squares = [];
      for (let p = starts[q]; p < starts[q + 1]; p++) squares.push(((reader.outputs(p, epoch)?.[k] ?? NaN) - reader.truth(p, k)) ** 2);
      return Math.sqrt(RR.mean(squares));
    },
    // Colours of a quantity: around zero where it takes both signs, else from its lowest to its highest value.
    scale(k) {
      if (!scales.has(k)) scales.set(k, RR.quantityScale(reader.extentOf(k)));
      return scales.get(k);
    },
    extentOf: (k) => RR.extent(every(truths, k).concat(every(own, k), every(output.subarray((epochs - 1) * starts.at(-1) * classes), k))),
    largestError(k) {
      if (!errors.has(k)) {
        let largest = 0;
        for (let p = 0; p < starts.at(-1); p++) { const error = Math.abs((reader.outputs(p)?.[k] ?? NaN) - reader.truth(p, k)); if (error > largest) largest = error; }
        errors.set(k, largest);
      }
      return errors.get(k);
    },
    // How many displayed sequences have expected predictions, and whether this one has.
    known: (q) => reader.outputs(starts[q + 1] - 1) !== null, // the first steps may lack one: some models need several
    without(q) {
      if (!output.length || reader.known(q)) return "";
      let n = 0;
      for (let other = 0; other < lengths.length; other++) n += reader.known(other);
      return n ? `No expected prediction: not among the ${n} displayed sequences whose prefixes were re-run.` : "No displayed sequence has an expected prediction.";
    },
  };
  const every = (found, k) => { const picked = []; for (let i = k; i < found.length; i += classes) if (Number.isFinite(found[i])) picked.push(found[i]); return picked; };
  // What is shown while nothing is selected: the first sequence, or the first whose steps have an expected prediction.
  reader.first = Math.max(0, Array.from(lengths).findIndex((_, q) => reader.known(q)));
  reader.characters = description.noun === "character"; // set tight
  return reader;
};

// One token (or shape) of a running text.
RR.tokenNode = function (reader, p, tint, choose) {
  const shape = reader.features > 0;
  const node = RR.el("button", { type: "button", class: `token${shape ? " shape" : ""}`, "data-p": p, onclick: (event) => choose(p, event) });
  if (reader.unknown(p)) node.classList.add("unknown");
  if (shape) node.append(RR.shape(RR.row(reader.array("values"), p), ...reader.extent, { width: 44, height: 26 }), String(p - reader.starts[reader.owner(p)] + 1));
  else node.append(RR.visible(reader.token(p)));
  if (tint) { node.style.setProperty("--tint", tint); node.style.setProperty("--on", RR.inkOn(tint)); }
  node.addEventListener("pointerenter", () => RR.point(p));
  node.addEventListener("pointerleave", () => RR.point(-1));
  return node;
};
// Steps without an expected prediction are neutral, where others have one.
RR.textTint = (reader, p, epoch) => reader.shows.tint(reader, p, epoch) ?? (reader.has ? RR.css("rule") : null);
