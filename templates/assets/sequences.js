"use strict";
// The table of sequences and the running text of the selected one.
RR.stepIndex = (sequence, step) => RR.reading.starts[sequence] + step;

RR.views.push(function sequences() {
  if (!RR.description.sequences) return;
  RR.reading = RR.reader(RR.description.sequences);
  RR.withText = () => (RR.reading.features ? null : RR.reading.token);
});

RR.views.push(function table() {
  const node = RR.byId("table"), filter = RR.byId("table-filter");
  if (!node) return;
  const reading = RR.reading, labelled = reading.array("labels").length > 0, guessed = reading.array("predicted").length > 0;
  const lossy = reading.array("surprisal").length > 0;
  const STEP = 150;
  let order = { key: "id", up: true }, cell = null, most = STEP, shown = [];
  const snippets = reading.ids.map((_, q) => {
    if (reading.features) return "";
    let text = "";
    for (let p = reading.starts[q]; p < reading.starts[q + 1] && text.length < 60; p++) text += (reading.characters ? "" : " ") + RR.visible(reading.token(p));
    return text.trim().slice(0, 60);
  });
  const loss = (q) => { let sum = 0, n = 0; for (let p = reading.starts[q]; p < reading.starts[q + 1]; p++) { const s = reading.array("surprisal")[p]; if (Number.isFinite(s)) { sum += s; n++; } } return n ? sum / n : NaN; };
  const steps = (q) => Array.from({ length: reading.lengths[q] }, (_, t) => reading.starts[q] + t);
  const hits = (q) => { let n = 0; for (let p = reading.starts[q]; p < reading.starts[q + 1]; p++) if (RR.selection.words.includes(RR.arrays["words.steps"]?.[p])) n++; return n; };
  const columns = [
    { key: "id", name: "sequence", value: (q) => q, text: (q) => reading.ids[q] },
    labelled && { key: "label", name: "true", value: (q) => reading.label(q), text: (q) => klass(reading.label(q)) },
    guessed && { key: "predicted", name: "predicted", value: (q) => reading.predicted(q, RR.selection.epoch), text: (q) => [...klass(reading.predicted(q, RR.selection.epoch)), labelled && !right(q) ? " ✗" : ""] },
    guessed && { key: "confidence", name: "confidence", value: (q) => confidence(q), text: (q) => RR.percent(confidence(q)), numeric: true },
    lossy && { key: "loss", name: "nats", value: loss, text: (q) => loss(q).toFixed(2), numeric: true },
    { key: "length", name: "steps", value: (q) => reading.lengths[q], text: (q) => reading.lengths[q], numeric: true },
    !reading.features && { key: "text", name: "text", value: (q) => snippets[q], text: (q) => snippets[q] },
  ].filter(Boolean);
  const klass = (k) => {
    if (k < 0) return "";
    const dot = RR.el("i", { class: "dot" });
    dot.style.background = RR.classColour(k);
    return [dot, reading.classNames[k]];
  };
  const confidence = (q) => {
    const p = reading.starts[q + 1] - 1, last = RR.selection.epoch >= reading.epochs - 1 || !reading.has;
    return last ? reading.array("confidence")[q] : Math.max(...reading.probabilities(p, RR.selection.epoch));
  };
  const right = (q) => reading.predicted(q, RR.selection.epoch) === reading.label(q);
  if (!labelled || !guessed) for (const option of [...filter.options]) if (["wrong", "right"].includes(option.value)) option.remove();

  function draw() {
    const keep = { all: () => true, wrong: (q) => !right(q), right, word: (q) => hits(q) > 0 }[filter.value];
    const inCell = (q) => !cell || (labelled
      ? reading.label(q) === cell.actual && reading.predicted(q, RR.selection.epoch) === cell.predicted
      : steps(q).some((p) => reading.target(p) === cell.actual && reading.winner(p, RR.selection.epoch) === cell.predicted));
    const column = columns.find(({ key }) => key === order.key);
    shown = [...Array(reading.ids.length).keys()].filter((q) => keep(q) && inCell(q));
    shown.sort((a, b) => { const x = column.value(a), y = column.value(b); return (x < y ? -1 : x > y ? 1 : a - b) * (order.up ? 1 : -1); });
    const head = RR.el("tr", {}, ...columns.map(({ key, name, numeric }) => RR.el("th", { scope: "col", class: numeric ? "n" : null, "aria-sort": key === order.key ? (order.up ? "ascending" : "descending") : "none" },
      RR.el("button", { type: "button", onclick: () => { order = { key, up: key === order.key ? !order.up : true }; draw(); } }, `${name}${key === order.key ? (order.up ? " ↑" : " ↓") : ""}`))));
    const rows = shown.slice(0, most).map((q) => {
      const row = RR.el("tr", { "data-q": q, "aria-selected": q === RR.selection.sequence });
      columns.forEach(({ key, text, numeric }) => row.append(RR.el("td", { class: numeric ? "n" : key === "text" ? "snippet" : key === "predicted" && labelled && !right(q) ? "wrong" : null }, ...[text(q)].flat())));
      row.addEventListener("click", () => RR.chooseSequence(q === RR.selection.sequence ? null : q));
      return row;
    });
    if (shown.length > most) rows.push(RR.el("tr", {}, RR.el("td", { colspan: columns.length }, RR.el("button", { type: "button", class: "link", onclick: () => { most += STEP; draw(); } }, `${shown.length - most} more …`))));
    node.replaceChildren(RR.el("thead", {}, head), RR.el("tbody", {}, ...rows));
    RR.byId("table-count").textContent = `${shown.length} of ${reading.ids.length}${cell ? ` · ${reading.classNames[cell.actual]} read as ${reading.classNames[cell.predicted]}` : ""}`;
    RR.note("table", `${reading.ids.length} displayed sequences${guessed ? "; prediction at the selected epoch" : ""}`);
  }
  const mark = () => {
    for (const row of node.querySelectorAll("tr[data-q]")) row.setAttribute("aria-selected", Number(row.dataset.q) === RR.selection.sequence);
  };
  const stepBy = (way) => {
    const at = shown.indexOf(RR.selection.sequence), next = shown[at < 0 ? 0 : Math.max(0, Math.min(shown.length - 1, at + way))];
    if (next === undefined) return;
    RR.chooseSequence(next);
    const row = node.querySelector(`tr[data-q="${next}"]`), box = node.parentElement;
    if (row) box.scrollTop = Math.max(0, row.offsetTop - box.clientHeight / 2);
  };
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea, #turn") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") RR.clear();
    const near = event.target === document.body || event.target.closest("#sequences");
    if (near && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      if (!event.target.closest("#sequences") && RR.selection.sequence === null) return;
      event.preventDefault();
      stepBy(event.key === "ArrowDown" ? 1 : -1);
    }
  });
  filter.addEventListener("change", () => { cell = null; most = STEP; draw(); });
  for (const button of document.querySelectorAll("#confusion button")) {
    button.addEventListener("click", () => {
      cell = { actual: Number(button.dataset.actual), predicted: Number(button.dataset.predicted) };
      filter.value = "all";
      draw();
      RR.byId("figure-table").scrollIntoView({ block: "center" });
    });
  }
  for (const row of document.querySelectorAll("#flips tr[data-id]")) {
    const q = reading.ids.indexOf(row.dataset.id);
    if (q < 0) continue;
    row.addEventListener("click", () => { RR.chooseSequence(q); RR.byId("figure-text").scrollIntoView(); });
  }
  RR.on(["epoch", "theme"], draw);
  RR.on(["words"], () => { if (filter.value === "word") draw(); });
  RR.on(["sequence"], mark);
  draw();
});

RR.views.push(function runningText() {
  const node = RR.byId("text");
  if (!node) return;
  const reading = RR.reading, { description } = RR;
  const choose = (p) => { const q = reading.owner(p), step = p - reading.starts[q]; RR.selection.step === step && RR.selection.sequence === q ? RR.set({ step: null, lens: null }) : RR.chooseStep(q, step); };
  const worst = () => (reading.array("surprisal").length ? 8 : 1);

  // Coloured by the last selected unit, else by the expected prediction, else (language models) by surprisal.
  function tint(p) {
    const unit = RR.selection.lens === "unit" ? RR.selection.units.at(-1) : undefined;
    if (unit !== undefined) { const units = RR.unitsOf(); return RR.signColour(RR.stateAt(p)?.[unit], units.activationClip); }
    if (reading.has) return RR.predictionTint(reading, p, RR.selection.epoch);
    const surprisal = reading.array("surprisal")[p];
    return Number.isFinite(surprisal) ? RR.mix(RR.css("panel"), RR.css("third"), Math.min(1, surprisal / worst())) : null;
  }
  function draw() {
    const q = RR.selection.sequence ?? 0, { starts } = reading, epoch = RR.selection.epoch;
    const items = [];
    for (let p = starts[q]; p < starts[q + 1]; p++) items.push(RR.tokenNode(reading, p, tint(p), choose));
    node.className = `running${reading.characters ? " chars" : ""}`;
    node.replaceChildren(...items);
    const label = reading.label(q), predicted = reading.predicted(q, epoch);
    RR.title("text", `How ${reading.ids[q]} is read, step by step`);
    const facts = [];
    if (label >= 0) facts.push(`true class ${reading.classNames[label]}`);
    if (predicted >= 0) facts.push(`predicted ${reading.classNames[predicted]}${label >= 0 ? (predicted === label ? " ✓" : " ✗") : ""}`);
    facts.push(`${reading.lengths[q]} steps`);
    if (RR.selection.sequence === null) facts.push("shown: the first sequence; choose another in the table");
    RR.note("text", facts.join(" · "));
    const unit = RR.selection.lens === "unit" ? RR.selection.units.at(-1) : undefined;
    RR.byId("text-colour").textContent = unit !== undefined ? `Coloured by the state of unit ${unit}: orange positive, blue negative.`
      : reading.target(0) >= 0 ? "Coloured by the predicted tag; the stronger, the more certain. A red line marks a wrong tag."
        : reading.has ? "Coloured by the class expected if the sequence ended there; the stronger, the more certain."
        : reading.array("surprisal").length ? "Coloured by the surprisal of the token that came next." : "";
    mark();
  }
  function mark() {
    const { sequence, step, words } = RR.selection, steps = RR.arrays["words.steps"];
    const here = step === null ? -1 : reading.starts[sequence ?? 0] + step;
    for (const token of node.children) {
      const p = Number(token.dataset.p);
      token.classList.toggle("here", p === here);
      token.classList.toggle("pointed", p === RR.pointed && p !== here);
      token.classList.toggle("missed", reading.missed(p, RR.selection.epoch));
      token.classList.toggle("same", words.length > 0 && words.includes(steps?.[p]));
    }
  }
  RR.stepTip = function (p) {
    const q = reading.owner(p), lines = [reading.features ? `step ${p - reading.starts[q] + 1}` : RR.visible(reading.token(p)), `step ${p - reading.starts[q] + 1} of ${reading.lengths[q]}, ${reading.ids[q]}`];
    const winner = reading.winner(p, RR.selection.epoch);
    if (winner >= 0) lines.push(`expects ${reading.classNames[winner]} (${RR.percent(reading.probabilities(p, RR.selection.epoch)[winner])})`);
    if (reading.target(p) >= 0) lines.push(`true tag ${reading.classNames[reading.target(p)]}`);
    if (reading.label(q) >= 0) lines.push(`true class ${reading.classNames[reading.label(q)]}`);
    const distance = reading.array("distance")[p];
    if (Number.isFinite(distance)) lines.push(`the state moves by ${distance.toFixed(2)} to the next step`);
    const surprisal = reading.array("surprisal")[p];
    if (Number.isFinite(surprisal)) {
      lines.push(`surprisal of the next token ${surprisal.toFixed(2)} nats`);
      const tops = RR.row(reading.array("top_tokens"), p), odds = RR.row(reading.array("top_probabilities"), p);
      lines.push(`expects ${Array.from(tops.subarray(0, 3), (token, i) => `${RR.visible(reading.tokenNames[token] ?? "")} ${RR.percent(odds[i])}`).join(", ")}`);
    }
    return lines;
  };
  node.addEventListener("pointerover", (event) => { const token = event.target.closest(".token"); if (token) RR.tip(RR.stepTip(Number(token.dataset.p))); });
  node.addEventListener("pointerout", () => RR.tip(null));
  RR.on(["sequence", "epoch", "theme", "lens", "units", "state"], draw);
  RR.on(["step", "words"], mark);
  RR.onPoint(mark);
  draw();
});
