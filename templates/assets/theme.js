"use strict";
// Runs before the first paint: marks that scripts run, and sets the theme so that the page does not flash.
(function () {
  const root = document.documentElement;
  root.classList.add("js");
  let stored = null;
  try { stored = localStorage.getItem("rnnreport-theme"); } catch { /* a sandboxed frame has no storage */ }
  // Forced colours come with a paper of their own: there the choice of the system holds.
  if (matchMedia("(forced-colors: active)").matches) stored = null;
  const dark = stored ? stored === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "dark" : "light";
})();
