"use strict";
// Curves over epochs: coloured and labelled at their ends; in a report the cursor is the selected epoch.
RR.curveColour = (place) => RR.css(["ink", "second", "third", "muted"][place % 4]);

// `epochs`: the selectable ones ([]: none); `shift`: place of the first curve's colour.
RR.curve = function (name, epochs, shift = 0) {
  RR.plot(name, (plot) => {
    const cursor = plot.find(`${name}.cursor`);
    const count = (() => { let place = 0; while (plot.find(`${name}.line-${place}`)) place++; return place; })();
    const draw = () => {
      if (epochs.length) cursor.location = epochs[RR.selection.epoch];
      cursor.visible = epochs.length > 1;
      for (let place = 0; place < count; place++) {
        for (const part of ["line", "dot", "label"]) RR.lineColour(plot, `${name}.${part}-${place}`, RR.curveColour(place + shift));
      }
    };
    RR.spreadLabels(plot, Array.from({ length: count }, (_, place) => plot.find(`${name}.label-${place}`)));
    draw();
    RR.on(["epoch", "theme"], draw);
    if (!epochs.length) return;
    plot.figure.on_event("tap", (event) => {
      let nearest = 0;
      epochs.forEach((epoch, place) => { if (Math.abs(epoch - event.x) < Math.abs(epochs[nearest] - event.x)) nearest = place; });
      RR.set({ epoch: nearest });
    });
  });
};

// Room at the right for the labels, and at least a line's height between them.
RR.spreadLabels = function (plot, labels) {
  const { x_range: across, y_range: up } = plot.figure, LINE = 13, TALL = 165;
  const longest = Math.max(0, ...labels.map((label) => label.text.length)) * 6.4 + 14;
  const inner = Math.max(80, plot.place.clientWidth - 70);
  across.end = across.start + (across.end - across.start) * inner / Math.max(60, inner - longest);
  const height = (label) => ((label.y - up.start) / (up.end - up.start || 1)) * TALL;
  const ordered = [...labels].sort((a, b) => height(a) - height(b));
  let last = -Infinity;
  const places = ordered.map((label) => (last = Math.max(height(label), last + LINE)));
  const excess = Math.max(0, last - (TALL - 8));
  ordered.forEach((label, place) => { label.y_offset = places[place] - height(label) - excess; });
};
