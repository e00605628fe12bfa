"use strict";
// The page's data and its one shared selection. Every view reads and writes the selection; nothing else is shared.
const RR = { views: [], arrays: {} };

// ---- data: a line of JSON and typed arrays, which unpack.js left (see report/payload.py) ----
// What the columns before a column tell of it, added to the rest (see report/payload.py).
RR.addTold = function (codes, weights) {
  const [columns] = weights.shape;
  for (let row = 0; row < codes.length; row += columns) {
    for (let c = 0; c < columns; c++) {
      let told = 512 + 64 * weights[c * columns];
      for (let k = 0; k < c; k++) told += weights[c * columns + k + 1] * codes[row + k];
      codes[row + c] = Math.floor(told / 1024) + ((codes[row + c] >> 1) ^ -(codes[row + c] & 1)); // wraps around
    }
  }
};
RR.decode = function (blocks, entry) {
  const kinds = { uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array, int32: Int32Array, float32: Float32Array };
  const length = entry.shape.reduce((product, side) => product * side, 1);
  const codes = new kinds[entry.type](length), bytes = new Uint8Array(codes.buffer), width = codes.BYTES_PER_ELEMENT;
  const packed = blocks.subarray(entry.at);
  for (let plane = 0, at = 0; plane < width; plane++) for (let i = plane; i < bytes.length; i += width) bytes[i] = packed[at++];
  for (let i = entry.stride ?? length; i < length; i++) codes[i] = codes[i - entry.stride] + ((codes[i] >> 1) ^ -(codes[i] & 1)); // zigzag; wraps around
  if (entry.weights) RR.addTold(codes, RR.arrays[entry.weights]);
  if (entry.step === undefined) return Object.assign(codes, { shape: entry.shape });
  const none = entry.type === "uint8" ? 255 : 65535;
  // Quantities of different size have codes of their own, one column each: then `low` and `step` name arrays.
  const [low, step] = [entry.low, entry.step].map((found) => (typeof found === "string" ? RR.arrays[found] : [found]));
  const values = new Float32Array(length), columns = low.length;
  for (let i = 0, column = 0; i < length; i++, column = column + 1 < columns ? column + 1 : 0) values[i] = codes[i] === none ? NaN : low[column] + codes[i] * step[column];
  return Object.assign(values, { shape: entry.shape });
};

{
  const bytes = new Uint8Array(payload), end = bytes.indexOf(10);
  RR.description = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  const blocks = bytes.subarray(end + 1);
  for (const [name, entry] of Object.entries(RR.description.arrays)) { // each is read when a view first asks for it
    const get = () => { const value = RR.decode(blocks, entry); Object.defineProperty(RR.arrays, name, { value }); return value; };
    Object.defineProperty(RR.arrays, name, { get, configurable: true, enumerable: true });
  }
}

// Row `i` (and `j`) of an array of two (or three) axes, without copying.
RR.row = function (array, i, j) {
  const [, second, third] = array.shape;
  if (j === undefined) {
    const width = array.length / array.shape[0];
    return array.subarray(i * width, (i + 1) * width);
  }
  const start = (i * second + j) * third;
  return array.subarray(start, start + third);
};

RR.starts = function (lengths) {
  const starts = new Int32Array(lengths.length + 1);
  for (let q = 0; q < lengths.length; q++) starts[q + 1] = starts[q] + lengths[q];
  return starts;
};

// ---- selection ----
// state: which recorded state; mode: weighting of the co-clusters; k: place in ks; words, units: lists; cluster, sequence, step: index or null; pinned: sequences shown beside it;
// node: a state of the state machine, or null;
// epoch: place in the recorded epochs; output: the chosen label or quantity; lens: what recolours units and words ("word", "unit", "step").
RR.selection = { state: 0, mode: null, k: null, words: [], units: [], cluster: null, node: null, sequence: null, pinned: [], step: null, epoch: null, output: 0, lens: null };
RR.listeners = [];
RR.on = (keys, follow) => RR.listeners.push({ keys: new Set(keys), follow });

let changed = new Set();
RR.set = function (patch) {
  for (const [key, value] of Object.entries(patch)) {
    if (JSON.stringify(RR.selection[key]) === JSON.stringify(value)) continue;
    RR.selection[key] = value;
    if (!changed.size) requestAnimationFrame(RR.announce);
    changed.add(key);
  }
};
RR.announce = function () {
  const now = changed;
  changed = new Set();
  for (const { keys, follow } of RR.listeners) if ([...keys].some((key) => now.has(key))) follow(RR.selection, now);
  setTimeout(RR.writeHash); // after the frame: the browser takes its time for a new address
};

// The pointed step (index among all displayed steps, or -1): transient, never in the link.
RR.pointed = -1;
RR.pointListeners = [];
RR.onPoint = (follow) => RR.pointListeners.push(follow);
RR.point = function (step) {
  if (step === RR.pointed) return;
  RR.pointed = step;
  for (const follow of RR.pointListeners) follow(step);
};

RR.toggle = function (key, item, most) {
  const list = RR.selection[key];
  return list.includes(item) ? list.filter((other) => other !== item) : [...list, item].slice(-most);
};
RR.chooseWord = (word) => {
  const words = RR.toggle("words", word, 3);
  RR.set({ words, lens: words.length ? "word" : RR.selection.units.length ? "unit" : null });
};
RR.chooseUnit = (unit) => {
  const units = RR.toggle("units", unit, 2);
  RR.set({ units, lens: units.length ? "unit" : RR.selection.words.length ? "word" : null });
};
RR.chooseStep = (sequence, step) => RR.set({ sequence, step, lens: "step" });
RR.chooseSequence = (sequence) => RR.set({ sequence, step: null, lens: RR.selection.lens === "step" ? null : RR.selection.lens });
RR.clear = () => RR.set({ words: [], units: [], cluster: null, node: null, step: null, pinned: [], lens: null });

// ---- the selection as a link ----
RR.writeHash = function () {
  const parts = [];
  for (const [key, value] of Object.entries(RR.selection)) {
    if (value === null || (Array.isArray(value) && !value.length)) continue;
    if (JSON.stringify(value) === JSON.stringify(RR.initial[key])) continue;
    parts.push(`${key}=${Array.isArray(value) ? value.join("+") : value}`);
  }
  const hash = parts.length ? `#${parts.join("&")}` : "#";
  try { history.replaceState(null, "", hash); } catch { location.hash = hash; /* a sandboxed frame forbids the former */ }
};
RR.readHash = function () {
  const found = {};
  for (const part of location.hash.slice(1).split("&")) {
    const [key, value] = part.split("=");
    if (!(key in RR.selection) || value === undefined) continue;
    const numbers = value.split("+").map(Number);
    if (key === "lens") found.lens = ["word", "unit", "step"].includes(value) ? value : null;
    else if (numbers.every((number) => Number.isInteger(number) && number >= 0 && number < RR.limit(key))) {
      found[key] = Array.isArray(RR.selection[key]) ? numbers.slice(0, 3) : numbers[0];
    }
  }
  return found;
};
// How many values a key of the link may take on this page: a link from another page must not break this one.
RR.limit = (key) => RR.limits?.[key] ?? 0;

// ---- small helpers ----
RR.el = function (tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick" || key === "oninput" || key === "onchange") node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
};
RR.svg = function (tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};
RR.byId = (id) => document.getElementById(id);
// Brings a part of the page into view; what it is folded into is opened.
RR.show = function (node) {
  for (let fold = node?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  node?.scrollIntoView();
  if (node?.tagName === "DT") node.tabIndex = -1; // an entry takes the focus: the keyboard goes on from there
  node?.focus({ preventScroll: true });
};
RR.note = (figure, text) => { const node = RR.byId(`note-${figure}`); if (node) node.textContent = RR.typeset(text); };
RR.title = (figure, text) => { const node = RR.byId(`title-${figure}`); if (node) node.textContent = RR.typeset(text); };
// No line ends in the middle of "n = 12", as report/environment.py has it; what is quoted stays.
RR.typeset = (text) => text.replace(/(“[^”]*”)|\b([a-z]) ([=<>]) (?=[\d<+−])/gi, (all, quoted, name, relation) => quoted?.replace(/^“(\s)”$/, (same, blank) => RR.quoted(blank)) ?? `${name}\u00a0${relation}\u00a0`);
RR.percent = (share) => (Number.isFinite(share) ? `${RR.fixed(100 * share, 1)}%` : "–");
// Three significant digits, as report/environment.py writes them.
RR.number = function (value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value), sign = value < 0 ? "−" : "";
  if (size && (size >= 1e6 || size < 1e-4)) return sign + RR.exponential(size, 2);
  const digits = size ? Math.max(0, Math.min(4, 2 - Math.floor(Math.log10(size)))) : 0;
  return sign + size.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
};
RR.signedNumber = (value) => (value > 0 ? "+" : "") + RR.number(value);
RR.signed = function (value, digits = 2) { // zero has none
  const size = Math.abs(value).toFixed(digits);
  return `${Number(size) === 0 ? "" : value < 0 ? "−" : "+"}${size}`;
};
RR.fixed = (value, digits) => value.toFixed(digits).replace("-", "−");
RR.exponential = function (value, digits) {
  const [size, power] = value.toExponential(digits).split("e"), raised = [...String(Number(power))].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign])).join("");
  return `${size}\u00a0×\u00a010${raised}`;
};
// Invisible characters need a printable form.
RR.visible = (token) => token.replace(/ /g, token === " " ? "␣" : " ").replace(/\n/g, "↵").replace(/\t/g, "⇥") || "∅";
RR.quoted = (token) => `“${RR.visible(token)}”`;
