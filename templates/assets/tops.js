"use strict";
// What a language model expects next at each step of the selected sequence: the most probable tokens, best on top, in
// the colour of the surprisal of the token that came, which is framed where it is among them.
RR.views.push(function expectedTokens() {
  const reading = RR.reading;
  if (!reading?.array("surprisal").length) return;
  const { current, frame, link, marks, follow } = RR.steps;
  const tops = reading.array("top_tokens"), odds = reading.array("top_probabilities"), surprisal = reading.array("surprisal");
  const MARGINS = 100, LETTER = 6.2; // px: borders of the figure, a letter of its text
  // Rank of the token that came, -1 where it is not among the most probable ones.
  const rankOf = (p) => { const came = reading.next(p); return came === undefined ? -1 : Array.from(RR.row(tops, p)).findIndex((token) => reading.tokenNames[token] === came); };
  const mean = (low, high) => { const known = [...surprisal.subarray(low, high)].filter(Number.isFinite); return `${RR.number(RR.mean(known))} nats over ${known.length.toLocaleString("en")} steps`; };

  RR.plot("tops", (plot) => {
    const ranks = plot.figure.y_range.start + 0.5, row = (plot.figure.height - 16) / ranks;
    const draw = () => {
      const q = current(), count = reading.lengths[q], wide = (plot.place.clientWidth - MARGINS) / count;
      const upright = !reading.characters && wide < 34, room = Math.floor(((upright ? row - 8 : wide - 3) + 1) / LETTER);
      const cells = { x: [], y: [], color: [] }, bars = { x: [], y: [], right: [], top: [], color: [] }, came = { x: [], y: [] }, names = { x: [], y: [], text: [], color: [] };
      for (let t = 0; t < count; t++) {
        const p = reading.starts[q] + t, colour = reading.shows.tint(reading, p) ?? RR.css("rule"), ink = RR.inkOn(colour), arrived = rankOf(p);
        for (let rank = 0; rank < ranks; rank++) {
          const name = reading.tokenNames[RR.row(tops, p)[rank]] ?? "", share = RR.row(odds, p)[rank] || 0;
          cells.x.push(t); cells.y.push(rank); cells.color.push(colour);
          bars.x.push(t - 0.46); bars.right.push(t - 0.46 + 0.92 * share); bars.y.push(rank + 0.44); bars.top.push(rank + 0.44 - 4 / row); bars.color.push(ink);
          if (rank === arrived) { came.x.push(t); came.y.push(rank); }
          if (!name || wide < (reading.characters ? 9 : 14)) continue;
          const text = RR.visible(name);
          names.x.push(t); names.y.push(rank - 2 / row); names.color.push(ink); names.text.push(text.length > room ? `${text.slice(0, Math.max(1, room - 1))}…` : text);
        }
      }
      plot.find("tops.texts").glyph.setv({ angle: { value: upright ? Math.PI / 2 : 0 } });
      for (const [source, data] of [["tops", cells], ["tops.odds", bars], ["tops.came", came], ["tops.names", names]]) plot.fill(source, data);
      RR.lineColour(plot, "tops.arrived", RR.css("ink"));
      frame(plot, "tops");
      reading.shows.legend("tops-legend");
      RR.byId("surprisal-note").textContent = `mean of this sequence ${mean(reading.starts[q], reading.starts[q + 1])}; of all displayed ${mean(0, reading.starts[reading.shown])}`;
      mark();
    };
    const mark = () => { const found = marks(); plot.fill("tops.here", { x: found.map(([t]) => t), color: found.map(([, colour]) => colour) }); };
    const says = (index, p) => {
      const rank = index % ranks, name = reading.tokenNames[RR.row(tops, p)[rank]];
      return name === undefined ? [] : [`this cell: ${RR.quoted(name)} ${RR.percent(RR.row(odds, p)[rank])}${rank === rankOf(p) ? ", which came" : ""}`];
    };
    let known = 0, first = 0, among = 0;
    for (let p = 0; p < reading.starts[reading.shown]; p++) if (Number.isFinite(surprisal[p])) { const rank = rankOf(p); known++; first += rank === 0; among += rank >= 0; }
    RR.byId("tops-note").textContent = `coloured by the surprisal of the token that came; a frame: that token; the line below a token: its probability. The token that came was the most probable one at ${RR.percent(first / known)}, among these ${ranks} at ${RR.percent(among / known)} of ${known.toLocaleString("en")} displayed steps`;
    link(plot, "tops", (index) => Math.floor(index / ranks), undefined, says);
    follow(draw, mark);
  });
});
