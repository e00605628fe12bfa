"use strict";
// The largest jumps of the state over the whole probe set; a jump of a displayed sequence selects its step everywhere.
RR.views.push(function jumps() {
  const { jumps: found } = RR.description, reading = RR.reading, choice = RR.byId("jump-measure"), changes = RR.byId("jump-changes"), node = RR.byId("jump-rows");
  if (!found || !choice) return;
  const array = (name) => RR.arrays[`jumps.${name}`], J = array("sequences").shape[1], C = array("context").shape[2], O = array("types").shape[1];
  const token = (place) => RR.visible(found.names[place]), m = () => found.measures.indexOf(options[choice.value]);
  // The choice leaves out measures that no jump has.
  const options = found.measures.filter((_, place) => found.counted[place] > 0);
  const one = (measure, j) => {
    const at = measure * J + j, sequence = array("sequences")[at], q = found.displayed[sequence], step = array("steps")[at];
    return { sequence, step, q, p: q < 0 ? -1 : reading.starts[q] + step, values: Array.from(RR.row(array("values"), measure, j)), classes: [array("classes")[2 * at], array("classes")[2 * at + 1]], context: Array.from({ length: C }, (_, c) => array("context")[at * C + c]) };
  };
  const listed = (measure) => Array.from({ length: J }, (_, j) => one(measure, j)).filter(({ sequence }) => sequence >= 0);
  const changed = ({ classes: [before, after] }) => before >= 0 && after >= 0 && before !== after;
  const known = listed(0).some(({ classes: [before, after] }) => before >= 0 && after >= 0);
  changes.closest("label").hidden = !known;
  const named = (k) => (k < 0 ? "" : reading.classNames[k]);

  // A prototype is shown by its shape.
  const shapes = RR.description.words?.prototypes ? RR.arrays["words.shapes"] : null, extent = shapes && RR.extent(shapes);
  const wordOf = (place) => RR.description.words?.names.indexOf(found.names[place]) ?? -1;
  const picture = (place) => RR.el("span", { class: "prototype", title: found.names[place] }, RR.shape(RR.row(shapes, wordOf(place)), ...extent, { width: 34, height: 16 }));
  function context(jump) {
    const here = jump.context[found.before], parts = (from, to) => jump.context.slice(from, to).filter((place) => place >= 0);
    if (shapes) return RR.el("td", { class: "around" }, ...parts(0, found.before).map(picture), RR.el("b", {}, picture(here)), ...parts(found.before + 1).map(picture));
    const words = (...range) => parts(...range).map(token).join(gap), gap = reading.characters ? "" : " ";
    return RR.el("td", { class: "around" }, words(0, found.before), gap, RR.el("b", {}, token(here)), gap, words(found.before + 1));
  }
  function row(jump, measure, most) {
    const { values, classes: [before, after] } = jump, size = RR.el("td", { class: "n share" }, RR.number(values[measure]));
    const meter = RR.el("span", { class: "meter" });
    meter.style.setProperty("--share", Math.max(0, values[measure] / most));
    size.append(meter);
    const change = known ? [RR.el("td", {}, ...(changed(jump) ? [RR.classDot(before), "→ ", RR.classDot(after), named(after)] : after >= 0 ? [RR.classDot(after), RR.el("span", { class: "note" }, "stays")] : []))] : [];
    const made = RR.el("tr", { "data-p": jump.p, class: jump.p < 0 ? "away" : null, "data-hint": "" }, size, context(jump), ...change, RR.el("td", { class: "note" }, `${found.ids[jump.sequence]}, ${jump.step + 1} of ${found.lengths[jump.sequence]}`));
    const sizes = found.measures.map((name, place) => (Number.isFinite(values[place]) ? `${name} ${RR.number(values[place])}` : null)).filter(Boolean).join(", ");
    RR.hint(made, [token(jump.context[found.before]), `step ${jump.step + 1} of ${found.lengths[jump.sequence]}, ${found.ids[jump.sequence]}`, sizes, ...(before >= 0 ? [`${named(before)} before, ${named(after)} after`] : []), jump.p < 0 ? "not among the displayed sequences" : "click: select the step"]);
    if (jump.p >= 0) {
      made.addEventListener("click", () => RR.chooseStep(jump.q, jump.step));
      made.addEventListener("pointerenter", () => RR.point(jump.p));
      made.addEventListener("pointerleave", () => RR.point(-1));
    }
    return made;
  }
  function drawTypes(measure) {
    const rows = Array.from({ length: O }, (_, o) => measure * O + o).filter((at) => array("types")[at] >= 0), one = reading.features ? "prototype" : "token", count = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
    const tested = count(found.tested[measure], one), jumps = count(found.largest[measure], "jump");
    RR.byId("jump-types-title").textContent = rows.length ? `Over-represented among the largest 1% (${jumps}; ${tested} tested)` : `None of ${tested} is over-represented among the largest 1% (${jumps})`;
    const cells = rows.map((at) => {
      const [among, sequences, all] = array("counts").subarray(3 * at, 3 * at + 3), name = token(array("types")[at]), word = wordOf(array("types")[at]);
      const head = word < 0 ? name : RR.el("button", { type: "button", class: "word", onclick: () => RR.chooseWord(word) }, ...(shapes ? [picture(array("types")[at])] : []), name);
      return RR.el("tr", {}, RR.el("th", { scope: "row" }, head), RR.el("td", { class: "n" }, `${among} of ${all}`), RR.el("td", { class: "n" }, String(sequences)), RR.el("td", { class: "n" }, found.chances[measure][at % O]));
    });
    const head = RR.el("thead", {}, RR.el("tr", {}, ...[one, "largest, of all", "sequences", "p (Holm)"].map((text, place) => RR.el("th", { scope: "col", class: place ? "n" : null }, text))));
    RR.byId("jump-types").replaceChildren(...(rows.length ? [head, RR.el("tbody", {}, ...cells)] : []));
    const names = rows.slice(0, 3).map((at) => RR.quoted(found.names[array("types")[at]]));
    RR.title("jumps", names.length ? `${names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)} stand` : `${names[0]} stands`} out among the largest jumps of the state` : `No ${one} stands out among the largest jumps of the state`);
  }
  function draw() {
    const measure = m(), all = listed(measure), kept = changes.checked ? all.filter(changed) : all, most = all[0].values[measure];
    const head = RR.el("thead", {}, RR.el("tr", {}, ...["size", "read there", ...(known ? ["predicted"] : []), "sequence, step"].map((text, place) => RR.el("th", { scope: "col", class: place ? null : "n" }, text))));
    node.replaceChildren(head, RR.el("tbody", {}, ...kept.map((jump) => row(jump, measure, most))));
    const shown = kept.filter(({ p }) => p >= 0).length;
    RR.byId("jump-count").textContent = `${kept.length} of the ${all.length} largest of ${found.counted[measure].toLocaleString("en")} jumps${shown < kept.length ? `; ${shown} can be clicked, the others are of sequences that are not displayed` : ""}`;
    drawTypes(measure);
    mark();
  }
  function mark() {
    const { sequence, step } = RR.selection, here = sequence === null || step === null ? -2 : reading.starts[sequence] + step;
    for (const line of node.querySelectorAll("tr[data-p]")) line.setAttribute("aria-selected", Number(line.dataset.p) === here);
  }
  choice.addEventListener("change", draw);
  changes.addEventListener("change", draw);
  RR.on(["theme"], draw);
  RR.on(["sequence", "step"], mark);
  draw();
});
