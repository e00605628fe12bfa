"use strict";
// The same sequence read by every run.
RR.views.push(function readings() {
  const { runs } = RR.description, pick = RR.byId("pick"), host = RR.byId("readings");
  const readers = RR.runReaders(), [first] = readers;
  const choose = (p) => RR.point(p);
  const { shows } = first;
  const parted = (q) => new Set(readers.map((reader) => shows.answer(reader, q))).size > 1;
  const order = [...first.ids.keys()].sort((a, b) => parted(b) - parted(a) || a - b);
  const choices = order.map((q) => RR.el("option", { value: q }, `${first.ids[q]}${parted(q) ? " (the runs differ)" : ""}`));
  pick.append(...choices);
  // Only those on which the runs differ, where there are any, and the one that is shown.
  const offer = () => {
    const few = RR.selection.changed && order.some(parted);
    choices.forEach((option, place) => { option.hidden = option.disabled = few && !parted(order[place]) && order[place] !== current(); });
  };
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
    offer();
    const turned = RR.sides(), shown = [...turned, ...readers.keys()].filter((r, place, all) => all.indexOf(r) === place);
    host.replaceChildren(...shown.map((r) => {
      const reader = readers[r];
      const line = RR.el("div", { class: `running${reader.characters ? " chars" : ""}` });
      for (let p = reader.starts[q]; p < reader.starts[q + 1]; p++) {
        const node = RR.tokenNode(reader, p, RR.textTint(reader, p), choose);
        node.setAttribute("data-hint", "");
        RR.hint(node, () => [runs[r], `step ${p - reader.starts[q] + 1}`, ...shows.says(reader, p)]);
        line.append(node);
      }
      const verdict = [shows.verdict(reader, q), reader.without(q)].filter(Boolean).join(" · ");
      return RR.el("div", { class: "read" }, who(r, verdict), line);
    }));
    shows.legend("reading-legend", first);
    if (Number.isFinite(shows.aim(first, first.starts[q]))) RR.byId("reading-legend").append(RR.legendKey({ line: "solid", colour: RR.css("muted"), label: "target, the pale line below" }));
    for (const row of document.querySelectorAll("#flips tr[data-id]")) row.setAttribute("aria-selected", row.dataset.id === first.ids[q]);
  }
  const mark = (p) => { for (const node of host.querySelectorAll(".token")) node.classList.toggle("pointed", Number(node.dataset.p) === p); };
  for (const row of document.querySelectorAll("#flips tr[data-id]")) {
    const q = first.ids.indexOf(row.dataset.id);
    if (q < 0) continue;
    row.addEventListener("click", () => { RR.set({ sequence: q }); RR.byId("reading").scrollIntoView(); });
  }
  RR.on(["sequence", "output", "theme", "other", "swap", "changed"], draw);
  RR.onPoint(mark);

  RR.plot("reading", (plot) => {
    const curve = () => {
      const q = current(), count = first.lengths[q], steps = [...Array(count).keys()], x = steps.map((t) => t + 1);
      readers.forEach((reader, r) => {
        const colour = RR.curveColour(r);
        plot.fill(`reading.line-${r}`, { x, y: steps.map((t) => shows.curve(reader, reader.starts[q] + t)) });
        RR.lineColour(plot, `reading.curve-${r}`, colour);
        RR.lineColour(plot, `reading.dots-${r}`, colour);
      });
      plot.fill("reading.target", { x, y: steps.map((t) => shows.aim(first, first.starts[q] + t)) });
      RR.lineColour(plot, "reading.truth", RR.css("muted"));
      plot.figure.x_range.setv({ start: 0.5, end: count + 0.5 });
    };
    curve();
    RR.on(["sequence", "output", "theme"], curve);
  });
  ["curve-loss", "curve-score"].forEach((name) => RR.curve(name, []));
  RR.curve("similarity", [], 1); // the baseline has no curve of its own
});
