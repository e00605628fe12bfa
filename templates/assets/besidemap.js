"use strict";
// The states of two runs on the same axes; the selected sequence as a path, the pointed step marked, in both.
RR.views.push(function besideMap() {
  const found = RR.description.beside?.plane;
  if (!found) return;
  const { runs } = RR.description, readers = RR.runReaders(), [first] = readers;
  const rows = RR.arrays["plane.rows"], planes = RR.arrays.plane, placeOf = new Map();
  rows.forEach((p, place) => { if (p >= 0) placeOf.set(p, place); });
  const xy = (run, place) => { const at = 2 * (run * rows.length + place); return [planes[at], planes[at + 1]]; };
  const owner = Int32Array.from(rows, (p) => (p < 0 ? -1 : first.owner(p)));
  const answers = readers.map((reader) => first.ids.map((_, q) => reader.shows.answer(reader, q)));
  const judged = answers[0].some((answer) => answer !== null); // of language models no two answers are equal
  const differs = (q) => { const [left, right] = RR.sides(); return q >= 0 && answers[left][q] !== answers[right][q]; };

  const say = () => {
    const [left, right] = RR.sides(), run = Math.max(left, right), left_over = found.left[run];
    [left, right].forEach((side, place) => { RR.byId(`plane-name-${place}`).textContent = runs[side]; });
    const axes = found.explained.map((share) => RR.percent(share)).join(" and ");
    if (left_over !== null) RR.title("plane", `${RR.percent(left_over)} of the variance of the states of ${runs[run]} cannot be turned onto those of ${runs[0]}`);
    RR.note("plane", `${rows.length.toLocaleString("en")} states each · axes: ${axes} of the variance of ${runs[0]}`);
    first.shows.legend("plane-legend", first);
  };
  RR.on(["other", "swap", "theme", "output"], say);

  for (const side of [0, 1]) RR.plot(`plane-${side}`, (plot) => {
    const name = `plane-${side}`, run = () => RR.sides()[side];
    const draw = () => {
      const reader = readers[run()], { sequence, changed } = RR.selection, data = { x: [], y: [], color: [], alpha: [] };
      rows.forEach((p, place) => {
        const [x, y] = xy(run(), place), own = owner[place] === sequence;
        data.x.push(x);
        data.y.push(y);
        data.color.push((p >= 0 && reader.shows.tint(reader, p)) || RR.css("muted"));
        data.alpha.push(changed && judged && !differs(owner[place]) ? 0.05 : sequence === null || own ? 0.85 : 0.3);
      });
      plot.fill(`${name}.points`, data);
      const path = { x: [], y: [] }, rings = { x: [], y: [], color: [] };
      if (sequence !== null) {
        for (let p = first.starts[sequence]; p < first.starts[sequence + 1]; p++) {
          if (!placeOf.has(p)) continue;
          const [x, y] = xy(run(), placeOf.get(p));
          path.x.push(x);
          path.y.push(y);
          if (p === first.starts[sequence] || p === first.starts[sequence + 1] - 1) { rings.x.push(x); rings.y.push(y); rings.color.push(RR.css(p === first.starts[sequence] ? "muted" : "ink")); }
        }
      }
      plot.fill(`${name}.path`, path);
      plot.fill(`${name}.rings`, rings);
      RR.lineColour(plot, `${name}.line`, RR.css("ink"));
    };
    const here = () => {
      const place = placeOf.get(RR.pointed), at = place === undefined ? null : xy(run(), place);
      plot.fill(`${name}.here`, at ? { x: [at[0]], y: [at[1]], color: [RR.css("ink")] } : { x: [], y: [], color: [] });
    };
    RR.touch(plot, `${name}.points`, {
      click: ([place]) => { if (owner[place] >= 0) RR.set({ sequence: owner[place] }); },
      over: ([place]) => {
        const p = place === undefined ? -1 : rows[place], reader = readers[run()];
        RR.point(p);
        RR.tip(p < 0 ? null : [`${runs[run()]}: ${first.ids[owner[place]]}, step ${p - first.starts[owner[place]] + 1}`, ...(first.features ? [] : [RR.quoted(first.token(p))]), ...reader.shows.says(reader, p)]);
      },
    });
    draw();
    RR.on(["sequence", "other", "swap", "changed", "theme", "output"], draw);
    RR.onPoint(here);
  });
});
