"use strict";
// The map of units: coloured like the chips, or by cluster; a click selects the unit everywhere.
// Hues repeat after ten clusters: then the form of the mark tells them apart.
RR.MARKS = [["circle", ""], ["square", " ■"], ["triangle", " ▲"], ["diamond", " ◆"]];
RR.markOf = (label) => RR.MARKS[Math.floor(Math.max(0, label) / RR.classes.light.length) % RR.MARKS.length];
// The places as large as they fit in their proportions, the longer side across: a turned t-SNE is the same t-SNE.
RR.fitMap = function (xy, wide, tall) {
  const column = (side) => Array.from({ length: xy.length / 2 }, (_, i) => xy[2 * i + side]), span = (values) => RR.extent(values);
  let [x, y] = [column(0), column(1)], [[left, right], [low, high]] = [span(x), span(y)];
  if (high - low > right - left) { [x, y] = [y, x]; [left, right, low, high] = [low, high, left, right]; }
  const half = 0.6 * Math.max((right - left) / wide, (high - low) / tall) || 1, around = (a, b, size) => ({ start: (a + b) / 2 - half * size, end: (a + b) / 2 + half * size });
  return { x, y, across: around(left, right, wide), up: around(low, high, tall) };
};
// Names beside marks (in px, downwards) where nothing lies yet; a name without such a place is left to the pointer.
RR.placeNames = function (marks, names) {
  const SIDES = [[8, 0, "left"], [-8, 0, "right"], [0, -12, "center"], [0, 12, "center"], [7, -9, "left"], [-7, -9, "right"], [7, 9, "left"], [-7, 9, "right"]];
  const taken = marks.map(([x, y]) => [x - 6, y - 6, x + 6, y + 6]), free = (box) => !taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3]);
  return names.flatMap((at) => {
    const [x, y] = marks[at], wide = 6.5 * String(at).length;
    for (const [dx, dy, align] of SIDES) {
      const left = x + dx - { left: 0, center: wide / 2, right: wide }[align], box = [left, y + dy - 5, left + wide, y + dy + 5];
      if (free(box)) { taken.push(box); return [{ at, dx, dy, align }]; }
    }
    return [];
  });
};
RR.views.push(function unitMap() {
  const colouring = RR.byId("unitmap-colour");
  if (!colouring) return;
  const MOST_NAMES = 100, TALL = 350; // units whose numbers are written; height in px
  RR.plot("unitmap", (plot) => {
    const draw = () => {
      const units = RR.unitsOf(), xy = units.array("map"), { units: picked, cluster } = RR.selection, size = units.array("response").shape[1];
      const labels = RR.row(units.array("unitLabels"), RR.kPlace()), missing = !xy.length, { values, clip } = RR.unitValues();
      const scale = RR.signScale(clip), byCluster = colouring.value === "cluster", data = { x: [], y: [], color: [], alpha: [], marker: [] };
      const { x, y, across, up } = missing ? { x: [], y: [] } : RR.fitMap(xy, Math.max(200, plot.place.clientWidth), TALL);
      if (across) { plot.figure.x_range.setv(across); plot.figure.y_range.setv(up); }
      for (let unit = 0; unit < (missing ? 0 : size); unit++) {
        data.x.push(x[unit]);
        data.y.push(y[unit]);
        data.marker.push(byCluster ? RR.markOf(labels[unit])[0] : "circle");
        data.color.push(byCluster ? (labels[unit] < 0 ? RR.css("rule") : RR.classColour(labels[unit])) : scale(values?.[unit]));
        data.alpha.push(cluster === null || labels[unit] === cluster ? 0.95 : 0.15);
      }
      plot.fill("unitmap.points", data);
      const ringed = missing ? [] : picked, asked = [...new Set([...ringed, ...(size <= MOST_NAMES ? x.keys() : [])])];
      const px = across && plot.place.clientWidth / (across.end - across.start), named = RR.placeNames(x.map((at, unit) => [px * at, -px * y[unit]]), asked);
      plot.fill("unitmap.rings", { x: ringed.map((unit) => x[unit]), y: ringed.map((unit) => y[unit]) });
      plot.fill("unitmap.names", { x: named.map(({ at }) => x[at]), y: named.map(({ at }) => y[at]), text: named.map(({ at }) => String(at)), color: named.map(() => RR.css("muted")), ...Object.fromEntries(["dx", "dy", "align"].map((key) => [key, named.map((one) => one[key])])) });
      RR.lineColour(plot, "unitmap.ring", RR.css("ink"));
      RR.note("unitmap", missing ? `Not shown for ${RR.description.states[RR.selection.state]}: ${units.mapNote}` : `${RR.description.states[RR.selection.state]}: ${units.mapNote}`);
      const shown = [...new Set(labels)].filter((label) => label >= 0).sort((a, b) => a - b);
      RR.legend("unitmap-legend", byCluster ? shown.map((label) => ({ colour: RR.classColour(label), label: `cluster ${label + 1}${RR.markOf(label)[1]}` })) : [{ ramp: RR.signRamp(), low: RR.signed(-clip), high: RR.signed(clip) }]);
    };
    draw();
    colouring.addEventListener("change", draw);
    RR.touch(plot, "unitmap.points", { click: ([unit]) => RR.chooseUnit(unit), over: ([unit]) => RR.tip(unit === undefined ? null : RR.unitTip(unit)) });
    // What the clusters are coloured by does not change with a word or a step.
    const always = ["state", "mode", "k", "units", "cluster", "theme"];
    RR.on([...always, "words", "lens", "step", "sequence", "epoch"], (selection, now) => { if (colouring.value !== "cluster" || always.some((key) => now.has(key))) draw(); });
  });
});
