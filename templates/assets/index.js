"use strict";
// The index: click a column to sort, filter the runs, follow a number from run to run; the theme button.
(function () {
  const byId = (id) => document.getElementById(id), root = document.documentElement;
  const table = byId("runs"), body = table.tBodies[0], theme = byId("theme"), tip = byId("tooltip");
  const value = (row, column) => { const cell = row.cells[column], raw = cell.dataset.value; return raw === undefined ? cell.textContent.trim() : raw === "" ? -Infinity : Number(raw); };
  const shown = () => [...body.rows].filter((row) => !row.hidden);

  // ---- trends, of the runs shown and in their order; the geometry is that of report/figures/trends.py ----
  const trends = [...document.querySelectorAll(".trend")].map((figure) => {
    const svg = figure.querySelector("svg"), [, , wide, high] = svg.getAttribute("viewBox").split(" ").map(Number);
    return { figure, svg, dot: svg.querySelector("circle"), width: wide - 8, height: high - 8, column: Number(figure.dataset.column), points: [] };
  });
  const draw = () => {
    const rows = shown();
    for (const trend of trends) {
      const known = rows.map((row, place) => ({ row, place, number: value(row, trend.column) })).filter(({ number }) => Number.isFinite(number));
      const numbers = known.map(({ number }) => number), low = Math.min(...numbers), span = Math.max(...numbers) - low || 1;
      trend.points = known.map(({ row, place, number }) => ({ row, x: (place * trend.width) / Math.max(1, rows.length - 1), y: trend.height - ((number - low) * trend.height) / span }));
      trend.svg.querySelector("polyline").setAttribute("points", trend.points.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" "));
      const text = (row) => row.cells[trend.column].textContent, first = known[0]?.row, last = known.at(-1)?.row;
      trend.figure.querySelector(".note").textContent = known.length ? `${text(first)} → ${text(last)}, n\u00a0=\u00a0${known.length}` : "no run shown has it";
    }
  };
  const mark = (trend, point) => {
    body.querySelector(".pointed")?.classList.remove("pointed");
    trend.dot.setAttribute("visibility", point ? "visible" : "hidden");
    tip.hidden = !point;
    if (!point) return;
    trend.dot.setAttribute("cx", point.x);
    trend.dot.setAttribute("cy", point.y);
    point.row.classList.add("pointed");
    tip.textContent = `${point.row.cells[0].textContent}: ${point.row.cells[trend.column].textContent}`;
  };
  for (const trend of trends) {
    const nearest = (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(trend.svg.getScreenCTM().inverse());
      return trend.points.reduce((best, point) => (!best || Math.abs(point.x - at.x) < Math.abs(best.x - at.x) ? point : best), null);
    };
    trend.svg.addEventListener("pointermove", (event) => {
      mark(trend, nearest(event));
      tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 4))}px`;
      tip.style.top = `${event.clientY + 18}px`;
    });
    trend.svg.addEventListener("pointerleave", () => mark(trend, null));
    trend.svg.addEventListener("click", (event) => nearest(event)?.row.scrollIntoView({ block: "center" }));
  }

  // ---- sorting ----
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    let up = false;
    button.addEventListener("click", () => {
      up = !up;
      const rows = [...body.rows].sort((a, b) => { const x = value(a, column), y = value(b, column); return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1); });
      body.append(...rows);
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      draw();
    });
  });

  // ---- filters ----
  const find = byId("find"), chosen = [["by-verdict", 1], ["by-task", 2]].map(([id, column]) => [byId(id), column]).filter(([select]) => select);
  const filter = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of body.rows) {
      const text = `${row.cells[0].textContent} ${row.cells[3].textContent}`.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word)) || chosen.some(([select, column]) => select.value && !row.cells[column].textContent.endsWith(select.value));
    }
    byId("shown").textContent = `${shown().length} shown`;
    draw();
  };
  for (const input of [find, ...chosen.map(([select]) => select)]) input.addEventListener("input", filter);
  draw();

  const say = () => { theme.textContent = root.dataset.theme === "dark" ? "Light" : "Dark"; };
  theme.hidden = false;
  say();
  theme.addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("rnnreport-theme", root.dataset.theme); } catch { /* a sandboxed frame has no storage */ }
    say();
  });
  root.dataset.ready = "yes";
})();
