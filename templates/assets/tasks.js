"use strict";
// What the page shows of a task, by the kind of its answers; report/tasks.py names the kinds. Every view asks here.
//   tint(r, p, epoch)    colour of a step, null where nothing is known; r is a reader (reading.js)
//   says(r, p, epoch)    lines of the tooltip of a step
//   how(r)               what the colours of the text mean
//   legend(id, r)        their legend
//   facts(r, q, epoch)   what is right and what was predicted
//   right(r, q, epoch)   whether the answer to a sequence is right, null where that cannot be told
//   columns(r)           columns of the table of sequences
//   colourings(r)        what the map can be coloured by, besides what is common to all tasks
//   rules(r)             label rules of the map: [rule, text, first threshold]
//   curve(r, p), aim(r, p)  height of a step in the curves of the comparison, and its target
//   verdict(r, q)        the answer of one run beside its name
//   answer(r, q)         the answer as text, to find runs that part; null where answers are never equal
RR.kinds = {};

RR.kinds.nothing = {
  tint: () => null,
  says: () => [],
  how: () => "",
  legend: (id) => RR.legend(id, []),
  facts: () => [],
  right: () => null,
  judges: () => false,
  columns: () => [],
  colourings: () => [],
  rules: () => [],
  curve: () => NaN,
  aim: () => NaN,
  verdict: (r, q) => r.shows.facts(r, q).filter((fact) => !fact.startsWith("true")).join(" · "),
  answer: () => null,
};

RR.kinds.classes = {
  ...RR.kinds.nothing,
  tint(r, p, epoch) {
    const k = r.winner(p, epoch);
    return k < 0 ? null : RR.classTint(k, r.outputs(p, epoch)[k], r.classes);
  },
  says(r, p, epoch) {
    const k = r.winner(p, epoch), label = r.label(r.owner(p)), tag = r.target(p), lines = [];
    if (k >= 0) lines.push(`expects ${r.classNames[k]} (${RR.percent(r.outputs(p, epoch)[k])})`);
    if (tag >= 0) lines.push(`true tag ${r.classNames[tag]}`);
    if (label >= 0) lines.push(`true class ${r.classNames[label]}`);
    return lines;
  },
  how: (r) => (r.task === "tagging" ? "Coloured by the predicted tag; the stronger, the more certain. A red line marks a wrong tag."
    : "Coloured by the class expected if the sequence ended there; the stronger, the more certain."),
  legend: (id, r, places) => RR.legend(id, RR.classKeys(r.classNames, r, places)),
  facts(r, q, epoch) {
    const label = r.label(q), predicted = r.predicted(q, epoch), facts = [];
    if (label >= 0) facts.push(`true class ${r.classNames[label]}`);
    if (predicted >= 0) facts.push(`predicted ${r.classNames[predicted]}${label >= 0 ? (predicted === label ? " ✓" : " ✗") : ""}`);
    return facts;
  },
  right(r, q, epoch) {
    const predicted = r.predicted(q, epoch);
    return r.label(q) < 0 || (predicted < 0 && !r.isLast(epoch)) ? null : predicted === r.label(q);
  },
  judges: (r) => r.array("labels").length > 0 && r.array("predicted").length > 0,
  columns(r) {
    const labelled = r.array("labels").length > 0, guessed = r.array("predicted").length > 0, now = () => RR.selection.epoch;
    const named = (k) => (k < 0 ? [] : [RR.classDot(k), r.classNames[k]]);
    const wrong = (q) => labelled && this.right(r, q, now()) === false;
    const tags = (q) => { let n = 0, right = 0; for (let p = r.starts[q]; p < r.starts[q + 1]; p++) if (r.target(p) >= 0) { n++; right += !r.missed(p, now()); } return [right, n]; };
    return [
      r.task === "tagging" && { key: "error", name: "tags right", value: (q) => { const [right, n] = tags(q); return n ? right / n : NaN; }, text: (q) => tags(q).join(" of "), numeric: true },
      labelled && { key: "label", name: "true", value: r.label, text: (q) => named(r.label(q)) },
      guessed && { key: "predicted", name: "predicted", value: (q) => r.predicted(q, now()), text: (q) => [...named(r.predicted(q, now())), wrong(q) ? " ✗" : ""], wrong },
      guessed && { key: "confidence", name: "confidence", value: (q) => r.confidence(q, now()), text: (q) => RR.percent(r.confidence(q, now())), numeric: true },
    ].filter(Boolean);
  },
  colourings(r) {
    const legend = (id) => this.legend(id, r);
    return [
      r.has && { value: "prediction", name: "expected prediction", colour: (p) => this.tint(r, p, RR.selection.epoch), legend },
      r.array("labels").length && { value: "label", name: "true class", colour: (p) => RR.classColour(r.label(r.owner(p))), legend },
    ].filter(Boolean);
  },
  rules: (r) => (r.has ? [["output", "probability changes by", 0.3], ["change", "class changes", null]] : []),
  curve(r, p) {
    const k = r.target(p) >= 0 ? r.target(p) : r.label(r.owner(p));
    return k < 0 ? NaN : r.outputs(p)?.[k] ?? NaN;
  },
  verdict(r, q) {
    const predicted = r.predicted(q);
    return predicted < 0 ? "" : `${r.classNames[predicted]} ${r.label(q) < 0 ? "" : predicted === r.label(q) ? "✓" : "✗"} ${RR.percent(r.confidence(q))}`;
  },
  answer: (r, q) => String(r.predicted(q)),
};

// Several labels at once: probabilities that do not exclude each other, one of them chosen for colour.
RR.kinds.labels = {
  ...RR.kinds.nothing,
  tint(r, p, epoch) {
    const found = r.outputs(p, epoch), k = RR.selection.output;
    return found && RR.mix(RR.css("faint"), RR.classColour(k), found[k]);
  },
  says(r, p, epoch) {
    const found = r.outputs(p, epoch), k = RR.selection.output, q = r.owner(p);
    if (!found) return r.has ? ["no expected prediction here"] : [];
    if (r.given(q)) return [`expects ${RR.listed(r, (place) => found[place] >= 0.5)}`, `${r.classNames[k]}: ${RR.percent(found[k])}`];
    return [`expects ${RR.listed(r, (place) => found[place] >= 0.5)}`, `${r.classNames[k]}: ${RR.percent(found[k])}`, `true: ${RR.listed(r, (place) => r.there(q, place))}`];
  },
  how: (r) => `Coloured by the probability of ${r.classNames[RR.selection.output]} if the sequence ended there.`,
  legend: (id, r) => RR.legend(id, [{ ramp: RR.ramp([RR.css("faint"), RR.classColour(RR.selection.output)]), low: "0%", high: `100% ${r.classNames[RR.selection.output]}` }]),
  facts(r, q, epoch) {
    const right = this.right(r, q, epoch);
    if (r.given(q)) return Number.isFinite(r.answer(q, 0, epoch)) ? [`predicted: ${RR.listed(r, (k) => r.answer(q, k, epoch) >= 0.5)}`] : [];
    if (right === null) return [`true: ${RR.listed(r, (k) => r.there(q, k))}`];
    return [`true: ${RR.listed(r, (k) => r.there(q, k))}`, `predicted: ${RR.listed(r, (k) => r.answer(q, k, epoch) >= 0.5)} ${right ? "✓" : "✗"}`];
  },
  right(r, q, epoch) {
    const wrong = RR.wrongLabels(r, q, epoch);
    return Number.isNaN(wrong) ? null : wrong === 0;
  },
  judges: (r) => r.array("truths").length > 0 && r.array("outputs").length > 0,
  columns(r) {
    const now = () => RR.selection.epoch, given = (q, k) => r.answer(q, k, now()) >= 0.5, told = (q) => Number.isFinite(r.answer(q, 0, now()));
    const chips = (q, shown, wrong, sign) => {
      const found = [...Array(r.classes).keys()].filter((k) => shown(q, k)).map((k) => RR.labelChip(r, k, wrong(q, k) ? sign : ""));
      return found.length ? found : RR.el("span", { class: "note" }, "none");
    };
    const text = (q, shown) => RR.listed(r, (k) => shown(q, k));
    const wrong = (q) => RR.wrongLabels(r, q, now());
    return [
      { key: "label", name: "true (− missed)", value: (q) => text(q, r.there), text: (q) => chips(q, r.there, (s, k) => told(s) && !given(s, k), "−"), chips: true },
      { key: "predicted", name: "predicted (+ wrong)", value: (q) => text(q, given), text: (q) => chips(q, given, (s, k) => !r.there(s, k), "+"), chips: true },
      { key: "wrong", name: "wrong", value: wrong, text: (q) => (Number.isNaN(wrong(q)) ? "–" : wrong(q)), numeric: true },
    ];
  },
  colourings(r) {
    const k = () => RR.selection.output;
    return [
      r.has && { value: "prediction", name: "probability of the label", colour: (p) => this.tint(r, p, RR.selection.epoch), legend: (id) => this.legend(id, r) },
      { value: "label", name: "whether the label is there", colour: (p) => (r.there(r.owner(p), k()) ? RR.classColour(k()) : RR.css("rule")), legend: (id) => RR.legend(id, [{ colour: RR.classColour(k()), label: `has ${r.classNames[k()]}` }, { colour: RR.css("rule"), label: "has not" }]) },
    ].filter(Boolean);
  },
  rules: (r) => (r.has ? [["output", "probability of the label changes by", 0.3], ["change", "named labels change", null]] : []),
  curve: (r, p) => r.outputs(p)?.[RR.selection.output] ?? NaN,
  answer: (r, q) => RR.listed(r, (k) => r.answer(q, k) >= 0.5),
};

// Quantities, one of them chosen: for a whole sequence, or at each step.
RR.kinds.quantities = {
  ...RR.kinds.nothing,
  tint(r, p, epoch) {
    const found = r.outputs(p, epoch), k = RR.selection.output;
    return found && r.scale(k).colour(found[k]);
  },
  says(r, p, epoch) {
    const k = RR.selection.output, expected = r.outputs(p, epoch)?.[k] ?? NaN, target = r.truth(p, k), lines = [];
    if (r.has) lines.push(Number.isFinite(expected) ? `${r.perStep ? "predicts" : "expects"} ${r.classNames[k]} ${RR.number(expected)}` : "no expected prediction here");
    if (Number.isFinite(target)) lines.push(`target ${RR.number(target)}${Number.isFinite(expected) ? `, error ${RR.signedNumber(expected - target)}` : ""}`);
    return lines;
  },
  how: (r) => `Coloured by ${r.classNames[RR.selection.output]}, as ${r.perStep ? "predicted at each step" : "expected if the sequence ended there"}.`,
  legend(id, r) {
    const scale = r.scale(RR.selection.output);
    RR.legend(id, [{ ramp: scale.ramp(), low: RR.number(scale.low), high: `${RR.number(scale.high)} ${r.classNames[RR.selection.output]}` }]);
  },
  facts(r, q, epoch) {
    const k = RR.selection.output, name = r.classNames[k];
    if (r.given(q)) return r.perStep || !Number.isFinite(r.answer(q, k, epoch)) ? [] : [`${name}: predicted ${RR.number(r.answer(q, k, epoch))}`];
    if (r.perStep) return [`${name}: RMSE ${RR.number(r.error(q, k, epoch))} over the steps with a target`];
    const target = r.truth(r.starts[q], k), found = r.answer(q, k, epoch);
    return [`${name}: target ${RR.number(target)}`, ...(Number.isFinite(found) ? [`predicted ${RR.number(found)}`, `error ${RR.signedNumber(found - target)}`] : [])];
  },
  columns(r) {
    const k = () => RR.selection.output, now = () => RR.selection.epoch, error = (q) => r.error(q, k(), now());
    if (r.perStep) return [{ key: "error", name: "RMSE", value: error, text: (q) => RR.number(error(q)), numeric: true }];
    const target = (q) => r.truth(r.starts[q], k()), found = (q) => r.answer(q, k(), now());
    return [
      { key: "label", name: "target", value: target, text: (q) => RR.number(target(q)), numeric: true },
      { key: "predicted", name: "predicted", value: found, text: (q) => RR.number(found(q)), numeric: true },
      { key: "error", name: "error", value: (q) => Math.abs(error(q)), text: (q) => RR.signedNumber(error(q)), numeric: true },
    ];
  },
  colourings(r) {
    const k = () => RR.selection.output, error = (p) => (r.outputs(p, RR.selection.epoch)?.[k()] ?? NaN) - r.truth(p, k());
    const value = (p) => { const target = r.truth(p, k()); return Number.isFinite(target) ? r.scale(k()).colour(target) : null; };
    const wrong = (id) => RR.legend(id, [{ ramp: RR.signRamp(), low: RR.signedNumber(-r.largestError(k())), high: `${RR.signedNumber(r.largestError(k()))} error of ${r.classNames[k()]}` }]);
    return [
      r.has && { value: "prediction", name: r.perStep ? "predicted quantity" : "expected quantity", colour: (p) => this.tint(r, p, RR.selection.epoch), legend: (id) => this.legend(id, r) },
      { value: "label", name: "target", colour: value, legend: (id) => this.legend(id, r) },
      r.has && { value: "error", name: "error", colour: (p) => (Number.isFinite(error(p)) ? RR.signColour(error(p), r.largestError(k())) : null), legend: wrong },
    ].filter(Boolean);
  },
  rules: (r) => (r.has ? [["output", "prediction changes by, of its range,", 0.3]] : []),
  curve: (r, p) => r.outputs(p)?.[RR.selection.output] ?? NaN,
  aim: (r, p) => r.truth(p, RR.selection.output),
};

// Language models: how surprising the token was that came next.
RR.kinds.tokens = {
  ...RR.kinds.nothing,
  tint(r, p) {
    const surprisal = r.array("surprisal")[p];
    return Number.isFinite(surprisal) ? RR.mix(RR.css("panel"), RR.css("third"), surprisal / RR.mostSurprising) : null;
  },
  says(r, p) {
    const surprisal = r.array("surprisal")[p];
    const came = r.next(p), lines = came === undefined ? [] : [`then came ${RR.quoted(came)}`];
    if (!Number.isFinite(surprisal)) return lines;
    const tops = RR.row(r.array("top_tokens"), p), odds = RR.row(r.array("top_probabilities"), p);
    const expected = Array.from(tops.subarray(0, 3), (token, i) => `${RR.visible(r.tokenNames[token] ?? "")} ${RR.percent(odds[i])}`);
    return [...lines, `surprisal of the next token ${RR.nats(surprisal)} nats`, `expects ${expected.join(", ")}`];
  },
  how: (r) => (r.array("surprisal").length ? "Coloured by the surprisal of the token that came next." : ""),
  legend: (id) => RR.legend(id, [{ ramp: RR.ramp([RR.css("panel"), RR.css("third")]), low: "0", high: `${RR.mostSurprising} nats` }]),
  columns(r) {
    const loss = (q) => RR.mean(r.array("surprisal").subarray(r.starts[q], r.starts[q + 1]));
    return r.array("surprisal").length ? [{ key: "loss", name: "nats", value: loss, text: (q) => RR.nats(loss(q)), numeric: true }] : [];
  },
  colourings(r) {
    const colour = (p) => this.tint(r, p) ?? RR.css("panel");
    return r.array("surprisal").length ? [{ value: "surprisal", name: "surprisal", colour, legend: (id) => this.legend(id) }] : [];
  },
};
RR.nats = (value) => value < 1e4 ? value.toFixed(2) : RR.number(value);
RR.mostSurprising = 8; // nats; beyond this all look alike

RR.mean = (values) => { const known = values.filter(Number.isFinite); return known.reduce((sum, value) => sum + value, 0) / known.length; };
RR.listed = (r, keep) => r.classNames.filter((_, k) => keep(k)).join(", ") || "none";
RR.wrongLabels = (r, q, epoch) => {
  let wrong = 0;
  for (let k = 0; k < r.classes; k++) {
    const found = r.answer(q, k, epoch);
    if (!Number.isFinite(found) || Number.isNaN(r.truth(r.starts[q], k))) return NaN;
    wrong += (found >= 0.5) !== r.there(q, k);
  }
  return wrong;
};
RR.classDot = (k) => { const dot = RR.el("i", { class: "dot" }); dot.style.background = RR.classColour(k); return dot; };
// Keys of the classes; of many only those that are expected at the steps `places`, by default at all of `r`, most often.
RR.classKeys = (names, r = null, places = null) => {
  const MOST = 18, key = (k) => ({ colour: RR.classColour(k), label: names[k] });
  if (names.length <= MOST || !r) return names.slice(0, MOST).map((_, k) => key(k));
  const counts = new Array(names.length).fill(0);
  for (const p of places ?? Array(r.starts.at(-1)).keys()) { const k = r.winner(p, RR.selection.epoch); if (k >= 0) counts[k]++; }
  const met = [...counts.keys()].filter((k) => counts[k]).sort((a, b) => counts[b] - counts[a]), kept = met.slice(0, MOST).sort((a, b) => a - b);
  return [...kept.map(key), ...(kept.length < names.length ? [{ colour: "transparent", label: `${kept.length} of ${names.length} classes, the ${places ? "expected" : "most frequent"} ones` }] : [])];
};
// A label of a sequence; `sign` says that it was missed (−) or named wrongly (+).
RR.labelChip = (r, k, sign) => RR.el("span", { class: `label-chip${sign ? " wrong" : ""}`, title: r.classNames[k] }, RR.classDot(k), sign ? `${sign} ` : "", r.classNames[k]);

// The chosen label or quantity, where there is more than one.
RR.views.push(function outputs() {
  const node = RR.byId("output"), [first] = [RR.description.sequences].flat();
  if (!node || !first || first.classNames.length < 2) return;
  node.closest("label").hidden = false;
  node.append(...first.classNames.map((name, k) => RR.el("option", { value: k }, name)));
  node.addEventListener("change", () => RR.set({ output: Number(node.value) }));
  RR.on(["output"], () => { node.value = RR.selection.output; });
});
