"use strict";
// Which units matter: a row says what holding its unit costs; a click leads to the unit's own figures.
RR.views.push(function causes() {
  for (const row of document.querySelectorAll("#importance-bars .part")) {
    row.addEventListener("pointermove", () => RR.tip(row.dataset.says.split("; ")));
    row.addEventListener("pointerleave", () => RR.tip(null));
    row.addEventListener("click", () => {
      const state = Number(row.dataset.state);
      if (state < 0) return;
      RR.set({ state, units: [Number(row.dataset.unit)], lens: "unit" });
      RR.byId("figure-boxes")?.scrollIntoView();
    });
  }
});
