"use strict";
// The comparison's own selection: which run stands beside the baseline, which of both is on the left, what is hidden.
Object.assign(RR.selection, { other: 1, swap: 0, changed: 0 });
RR.moreLimits = () => ({ other: RR.description.runs.length, swap: 2, changed: 2, words: RR.description.beside?.clusters?.words.length ?? 0 });
// The runs on the left and on the right.
RR.sides = () => { const pair = [0, Math.max(1, RR.selection.other)]; return RR.selection.swap ? pair.reverse() : pair; };

// A reader of every run, made once; quantities have one scale of colours in all of them.
RR.runReaders = function () {
  if (!RR.madeReaders) {
    RR.madeReaders = RR.description.sequences.map(RR.reader);
    const scales = new Map();
    const shared = (k) => {
      if (!scales.has(k)) scales.set(k, RR.quantityScale(RR.extent(RR.madeReaders.flatMap((reader) => reader.extentOf(k)))));
      return scales.get(k);
    };
    for (const reader of RR.madeReaders) reader.scale = shared;
  }
  return RR.madeReaders;
};

RR.views.push(function beside() {
  const other = RR.byId("other"), swap = RR.byId("swap"), changed = RR.byId("changed");
  if (!swap) return;
  const { runs } = RR.description;
  other?.addEventListener("change", () => RR.set({ other: Number(other.value) }));
  swap.addEventListener("click", () => RR.set({ swap: 1 - RR.selection.swap }));
  changed.addEventListener("change", () => RR.set({ changed: Number(changed.checked) }));

  // Columns of the two sides change places, and with them the sign of their difference.
  const inTables = (rows) => document.querySelectorAll(`:is(#slices, #effects, #machine-edges) ${rows}`), sided = [...inTables("tr")];
  const turn = (row) => {
    const firsts = [...row.querySelectorAll(".first")], seconds = [...row.querySelectorAll(".second")], sign = RR.selection.swap ? -1 : 1;
    firsts.forEach((first, place) => {
      const second = seconds[place];
      if (RR.selection.swap) row.insertBefore(second, first);
      else row.insertBefore(first, second);
    });
    const text = (cell, value) => RR.signed(value, Number(cell.dataset.digits ?? 3));
    for (const cell of row.querySelectorAll(".signed")) cell.textContent = text(cell, sign * cell.dataset.value);
    for (const cell of row.querySelectorAll(".range")) {
      const ends = [sign * cell.dataset.low, sign * cell.dataset.high].sort((a, b) => a - b);
      cell.textContent = ends.map((end) => text(cell, end)).join(" to ");
    }
  };
  let swapped = 0;
  const draw = () => {
    const { swap: turned, other: shown, changed: only } = RR.selection;
    if (other) other.value = shown;
    swap.setAttribute("aria-pressed", Boolean(turned));
    changed.checked = Boolean(only);
    for (const head of inTables("th[data-name]")) head.textContent = head.dataset.name.replace("{}", () => runs[shown]);
    if (turned !== swapped) sided.forEach(turn);
    swapped = turned;
    for (const row of inTables("tr[data-run]")) row.hidden = Number(row.dataset.run) !== shown || (only && "same" in row.dataset);
    for (const row of document.querySelectorAll(".changes > li, .differences li[data-same], #figure-likeness tr[data-same]")) row.hidden = Boolean(only) && "same" in row.dataset;
    const host = document.querySelector(".confusions");
    if (host) {
      const sides = RR.sides();
      const boxes = [...host.querySelectorAll(".side")].sort((a, b) => sides.indexOf(Number(a.dataset.run)) - sides.indexOf(Number(b.dataset.run)));
      for (const box of boxes) box.hidden = !sides.includes(Number(box.dataset.run));
      host.append(...boxes);
      host.classList.toggle("only", Boolean(only));
    }
    flips();
  };

  // A group of sequences lists its changed predictions.
  let group = null;
  const note = RR.byId("flips-group");
  const flips = () => {
    const [, right] = [0, RR.selection.other];
    let shown = 0;
    for (const row of document.querySelectorAll("#flips tbody tr")) {
      const cells = row.querySelectorAll("td.right, td.wrong");
      const differs = cells[0]?.textContent !== cells[right]?.textContent;
      row.hidden = (group !== null && !(row.dataset.groups ?? "").split(" ").includes(group.dataset.group)) || (runs.length > 2 && RR.selection.changed && !differs);
      shown += !row.hidden;
    }
    if (!note) return;
    note.hidden = group === null;
    if (group) note.replaceChildren(`${shown} of them in the group ${group.querySelector("th .link").textContent} `, RR.el("button", { type: "button", class: "link", onclick: () => { group = null; mark(); } }, "show all"));
  };
  const mark = () => {
    for (const row of document.querySelectorAll("#slices tr[data-group]")) row.setAttribute("aria-selected", row === group);
    flips();
  };
  for (const row of document.querySelectorAll("#slices tr[data-group]")) row.addEventListener("click", () => {
    group = group === row ? null : row;
    mark();
    if (group) RR.byId("figure-flips")?.scrollIntoView();
  });
  RR.on(["other", "swap", "changed"], draw);
});
