"use strict";
// The selected sequence as lines: the channels of its input, and the chosen quantity with its target.
RR.views.push(function series() {
  const reading = RR.reading;
  if (!reading) return;
  const { current, frame, link, marks, follow } = RR.steps;
  const steps = () => Array.from({ length: reading.lengths[current()] }, (_, t) => t);

  // Each channel fills its row from its lowest to its highest value over all displayed sequences.
  RR.plot("channels", (plot) => {
    const D = reading.features, values = reading.array("values");
    const extents = Array.from({ length: D }, (_, d) => RR.extent(values.filter((value, i) => i % D === d && Number.isFinite(value))));
    const level = (p, d) => d + 0.42 - 0.84 * (values[p * D + d] - extents[d][0]) / (extents[d][1] - extents[d][0] || 1);
    const draw = () => {
      const start = reading.starts[current()], x = steps(), rows = extents.map((_, d) => x.map((t) => level(start + t, d)));
      plot.fill("channels", { xs: rows.map(() => x), ys: rows });
      plot.fill("channels.columns", { x, top: x.map(() => -0.6), bottom: x.map(() => D - 0.4) });
      RR.lineColour(plot, "channels.lines", RR.css("ink"));
      frame(plot, "channels");
      mark();
    };
    const mark = () => { const found = marks(); plot.fill("channels.here", { x: found.map(([t]) => t), color: found.map(([, colour]) => colour) }); };
    link(plot, "channels.columns", (index) => index);
    follow(draw, mark);
  });

  RR.plot("quantity", (plot) => {
    const MOST_DOTS = 60;
    const lone = (values, t) => Number.isFinite(values[t]) && !Number.isFinite(values[t - 1]) && !Number.isFinite(values[t + 1]);
    const points = (places, values) => ({ x: places, y: places.map((t) => values[t]) });
    const at = (t) => reading.starts[current()] + t;
    const expected = (t) => reading.outputs(at(t), RR.selection.epoch)?.[RR.selection.output] ?? NaN;
    const target = (t) => reading.truth(at(t), RR.selection.output);
    const draw = () => {
      const x = steps(), k = RR.selection.output, found = x.map(expected), targets = x.map(target);
      const wrong = x.filter((t) => Number.isFinite(found[t]) && Number.isFinite(targets[t]));
      const [low, high] = RR.extent([...reading.extentOf(k), ...found.filter(Number.isFinite)]), room = 0.06 * (high - low || 1);
      plot.figure.y_range.setv({ start: low - room, end: high + room });
      plot.fill("quantity.error", { x: wrong, y: wrong.map((t) => targets[t]), top: wrong.map((t) => found[t]) });
      plot.fill("quantity.target", { x, y: targets });
      plot.fill("quantity.lone", points(x.filter((t) => lone(targets, t)), targets));
      plot.fill("quantity", { x, y: found });
      plot.fill("quantity.dot", points(x.filter((t) => (x.length <= MOST_DOTS || lone(found, t)) && Number.isFinite(found[t])), found));
      plot.fill("quantity.columns", { x, top: x.map(() => high + room), bottom: x.map(() => low - room) });
      for (const [name, colour] of [["line", "second"], ["dots", "second"], ["targets", "ink"], ["aims", "ink"], ["errors", "fail"]]) RR.lineColour(plot, `quantity.${name}`, RR.css(colour));
      RR.byId("quantity-name").textContent = reading.classNames[k];
      const keys = [{ line: "solid", colour: RR.css("second"), label: reading.perStep ? "predicted" : "expected" }, { line: "dashed", colour: RR.css("ink"), label: "target" }, { colour: RR.css("fail"), label: "error" }];
      RR.legend("quantity-legend", keys);
      if (reading.without(current())) RR.byId("quantity-legend").append(reading.without(current()));
      frame(plot, "quantity");
      mark();
    };
    const mark = () => {
      const found = marks().map(([t, colour]) => [t, Number.isFinite(expected(t)) ? expected(t) : target(t), colour]).filter(([, y]) => Number.isFinite(y));
      plot.fill("quantity.here", { x: found.map(([t]) => t), y: found.map(([, y]) => y), color: found.map(([, , colour]) => colour) });
    };
    link(plot, "quantity.columns", (index) => index);
    follow(draw, mark);
  });
});
