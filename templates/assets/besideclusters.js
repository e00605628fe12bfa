"use strict";
// Chips and clouds of two runs, cluster by cluster, each beside the one that shares most words; one scale of colours.
RR.views.push(function besideClusters() {
  const found = RR.description.beside?.clusters, host = RR.byId("beside"), pick = RR.byId("word");
  if (!found || !host) return;
  const { runs } = RR.description, { words, ks, clip } = found, W = words.length;
  const of = (name, run) => RR.row(RR.arrays[`clusters.${name}`], run);
  const response = (run) => RR.arrays[`clusters.response.${run}`], units = (run) => RR.arrays[`clusters.units.${run}`];
  const counts = RR.arrays["clusters.counts"];
  // Where nothing is chosen: the word that moves the baseline's state most.
  const strength = (word) => RR.row(response(0), word).reduce((sum, value) => sum + Math.abs(value), 0);
  let strongest = 0;
  for (let word = 1; word < W; word++) if (counts[word] >= 10 && strength(word) > strength(strongest)) strongest = word;
  const chosen = () => RR.selection.words[0] ?? strongest;
  pick.append(...words.map((word, place) => RR.el("option", { value: place }, RR.visible(word))));
  pick.addEventListener("change", () => RR.set({ words: [Number(pick.value)] }));
  const members = (run, k) => [...Array(W).keys()].filter((word) => of("words", run)[word] === k).sort((a, b) => Math.abs(of("association", run)[b]) - Math.abs(of("association", run)[a]));

  // Rows: the clusters of the left run, each with its partner on the right; then those without one.
  const rows = ([left, right]) => {
    const partner = (run, k) => (run === 0 ? k : of("partner", run)[k]); // in numbers of the baseline
    const lines = [...Array(ks[left]).keys()].map((k) => [k, [...Array(ks[right]).keys()].find((other) => partner(right, other) === partner(left, k) && partner(left, k) >= 0) ?? null]);
    const taken = new Set(lines.map(([, other]) => other));
    return [...lines, ...[...Array(ks[right]).keys()].filter((k) => !taken.has(k)).map((k) => [null, k])];
  };
  const overlap = (left, right, line) => {
    const run = Math.max(left, right), k = line[left > right ? 0 : 1];
    return k === null ? NaN : of("overlap", run)[k];
  };
  const cell = (run, k, shared, only) => {
    if (k === null) return RR.el("div", { class: "half empty note" }, "no counterpart");
    const values = RR.row(response(run), chosen());
    const squares = [...units(run).keys()].filter((unit) => units(run)[unit] === k).map((unit) => {
      const square = RR.el("span", { class: "unit", "data-hint": "", role: "img", "aria-label": `unit ${unit}` });
      square.style.backgroundColor = RR.signColour(values[unit], clip);
      RR.hint(square, () => [`${runs[run]}, unit ${unit}`, `changes by ${RR.signed(values[unit])} at ${RR.quoted(words[chosen()])}`]);
      return square;
    });
    const all = members(run, k), kept = only ? all.filter((word) => !shared.has(word)) : all, few = kept.slice(0, found.shown);
    if (kept.includes(chosen()) && !few.includes(chosen())) few.push(chosen());
    const shown = few.map((word) => RR.el("button", { type: "button", class: `word${shared.has(word) ? "" : " moved"}`, "aria-pressed": word === chosen(), "data-word": word, onclick: () => RR.set({ words: [word] }) }, RR.visible(words[word])));
    const rest = kept.length - few.length;
    return RR.el("div", { class: "half" }, RR.el("p", { class: "note" }, `${runs[run]}, cluster ${k + 1}: ${squares.length} units, ${all.length} ${found.noun}s`), RR.el("div", { class: "squares" }, ...squares), RR.el("div", { class: "words" }, ...shown, rest ? RR.el("span", { class: "note" }, `and ${rest} more`) : ""));
  };
  function draw() {
    const sides = RR.sides(), only = Boolean(RR.selection.changed);
    pick.value = chosen();
    const lines = rows(sides).map((line) => {
      const lists = sides.map((run, side) => (line[side] === null ? [] : members(run, line[side])));
      const shared = new Set(lists[0].filter((word) => lists[1].includes(word)));
      const moved = lists[0].length + lists[1].length - 2 * shared.size;
      if (only && !moved) return null;
      const share = overlap(...sides, line), text = Number.isFinite(share) ? `${shared.size} ${found.noun}s in common, overlap ${share.toFixed(2)}` : "not paired";
      return RR.el("div", { class: "matched" }, RR.el("p", { class: "note link-note" }, text), ...sides.map((run, side) => cell(run, line[side], shared, only)));
    }).filter(Boolean);
    host.replaceChildren(...(lines.length ? lines : [RR.el("p", { class: "note" }, `The ${found.noun}s are grouped alike in both runs.`)]));
    const word = words[chosen()];
    RR.note("clusters", `units coloured by their response to ${RR.quoted(word)} (${counts[chosen()].toLocaleString("en")} occurrences) · grouped by response, ${found.mode} · underlined: in the other run's partner cluster the ${found.noun} is missing`);
    RR.legend("clusters-legend", [{ ramp: RR.signRamp(), low: RR.signed(-clip), high: `${RR.signed(clip)}, the same scale for all runs` }, ...sides.map((run) => ({ line: Object.keys(RR.DASHES)[run % 4], colour: RR.curveColour(run), label: runs[run] }))]);
    for (const row of document.querySelectorAll("#effects tr[data-word]")) row.setAttribute("aria-selected", row.dataset.word === word);
  }
  for (const row of document.querySelectorAll("#effects tr[data-word]")) row.addEventListener("click", () => { const word = words.indexOf(row.dataset.word); if (word >= 0) RR.set({ words: [word] }); });
  RR.on(["words", "other", "swap", "changed", "theme"], draw);

  RR.plot("overlay", (plot) => {
    const lines = () => {
      runs.forEach((_, run) => {
        const values = Array.from(RR.row(response(run), chosen())).filter(Number.isFinite).sort((a, b) => b - a), shown = RR.sides().includes(run);
        plot.fill(`overlay.run-${run}`, shown ? { x: values.map((_, place) => 100 * (place + 0.5) / values.length), y: values } : { x: [], y: [] });
        RR.lineColour(plot, `overlay.line-${run}`, RR.curveColour(run));
      });
    };
    lines();
    RR.on(["words", "other", "theme"], lines);
  });
});
