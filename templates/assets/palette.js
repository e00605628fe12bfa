"use strict";
// Colours, one meaning each. The class colours are those of report/page.py.
RR.classes = {
  light: ["#cc6677", "#332288", "#ddcc77", "#117733", "#88ccee", "#882255", "#44aa99", "#999933", "#aa4499", "#77736b"],
  dark: ["#e0808f", "#8f83e6", "#e2d48a", "#49b86f", "#9bd6f2", "#d0648f", "#62c7b6", "#bcbc56", "#cf72bf", "#a8a49b"],
};
// Colours of the style sheet and the theme are asked for once: points by the thousand need them, and every question to
// the document makes the browser bring all styles up to date.
let asked = {}, dark = null;
RR.forgetColours = () => { asked = {}; dark = null; };
RR.dark = () => (dark ??= document.documentElement.dataset.theme === "dark");
RR.css = (name) => (asked[name] ??= getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());

RR.rgb = function (hex) {
  const value = parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
};
RR.mix = function (from, to, share) {
  const a = RR.rgb(from), b = RR.rgb(to), t = Math.max(0, Math.min(1, share));
  return `#${a.map((part, i) => Math.round(part + (b[i] - part) * t).toString(16).padStart(2, "0")).join("")}`;
};
// Black or white, whichever reads better on the colour.
RR.inkOn = function (hex) {
  const [r, g, b] = RR.rgb(hex).map((part) => ((part /= 255) <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
};
RR.classColour = function (index) {
  const colours = RR.classes[RR.dark() ? "dark" : "light"];
  const round = Math.floor(index / colours.length);
  return RR.mix(colours[index % colours.length], RR.dark() ? "#ffffff" : "#000000", Math.min(0.6, 0.22 * round));
};
// Probability of a class: from the panel's colour (chance) to the class colour (certain).
RR.classTint = (index, probability, classes) => {
  const chance = 1 / Math.max(2, classes);
  return RR.mix(RR.css("faint"), RR.classColour(index), (probability - chance) / (1 - chance) * 0.92 + 0.08);
};
// Signed values: blue down, orange up, neutral at zero.
RR.signColour = (value, clip) => {
  if (!Number.isFinite(value)) return RR.css("rule");
  return RR.mix(RR.css("faint"), RR.css(value < 0 ? "down" : "up"), Math.sqrt(Math.min(1, Math.abs(value) / (clip || 1))));
};
// Ordered values (epochs, steps): ever lighter from blue over red to orange or yellow, each 3:1 against its paper.
const ORDER = [["#1b1270", "#4a1590", "#8b1d9a", "#bd2f7f", "#d2504f", "#d5711f"], ["#6a5fe0", "#9f6cf2", "#ea7ad6", "#ff9a94", "#ffc06a", "#fff7b0"]];
RR.orderColour = function (share) {
  const colours = ORDER[RR.dark() ? 1 : 0], place = Math.max(0, Math.min(1, share)) * 5, low = Math.min(4, Math.floor(place));
  return RR.mix(colours[low], colours[low + 1], place - low);
};
// Quantities: around zero where they take both signs, else from low to high in one hue.
RR.quantityScale = function ([low, high]) {
  const clip = Math.max(-low, high);
  if (low < 0 && high > 0) return { low: -clip, high: clip, colour: (value) => RR.signColour(value, clip), ramp: RR.signRamp };
  const colour = (value) => RR.mix(RR.css("faint"), RR.css("second"), 0.12 + 0.88 * (value - low) / (high - low || 1));
  return { low, high, colour, ramp: () => RR.ramp([colour(low), colour(high)]) };
};
RR.ramp = (stops) => `linear-gradient(90deg, ${stops.join(", ")})`;
RR.orderRamp = () => RR.ramp([0, 0.25, 0.5, 0.75, 1].map(RR.orderColour));
RR.signRamp = () => RR.ramp([-1, -0.5, -0.1, 0, 0.1, 0.5, 1].map((value) => RR.signColour(value, 1)));

// Dashes of lines in the order of figures/curves.py, as stops of a gradient.
RR.DASHES = {
  solid: (colour) => `${colour} 0 9px`, dashed: (colour) => `${colour} 0 5px, transparent 5px 8px`, dotted: (colour) => `${colour} 0 2px, transparent 2px 5px`,
  dotdash: (colour) => `${colour} 0 2px, transparent 2px 5px, ${colour} 5px 10px, transparent 10px 13px`,
};
// Legend entries: {colour, label}, drawn as a `line`, a key of `RR.DASHES`, where it says so, or {ramp, low, high}.
RR.legend = function (id, entries) {
  const node = RR.byId(id);
  if (!node) return;
  node.replaceChildren(...entries.map(RR.legendKey));
};
RR.legendKey = function (entry) {
  const mark = RR.el("i", entry.ramp ? { class: "ramp" } : {});
  if (entry.line) mark.classList.add("line");
  if (entry.line) mark.style.background = `repeating-linear-gradient(90deg, ${RR.DASHES[entry.line](entry.colour)})`;
  else mark.style.background = entry.ramp ?? entry.colour;
  if (entry.colour === "transparent") return RR.el("span", { class: "key" }, entry.label); // words only
  return entry.ramp ? RR.el("span", { class: "key" }, entry.low, mark, entry.high) : RR.el("span", { class: "key" }, mark, entry.label);
};
