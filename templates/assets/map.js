"use strict";
// The map of states: colour by what is asked, the selected sequence as a path, the selected step and word marked.
RR.views.push(function stateMap() {
  const { map } = RR.description, reading = RR.reading;
  if (!map || !reading) return;
  const colouring = RR.byId("map-colour");
  // P displayed states, then those of sentences given by hand, which are not everywhere on the map.
  const P = reading.starts[reading.shown], all = reading.starts.at(-1), owners = Int32Array.from({ length: all }, (_, p) => reading.owner(p));
  const options = [...reading.shows.colourings(reading), {
    value: "time", name: "place in the sequence",
    colour: (p) => RR.orderColour((p - reading.starts[owners[p]]) / Math.max(1, reading.lengths[owners[p]] - 1)),
    legend: (id) => RR.legend(id, [{ ramp: RR.orderRamp(), low: "first step", high: "last" }]),
  }, {
    value: "unit", name: "selected unit",
    colour: (p) => { const units = RR.unitsOf(), unit = RR.selection.units.at(-1); return unit === undefined ? RR.css("muted") : RR.signColour(RR.stateAt(p)?.[unit], units.activationClip); },
    legend: (id) => {
      const units = RR.description.units.length ? RR.unitsOf() : null;
      RR.legend(id, RR.selection.units.length ? [{ ramp: RR.signRamp(), low: RR.signed(-units.activationClip), high: `${RR.signed(units.activationClip)} state of unit ${RR.selection.units.at(-1)}` }] : [{ colour: RR.css("muted"), label: "select a unit first" }]);
    },
  }];
  colouring.append(...options.map(({ value, name }) => RR.el("option", { value }, name)));
  if (RR.selection.lens === "unit") colouring.value = "unit";

  const MOST_LABELS = 400;
  const fades = ["right", "wrong"].map((kind) => [kind, RR.byId(`fade-${kind}`)]).filter(([, box]) => box);
  const ends = RR.byId("ends"), width = RR.byId("path-width");
  const faded = (q) => fades.some(([kind, box]) => box.checked && reading.shows.right(reading, q, RR.selection.epoch) === (kind === "right"));

  RR.sayTrust();
  RR.plot("map", (plot) => {
    const places = RR.mapPlaces(map, P, all - P, () => { place(); path(); });
    let xy = places.dots(), dots = {};
    const at = (p) => [xy[2 * p], xy[2 * p + 1]], there = (p) => Number.isFinite(xy[2 * p]);
    const place = () => {
      xy = places.dots();
      for (let p = 0; p < all; p++) [dots.x[p], dots.y[p]] = at(p);
      plot.fill("map.points", { ...dots });
      const hand = Array.from({ length: all - P }, (_, g) => P + g).filter(there);
      plot.fill("map.given", { x: hand.map((p) => at(p)[0]), y: hand.map((p) => at(p)[1]), color: hand.map(() => RR.css("ink")) });
    };
    const draw = () => {
      const { words, sequence, cluster, node } = RR.selection, machine = RR.description.machine && RR.arrays["machine.displayed"], steps = RR.arrays["words.steps"];
      const wordLabels = cluster === null ? null : RR.row(RR.unitsOf().array("wordLabels"), RR.kPlace());
      const { colour, legend } = options.find(({ value }) => value === colouring.value);
      let unknown = 0;
      const data = { x: new Float32Array(all), y: new Float32Array(all), color: [], alpha: new Float32Array(all) };
      const chosen = (p) => node !== null ? machine[p] === node : words.length ? words.includes(steps?.[p]) : wordLabels ? steps?.[p] >= 0 && wordLabels[steps[p]] === cluster : null;
      for (let p = 0; p < all; p++) {
        const shade = colour(p);
        unknown += shade === null && p < P;
        data.color.push(shade ?? RR.css("rule"));
        const picked = chosen(p);
        data.alpha[p] = (picked === null ? (sequence === null ? 0.8 : 0.22) : picked ? 0.95 : 0.08) * (faded(owners[p]) ? 0.15 : 1);
      }
      dots = data;
      places.dress(plot);
      place();
      legend("map-legend");
      if (unknown) RR.byId("map-legend").append(RR.legendKey({ colour: RR.css("rule"), label: `not known for ${unknown.toLocaleString("en")} states` }));
      const facts = [`${P.toLocaleString("en")} states of ${reading.shown} sequences, ${RR.description.states[0] ?? ""}`, ...places.says()];
      if (node !== null) facts.push(`in full colour: state ${RR.nodeLetter(node)} of the machine`);
      else if (words.length) { let n = 0; for (let p = 0; p < P; p++) if (chosen(p)) n++; facts.push(`in full colour: the ${n} states after ${words.map((word) => RR.quoted(RR.description.words.names[word])).join(", ")}`); }
      else if (wordLabels) facts.push(`in full colour: ${RR.noun()}s of cluster ${cluster + 1}`);
      if (sequence !== null && !there(reading.starts[sequence])) facts.push(`${reading.ids[sequence]} is not on this map`);
      if (RR.byId("map-fixed")?.checked && RR.description.fixed.placed.includes(Number(RR.byId("method").value))) facts.push(`large marks: where the state rests at ${RR.description.fixed.inputs[RR.fixedInput]} (●\u00a0stable, ○\u00a0saddle, ×\u00a0slow)`);
      RR.note("map", facts.join(" · "));
      path();
    };
    const path = () => {
      const { sequence } = RR.selection, q = sequence !== null && there(reading.starts[sequence]) ? sequence : null, data = { x0: [], y0: [], x1: [], y1: [], color: [], width: [] };
      const rings = { x: [], y: [], color: [] }, names = { x: [], y: [], text: [], color: [], dy: [], back: [] };
      const label = (p, text, colour = "ink") => { names.x.push(at(p)[0]); names.y.push(at(p)[1]); names.text.push(text); names.color.push(RR.css(colour)); names.dy.push(-6); names.back.push(RR.css("panel")); };
      const ring = (p, colour) => { rings.x.push(at(p)[0]); rings.y.push(at(p)[1]); rings.color.push(RR.css(colour)); };
      if (ends.checked) for (let s = 0; s < reading.shown; s++) { ring(reading.starts[s], "muted"); ring(reading.starts[s + 1] - 1, "ink"); }
      const asked = RR.labelled(reading, rules(), q === null ? 0 : reading.starts[q], q === null ? P : reading.starts[q + 1]);
      [...asked].slice(0, MOST_LABELS).forEach(([p, side]) => label(p, reading.features ? String(p - reading.starts[owners[p]] + 1) : RR.visible(reading.token(p)).slice(0, 18), side === "after" ? "second" : "third"));
      RR.byId("map-labelled").textContent = asked.size ? `${asked.size} labelled${asked.size > MOST_LABELS ? `, the first ${MOST_LABELS} shown` : ""}` : "";
      if (q !== null) {
        const first = reading.starts[q], last = reading.starts[q + 1] - 1;
        let jump = first;
        for (let p = first; p < last; p++) {
          const a = at(p), b = at(p + 1), share = (p - first) / Math.max(1, last - first - 1);
          data.x0.push(a[0]); data.y0.push(a[1]); data.x1.push(b[0]); data.y1.push(b[1]);
          data.color.push(RR.mix(RR.css("rule"), RR.css("ink"), 0.25 + 0.75 * share)); data.width.push({ time: 1.2 + 2.2 * share, distance: 0.8 + 6 * (reading.array("distance")[p] / reading.largestDistance), even: 2 }[width.value]);
          if (reading.array("distance")[p] > reading.array("distance")[jump]) jump = p;
        }
        if (!ends.checked) for (const [p, colour] of [[first, "muted"], [last, "ink"]]) ring(p, colour);
        label(first, reading.features ? "start" : `start: ${RR.visible(reading.token(first)).slice(0, 18)}`);
        if (last > first) label(last, reading.features ? "end" : `end: ${RR.visible(reading.token(last)).slice(0, 18)}`);
        if (!reading.features && jump + 1 < last && jump > first) label(jump + 1, RR.visible(reading.token(jump + 1)).slice(0, 18));
      }
      RR.stagger(names, plot.place.clientWidth / (plot.figure.x_range.end - plot.figure.x_range.start));
      plot.fill("map.path", data);
      plot.fill("map.rings", rings);
      fixed();
      plot.fill("map.labels", names);
      here();
    };
    // The points at which the state rests, of the input chosen where these are shown.
    const fixed = () => plot.fill("map.fixed", RR.fixedMarks(Number(RR.byId("method").value), RR.byId("map-view").value === "plane" && RR.byId("map-fixed")?.checked));
    const here = () => {
      const found = [];
      if (RR.selection.step !== null && RR.selection.sequence !== null) found.push(RR.stepIndex(RR.selection.sequence, RR.selection.step));
      if (RR.pointed >= 0 && !found.includes(RR.pointed)) found.push(RR.pointed);
      const drawn = found.filter(there);
      plot.fill("map.here", { x: drawn.map((p) => at(p)[0]), y: drawn.map((p) => at(p)[1]), color: drawn.map(() => RR.css("ink")) });
    };
    // One dot: its step. A dragged box: what lies in the region.
    const click = (indices) => {
      if (indices.length > 8) { region(indices); return; }
      const p = indices[0];
      RR.chooseStep(owners[p], p - reading.starts[owners[p]]);
    };
    const region = (indices) => RR.byId("region").replaceChildren(...RR.regionParts(reading, indices));
    const rules = RR.labelControls(RR.byId("map-labels"), reading, () => path());
    RR.byId("map-labels").append(RR.el("span", { id: "map-labelled", class: "note" }));
    [...fades.map(([, box]) => box), ends, width].forEach((control) => control.addEventListener("change", draw));
    for (const control of places.controls) control.addEventListener("change", draw);
    colouring.addEventListener("change", draw);
    RR.touch(plot, "map.points", { click, over: ([p]) => { RR.point(p ?? -1); RR.tip(p === undefined ? null : RR.stepTip(p)); } });
    RR.on(["words", "cluster", "node", "mode", "k", "epoch", "output", "theme", "units", "state", "lens"], (selection, now) => {
      if (now.has("units") && selection.lens === "unit") colouring.value = "unit";
      else if (colouring.value === "unit" && !selection.units.length) colouring.value = options[0].value;
      draw();
    });
    RR.on(["sequence"], draw);
    RR.fixedListeners.push(fixed);
    RR.byId("map-fixed")?.addEventListener("change", draw);
    RR.on(["step"], here);
    RR.onPoint(here);
    draw();
  });
});
