"use strict";
// What lies in a region of the map: which tokens and expected classes are frequent there, against all other displayed
// states, and its first steps in their context. Sentences given by hand count in no number.
RR.regionParts = function (reading, indices) {
  const CONTEXT = 4, LISTED = 12, MOST = 8, P = reading.starts[reading.shown];
  const inside = new Set(indices.filter((p) => p < P)), here = inside.size, elsewhere = P - here;
  // How many of the states there, and elsewhere, have each value; the most frequent there first.
  const counted = (valueOf) => {
    const counts = new Map();
    for (let p = 0; p < P; p++) {
      const value = valueOf(p);
      if (value === null) continue;
      if (!counts.has(value)) counts.set(value, [0, 0]);
      counts.get(value)[inside.has(p) ? 0 : 1]++;
    }
    return [...counts].filter(([, [n]]) => n).sort(([, [a]], [, [b]]) => b - a).slice(0, MOST);
  };
  const table = (title, rows, name) => (rows.length ? RR.el("table", { class: "plain" },
    RR.el("thead", {}, RR.el("tr", {}, ...[title, "states", "here", "elsewhere"].map((text, i) => RR.el("th", { scope: "col", class: i ? "n" : null }, text)))),
    RR.el("tbody", {}, ...rows.map(([value, [n, other]]) => RR.el("tr", {}, RR.el("th", { scope: "row" }, name(value)), RR.el("td", { class: "n" }, String(n)), RR.el("td", { class: "n" }, RR.percent(n / here)), RR.el("td", { class: "n" }, RR.percent(other / elsewhere))))))
    : "");
  const words = RR.arrays["words.steps"], names = RR.description.words?.names ?? [];
  const spoken = reading.features ? (p) => (words?.[p] >= 0 ? names[words[p]] : null) : (p) => reading.token(p);
  const classes = reading.classNames.length && reading.kind === "classes";
  const expected = (p) => { const k = classes ? reading.winner(p, RR.selection.epoch) : -1; return k >= 0 ? k : null; };
  const text = (p) => (reading.features ? spoken(p) ?? String(p - reading.starts[reading.owner(p)] + 1) : RR.visible(reading.token(p)));
  const lines = indices.slice(0, LISTED).map((p) => {
    const q = reading.owner(p), low = Math.max(reading.starts[q], p - CONTEXT), high = Math.min(reading.starts[q + 1], p + CONTEXT + 1), parts = [];
    for (let other = low; other < high; other++) parts.push(other === p ? RR.el("b", {}, text(p)) : text(other), " ");
    return RR.el("li", {}, RR.el("button", { type: "button", class: "link", onclick: () => RR.chooseStep(q, p - reading.starts[q]) }, `${reading.ids[q]}: `), ...parts);
  });
  return [
    RR.el("p", { class: "note" }, `${here.toLocaleString("en")} states in the region, ${elsewhere.toLocaleString("en")} elsewhere${indices.length > LISTED ? `; its first ${LISTED} in their context` : ""}`),
    RR.el("div", { class: "pair" }, table(reading.features ? "prototype" : "token", counted(spoken), (value) => RR.visible(value)), table("expected class", counted(expected), (k) => reading.classNames[k])),
    RR.el("ul", {}, ...lines),
  ];
};
