"use strict";
// Class heat map and bars of the selected sequence; clicking a column selects its step.
RR.views.push(function stepFigures() {
  const reading = RR.reading;
  if (!reading) return;
  const current = () => RR.selection.sequence ?? 0;
  const labels = (q) => new Map(Array.from({ length: reading.lengths[q] }, (_, t) => [t, reading.features ? String(t + 1) : RR.visible(reading.token(reading.starts[q] + t)).slice(0, 12)]));
  const frame = (plot, name, q) => {
    const count = reading.lengths[q], axis = plot.find(`${name}.steps`);
    plot.figure.x_range.setv({ start: -0.5, end: count - 0.5 });
    const every = Math.ceil(count / Math.max(4, Math.floor(plot.place.clientWidth / (reading.features ? 22 : 30))));
    axis.ticker.setv({ ticks: Array.from({ length: count }, (_, t) => t).filter((t) => t % every === 0) });
    axis.setv({ major_label_overrides: labels(q), major_label_orientation: reading.features || reading.characters ? 0 : 0.9 });
  };
  const link = (plot, source, places) => {
    RR.touch(plot, source, {
      click: ([index]) => RR.chooseStep(current(), places(index)),
      over: ([index]) => {
        const p = index === undefined ? -1 : reading.starts[current()] + places(index);
        RR.point(p);
        RR.tip(p < 0 ? null : RR.stepTip(p));
      },
    });
  };
  // The selected step and the pointed one, in this sequence.
  const marks = () => {
    const q = current(), found = [];
    if (RR.selection.step !== null) found.push([RR.selection.step, RR.css("ink")]);
    const t = RR.pointed - reading.starts[q];
    if (RR.pointed >= 0 && t >= 0 && t < reading.lengths[q] && t !== RR.selection.step) found.push([t, RR.css("muted")]);
    return found;
  };

  RR.plot("classes", (plot) => {
    const K = reading.classes;
    const draw = () => {
      const q = current(), data = { x: [], y: [], h: [], color: [] };
      for (let t = 0; t < reading.lengths[q]; t++) {
        const p = reading.starts[q] + t, found = reading.probabilities(p, RR.selection.epoch), winner = reading.winner(p, RR.selection.epoch);
        const add = (y, h, color) => { data.x.push(t); data.y.push(y); data.h.push(h); data.color.push(color); };
        add(0, 0.7, RR.classTint(winner, found[winner], K));
        for (let k = 0; k < K; k++) add(k + 1, 0.94, RR.mix(RR.css("faint"), RR.classColour(k), found[k]));
      }
      plot.fill("classes", data);
      frame(plot, "classes", q);
      mark();
    };
    const mark = () => { const found = marks(); plot.fill("classes.here", { x: found.map(([t]) => t), color: found.map(([, colour]) => colour) }); };
    draw();
    link(plot, "classes", (index) => Math.floor(index / (K + 1)));
    RR.on(["sequence", "epoch", "theme"], draw);
    RR.on(["step"], mark);
    RR.onPoint(mark);
  });

  const bars = (name, values, colour) => RR.plot(name, (plot) => {
    const draw = () => {
      const q = current(), data = { x: [], top: [], color: [] };
      for (let t = 0; t < reading.lengths[q]; t++) {
        const p = reading.starts[q] + t;
        data.x.push(t); data.top.push(Number.isFinite(values[p]) ? values[p] : 0); data.color.push(colour(p));
      }
      plot.fill(name, data);
      frame(plot, name, q);
      mark();
    };
    // A distance leads from its step to the next: both of its ends mark it.
    const mark = () => {
      const data = { x: [], top: [], color: [] }, q = current();
      for (const [t, ink] of marks()) {
        for (const at of name === "distance" ? [t - 1, t] : [t]) {
          const top = values[reading.starts[q] + at];
          if (at >= 0 && Number.isFinite(top)) { data.x.push(at); data.top.push(top); data.color.push(ink); }
        }
      }
      plot.fill(`${name}.here`, data);
    };
    draw();
    link(plot, name, (index) => index);
    RR.on(["sequence", "epoch", "theme"], draw);
    RR.on(["step"], mark);
    RR.onPoint(mark);
  });
  bars("distance", reading.array("distance"), (p) => RR.predictionTint(reading, p, RR.selection.epoch) ?? RR.css("muted"));
  if (reading.array("surprisal").length) bars("surprisal", reading.array("surprisal"), () => RR.css("third"));
});
