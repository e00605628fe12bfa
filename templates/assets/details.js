"use strict";
// Detail of words over all units, and of units over words.
RR.views.push(function wordDetail() {
  const { words } = RR.description;
  if (!RR.description.units.length) return;
  const COLOURS = ["ink", "second", "third"];
  const draw = (plot) => {
    const bands = RR.unitsOf().array("bands"), response = RR.response();
    const chosen = RR.selection.words.length ? RR.selection.words : [RR.strongestWord()];
    const first = RR.row(response, chosen[0]), order = [...first.keys()].sort((a, b) => first[a] - first[b]);
    const xs = order.map((_, rank) => rank);
    for (let place = 0; place < 3; place++) {
      const word = chosen[place], colour = RR.css(COLOURS[place]);
      const banded = word !== undefined && response.late; // the spread is kept for the last epoch alone
      const pickBand = (band) => (!banded ? [] : order.map((unit) => RR.row(bands, band, word)[unit]));
      plot.fill(`response.band-${place}`, { x: banded ? xs : [], outer_low: pickBand(0), low: pickBand(1), high: pickBand(2), outer_high: pickBand(3) });
      plot.fill(`response.line-${place}`, { x: word === undefined ? [] : xs, y: word === undefined ? [] : order.map((unit) => RR.row(response, word)[unit]) });
      for (const part of [`response.curve-${place}`, `response.area-low-${place}`, `response.area-outer_low-${place}`]) RR.lineColour(plot, part, colour);
    }
    const marked = RR.selection.units;
    plot.fill("response.unit", { x: marked.map((unit) => order.indexOf(unit)), y: marked.map((unit) => first[unit]) });
    RR.lineColour(plot, "response.mark", RR.css("ink"));
    const span = plot.figure.x_range;
    span.setv({ start: -0.5, end: order.length - 0.5 });
    RR.title("response", `How the units answer to ${chosen.map((word) => RR.quoted(words.names[word])).join(", ")}${RR.atEpoch()}`);
    RR.note("response", `Mean over the occurrences (${chosen.map((word) => `n = ${RR.arrays["words.counts"][word].toLocaleString("en")}${RR.arrays["words.counts"][word] < RR.ENOUGH ? ", few" : ""}`).join("; ")})${response.late ? "; bands: 25–75 and 9–91%" : ""}${RR.selection.words.length ? "" : ` · shown: the ${RR.noun()} that moves the state most`}`);
  };
  RR.plot("response", (plot) => {
    draw(plot);
    RR.on(["words", "state", "units", "epoch", "theme"], () => draw(plot));
    plot.figure.on_event("tap", (event) => {
      const chosen = RR.selection.words.length ? RR.selection.words : [RR.strongestWord()];
      const first = RR.row(RR.response(), chosen[0]);
      const order = [...first.keys()].sort((a, b) => first[a] - first[b]), unit = order[Math.round(event.x)];
      if (unit !== undefined) RR.chooseUnit(unit);
    });
  });
});

RR.views.push(function unitDetail() {
  const { words } = RR.description;
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
  let shown = [];
  const draw = (plot) => {
    const units = RR.unitsOf(), response = units.array("response"), bands = units.array("bands"), [count, width] = response.shape;
    const unit = RR.selection.units.at(-1) ?? loudest();
    const value = (word) => response[word * width + unit];
    const seen = [...Array(count).keys()].filter((word) => Number.isFinite(value(word)));
    const often = seen.filter((word) => RR.arrays["words.counts"][word] >= RR.ENOUGH);
    const order = (often.length >= 4 ? often : seen).sort((a, b) => value(a) - value(b));
    shown = order.length > 8 ? [...order.slice(0, 4), ...order.slice(-4)] : order;
    const column = (band) => shown.map((word) => RR.row(bands, band, word)[unit]);
    plot.fill("boxes", { y: shown.map((_, place) => place), outer_low: column(0), low: column(1), high: column(2), outer_high: column(3), mean: shown.map(value), color: shown.map((word) => RR.css(value(word) < 0 ? "down" : "up")) });
    const labels = new Map(shown.map((word, place) => [place, `${RR.visible(words.names[word]).slice(0, 16)} (${RR.arrays["words.counts"][word]})`]));
    plot.find("boxes.words").setv({ major_label_overrides: labels });
    plot.figure.y_range.setv({ start: -0.6, end: shown.length - 0.4 });
    RR.title("boxes", `The ${RR.noun()}s unit ${unit} answers to`);
    RR.note("boxes", `Number of occurrences in brackets${often.length >= 4 ? `, at least ${RR.ENOUGH}` : ""} · the ${RR.noun()} explains ${RR.percent(units.array("explained")[unit])} of its changes${RR.selection.units.length ? "" : " · shown: the unit with the largest response"}`);
  };
  RR.plot("boxes", (plot) => {
    draw(plot);
    RR.on(["units", "state", "theme"], () => draw(plot));
    plot.figure.on_event("tap", (event) => { const word = shown[Math.round(event.y)]; if (word !== undefined) RR.chooseWord(word); });
  });
});
