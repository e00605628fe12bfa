"use strict";
// The table of sequences and the running text of the selected one.
RR.stepIndex = (sequence, step) => RR.reading.starts[sequence] + step;

RR.views.push(function sequences() {
  if (!RR.description.sequences) return;
  RR.reading = RR.reader(RR.description.sequences);
});

RR.views.push(function table() {
  const node = RR.byId("table"), filter = RR.byId("table-filter");
  if (!node) return;
  const reading = RR.reading, { shows } = reading;
  const STEP = 150, ANSWERS = ["label", "wrong", "error"]; // columns of what is right
  let order = { key: "id", up: true }, only = null, most = STEP, shown = [];
  const snippets = reading.ids.map((_, q) => {
    if (reading.features) return "";
    let text = "";
    for (let p = reading.starts[q]; p < reading.starts[q + 1] && text.length < 60; p++) text += (reading.characters ? "" : " ") + RR.visible(reading.token(p));
    return text.trim().slice(0, 60);
  });
  const hits = (q) => { let n = 0; for (let p = reading.starts[q]; p < reading.starts[q + 1]; p++) if (RR.selection.words.includes(RR.arrays["words.steps"]?.[p])) n++; return n; };
  const columns = [
    { key: "id", name: "sequence", value: (q) => q, text: (q) => reading.ids[q] },
    ...shows.columns(reading),
    { key: "length", name: "steps", value: (q) => reading.lengths[q], text: (q) => reading.lengths[q], numeric: true },
    ...(reading.features ? [] : [{ key: "text", name: "text", value: (q) => snippets[q], text: (q) => snippets[q] }]),
  ];
  const right = (q) => shows.right(reading, q, RR.selection.epoch);
  if (!shows.judges(reading)) for (const option of [...filter.options]) if (["wrong", "right"].includes(option.value)) option.remove();
  if (reading.ids.length > reading.shown) filter.append(RR.el("option", { value: "given" }, "given by --sentence"));
  // Unknown values come last, whichever way the column is sorted.
  const compare = (x, y) => (Number.isNaN(x) || Number.isNaN(y) ? Number.isNaN(x) - Number.isNaN(y) : (x < y ? -1 : x > y ? 1 : 0) * (order.up ? 1 : -1));

  function draw() {
    const keep = { all: () => true, given: reading.given, wrong: (q) => right(q) === false, right: (q) => right(q) === true, word: (q) => hits(q) > 0 }[filter.value];
    const column = columns.find(({ key }) => key === order.key);
    shown = [...Array(reading.ids.length).keys()].filter((q) => keep(q) && (!only || only.keep(q)));
    shown.sort((a, b) => compare(column.value(a), column.value(b)) || (a - b) * (order.up ? 1 : -1));
    const head = RR.el("tr", {}, ...columns.map(({ key, name, numeric }) => RR.el("th", { scope: "col", class: numeric ? "n" : null, "aria-sort": key === order.key ? (order.up ? "ascending" : "descending") : "none" },
      RR.el("button", { type: "button", onclick: () => { order = { key, up: key === order.key ? !order.up : true }; draw(); } }, `${name}${key === order.key ? (order.up ? " ↑" : " ↓") : ""}`))));
    const rows = shown.slice(0, most).map((q) => {
      const row = RR.el("tr", { "data-q": q, "aria-selected": q === RR.selection.sequence });
      columns.forEach(({ key, text, numeric, chips, wrong }) => row.append(RR.el("td", { class: numeric ? "n" : chips ? "chips" : key === "text" ? "snippet" : wrong?.(q) ? "wrong" : null }, ...[reading.given(q) && ANSWERS.includes(key) ? "" : text(q)].flat())));
      row.addEventListener("click", () => RR.chooseSequence(q === RR.selection.sequence ? null : q));
      return row;
    });
    if (shown.length > most) rows.push(RR.el("tr", {}, RR.el("td", { colspan: columns.length }, RR.el("button", { type: "button", class: "link", onclick: () => { most += STEP; draw(); } }, `${shown.length - most} more …`))));
    node.replaceChildren(RR.el("thead", {}, head), RR.el("tbody", {}, ...rows));
    RR.byId("table-count").textContent = `${shown.length} of ${reading.ids.length}${only ? ` · ${only.text}` : ""}`;
    const given = reading.ids.length - reading.shown;
    RR.note("table", `${reading.shown} displayed sequences${given ? ` and ${given} given by --sentence, which count in no number` : ""}${columns.some(({ key }) => key === "predicted" || key === "error") ? "; prediction at the selected epoch" : ""}`);
  }
  // Another figure lists its sequences here: `keep(q)` says which, `text` why.
  RR.listOnly = (chosen) => {
    only = chosen;
    filter.value = "all";
    draw();
    RR.byId("figure-table").scrollIntoView({ block: "center" });
  };
  const mark = () => {
    for (const row of node.querySelectorAll("tr[data-q]")) row.setAttribute("aria-selected", Number(row.dataset.q) === RR.selection.sequence);
  };
  const stepBy = (way) => {
    const at = shown.indexOf(RR.selection.sequence);
    if (at === 0 && way < 0) { RR.chooseSequence(null); return; }
    const next = shown[at < 0 ? 0 : Math.max(0, Math.min(shown.length - 1, at + way))];
    if (next === undefined) return;
    RR.chooseSequence(next);
    const row = node.querySelector(`tr[data-q="${next}"]`), box = node.parentElement;
    if (row) box.scrollTop = Math.max(0, row.offsetTop - box.clientHeight / 2);
  };
  // What is chosen inside a sequence and beside it is let go first, then the sequence.
  const escape = () => {
    const { words, units, pinned, range, cluster, node: state, step } = RR.selection;
    if ([words, units, pinned, range ?? []].some(({ length }) => length) || [cluster, state, step].some((chosen) => chosen !== null)) RR.clear();
    else RR.chooseSequence(null);
  };
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea, #turn") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") escape();
    const near = event.target === document.body || event.target.closest("#sequences");
    if (near && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      if (!event.target.closest("#sequences") && RR.selection.sequence === null) return;
      event.preventDefault();
      stepBy(event.key === "ArrowDown" ? 1 : -1);
    }
  });
  filter.addEventListener("change", () => { only = null; most = STEP; draw(); });
  for (const row of document.querySelectorAll("#flips tr[data-id]")) {
    const q = reading.ids.indexOf(row.dataset.id);
    if (q < 0) continue;
    row.addEventListener("click", () => { RR.chooseSequence(q); RR.byId("figure-text").scrollIntoView(); });
  }
  RR.on(["epoch", "output", "theme"], draw);
  RR.on(["words"], () => { if (filter.value === "word") draw(); });
  RR.on(["sequence"], mark);
  draw();
});

RR.views.push(function runningText() {
  const node = RR.byId("text");
  if (!node) return;
  const reading = RR.reading, { shows } = reading;
  const choose = (p, event) => {
    if (event.shiftKey && stretch(RR.stepIndex(RR.selection.sequence ?? reading.first, RR.selection.step ?? -1), p)) return;
    const q = reading.owner(p), step = p - reading.starts[q];
    if (RR.selection.step === step && RR.selection.sequence === q) RR.set({ step: null, lens: null });
    else RR.chooseStep(q, step);
  };
  // A range of steps: dragged over, or from the selected step to the one clicked with shift.
  let anchor = null;
  const stretch = (p, other) => {
    const q = reading.owner(other), start = reading.starts[q];
    if (p < start || p >= reading.starts[q + 1]) return false;
    RR.set({ sequence: q, range: [p - start, other - start].sort((a, b) => a - b) });
    return true;
  };
  node.addEventListener("pointerdown", (event) => {
    const token = event.target.closest(".token");
    anchor = token && event.button === 0 && event.pointerType !== "touch" ? Number(token.dataset.p) : null;
  });
  node.addEventListener("pointerover", (event) => {
    const token = event.target.closest(".token");
    if (anchor === null || !token || !(event.buttons & 1) || (Number(token.dataset.p) === anchor && !RR.selection.range.length)) return;
    node.classList.add("dragging"); // no text is selected meanwhile
    stretch(anchor, Number(token.dataset.p));
  });
  document.addEventListener("pointerup", () => { anchor = null; node.classList.remove("dragging"); });

  // Coloured by the last selected unit, else by what the task shows of a step.
  function tint(p) {
    const unit = RR.selection.lens === "unit" ? RR.selection.units.at(-1) : undefined;
    if (unit !== undefined) { const units = RR.unitsOf(); return RR.signColour(RR.stateAt(p)?.[unit], units.activationClip); }
    return RR.textTint(reading, p, RR.selection.epoch);
  }
  function draw() {
    const q = RR.selection.sequence ?? reading.first, { starts } = reading, epoch = RR.selection.epoch;
    const items = [];
    for (let p = starts[q]; p < starts[q + 1]; p++) items.push(RR.tokenNode(reading, p, tint(p), choose));
    node.className = `running${reading.characters ? " chars" : ""}`;
    node.replaceChildren(...items);
    RR.title("text", `How ${reading.ids[q]} is read, step by step`);
    const facts = shows.facts(reading, q, epoch);
    facts.push(`${reading.lengths[q]} steps`);
    if (reading.given(q)) facts.push("given by --sentence, read at the last epoch");
    if (RR.selection.sequence === null) facts.push("shown until you choose one in the table");
    RR.note("text", facts.join(" · "));
    const unit = RR.selection.lens === "unit" ? RR.selection.units.at(-1) : undefined;
    const without = reading.without(q);
    RR.byId("text-colour").textContent = unit !== undefined ? `Coloured by the state of unit ${unit}: orange positive, blue negative.` : without || shows.how(reading);
    if (unit !== undefined || without) RR.legend("text-legend", []);
    else shows.legend("text-legend", reading, Array.from({ length: reading.lengths[q] }, (_, t) => starts[q] + t));
    mark();
  }
  function mark() {
    const { sequence, step, words, range } = RR.selection, first = reading.starts[sequence ?? reading.first], steps = RR.arrays["words.steps"];
    const here = step === null ? -1 : first + step;
    for (const token of node.children) {
      const p = Number(token.dataset.p);
      token.classList.toggle("here", p === here);
      token.classList.toggle("pointed", p === RR.pointed && p !== here);
      token.classList.toggle("ranged", range.length > 0 && p >= first + range[0] && p <= first + range.at(-1));
      token.classList.toggle("missed", reading.missed(p, RR.selection.epoch));
      token.classList.toggle("same", words.length > 0 && words.includes(steps?.[p]));
    }
  }
  RR.stepTip = function (p) {
    const q = reading.owner(p), lines = [reading.features ? `step ${p - reading.starts[q] + 1}` : RR.visible(reading.token(p)), `step ${p - reading.starts[q] + 1} of ${reading.lengths[q]}, ${reading.ids[q]}`];
    if (reading.unknown(p)) lines.push("not in the vocabulary: the model read the unknown token");
    lines.push(...reading.shows.says(reading, p, RR.selection.epoch), ...RR.channelLines(reading, p));
    const distance = reading.array("distance")[p];
    if (Number.isFinite(distance)) lines.push(`the state moves by ${RR.number(distance)} to the next step, ${RR.percent(distance / reading.largestDistance)} of the largest move of all`);
    return lines;
  };
  // The values of a step, where they are few.
  RR.channelLines = (r, p) => (r.features && r.features <= 4 ? Array.from(RR.row(r.array("values"), p), (value, i) => `${r.featureNames[i]} ${RR.number(value)}`) : []);
  node.addEventListener("pointerover", (event) => { const token = event.target.closest(".token"); if (token) RR.tip(RR.stepTip(Number(token.dataset.p))); });
  node.addEventListener("pointerout", () => RR.tip(null));
  RR.on(["sequence", "epoch", "output", "theme", "lens", "units", "state"], draw);
  RR.on(["step", "words", "range"], mark);
  RR.onPoint(mark);
  draw();
});
