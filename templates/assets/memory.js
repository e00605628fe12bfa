"use strict";
// How long the units remember: the one under the pointer is named, a click leads to its own figures.
RR.views.push(function memory() {
  const svg = document.querySelector("#memory-units svg");
  if (!svg) return;
  const mark = RR.svg("circle", { class: "mark", r: 5, visibility: "hidden" });
  svg.append(mark);
  const rows = [...svg.querySelectorAll(".units")].map((group) => ({
    state: Number(group.dataset.state), title: group.dataset.title, units: group.dataset.units.split(" "), times: group.dataset.times.split(" "),
    dots: [...group.querySelector(".dots").getAttribute("d").matchAll(/M([\d.]+) ([\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]),
  }));
  const under = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let best = null, least = 8;
    for (const row of rows) row.dots.forEach(([x, y], place) => { const apart = Math.hypot(x - at.x, y - at.y); if (apart < least) { least = apart; best = { row, place, x, y }; } });
    return best;
  };
  svg.addEventListener("pointermove", (event) => {
    const found = under(event);
    mark.setAttribute("visibility", found ? "visible" : "hidden");
    if (!found) { RR.tip(null); return; }
    mark.setAttribute("cx", found.x);
    mark.setAttribute("cy", found.y);
    RR.tip([`unit ${found.row.units[found.place]}: ${found.row.times[found.place]} steps`, found.row.title]);
  });
  svg.addEventListener("pointerleave", () => { mark.setAttribute("visibility", "hidden"); RR.tip(null); });
  svg.addEventListener("click", (event) => {
    const found = under(event);
    if (!found || found.row.state < 0) return;
    RR.set({ state: found.row.state, units: [Number(found.row.units[found.place])], lens: "unit" });
    RR.byId("figure-boxes")?.scrollIntoView();
  });
});
