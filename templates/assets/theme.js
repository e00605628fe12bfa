"use strict";
// Runs before the first paint: marks that scripts run, and sets the theme so that the page does not flash.
(function () {
  const root = document.documentElement;
  root.classList.add("js");
  let stored = null;
  try { stored = localStorage.getItem("rnnreport-theme"); } catch { /* a sandboxed frame has no storage */ }
  const dark = stored ? stored === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "dark" : "light";
})();
