"use strict";
// How the answers compare with what is right: cells of the confusion matrix and rows of labels list their sequences,
// points of the scatter lead to their step or sequence.
RR.views.push(function answers() {
  const reading = RR.reading;
  if (!reading) return;
  const epoch = () => RR.selection.epoch;

  for (const button of document.querySelectorAll("#confusion button")) {
    const actual = Number(button.dataset.actual), predicted = Number(button.dataset.predicted);
    const step = (p) => reading.target(p) === actual && reading.winner(p, epoch()) === predicted;
    const steps = (q) => Array.from({ length: reading.lengths[q] }, (_, t) => reading.starts[q] + t);
    const keep = (q) => (reading.array("labels").length ? reading.label(q) === actual && reading.predicted(q, epoch()) === predicted : steps(q).some(step));
    const text = `${reading.classNames[actual]} read as ${reading.classNames[predicted]}`;
    button.addEventListener("click", () => RR.listOnly({ keep, text }));
  }

  for (const button of document.querySelectorAll("#labels button")) {
    const k = Number(button.dataset.label), name = reading.classNames[k];
    const there = (q) => reading.there(q, k), given = (q) => reading.answer(q, k, epoch());
    const { keep, text } = {
      there: { keep: there, text: `have ${name}` },
      found: { keep: (q) => there(q) && given(q) >= 0.5, text: `${name} found` },
      missed: { keep: (q) => there(q) && given(q) < 0.5, text: `${name} missed` },
      extra: { keep: (q) => !there(q) && given(q) >= 0.5, text: `${name} named wrongly` },
    }[button.dataset.kind];
    button.addEventListener("click", () => { RR.set({ output: k }); RR.listOnly({ keep, text }); });
  }
});

RR.views.push(function agreement() {
  const reading = RR.reading;
  if (!reading) return;
  // The displayed items: steps, or sequences, each standing for its first step.
  const items = reading.perStep ? [...Array(reading.starts.at(-1)).keys()] : Array.from(reading.starts.slice(0, -1));
  const itemOf = (p) => (reading.perStep ? p : reading.starts[reading.owner(p)]);
  const k = () => RR.selection.output;
  const predicted = (p) => (reading.perStep ? reading.outputs(p, RR.selection.epoch)?.[k()] ?? NaN : reading.answer(reading.owner(p), k(), RR.selection.epoch));
  const point = (p) => [reading.truth(p, k()), predicted(p)];
  const known = ([x, y]) => Number.isFinite(x) && Number.isFinite(y);

  RR.plot("agreement", (plot) => {
    const truth = RR.arrays["scored.truth"], output = RR.arrays["scored.output"];
    const MANY = 600; // beyond this points are drawn smaller and paler, to show where they lie densely
    let drawn = [];
    const draw = () => {
      drawn = items.filter((p) => known(point(p)));
      const here = drawn.map(point), rest = [], many = drawn.length > MANY;
      // The others were scored at the last epoch only.
      if (!reading.all && reading.isLast(RR.selection.epoch)) for (let i = k(); i < truth.length; i += reading.classes) if (known([truth[i], output[i]])) rest.push([truth[i], output[i]]);
      const [low, high] = RR.extent([...here, ...rest].flat()), room = 0.05 * (high - low || 1);
      for (const range of [plot.figure.x_range, plot.figure.y_range]) range.setv({ start: low - room, end: high + room });
      plot.fill("agreement.rest", { x: rest.map(([x]) => x), y: rest.map(([, y]) => y) });
      plot.fill("agreement.points", { x: here.map(([x]) => x), y: here.map(([, y]) => y), color: here.map(() => RR.css("second")), size: here.map(() => (many ? 4 : 7)), alpha: here.map(() => (many ? 0.4 : 0.75)) });
      RR.lineColour(plot, "agreement.pale", RR.css("muted"));
      const what = reading.perStep ? "steps" : "sequences";
      RR.note("agreement", `${reading.classNames[k()]} · ${drawn.length.toLocaleString("en")} displayed ${what} with a target and a prediction`);
      RR.legend("agreement-legend", [{ colour: RR.css("second"), label: `displayed ${what}` }, ...(rest.length ? [{ colour: RR.css("muted"), label: `${rest.length.toLocaleString("en")} of the probe set, evenly spaced` }] : []), { line: "dashed", colour: RR.css("ink"), label: "prediction = target" }]);
      const diagonal = plot.find("agreement.diagonal");
      diagonal.setv({ line_color: RR.css("ink"), line_dash: [5, 4] });
      mark();
    };
    const mark = () => {
      const { sequence, step } = RR.selection, found = [];
      if (sequence !== null && !(reading.perStep && step === null)) found.push([itemOf(reading.starts[sequence] + (step ?? 0)), "ink"]);
      if (RR.pointed >= 0) found.push([itemOf(RR.pointed), "muted"]);
      const shown = found.map(([p, colour]) => [...point(p), RR.css(colour)]).filter(known);
      plot.fill("agreement.here", { x: shown.map(([x]) => x), y: shown.map(([, y]) => y), color: shown.map(([, , colour]) => colour) });
    };
    RR.touch(plot, "agreement.points", {
      click: ([index]) => { const p = drawn[index], q = reading.owner(p); if (reading.perStep) RR.chooseStep(q, p - reading.starts[q]); else RR.chooseSequence(q); },
      over: ([index]) => {
        const p = drawn[index];
        RR.point(p === undefined ? -1 : p);
        RR.tip(p === undefined ? null : reading.perStep ? RR.stepTip(p) : [reading.ids[reading.owner(p)], ...reading.shows.facts(reading, reading.owner(p), RR.selection.epoch)]);
      },
    });
    draw();
    RR.on(["epoch", "output", "theme"], draw);
    RR.on(["sequence", "step"], mark);
    RR.onPoint(mark);
  });
});
