"use strict";
// How clusters of units read a sentence (Ming et al. 2017, section 5.3): a glyph per token, what is kept between two
// tokens, and what the marked token does to every cluster. Its sums are checked against tests/information.py.
RR.information = function (now, before, members) {
  const found = { positive: 0, negative: 0, gainedPositive: 0, gainedNegative: 0, kept: 0, size: 0 };
  for (const unit of members) {
    const h = now[unit], b = before ? before[unit] : 0;
    found.positive += Math.max(h, 0);
    found.negative += Math.min(h, 0);
    found.gainedPositive += Math.max(h, 0) - Math.max(b, 0);
    found.gainedNegative += Math.min(h, 0) - Math.min(b, 0);
    if (Math.sign(h) === Math.sign(b)) found.kept += Math.min(Math.abs(h), Math.abs(b));
    found.size += Math.abs(b);
  }
  found.keptRate = found.size ? found.kept / found.size : 0;
  return found;
};
// Parts of a bar, per unit: the bar from `low` to `high`; what was gained lies inside it, what was lost beyond its end.
RR.glyphParts = function (found, count) {
  const high = found.positive / count, low = found.negative / count, top = found.gainedPositive / count, bottom = found.gainedNegative / count;
  return { high, low, parts: [
    { from: top >= 0 ? high - top : high, to: top >= 0 ? high : high - top, way: top < 0 ? "down" : "up" },
    { from: bottom <= 0 ? low : low - bottom, to: bottom <= 0 ? low - bottom : low, way: bottom > 0 ? "up" : "down" },
  ].filter(({ from, to }) => to !== from) };
};

RR.views.push(function sentence() {
  const host = RR.byId("sentence"), reading = RR.reading;
  if (!host || !reading || !RR.description.units.length) return;
  const zoom = RR.byId("sentence-zoom"), from = RR.byId("sentence-from"), pin = RR.byId("sentence-pin");
  const MOST = 120, TALL = 84, HEAD = 40, LEAD = 34; // tokens drawn at once; heights and the left margin in px
  const readable = (q) => RR.stateAt(reading.starts[q]) !== undefined;
  const chosen = () => {
    const first = RR.selection.sequence ?? reading.ids.findIndex((_, q) => readable(q) && reading.lengths[q] > 1);
    return [...new Set([Math.max(0, first), ...RR.selection.pinned])];
  };
  const clusters = () => {
    const place = RR.kPlace(), labels = RR.row(RR.unitsOf().array("unitLabels"), place);
    return Array.from({ length: RR.unitsOf().ks[RR.kIndex()] }, (_, label) => ({ label, members: [...labels.keys()].filter((unit) => labels[unit] === label) })).filter(({ members }) => members.length);
  };
  const windowOf = (q) => {
    const start = q === chosen()[0] ? Math.min(Number(from.value), Math.max(0, reading.lengths[q] - MOST)) : 0;
    return { start, end: Math.min(reading.lengths[q], start + MOST) };
  };
  const measure = (q, groups) => {
    const { start, end } = windowOf(q), columns = [];
    for (let t = start; t < end; t++) {
      const p = reading.starts[q] + t, now = RR.stateAt(p), before = t ? RR.stateAt(p - 1) : null;
      columns.push({ t, p, bars: groups.map(({ members }) => RR.information(now, before, members)) });
    }
    return columns;
  };
  // One range for all sentences: the largest sum above or below zero, of this step or the one before, per unit.
  const range = (all, groups) => {
    let most = 0.1;
    for (const columns of all) for (const { bars } of columns) bars.forEach((bar, i) => {
      const count = groups[i].members.length;
      most = Math.max(most, bar.positive / count, (bar.positive - bar.gainedPositive) / count, -bar.negative / count, (bar.gainedNegative - bar.negative) / count);
    });
    return Math.ceil(11 * most) / 10;
  };

  function glyph(column, groups, x, wide, level, ink) {
    const bar = wide / groups.length, q = reading.owner(column.p), marked = RR.selection.step === column.t && RR.selection.sequence === q;
    const root = RR.svg("g", { class: `glyph${marked ? " here" : ""}`, "data-p": column.p, role: "button", tabindex: 0, "aria-label": `step ${column.t + 1}`, "aria-pressed": marked });
    root.append(RR.svg("rect", { x, y: HEAD, width: wide, height: TALL, class: "glyph-box" }), RR.svg("line", { x1: x, x2: x + wide, y1: level(0), y2: level(0), class: "glyph-zero" }));
    column.bars.forEach((found, i) => {
      const { high, low, parts } = RR.glyphParts(found, groups[i].members.length), left = x + i * bar + bar * 0.12, width = bar * 0.76;
      const box = (a, b, fill, opacity) => RR.svg("rect", { x: left, y: level(Math.max(a, b)), width, height: Math.max(0, Math.abs(level(a) - level(b))), fill, "fill-opacity": opacity });
      const faded = RR.selection.cluster !== null && RR.selection.cluster !== groups[i].label;
      const one = RR.svg("g", { "data-cluster": groups[i].label, opacity: faded ? 0.25 : 1 }, box(low, high, ink.muted, 0.4), ...parts.map(({ from: a, to: b, way }) => box(a, b, ink[way], 0.75)));
      for (const end of [high, low]) one.append(RR.svg("line", { x1: left, x2: left + width, y1: level(end), y2: level(end), stroke: ink.ink, "stroke-width": 1.2 }));
      root.append(one);
    });
    return root;
  }
  // Between two tokens, one ruler per cluster: filled from the top as far as was kept; a mark at its end.
  function rulers(column, groups, x, wide, ink) {
    const bar = wide / groups.length, root = RR.svg("g", { class: "rulers", "data-p": column.p });
    column.bars.forEach((found, i) => {
      const left = x + (i + 0.5) * bar, end = HEAD + found.keptRate * TALL, way = found.positive + found.negative < 0 ? ink.down : ink.up;
      root.append(RR.svg("line", { x1: left, x2: left, y1: HEAD, y2: HEAD + TALL, stroke: ink.rule, "stroke-width": 1.5 }), RR.svg("line", { x1: left, x2: left, y1: HEAD, y2: end, stroke: way, "stroke-width": 1.5 }),
        RR.svg("path", { d: `M${left - 2.4} ${end - 3}h4.8l-2.4 4z`, fill: way }));
    });
    return root;
  }
  const foreseen = (p) => { const [token] = reading.array("surprisal").length ? RR.row(reading.array("top_tokens"), p) : []; return token === undefined ? null : RR.visible(reading.tokenNames[token] ?? ""); };
  const expects = (p) => foreseen(p) ?? reading.shows.says(reading, p, RR.selection.epoch).find((line) => /^(expects|predicts) /.test(line))?.replace(/^\w+ |,.*$| \([^()]*\)$/g, "") ?? "";

  // From the marked glyph to a chip for each cluster: the mean change of its units at this step.
  function links(column, groups, x, wide, ink, total) {
    const top = HEAD + TALL + 26, chipTop = top + 56, gap = 58, width = gap * groups.length, first = Math.max(LEAD, Math.min(x + wide / 2 - width / 2, Math.max(LEAD, total - width)));
    const moves = column.bars.map((found, i) => (found.gainedPositive + found.gainedNegative) / groups[i].members.length);
    const largest = Math.max(...moves.map(Math.abs), 1e-9), root = RR.svg("g", { class: "glyph-links" });
    groups.forEach(({ label, members }, i) => {
      const to = first + gap * (i + 0.5), start = x + wide / 2, middle = (top + chipTop) / 2;
      root.append(RR.svg("path", { d: `M${start} ${top}C${start} ${middle} ${to} ${middle} ${to} ${chipTop}`, fill: "none", stroke: moves[i] < 0 ? ink.down : ink.up, "stroke-width": Math.max(0.6, 12 * Math.abs(moves[i]) / largest).toFixed(1), "stroke-opacity": 0.5 }));
      const on = RR.selection.cluster === label;
      const chip = RR.svg("g", { class: `glyph-chip${on ? " on" : ""}`, "data-cluster": label, role: "button", tabindex: 0, "aria-pressed": on, "aria-label": `cluster ${label + 1}, ${members.length} units, mean change ${RR.signed(moves[i])}` },
        RR.svg("rect", { x: to - gap / 2 + 3, y: chipTop, width: gap - 6, height: 34, rx: 4 }), text(`${label + 1}`, to, chipTop + 14, "middle"), text(RR.signed(moves[i]), to, chipTop + 28, "middle"));
      root.append(chip);
    });
    return root;
  }
  function text(content, x, y, anchor, kind = "") {
    const node = RR.svg("text", { x, y, "text-anchor": anchor, class: kind });
    node.textContent = content;
    return node;
  }
  // The token, and whether it is too rare to be among the analysed words; of a series the values and the step.
  function header({ p, t }, x, step) {
    if (reading.features) {
      const shape = RR.shape(RR.row(reading.array("values"), p), ...reading.extent, { width: 34, height: 16 });
      shape.setAttribute("x", x - 17);
      shape.setAttribute("y", 4);
      return [shape, text(String(t + 1), x, 34, "middle", "axis")];
    }
    const token = reading.token(p), rare = RR.arrays["words.steps"][p] < 0;
    return [text(short(RR.visible(token), step), x, 16, "middle", reading.unknown(p) || token === "<unk>" ? "unknown" : ""), text(rare ? "rare" : "", x, 30, "middle", "axis")];
  }
  const short = (content, width) => { const most = Math.max(2, Math.floor(width / 6.6)); return content.length > most ? `${content.slice(0, most - 1)}…` : content; };

  function strip(q, columns, groups, most, ink) {
    const natural = groups.length * (Math.max(4, Math.min(11, 90 / groups.length)) + 4.5), room = (host.clientWidth - LEAD) / columns.length;
    const step = Math.max(44, natural, Math.min(room, 1.8 * natural)) * Number(zoom.value), wide = 0.68 * step, gap = 0.32 * step;
    const level = (value) => HEAD + TALL / 2 - (value / most) * (TALL / 2);
    const marked = columns.findIndex(({ t }) => RR.selection.sequence === q && RR.selection.step === t);
    const total = LEAD + step * columns.length, height = HEAD + TALL + 24 + (marked < 0 ? 0 : 100);
    const root = RR.svg("svg", { width: Math.max(total, marked < 0 ? 0 : LEAD + 58 * groups.length), height, role: "group", "aria-label": `sequence ${reading.ids[q]}` });
    for (const end of [most, -most]) root.append(text(end.toFixed(1).replace("-", "−"), LEAD - 4, level(end) + (end > 0 ? 8 : 0), "end", "axis"));
    columns.forEach((column, i) => {
      const x = LEAD + i * step + gap / 2;
      if (i) root.append(rulers(column, groups, x - gap, gap, ink));
      root.append(...header(column, x + wide / 2, step));
      root.append(glyph(column, groups, x, wide, level, ink), text(short(expects(column.p), step), x + wide / 2, HEAD + TALL + 16, "middle", "axis"));
      if (i === marked) root.append(links(column, groups, x, wide, ink, total));
    });
    const box = RR.el("div", { class: "strip", tabindex: 0, role: "region", "aria-label": `Glyphs of ${reading.ids[q]}` });
    box.append(root);
    const { start, end } = windowOf(q), part = end - start < reading.lengths[q] ? `, steps ${start + 1} to ${end} of ${reading.lengths[q]}` : "";
    const head = RR.el("p", { class: "strip-head" }, RR.el("b", {}, reading.ids[q]), ` ${[...reading.shows.facts(reading, q, RR.selection.epoch)].join(" · ")}${part} `);
    if (RR.selection.pinned.includes(q)) head.append(RR.el("button", { type: "button", class: "link", onclick: () => RR.set({ pinned: RR.selection.pinned.filter((other) => other !== q) }) }, "let go"));
    return [head, box];
  }

  function draw() {
    const groups = clusters(), shown = chosen(), known = shown.filter(readable), scrolled = host.querySelector(".strip")?.scrollLeft ?? 0;
    const all = known.map((q) => measure(q, groups)), most = range(all, groups), ink = Object.fromEntries(["ink", "muted", "up", "down", "rule"].map((name) => [name, RR.css(name)]));
    const missing = shown.filter((q) => !readable(q)).map((q) => RR.el("p", { class: "note" }, `The states of ${reading.ids[q]} are not on this page: it carries those of ${reading.ids.filter((_, other) => readable(other)).length} of ${reading.ids.length} sequences.`));
    host.replaceChildren(...missing, ...(groups.length ? known.flatMap((q, i) => strip(q, all[i], groups, most, ink)) : [RR.el("p", { class: "note" }, "With this weighting and number of clusters no unit belongs to a cluster.")]));
    const first = host.querySelector(".strip");
    if (first) first.scrollLeft = scrolled;
    from.max = Math.max(0, reading.lengths[shown[0]] - MOST);
    from.parentElement.hidden = from.max === "0";
    pin.hidden = RR.selection.sequence === null || RR.selection.pinned.includes(RR.selection.sequence) || RR.selection.pinned.length > 1;
    RR.title("sentence", `How the clusters of units read ${reading.ids[shown[0]]}`);
    RR.note("sentence", `${RR.description.states[RR.selection.state]} · k = ${RR.unitsOf().ks[RR.kIndex()]}, the clusters above, left to right · ${RR.unitsOf().gate ? "mean of the gate’s values" : "mean per unit"}, the same scale in every glyph · last epoch · click a glyph`);
  }
  // What a glyph or a ruler says.
  const tip = (target) => {
    const p = Number(target.closest("[data-p]").dataset.p), q = reading.owner(p), at = Number(target.closest("[data-cluster]")?.dataset.cluster ?? -1), groups = clusters();
    const group = groups.find(({ label }) => label === at);
    if (!group) return RR.stepTip(p);
    const found = RR.information(RR.stateAt(p), p > reading.starts[q] ? RR.stateAt(p - 1) : null, group.members);
    return [`cluster ${at + 1}, ${group.members.length} unit${group.members.length === 1 ? "" : "s"}`, `above zero ${RR.number(found.positive)} (${RR.signedNumber(found.gainedPositive)}), below ${RR.number(found.negative)} (${RR.signedNumber(found.gainedNegative)})`, `keeps ${RR.percent(found.keptRate)} of the step before`];
  };
  const highlight = (label) => { for (const box of document.querySelectorAll("#clusters .chip")) box.classList.toggle("pointed", Number(box.dataset.label) === label); };
  host.addEventListener("pointerover", (event) => {
    const glyphNode = event.target.closest("[data-p]"), cluster = event.target.closest("[data-cluster]");
    highlight(cluster ? Number(cluster.dataset.cluster) : null);
    if (!glyphNode) return;
    RR.point(Number(glyphNode.dataset.p));
    RR.tip(tip(event.target));
  });
  host.addEventListener("pointerout", () => { RR.point(-1); RR.tip(null); highlight(null); });
  const act = (event) => {
    const chip = event.target.closest(".glyph-chip"), node = event.target.closest(".glyph");
    if (chip) { const label = Number(chip.dataset.cluster); RR.set({ cluster: RR.selection.cluster === label ? null : label }); return true; }
    if (!node) return false;
    const p = Number(node.dataset.p), q = reading.owner(p), step = p - reading.starts[q];
    if (RR.selection.sequence === q && RR.selection.step === step) RR.set({ step: null, lens: null });
    else RR.chooseStep(q, step);
    return true;
  };
  host.addEventListener("click", act);
  host.addEventListener("keydown", (event) => { if (["Enter", " "].includes(event.key) && act(event)) event.preventDefault(); });
  zoom.addEventListener("input", draw);
  from.addEventListener("input", draw);
  pin.addEventListener("click", () => RR.set({ pinned: [...RR.selection.pinned, RR.selection.sequence] }));
  const refresh = RR.whileSeen(host, draw);
  RR.on(["sequence", "step", "pinned", "cluster", "state", "mode", "k", "epoch", "output", "theme"], (selection, now) => {
    if (now.has("step") && selection.step !== null && reading.lengths[selection.sequence] > MOST) {
      const { start, end } = windowOf(selection.sequence);
      if (selection.step < start || selection.step >= end) { from.max = reading.lengths[selection.sequence] - MOST; from.value = selection.step - MOST / 2; }
    }
    refresh();
  });
});
