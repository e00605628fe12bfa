"use strict";
// A range of steps, the units that are on throughout it, and where else in the corpus they are (LSTMVis, Strobelt et
// al. 2018), from the states the page carries. The range is part of the selection: its first and last step, or nothing.
RR.selection.range = [];
// A range is one of its sequence: another sequence has none.
RR.on(["sequence"], (selection, now) => { if (!now.has("range")) RR.set({ range: [] }); });
RR.clear = ((clear) => () => { clear(); RR.set({ range: [] }); })(RR.clear);

// The units that are on (above `threshold`) at each of the states, in their order; `off`: states at which they must not be.
RR.unitsOn = (states, threshold, off = []) => Array.from(states[0] ?? [], (_, unit) => unit)
  .filter((unit) => states.every((state) => state[unit] > threshold) && off.every((state) => !(state[unit] > threshold)));

// Stretches {q, first, last, on} of consecutive steps at each of which as many of the units as possible are on, longest
// first; `stateAt(p)` is undefined where the page has no state, `skip(p)` says what is no other place.
RR.findStretches = function (units, threshold, { starts, stateAt, skip }) {
  const found = [];
  let most = 0, q = 0, open = null;
  for (let p = 0; p < starts.at(-1); p++) {
    while (p >= starts[q + 1]) { q++; open = null; }
    const state = skip(p) ? undefined : stateAt(p);
    if (!state) { open = null; continue; }
    let on = 0;
    for (const unit of units) on += state[unit] > threshold;
    if (on > most) { most = on; found.length = 0; open = null; } // what had fewer units on is of no interest any more
    if (!on || on < most) { open = null; continue; }
    if (open) open.last = p;
    else found.push(open = { q, first: p, last: p, on });
  }
  for (const stretch of found) {
    const states = [];
    for (let p = stretch.first; p <= stretch.last; p++) states.push(stateAt(p));
    stretch.others = RR.unitsOn(states, threshold).filter((unit) => !units.includes(unit)).length;
  }
  const length = ({ first, last }) => last - first;
  return found.sort((a, b) => length(b) - length(a) || a.others - b.others || a.first - b.first);
};

RR.views.push(function pattern() {
  const node = RR.byId("pattern"), reading = RR.reading;
  if (!node || !reading) return;
  const from = RR.byId("range-from"), to = RR.byId("range-to"), slider = RR.byId("pattern-threshold"), level = RR.byId("pattern-level");
  const before = RR.byId("pattern-before"), after = RR.byId("pattern-after");
  const AROUND = 4, LONGEST = 24, STEP = 8, UNITS = 40; // steps shown beside a stretch and of it; stretches and units listed at first
  let most = STEP, cached = null;
  // The states of the selected kind after every displayed step, undefined where the page has none, and those it has.
  const kept = () => {
    if (cached?.state !== RR.selection.state) {
      const at = Array.from({ length: reading.starts.at(-1) }, (_, p) => RR.stateAt(p));
      cached = { state: RR.selection.state, at, known: at.filter(Boolean) };
    }
    return cached;
  };
  const here = () => RR.selection.sequence ?? reading.first;
  // First and last step: what was chosen, else the selected step.
  const range = () => {
    const { range: chosen, step } = RR.selection, q = here();
    const [first, last] = chosen.length === 2 ? [...chosen].sort((a, b) => a - b) : [step, step];
    return first === null ? null : [first, last].map((t) => Math.min(t, reading.lengths[q] - 1));
  };
  const say = (title, note, ...children) => { RR.title("pattern", title); RR.note("pattern", note); node.replaceChildren(...children); };
  const plural = (count, name) => `${count.toLocaleString("en")} ${name}${count === 1 ? "" : "s"}`;

  function unitChip(unit, states, carried, threshold) {
    const share = carried.reduce((sum, state) => sum + (state[unit] > threshold), 0) / carried.length, lowest = Math.min(...states.map((state) => state[unit]));
    const chip = RR.el("button", { type: "button", class: "quiet on-unit", "aria-pressed": RR.selection.units.includes(unit), "data-unit": unit, "data-hint": "", onclick: () => RR.chooseUnit(unit) }, `unit ${unit} `, RR.el("span", { class: "note" }, RR.percent(share)));
    return { share, unit, chip: RR.hint(chip, [`unit ${unit}`, `at least ${RR.number(lowest)} throughout the range`, `on at ${RR.percent(share)} of ${plural(carried.length, "step")}`]) };
  }
  function places(units, found, threshold) {
    const rows = found.slice(0, most).map(({ q, first, last, on, others }) => RR.placeRow(reading, first, {
      low: first - AROUND, high: Math.min(last, first + LONGEST) + AROUND, tint: (p) => RR.textTint(reading, p), marked: (p) => p >= first && p <= last,
      head: [`, ${first === last ? `step ${first - reading.starts[q] + 1}` : `steps ${first - reading.starts[q] + 1} to ${last - reading.starts[q] + 1}`}: ${units.length === 1 ? "on" : on === units.length ? "all units on" : `${on} of the ${units.length} units on`}${others ? `, and ${others} more throughout` : ""}`],
    }));
    const more = found.length - rows.length;
    return [RR.el("ol", { class: "places" }, ...rows), ...(more > 0 ? [RR.el("button", { type: "button", class: "quiet", onclick: () => { most += STEP; draw(); } }, `${plural(more, "place")} more …`)] : [])];
  }
  // The tokens at which most of the stretches begin.
  function beginnings(found) {
    if (reading.features || found.length < 3) return "";
    const counts = new Map();
    for (const { first } of found) counts.set(reading.token(first), (counts.get(reading.token(first)) ?? 0) + 1);
    const frequent = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 6);
    return ` They begin most often at ${frequent.map(([token, n]) => `${RR.quoted(token)} (${n})`).join(", ")}.`;
  }
  function draw() {
    const units = RR.unitsOf(), threshold = (units.activationClip ?? 1) * Number(slider.value) / 100, q = here(), chosen = range(), { starts } = reading;
    level.textContent = RR.number(threshold);
    from.max = to.max = reading.lengths[q];
    [from.value, to.value] = chosen ? chosen.map((t) => t + 1) : ["", ""];
    const title = "Units that are on through a range of steps, and where else they are", state = RR.description.states[RR.selection.state];
    if (!chosen) { say(title, state, RR.el("p", {}, "Select a step, or drag over several in the running text.")); return; }
    const all = kept().at, carried = kept().known, at = (t) => all[starts[q] + t], states = [];
    for (let t = chosen[0]; t <= chosen[1]; t++) states.push(at(t));
    if (states.includes(undefined)) { say(title, state, RR.el("p", {}, `The page does not carry the ${units.gate ? "values of this gate in" : "states of"} ${reading.ids[q]}.`)); return; }
    const off = [before.checked && chosen[0] > 0 && at(chosen[0] - 1), after.checked && chosen[1] + 1 < reading.lengths[q] && at(chosen[1] + 1)].filter(Boolean);
    const on = RR.unitsOn(states, threshold, off), found = RR.findStretches(on, threshold, { starts, stateAt: (p) => all[p], skip: (p) => p >= starts[q] + chosen[0] && p <= starts[q] + chosen[1] });
    const where = `${chosen[0] === chosen[1] ? `at step ${chosen[0] + 1}` : `from step ${chosen[0] + 1} to ${chosen[1] + 1}`} of ${reading.ids[q]}`, whole = found.length > 0 && found[0].on === on.length;
    const chips = on.map((unit) => unitChip(unit, states, carried, threshold)).sort((a, b) => a.share - b.share || a.unit - b.unit), left = chips.length - UNITS;
    const told = !on.length ? "Lower the threshold, or choose fewer steps." : !found.length ? "None of these units is on anywhere else."
      : whole ? `${on.length > 1 ? "All of them are" : "It is"} on at ${plural(found.length, "other place")}.${beginnings(found)}` : `Nowhere else are all of them on at once; ${found[0].on} of them are, at ${plural(found.length, "place")}.${beginnings(found)}`;
    say(`${on.length ? plural(on.length, "unit") : "No unit"} ${on.length > 1 ? "are" : "is"} on ${where}`,
      `${state}, last epoch · on: above ${RR.number(threshold)} · searched: ${plural(carried.length, "step")}${carried.length < starts.at(-1) ? `, those of ${starts.at(-1).toLocaleString("en")} displayed ones whose ${units.gate ? "gates" : "states"} this page carries` : ""}`,
      RR.el("p", { class: "on-units" }, ...chips.slice(0, UNITS).flatMap(({ chip }) => [chip, " "]), left > 0 ? `and ${left} more, which are on more often` : ""), RR.el("p", {}, told), ...(found.length ? places(on, found, threshold) : []));
    mark();
  }
  const mark = () => { for (const token of node.querySelectorAll(".token")) token.classList.toggle("pointed", Number(token.dataset.p) === RR.pointed); };
  const press = () => { for (const chip of node.querySelectorAll(".on-unit")) chip.setAttribute("aria-pressed", RR.selection.units.includes(Number(chip.dataset.unit))); };
  const refresh = RR.whileSeen(node.closest("figure"), draw), restart = () => { most = STEP; refresh(); };
  const typed = () => {
    const length = reading.lengths[here()], place = (box, other) => Math.max(0, Math.min(length, Math.round(Number(box.value || other.value))) - 1);
    if (from.value || to.value) RR.set({ sequence: here(), range: [place(from, to), place(to, from)].sort((a, b) => a - b) });
  };
  for (const box of [from, to]) box.addEventListener("change", typed);
  for (const control of [slider, before, after]) control.addEventListener("input", restart);
  RR.tellTokens(node);
  RR.on(["sequence", "step", "range", "state", "epoch", "output", "theme"], restart);
  RR.on(["units"], press);
  RR.onPoint(mark);
});
