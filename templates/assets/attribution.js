"use strict";
// What each step of the shown sequence adds to its answer: a bar under every token, switched on above the text.
RR.views.push(function attribution() {
  const node = RR.byId("text"), told = RR.byId("text-attribution"), reading = RR.reading, known = RR.description.attribution;
  if (!node || !told || !known) return;
  const array = (name) => RR.arrays[`attribution.${name}`], places = new Map();
  let on = false, at = 0;
  array("lengths").forEach((length, i) => { places.set(array("sequences")[i], { i, at, length }); at += length; });
  const number = known.quantity ? "" : "log odds of ", unit = known.quantity ? "" : " nats";
  const here = () => (reading.isLast(RR.selection.epoch) ? places.get(RR.selection.sequence ?? 0) : undefined);
  const parts = (found, name) => array(name).subarray(found.at, found.at + found.length);
  function say(found) {
    if (!reading.isLast(RR.selection.epoch)) return "What an answer came from was computed at the last epoch only.";
    if (!found) return `What an answer came from was computed for ${[...places.keys()].length} of the ${reading.shown} displayed sequences, not for this one.`;
    const value = array("value")[found.i], baseline = array("baseline")[found.i], error = array("errors")[found.i], rho = array("agreements")[found.i];
    const answer = `${number}${RR.quoted(known.names[found.i])}${known.perStep ? ` at step ${array("steps")[found.i] + 1}` : ""}`;
    const doubt = error < known.tolerance ? `completeness error ${(100 * error).toFixed(1)}%` : `unreliable: completeness error ${Number.isFinite(error) ? `${(100 * error).toFixed(0)}%` : "undefined"}`;
    const agree = Number.isFinite(rho) ? `; rank correlation with occlusion ${RR.fixed(rho, 2)}` : "";
    return `Bars under the tokens: what each adds to the ${answer}, ${RR.number(value)}${unit} instead of ${RR.number(baseline)} for the mean input; orange raises, blue lowers (integrated gradients, ${doubt}${agree}).`;
  }
  function draw() {
    const found = here(), shown = on && found !== undefined, values = shown ? parts(found, "gradients") : [], start = reading.starts[RR.selection.sequence ?? 0];
    const most = values.reduce((size, value) => Math.max(size, Math.abs(value)), 0) || 1;
    node.classList.toggle("adding", shown);
    for (const token of node.querySelectorAll(".token")) {
      const value = values[Number(token.dataset.p) - start] ?? 0;
      token.style.setProperty("--adds", Math.abs(value) / most);
      token.style.setProperty("--sign", value > 0 ? "var(--up)" : "var(--down)");
    }
    const button = RR.el("button", { type: "button", class: "link", "aria-pressed": String(on), onclick: () => { on = !on; draw(); told.querySelector("button").focus(); } }, on ? "Hide what the answer came from" : "Show what the answer came from");
    told.replaceChildren(button, ...(on ? [` · ${say(found)}`] : []));
  }
  const tip = RR.stepTip;
  RR.stepTip = (p) => {
    const found = on ? here() : undefined, t = p - reading.starts[RR.selection.sequence ?? 0];
    if (!found || reading.owner(p) !== (RR.selection.sequence ?? 0) || t >= found.length) return tip(p);
    return [...tip(p), `adds ${RR.signedNumber(parts(found, "gradients")[t])}${unit}; occluded, the answer falls by ${RR.number(parts(found, "occlusion")[t])}${unit}`];
  };
  RR.on(["sequence", "step", "epoch", "output", "theme", "lens", "units", "state"], draw);
  draw();
});
