"use strict";
// The figures of the selected sequence over its steps; clicking a column selects its step.
RR.steps = {
  current: () => RR.selection.sequence ?? RR.reading.first,
  label: (p) => (RR.reading.features ? String(p - RR.reading.starts[RR.reading.owner(p)] + 1) : RR.visible(RR.reading.token(p)).slice(0, 12)),
  // Steps along the x-axis, with as many names as there is room for.
  frame(plot, name) {
    const reading = RR.reading, q = RR.steps.current(), count = reading.lengths[q], axis = plot.find(`${name}.steps`);
    plot.figure.x_range.setv({ start: -0.5, end: count - 0.5 });
    const steps = Array.from({ length: count }, (_, t) => t), width = reading.features ? 12 + 7 * String(count).length : 30;
    const least = count / Math.max(4, Math.floor(plot.place.clientWidth / width)), round = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((size) => size >= least) ?? least;
    const named = reading.features ? (t) => (t + 1) % round === 0 || (t === 0 && round >= 5) : (t) => t % Math.ceil(least) === 0;
    axis.ticker.setv({ ticks: steps.filter(named) });
    axis.setv({ major_label_overrides: new Map(steps.map((t) => [t, RR.steps.label(reading.starts[q] + t)])), major_label_orientation: reading.features || reading.characters ? 0 : 0.9 });
  },
  // `places(index)`: the step of a mark; `also(index)`: what else a click on it chooses; `says(index, p)`: lines of the
  // tooltip about the mark itself.
  link(plot, source, places, also = () => {}, says = () => []) {
    RR.touch(plot, source, {
      click: ([index]) => { RR.chooseStep(RR.steps.current(), places(index)); also(index); },
      over: ([index]) => {
        const p = index === undefined ? -1 : RR.reading.starts[RR.steps.current()] + places(index);
        RR.point(p);
        RR.tip(p < 0 ? null : [...RR.stepTip(p), ...says(index, p)]);
      },
    });
  },
  // The selected step and the pointed one, in this sequence, each with its colour.
  marks() {
    const reading = RR.reading, q = RR.steps.current(), found = [];
    if (RR.selection.step !== null) found.push([RR.selection.step, RR.css("ink")]);
    const t = RR.pointed - reading.starts[q];
    if (RR.pointed >= 0 && t >= 0 && t < reading.lengths[q] && t !== RR.selection.step) found.push([t, RR.css("muted")]);
    return found;
  },
  // Draws now, and again when what is drawn or marked changes.
  follow(draw, mark) {
    draw();
    RR.on(["sequence", "epoch", "output", "theme"], draw);
    RR.on(["step"], mark);
    RR.onPoint(mark);
  },
};

RR.views.push(function stepFigures() {
  const reading = RR.reading, { current, frame, link, marks, follow } = RR.steps;
  if (!reading) return;

  // Classes have a strip for the winner, tags a frame on the true one where it was missed; labels have a dot where they are named, and ✓ where they are there.
  RR.plot("classes", (plot) => {
    const K = reading.classes, strip = Number(reading.kind === "classes"), axis = plot.find("classes.names"), rows = axis.ticker.ticks.length;
    let listed = [];
    // Of many classes those that the sequence has or that are most probable at any of its steps, in their order.
    const choose = (q) => {
      const all = Array.from({ length: K }, (_, k) => k), height = new Array(K).fill(0);
      if (K + strip === rows) return all;
      for (let p = reading.starts[q]; p < reading.starts[q + 1]; p++) {
        const found = reading.outputs(p, RR.selection.epoch);
        if (found) for (const k of all) height[k] = Math.max(height[k], found[k]);
        if (reading.target(p) >= 0) height[reading.target(p)] = 2;
      }
      if (reading.label(q) >= 0) height[reading.label(q)] = 2;
      if (!strip) for (const k of all) if (reading.there(q, k)) height[k] = 2;
      return all.sort((a, b) => height[b] - height[a] || a - b).slice(0, rows - strip).sort((a, b) => a - b);
    };
    const draw = () => {
      const q = current(), data = { x: [], y: [], h: [], color: [] }, named = { x: [], y: [], color: [] }, missed = { x: [], y: [] };
      listed = choose(q);
      for (let t = 0; t < reading.lengths[q]; t++) {
        const p = reading.starts[q] + t, found = reading.outputs(p, RR.selection.epoch);
        const add = (y, h, color) => { data.x.push(t); data.y.push(y); data.h.push(h); data.color.push(color); };
        if (strip) add(0, 0.7, reading.shows.tint(reading, p, RR.selection.epoch) ?? RR.css("rule"));
        if (reading.missed(p, RR.selection.epoch)) { missed.x.push(t); missed.y.push(listed.indexOf(reading.target(p)) + strip); }
        listed.forEach((k, row) => {
          const colour = found ? RR.mix(RR.css("faint"), RR.classColour(k), found[k]) : RR.css("rule");
          add(row + strip, 0.94, colour);
          if (!strip && found && found[k] >= 0.5) { named.x.push(t); named.y.push(row); named.color.push(RR.inkOn(colour)); }
        });
      }
      plot.fill("classes", data);
      plot.fill("classes.named", named);
      plot.fill("classes.missed", missed);
      RR.lineColour(plot, "classes.errors", RR.css("fail"));
      const label = (k) => { const name = reading.classNames[k], there = !strip && reading.there(q, k) ? " ✓" : ""; return `${name.length > 14 - there.length ? `${name.slice(0, 13 - there.length)}…` : name}${there}`; };
      axis.major_label_overrides = new Map([...(strip ? [[0, "winner"]] : []), ...listed.map((k, row) => [row + strip, label(k)])]);
      frame(plot, "classes");
      mark();
    };
    const mark = () => { const found = marks(); plot.fill("classes.here", { x: found.map(([t]) => t), color: found.map(([, colour]) => colour) }); };
    const says = (index, p) => {
      const k = listed[index % rows - strip], found = reading.outputs(p, RR.selection.epoch);
      return k !== undefined && found ? [`this cell: ${reading.classNames[k]} ${RR.percent(found[k])}`] : [];
    };
    link(plot, "classes", (index) => Math.floor(index / rows), (index) => { if (!strip) RR.set({ output: listed[index % rows] }); }, says);
    follow(draw, mark);
  });

  const bars = (name, values, colour) => RR.plot(name, (plot) => {
    const draw = () => {
      const q = current(), data = { x: [], top: [], color: [] };
      for (let t = 0; t < reading.lengths[q]; t++) {
        const p = reading.starts[q] + t;
        data.x.push(t); data.top.push(values[p]); data.color.push(colour(p));
      }
      plot.fill(name, data);
      frame(plot, name);
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
    link(plot, name, (index) => index);
    follow(draw, mark);
    if (name === "distance") RR.thresholdLine(plot, reading);
  });
  const colour = (p) => RR.textTint(reading, p, RR.selection.epoch) ?? RR.css("muted");
  bars("distance", reading.array("distance"), colour);
  if (reading.array("surprisal").length) bars("surprisal", reading.array("surprisal"), colour);
});
