"use strict";
// Chosen nodes of MM-PHATE: what they are, and the selection they stand for. `at(i)`: epoch, step and unit of node i;
// `units`: of a unit its `number` within its state, the `state` that can be selected (-1 for none) and its `name`.
// `redraw` is called when other nodes are chosen; `chosen()` is their set, or null.
RR.nodeList = function (at, units, epochPlace, redraw) {
  const UNITS = 8, PICKED = 2, NAMED = 4, host = RR.byId("nodes");
  const { words } = RR.description, classNames = RR.description.sequences?.classNames ?? [];
  let steps = new Set(), chosen = null;
  const count = (items) => [...items.reduce((counts, item) => counts.set(item, (counts.get(item) ?? 0) + 1), new Map())].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  const range = (numbers) => { const [low, high] = [Math.min(...numbers), Math.max(...numbers)]; return low === high ? `${low}` : `${low}–${high}`; };
  const named = (counts, name) => counts.slice(0, NAMED).map(([item, n]) => `${name(item)} (${n})`).join(", ") + (counts.length > NAMED ? ", …" : "");
  const classOf = (i) => { const label = RR.arrays["dynamics.active"][i]; return label === undefined ? [] : [label]; };
  const wordsOf = (i) => (RR.arrays["dynamics.words"] ? [...RR.row(RR.arrays["dynamics.words"], i)].filter((word) => word >= 0) : []);
  const className = (label) => classNames[label] ?? `class ${label + 1}`, wordName = (word) => RR.visible(words.names[word]);
  const columns = [
    ["unit", null], ["points", (nodes) => nodes.length],
    [`epochs`, (nodes) => range(nodes.map((i) => at(i).epoch))], ["steps", (nodes) => range(nodes.map((i) => at(i).step + 1))],
    ...(RR.arrays["dynamics.active"].length ? [["most active classes", (nodes) => named(count(nodes.flatMap(classOf)), className)]] : []),
    ...(RR.arrays["dynamics.words"] ? [[`most active ${RR.noun()}s`, (nodes) => named(count(nodes.flatMap(wordsOf)), wordName)]] : []),
  ];
  // The steps of the chosen nodes, in the running text of the selected sequence.
  const mark = () => {
    const reading = RR.reading, text = RR.byId("text");
    if (!reading || !text) return;
    for (const token of text.children) { const p = Number(token.dataset.p); token.classList.toggle("brushed", steps.has(p - reading.starts[reading.owner(p)])); }
  };
  const clear = () => { steps = new Set(); chosen = null; host.replaceChildren(); mark(); redraw(); };
  // A unit of another layer is shown with the state of that layer.
  const stateOf = (unit) => { const state = units.state(unit); return state < 0 || state === RR.selection.state ? {} : { state, cluster: null }; };
  const toggle = (unit) => (Object.keys(stateOf(unit)).length ? RR.set({ ...stateOf(unit), units: [units.number(unit)], lens: "unit" }) : RR.chooseUnit(units.number(unit)));
  function show(indices) {
    const byUnit = new Map();
    for (const i of indices) byUnit.set(at(i).unit, [...(byUnit.get(at(i).unit) ?? []), i]);
    const met = [...byUnit].sort((a, b) => b[1].length - a[1].length || a[0] - b[0]);
    const rows = met.slice(0, UNITS).map(([unit, nodes]) => RR.el("tr", {}, RR.el("th", { scope: "row" }, RR.el("button", { type: "button", class: "link", onclick: () => toggle(unit) }, units.name(unit))), ...columns.slice(1).map(([, text]) => RR.el("td", {}, String(text(nodes))))));
    const more = met.length > UNITS ? ` ${met.length - UNITS} more units.` : "", picked = met.filter(([unit]) => units.state(unit) === units.state(met[0][0]));
    const which = picked.length < met.length ? `of ${units.name(met[0][0]).split(", unit")[0]} ` : "";
    const facts = `${indices.length.toLocaleString("en")} point${indices.length > 1 ? "s" : ""} of ${met.length} unit${met.length > 1 ? "s" : ""}.${more} Selected: the ${picked.length > PICKED ? `${PICKED} units ${which}with most of them` : `unit${picked.length > 1 ? "s" : ""} ${which}`.trim()}; the steps are underlined in the sequence. `;
    host.replaceChildren(RR.el("p", { class: "note" }, facts, RR.el("button", { type: "button", class: "link", onclick: clear }, "Close")),
      RR.el("div", { class: "scroll", tabindex: "0" }, RR.el("table", { class: "plain" }, RR.el("thead", {}, RR.el("tr", {}, ...columns.map(([name]) => RR.el("th", { scope: "col" }, name)))), RR.el("tbody", {}, ...rows))));
    chosen = indices.length > 1 ? new Set(indices) : null;
    choose(indices, picked.slice(0, PICKED).map(([unit]) => unit));
    redraw();
  }
  // Units, of one layer, into the chips, the commonest step into a sequence that reaches it; the epoch where there is but one.
  function choose(indices, picked) {
    const step = count(indices.map((i) => at(i).step))[0][0], epochs = new Set(indices.map((i) => at(i).epoch));
    const patch = { ...stateOf(picked[0]), units: picked.map(units.number), lens: "unit" };
    if (epochs.size === 1) patch.epoch = epochPlace([...epochs][0]);
    steps = new Set(indices.map((i) => at(i).step));
    const lengths = RR.arrays["sequences.lengths"], now = RR.selection.sequence;
    const sequence = now !== null && lengths[now] > step ? now : lengths?.findIndex((length) => length > step) ?? -1;
    RR.set(sequence < 0 ? patch : { ...patch, sequence, step });
    mark();
  }
  RR.on(["units"], (selection) => { if (chosen && !selection.units.length) clear(); });
  RR.on(["sequence", "epoch", "output", "theme", "lens", "units", "state", "step"], mark);
  return { show, chosen: () => chosen, says: (i) => [...classOf(i).map((label) => `most active class: ${className(label)}`), ...(wordsOf(i).length ? [`most active ${RR.noun()}s: ${wordsOf(i).map(wordName).join(", ")}`] : [])] };
};
