"use strict";
// The same sequence read by every run.
RR.views.push(function readings() {
  const { runs } = RR.description, pick = RR.byId("pick"), host = RR.byId("readings");
  const readers = RR.description.sequences.map(RR.reader), [first] = readers;
  const choose = (p) => RR.point(p);
  const right = (reader, q) => reader.label(q) >= 0 && reader.predicted(q) === reader.label(q);
  const parted = (q) => new Set(readers.map((reader) => reader.predicted(q))).size > 1;
  const order = [...first.ids.keys()].sort((a, b) => parted(b) - parted(a) || a - b);
  pick.append(...order.map((q) => RR.el("option", { value: q }, `${first.ids[q]}${parted(q) ? " (the runs differ)" : ""}`)));
  pick.addEventListener("change", () => RR.set({ sequence: Number(pick.value) }));
  const current = () => RR.selection.sequence ?? order[0];

  // The name carries the line of the run in the curves below.
  const who = (r, verdict) => {
    const node = RR.el("div", { class: "who" }, RR.el("b", {}, runs[r]), verdict);
    node.style.borderLeft = `4px ${["solid", "dashed", "dotted", "double"][r % 4]} ${RR.curveColour(r)}`;
    return node;
  };
  function draw() {
    const q = current();
    pick.value = q;
    const label = first.label(q);
    RR.title("reading", `${first.ids[q]}${label >= 0 ? `: ${first.classNames[label]}` : ""}`);
    RR.note("reading", `${first.lengths[q]} steps · ${runs.length} runs, last recorded epoch`);
    host.replaceChildren(...readers.map((reader, r) => {
      const line = RR.el("div", { class: `running${reader.characters ? " chars" : ""}` });
      for (let p = reader.starts[q]; p < reader.starts[q + 1]; p++) {
        const surprisal = reader.array("surprisal")[p];
        const tint = RR.predictionTint(reader, p) ?? (Number.isFinite(surprisal) ? RR.mix(RR.css("panel"), RR.css("third"), Math.min(1, surprisal / 8)) : null);
        const node = RR.tokenNode(reader, p, tint, choose);
        const k = reader.winner(p);
        node.setAttribute("data-hint", "");
        RR.hint(node, [runs[r], `step ${p - reader.starts[q] + 1}`, k >= 0 ? `expects ${reader.classNames[k]} (${RR.percent(reader.probabilities(p)[k])})` : `surprisal ${Number.isFinite(surprisal) ? surprisal.toFixed(2) : "–"} nats`]);
        line.append(node);
      }
      const guess = reader.predicted(q);
      const verdict = guess >= 0 ? `${reader.classNames[guess]} ${label >= 0 ? (right(reader, q) ? "✓" : "✗") : ""} ${RR.percent(reader.array("confidence")[q])}` : "";
      return RR.el("div", { class: "read" }, who(r, verdict), line);
    }));
    if (first.has) RR.classLegend("reading-legend", first.classNames);
    for (const row of document.querySelectorAll("#flips tr[data-id]")) row.setAttribute("aria-selected", row.dataset.id === first.ids[q]);
  }
  const mark = (p) => { for (const node of host.querySelectorAll(".token")) node.classList.toggle("pointed", Number(node.dataset.p) === p); };
  for (const row of document.querySelectorAll("#flips tr[data-id]")) {
    const q = first.ids.indexOf(row.dataset.id);
    if (q < 0) continue;
    row.addEventListener("click", () => { RR.set({ sequence: q }); RR.byId("reading").scrollIntoView(); });
  }
  RR.on(["sequence", "theme"], draw);
  RR.onPoint(mark);

  RR.plot("reading", (plot) => {
    const curve = () => {
      const q = current(), label = first.label(q), count = first.lengths[q];
      readers.forEach((reader, r) => {
        const colour = RR.curveColour(r);
        plot.fill(`reading.line-${r}`, { x: [...Array(count).keys()].map((t) => t + 1), y: Array.from({ length: count }, (_, t) => (label < 0 ? NaN : reader.probabilities(reader.starts[q] + t)[label])) });
        RR.lineColour(plot, `reading.curve-${r}`, colour);
        RR.lineColour(plot, `reading.dots-${r}`, colour);
      });
      plot.figure.x_range.setv({ start: 0.5, end: count + 0.5 });
    };
    curve();
    RR.on(["sequence", "theme"], curve);
  });
  ["curve-loss", "curve-score"].forEach((name) => RR.curve(name, []));
  RR.curve("similarity", [], 1); // the baseline has no curve of its own
});
