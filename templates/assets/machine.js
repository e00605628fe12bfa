"use strict";
// The state machine: a chosen state lists its steps, and marks them in the running text and on the map.
RR.views.push(function machine() {
  const found = RR.description.machine, reading = RR.reading, svg = document.querySelector("svg.machine"), places = RR.byId("machine-places");
  if (!found || !svg || !reading) return;
  const MOST = 6, letter = RR.nodeLetter, nodes = RR.arrays["machine.displayed"];
  const around = reading.features ? 3 : reading.characters ? 14 : 6;
  const choose = (node) => RR.set({ node: RR.selection.node === node ? null : node });
  const states = [...svg.querySelectorAll(".state")], arrows = [...svg.querySelectorAll(".arrow")], rows = [...document.querySelectorAll("#machine-states tr[data-node]")];
  for (const one of [...states, ...rows]) one.addEventListener("click", () => choose(Number(one.dataset.node)));
  for (const one of states) one.addEventListener("keydown", (event) => { if (["Enter", " "].includes(event.key)) { choose(Number(one.dataset.node)); event.preventDefault(); } });
  const meets = (arrow, node) => Number(arrow.dataset.from) === node || Number(arrow.dataset.to) === node;
  const light = (node) => {
    svg.classList.toggle("chosen", node !== null);
    for (const one of arrows) one.classList.toggle("on", node !== null && meets(one, node));
    for (const one of arrows) if (one.classList.contains("on")) one.parentNode.insertBefore(one, states[0].parentNode === one.parentNode ? svg.querySelector(".begin") : null);
  };
  for (const one of states) {
    one.addEventListener("pointerenter", () => light(Number(one.dataset.node)));
    one.addEventListener("pointerleave", () => light(RR.selection.node));
  }
  svg.addEventListener("pointermove", (event) => {
    const arrow = event.target.closest(".arrow"), state = event.target.closest(".state");
    RR.tip(arrow ? [arrow.querySelector("title").textContent] : state ? [state.getAttribute("aria-label"), "click: list its steps"] : null);
  });
  svg.addEventListener("pointerleave", () => RR.tip(null));
  for (const title of svg.querySelectorAll(".arrow title")) { title.parentNode.dataset.says = title.textContent; }

  const paint = () => {
    for (const one of states) if (Number(one.dataset.class) >= 0) one.style.setProperty("--class", RR.classColour(Number(one.dataset.class)));
    for (const dot of document.querySelectorAll("#machine-states .dot")) dot.style.background = RR.classColour(Number(dot.dataset.class));
  };
  // One step of each sequence first, then further ones, until the list is full.
  const listed = (node) => {
    const first = [], more = [];
    let last = -1;
    for (let p = 0; p < nodes.length; p++) {
      if (nodes[p] !== node) continue;
      const q = reading.owner(p);
      (q === last ? more : first).push(p);
      last = q;
    }
    return { rows: [...first, ...more].slice(0, MOST).sort((a, b) => a - b), n: first.length + more.length, sequences: first.length };
  };
  function draw() {
    const { node } = RR.selection;
    for (const one of states) { one.classList.toggle("on", Number(one.dataset.node) === node); one.setAttribute("aria-pressed", Number(one.dataset.node) === node); }
    for (const row of rows) row.setAttribute("aria-selected", Number(row.dataset.node) === node);
    light(node);
    if (node === null) { places.replaceChildren(); return; }
    const { rows: shown, n, sequences } = listed(node);
    const items = shown.map((p) => RR.placeRow(reading, p, { low: p - around, high: p + around, tint: (other) => RR.textTint(reading, other), marked: (other) => other === p, head: [`, step ${p - reading.starts[reading.owner(p)] + 1} of ${reading.lengths[reading.owner(p)]}`] }));
    const head = RR.el("h4", {}, `State ${letter(node)}: ${n.toLocaleString("en")} of its ${found.steps[node].toLocaleString("en")} steps are displayed, in ${sequences.toLocaleString("en")} sequences${n > shown.length ? `; ${shown.length} of them` : ""} `, RR.el("span", { class: "note" }, "underlined in the running text, in full colour on the map"));
    places.replaceChildren(head, RR.el("ul", { class: "places" }, ...items));
  }
  // The steps of the chosen state in the running text of the selected sequence.
  const mark = () => {
    const { node } = RR.selection;
    for (const token of RR.byId("text")?.children ?? []) token.classList.toggle("inside", node !== null && nodes[Number(token.dataset.p)] === node);
  };
  RR.tellTokens(places);
  RR.on(["theme"], paint);
  RR.on(["node", "output", "theme"], draw);
  RR.on(["node", "sequence", "step", "epoch", "output", "theme", "lens", "units", "state"], mark);
  paint();
});
RR.nodeLetter = (node) => String.fromCharCode(65 + node);
