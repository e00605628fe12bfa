"use strict";
// The index: click a column to sort; the theme button.
(function () {
  const table = document.getElementById("runs"), body = table.tBodies[0], theme = document.getElementById("theme"), root = document.documentElement;
  const value = (row, column) => { const cell = row.cells[column], raw = cell.dataset.value; return raw === undefined ? cell.textContent.trim() : raw === "" ? -Infinity : Number(raw); };
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
    });
  });
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
