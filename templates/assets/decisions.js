"use strict";
// When the prediction of a sequence settles, over the whole probe set: four small pictures that list sequences.
RR.views.push(function decisions() {
  const { decisions: found } = RR.description, reading = RR.reading, by = RR.byId("decision-by"), time = RR.byId("decision-time");
  if (!found || !by) return;
  const array = (name) => RR.arrays[`decisions.${name}`];
  const W = 300, H = 178, LEFT = 42, RIGHT = 17, TOP = 10, BOTTOM = 22, percent = (share) => `${Math.round(100 * share)}%`;
  const times = array("times"), judged = array("error").length > 0, decided = array("decided"), flips = array("flips"), right = array("right");
  time.max = times.length - 1;
  time.value = times.length - 1; // at the end first: is the confidence of the answers right
  for (const node of document.querySelectorAll("#figure-decisions .reliable")) node.hidden = !judged;

  // ---- groups ----
  const own = (g) => found.classes[g] >= 0;
  const groups = () => found.groups.map((_, g) => g).filter((g) => (by.value === "class" ? own(g) : by.value === "right" ? g > 0 && !own(g) : g === 0));
  const name = (g) => (own(g) ? found.groups[g] : g === 0 ? "all sequences" : found.groups[g]);
  const colour = (g) => (own(g) ? RR.classColour(found.classes[g]) : RR.css({ right: "pass", wrong: "fail" }[found.groups[g]] ?? "second"));
  const member = (q, g) => (own(g) ? (found.by === "true" ? reading.label(q) : reading.predicted(q)) === found.classes[g] : g === 0 || right[q] === Number(found.groups[g] === "right"));
  const counted = (q) => q < decided.length && decided[q] > 0;
  const tenth = (q) => Math.ceil((10 * decided[q]) / reading.lengths[q]) - 1; // whole numbers first: no rounding error

  // ---- a small picture with axes ----
  function picture(id, label, [x0, x1], [y0, y1], xTicks, yTicks) {
    const x = (value) => LEFT + ((value - x0) / (x1 - x0)) * (W - LEFT - RIGHT), y = (value) => H - BOTTOM - ((value - y0) / (y1 - y0 || 1)) * (H - TOP - BOTTOM);
    const svg = RR.svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "small-picture", role: "group", "aria-label": label });
    for (const [value, text] of yTicks) svg.append(RR.svg("line", { x1: LEFT, x2: W - RIGHT, y1: y(value), y2: y(value), class: "grid" }), RR.svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, text));
    for (const [value, text] of xTicks) svg.append(RR.svg("text", { x: x(value), y: H - 6, "text-anchor": "middle" }, text));
    RR.byId(id).replaceChildren(svg);
    return { svg, x, y };
  }
  const round = (most) => { const size = 10 ** Math.floor(Math.log10(Math.max(1, most))); return [0.2, 0.5, 1, 2, 5].map((step) => step * size).find((step) => step >= 1 && most / step <= 4) ?? size; };
  // Stacked bars of counts; `keep(q, place)` says which displayed sequences a bar holds.
  function bars(id, label, counts, columns, ticks, keep, says) {
    const chosen = groups(), totals = Array.from({ length: columns }, (_, place) => chosen.reduce((sum, g) => sum + counts[g * columns + place], 0));
    const most = Math.max(1, ...totals), step = round(most), yTicks = [];
    for (let value = 0; value <= most; value += step) yTicks.push([value, String(value)]);
    const { svg, x, y } = picture(id, label, [0, columns], [0, most], ticks, yTicks);
    const q = RR.selection.sequence;
    for (let place = 0; place < columns; place++) {
      let base = 0;
      for (const g of chosen) {
        const n = counts[g * columns + place];
        if (!n) continue;
        const inside = (other) => counted(other) && member(other, g) && keep(other, place), shown = reading.ids.filter((_, other) => inside(other)).length;
        const what = `${says(place)}${g === 0 ? "" : `, ${name(g)}`}`, hint = [`${n} of ${found.sizes[g]} sequences`, what, shown ? `click: list ${shown === n ? "them" : `the ${shown} that are displayed`}` : "none of them is displayed"];
        const bar = RR.svg("rect", { x: x(place) + 1.5, width: x(1) - x(0) - 3, y: y(base + n), height: y(base) - y(base + n), fill: colour(g), "data-hint": "", class: shown ? "bar-part" : "bar-part empty", tabindex: shown ? 0 : -1, role: "button", "aria-label": hint.join(", ") });
        const list = () => { if (shown) RR.listOnly({ keep: inside, text: what }); };
        bar.addEventListener("click", list);
        bar.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); list(); } });
        svg.append(RR.hint(bar, hint));
        base += n;
      }
      if (q !== null && counted(q) && keep(q, place)) svg.append(RR.svg("path", { d: `M${x(place + 0.5) - 5} ${y(base) - 9}h10l-5 7z`, class: "here" }));
    }
  }

  // ---- the four ----
  function drawBars() {
    bars("decided-bars", "Sequences by the share of their steps after which they are decided", array("tenths"), 10, [0, 2, 4, 6, 8, 10].map((tick) => [tick, `${10 * tick}%`]), (q, place) => tenth(q) === place, (place) => `decided after ${10 * place} to ${10 * place + 10}% of the steps`);
    const columns = array("changes").shape[1];
    bars("flip-bars", "Sequences by the number of times that the prediction changes", array("changes"), columns, Array.from({ length: columns }, (_, n) => [n + 0.5, n < columns - 1 ? String(n) : `${n}+`]), (q, place) => Math.min(flips[q], columns - 1) === place, (place) => `${place === columns - 1 ? `${place} or more changes` : place === 1 ? "1 change" : `${place} changes`} of the prediction`);
  }
  // The margin of the selected sequence itself, step by step.
  function ownMargin(q) {
    const start = reading.starts[q], count = reading.lengths[q], last = reading.outputs(start + count - 1);
    if (!last || !counted(q)) return [];
    const final = reading.winner(start + count - 1), value = (now) => (reading.kind === "labels" ? Math.min(...Array.from(now, (p, k) => (last[k] >= 0.5 ? 2 * p - 1 : 1 - 2 * p)))
      : now[final] - Math.max(...Array.from(now).filter((_, k) => k !== final)));
    return Array.from({ length: count }, (_, t) => [(t + 1) / count, value(reading.outputs(start + t))]);
  }
  function drawMargin() {
    const margin = array("margin"), chosen = groups(), { sequence } = RR.selection, mine = sequence === null ? [] : ownMargin(sequence);
    const at = (g, r) => RR.row(margin, g, r), lowest = Math.min(0, ...mine.map(([, value]) => value), ...chosen.flatMap((g) => Array.from(times, (_, r) => (Number.isFinite(at(g, r)[1]) ? at(g, r)[1] : at(g, r)[0])))), floor = Math.floor(lowest * 5) / 5;
    const yTicks = [-1, -0.5, 0, 0.5, 1].filter((value) => value >= floor).map((value) => [value, String(value).replace("-", "−")]);
    const { svg, x, y } = picture("margin-lines", "Mean margin of the final prediction over the share of steps read", [0, 1], [floor, 1], [0, 0.25, 0.5, 0.75, 1].map((value) => [value, percent(value)]), yTicks);
    const line = (points) => points.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
    svg.append(RR.svg("line", { x1: LEFT, x2: W - RIGHT, y1: y(0), y2: y(0), class: "zero" }));
    for (const g of chosen) {
      const rows = Array.from(times, (read, r) => [read, ...at(g, r)]), known = rows.filter(([, , low, high]) => Number.isFinite(low) && Number.isFinite(high));
      if (known.length) svg.append(RR.svg("path", { d: `${line(known.map(([read, , low]) => [read, low]))}${line(known.map(([read, , , high]) => [read, high]).reverse()).replace("M", "L")}Z`, fill: colour(g), opacity: 0.22 }));
      svg.append(RR.svg("path", { d: line(rows), stroke: colour(g), class: "curve" }));
    }
    if (mine.length) svg.append(RR.svg("path", { d: line(mine), class: "curve mine" }));
    const read = times[time.value];
    if (judged) svg.append(RR.svg("line", { x1: x(read), x2: x(read), y1: TOP, y2: H - BOTTOM, class: "cursor" }));
    const nearest = (event) => { const box = svg.getBoundingClientRect(), share = ((event.clientX - box.left) * W / box.width - LEFT) / (W - LEFT - RIGHT); return Math.max(0, Math.min(times.length - 1, Math.round(share * times.length) - 1)); };
    svg.addEventListener("click", (event) => { time.value = nearest(event); drawTime(); });
    svg.addEventListener("pointermove", (event) => {
      const r = nearest(event);
      RR.tip([`after ${percent(times[r])} of the steps`, ...chosen.map((g) => { const [value, low, high] = at(g, r); return `${name(g)}: ${RR.signed(value)}${Number.isFinite(low) ? ` (${RR.signed(low)} to ${RR.signed(high)})` : ""}, n = ${found.sizes[g]}`; })]);
    });
    svg.addEventListener("pointerleave", () => RR.tip(null));
  }
  function drawReliability() {
    if (!judged) return;
    const all = array("reliability"), r = Number(time.value), rows = Array.from({ length: 10 }, (_, bin) => Array.from(RR.row(all, r, bin))).filter(([, , n]) => n > 0);
    let least = 1;
    for (let place = 0; place < all.length; place += 5) if (all[place] < least) least = all[place];
    const floor = Math.floor(least * 10) / 10, ticks = [0, 0.25, 0.5, 0.75, 1];
    const { svg, x, y } = picture("reliable-dots", "Share of right predictions at each confidence", [floor, 1.02], [0, 1], ticks.filter((tick) => tick >= floor).map((tick) => [tick, percent(tick)]), ticks.map((tick) => [tick, percent(tick)]));
    svg.append(RR.svg("line", { x1: x(floor), y1: y(floor), x2: x(1), y2: y(1), class: "aim" }));
    const most = Math.max(...rows.map(([, , n]) => n));
    for (const [confidence, share, n, low, high] of rows) {
      svg.append(RR.svg("line", { x1: x(confidence), x2: x(confidence), y1: y(low), y2: y(high), class: "chance" }));
      const dot = RR.svg("circle", { cx: x(confidence), cy: y(share), r: 2.5 + 4.5 * Math.sqrt(n / most), fill: RR.css("second"), "data-hint": "" });
      svg.append(RR.hint(dot, [`confidence ${percent(confidence)} on average`, `${percent(share)} of ${n.toLocaleString("en")} predictions right`, `a calibrated model: ${percent(low)} to ${percent(high)}`]));
    }
    const [error, chance] = RR.row(array("error"), r);
    RR.byId("reliable-note").textContent = `Calibration error ${error.toFixed(3)}; chance alone allows up to ${chance.toFixed(3)}.`;
  }
  function drawTime() {
    RR.byId("decision-time-name").textContent = percent(times[time.value]);
    drawMargin();
    drawReliability();
  }
  const itself = (q) => `${reading.ids[q]}: decided at step ${decided[q]} of ${reading.lengths[q]}, ${flips[q]} change${flips[q] === 1 ? "" : "s"} of the prediction`;
  function draw() {
    const keys = groups().map((g) => ({ colour: colour(g), label: `${name(g)} (n\u00a0=\u00a0${found.sizes[g].toLocaleString("en")})` }));
    if (by.value === "class" && keys.length < reading.classes) keys.push({ colour: "transparent", label: `the ${keys.length} most frequent of ${reading.classes} classes` });
    if (RR.selection.sequence !== null && counted(RR.selection.sequence)) keys.push({ line: "dashed", colour: RR.css("ink"), label: itself(RR.selection.sequence) });
    if (!reading.all) keys.push({ colour: RR.css("rule"), label: "paler: none of these is displayed" });
    RR.legend("decision-legend", keys);
    drawBars();
    drawTime();
  }
  by.addEventListener("change", draw);
  time.addEventListener("input", drawTime);
  RR.on(["sequence", "theme"], draw);
  draw();
});
