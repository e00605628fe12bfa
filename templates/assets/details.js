"use strict";
// Detail of words over all units, and of units over words.
RR.Z = 1.96; // standard errors in a 95% interval

// A figure is some 600 pixels wide: of more units than columns, neighbours in the order share one, as wide as they reach.
RR.columns = function (order, most = 400) {
  const size = Math.ceil(order.length / most), groups = [];
  for (let first = 0; first < order.length; first += size) groups.push([...order.slice(first, first + size)]);
  const centre = groups.map((group, place) => place * size + (group.length - 1) / 2);
  const edge = (value, upper) => groups.map((group) => group.map(value).reduce((far, own) => (Number.isNaN(far) ? own : Number.isNaN(own) ? far : upper ? Math.max(far, own) : Math.min(far, own))));
  const curve = (value) => {
    if (size === 1) return { x: centre, y: order.map(value) };
    const low = edge(value, false), high = edge(value, true), x = [], y = [];
    groups.forEach((_, place) => { x.push(centre[place], centre[place]); y.push(low[place], high[place]); });
    return { x, y };
  };
  return { centre, edge, curve };
};

RR.views.push(function wordDetail() {
  const { words } = RR.description;
  if (!RR.description.units.length) return;
  const COLOURS = ["ink", "second", "third"];
  // A marked step comes first: its word, and what this one occurrence did.
  const once = () => {
    const { sequence, step, lens } = RR.selection;
    if (lens !== "step" || step === null || sequence === null) return null;
    const p = RR.stepIndex(sequence, step), word = RR.arrays["words.steps"][p], now = RR.stateAt(p), before = step ? RR.stateAt(p - 1) : null;
    return word < 0 || !now ? null : { word, change: Array.from(now, (value, unit) => value - (before && !RR.unitsOf().gate ? before[unit] : 0)) };
  };
  const chosenWords = (here) => {
    const chosen = here ? [...new Set([here.word, ...RR.selection.words])].slice(0, 3) : RR.selection.words;
    return chosen.length ? chosen : [RR.strongestWord()];
  };
  const ordered = (word) => { const first = RR.row(RR.response(), word); return [...first.keys()].sort((a, b) => first[a] - first[b]); };
  let drawn = 0; // words that have a curve
  const draw = (plot) => {
    const units = RR.unitsOf(), bands = units.array("bands"), errors = units.array("standardError"), response = RR.response();
    const here = once(), chosen = chosenWords(here), first = RR.row(response, chosen[0]), order = ordered(chosen[0]);
    const known = errors.length > 0, { centre, edge, curve } = RR.columns(order);
    for (let place = 0; place < Math.max(chosen.length, drawn); place++) {
      const word = chosen[place], colour = RR.css(COLOURS[place]);
      const banded = word !== undefined && response.late && bands.length > 0; // the spread is kept for the last epoch alone
      const mean = word === undefined ? [] : RR.row(response, word), error = known && banded ? RR.row(errors, word) : [];
      const pickBand = (band, most) => { const away = banded ? RR.row(bands, band, word) : []; return banded ? edge((unit) => mean[unit] + away[unit], most) : []; };
      const sure = (way) => (banded ? edge((unit) => mean[unit] + way * RR.Z * (error[unit] ?? NaN), way > 0) : []);
      plot.fill(`response.band-${place}`, { x: banded ? centre : [], outer_low: pickBand(0, false), low: pickBand(1, false), high: pickBand(2, true), outer_high: pickBand(3, true), sure_low: sure(-1), sure_high: sure(1) });
      plot.fill(`response.line-${place}`, word === undefined ? { x: [], y: [] } : curve((unit) => mean[unit]));
      for (const part of ["curve", "area-low", "area-outer_low", "area-sure_low"]) RR.lineColour(plot, `response.${part}-${place}`, colour);
    }
    drawn = chosen.length;
    plot.fill("response.once", here ? curve((unit) => here.change[unit]) : { x: [], y: [] });
    RR.lineColour(plot, "response.occurrence", RR.css("ink"));
    const marked = RR.selection.units;
    plot.fill("response.unit", { x: marked.map((unit) => order.indexOf(unit)), y: marked.map((unit) => first[unit]) });
    RR.lineColour(plot, "response.mark", RR.css("ink"));
    plot.figure.x_range.setv({ start: -0.5, end: order.length - 0.5 });
    plot.figure.left[0].axis_label = units.gate ? "value of the gate" : "change of the state";
    const counts = RR.arrays["words.counts"], few = (word) => (counts[word] < RR.ENOUGH ? `, fewer than ${RR.ENOUGH}: read with care` : "");
    RR.title("response", `How the units answer to ${chosen.map((word) => RR.quoted(words.names[word])).join(", ")}${RR.atEpoch()}`);
    const gate = units.gate ? " · of a gate: its value" : "";
    const spread = !bands.length ? `${gate}; its spread would make this page too large` : response.late ? `${gate}; bands: 25–75 and 9–91% of the occurrences, darkest the 95% interval of the mean ${known ? `(${units.resamples ? `bootstrap over sequences, ${units.resamples} draws` : "over whole sequences, cluster-robust"})` : "is not known"}` : "";
    RR.note("response", `Mean over the occurrences (${chosen.map((word) => `n = ${counts[word].toLocaleString("en")}${few(word)}`).join("; ")})${spread}${order.length > centre.length ? ` · ${Math.ceil(order.length / centre.length)} neighbouring units share a column, from the lowest to the highest` : ""}${here ? ` · dashed: this occurrence of ${RR.quoted(words.names[here.word])}, at the marked step` : RR.selection.words.length ? "" : ` · shown: the ${RR.noun()} that moves the state most`}`);
  };
  RR.plot("response", (plot) => {
    draw(plot);
    RR.on(["words", "state", "units", "epoch", "lens", "step", "sequence", "theme"], () => draw(plot));
    plot.figure.on_event("tap", (event) => {
      const unit = ordered(chosenWords(once())[0])[Math.round(event.x)];
      if (unit !== undefined) RR.chooseUnit(unit);
    });
  });
});

RR.views.push(function unitDetail() {
  const { words } = RR.description, counts = RR.arrays["words.counts"];
  if (!RR.description.units.length) return;
  const loudest = () => {
    const response = RR.unitsOf().array("response"), [count, units] = response.shape;
    let best = 0, most = -1;
    for (let unit = 0; unit < units; unit++) {
      let high = 0;
      for (let word = 0; word < count; word++) high = Math.max(high, Math.abs(response[word * units + unit]) || 0);
      if (high > most) { most = high; best = unit; }
    }
    return best;
  };
  const TEXT = 10; // strongest words listed as text
  let rows = [];
  const draw = (plot) => {
    const units = RR.unitsOf(), response = units.array("response"), bands = units.array("bands"), [count, width] = response.shape;
    const picked = RR.selection.units.length ? RR.selection.units : [loudest()];
    const seen = [...Array(count).keys()].filter((word) => Number.isFinite(response[word * width]));
    const often = seen.filter((word) => counts[word] >= RR.ENOUGH), eligible = often.length >= 4 ? often : seen;
    rows = [];
    const lists = [];
    picked.forEach((unit, turn) => {
      const value = (word) => response[word * width + unit], order = [...eligible].sort((a, b) => value(a) - value(b));
      const shown = order.length > 8 ? [...order.slice(0, 4), ...order.slice(-4)] : order;
      if (turn) rows.push(null); // an empty row between two units
      rows.push(...shown.map((word) => ({ word, unit, mean: value(word), first: word === shown.at(-1) && picked.length > 1 })));
      const top = [...eligible].sort((a, b) => Math.abs(value(b)) - Math.abs(value(a))).slice(0, TEXT);
      lists.push(RR.el("p", { class: "strongest" }, RR.el("b", {}, `Unit ${unit}`), `, largest responses: ${top.map((word) => `${RR.visible(words.names[word])}\u00a0${RR.signed(value(word))}`).join(", ")}`));
    });
    const drawn = rows.map((row, y) => row && { ...row, y }).filter(Boolean), column = (band) => drawn.map(({ word, unit, mean }) => mean + (bands.length ? RR.row(bands, band, word)[unit] : 0));
    plot.fill("boxes", { y: drawn.map(({ y }) => y), outer_low: column(0), low: column(1), high: column(2), outer_high: column(3), mean: drawn.map(({ mean }) => mean), color: drawn.map(({ mean }) => RR.css(mean < 0 ? "down" : "up")) });
    const axis = plot.find("boxes.words");
    axis.major_label_overrides = new Map(drawn.map(({ word, unit, first, y }) => [y, `${first ? `unit ${unit}: ` : ""}${RR.visible(words.names[word]).slice(0, 16)} (${counts[word]})`]));
    plot.figure.below[0].axis_label = units.gate ? "value of the gate" : "change of the unit's state";
    axis.ticker.ticks = drawn.map(({ y }) => y);
    plot.figure.y_range.setv({ start: -0.6, end: rows.length - 0.4 });
    plot.figure.height = rows.length > 9 ? 440 : 250;
    RR.byId("strongest").replaceChildren(...lists);
    RR.title("boxes", `The ${RR.noun()}s unit${picked.length > 1 ? "s" : ""} ${picked.join(" and ")} answer${picked.length > 1 ? "" : "s"} to`);
    RR.note("boxes", `Number of occurrences in brackets${often.length >= 4 ? `, at least ${RR.ENOUGH}` : ", too few of them are frequent"} · the ${RR.noun()} explains ${picked.map((unit) => RR.percent(units.array("explained")[unit])).join(" and ")} of the changes${RR.selection.units.length ? "" : " · shown: the unit with the largest response"}`);
  };
  RR.plot("boxes", (plot) => {
    draw(plot);
    RR.on(["units", "state", "theme"], () => draw(plot));
    plot.figure.on_event("tap", (event) => { const row = rows[Math.round(event.y)]; if (row) RR.chooseWord(row.word); });
  });
});
