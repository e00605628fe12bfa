"use strict";
// Memory chips, word clouds and the signed links between them (Ming et al. 2017), for the selected state, weighting and k.
RR.ENOUGH = 10; // occurrences below which a word is flagged
RR.noun = () => RR.description.sequences?.noun ?? "word";
RR.unitsOf = () => {
  const units = RR.description.units[RR.selection.state];
  return { ...units, array: (name) => RR.arrays[`${units.prefix}.${name}`] };
};
// Labels, links and the like hold one row for each weighting and k; `kPlace` is the row of the selected ones.
RR.modeIndex = () => { const { mode } = RR.selection, units = RR.unitsOf(); return mode !== null && mode < units.modes.length ? mode : units.defaultMode; };
RR.kIndex = () => { const { k } = RR.selection, units = RR.unitsOf(); return k !== null && k < units.ks.length ? k : units.defaultK; };
RR.kPlace = () => RR.modeIndex() * RR.unitsOf().ks.length + RR.kIndex();
// The first recorded state as it is shown when nothing is chosen.
RR.defaultPlace = (units) => units.defaultMode * units.ks.length + units.defaultK;
// The states of all units after a displayed step; undefined where the page does not carry them.
RR.stateAt = (p) => {
  const units = RR.unitsOf(), row = units.array("stateRows")[p];
  return row >= 0 ? RR.row(units.array("states"), row) : undefined;
};
// The responses (W x H) at the selected epoch, or the nearest one kept; `late`: it is the last one.
RR.response = () => {
  const units = RR.unitsOf(), last = units.epochs.length - 1, wanted = RR.epochs()[RR.selection.epoch] ?? units.epochs[last];
  const place = units.epochs.reduce((best, epoch, i) => (Math.abs(epoch - wanted) < Math.abs(units.epochs[best] - wanted) ? i : best), 0);
  if (place === last) return Object.assign(units.array("response"), { epoch: units.epochs[last], late: true });
  const all = units.array("responseByEpoch");
  return Object.assign(RR.row(all, place), { shape: all.shape.slice(1), epoch: units.epochs[place], late: false });
};
RR.atEpoch = () => { const { late, epoch } = RR.response(); return late ? "" : `, at epoch ${epoch}`; };

// Where nothing is selected: the word that moves the state most, so that no figure starts empty.
RR.strongestWord = () => {
  const response = RR.unitsOf().array("response");
  let best = 0, most = -1;
  for (let word = 0; word < response.shape[0]; word++) {
    const size = RR.row(response, word).reduce((sum, value) => sum + Math.abs(value || 0), 0);
    if (size > most && RR.arrays["words.counts"][word] >= RR.ENOUGH) { most = size; best = word; }
  }
  return best;
};

// Colours of many signed values at once: the page's colours are read only once.
RR.signScale = function (clip) {
  const LEVELS = 96, faint = RR.css("faint"), none = RR.css("rule");
  const [down, up] = ["down", "up"].map((way) => Array.from({ length: LEVELS + 1 }, (_, level) => RR.mix(faint, RR.css(way), level / LEVELS)));
  return (value) => (Number.isFinite(value) ? (value < 0 ? down : up)[Math.round(LEVELS * Math.sqrt(Math.min(1, Math.abs(value) / (clip || 1))))] : none);
};

// What the units are coloured by, which depends on what was clicked last; `values` is null while words are coloured.
RR.unitValues = function () {
  const { lens, words, sequence, step } = RR.selection, units = RR.unitsOf(), factor = 2 ** Number(RR.byId("clip").value);
  if (lens === "step" && step !== null && sequence !== null) {
    const values = RR.stateAt(RR.stepIndex(sequence, step)) ?? null;
    return { values, clip: units.activationClip * factor, title: `Units coloured by their state at step ${step + 1} of ${RR.description.sequences.ids[sequence]}${values ? "" : ": not on this page"}` };
  }
  if (lens === "unit") return { values: null, clip: units.clip * factor, title: "" };
  const word = words.at(-1) ?? RR.strongestWord();
  return { values: RR.row(RR.response(), word), clip: units.clip * factor, title: `Units coloured by how they answer to ${RR.quoted(RR.description.words.names[word])}${RR.atEpoch()}` };
};
RR.unitTip = function (unit) {
  const units = RR.unitsOf(), lines = [`unit ${unit}`], word = RR.selection.words.at(-1);
  lines.push(`the ${RR.noun()} explains ${RR.percent(units.array("explained")[unit])} of its changes`);
  if (word !== undefined) lines.push(`changes by ${RR.signed(RR.row(RR.response(), word)[unit])} at ${RR.quoted(RR.description.words.names[word])}`);
  return lines;
};
RR.SURE = 0.6; // share of its occurrences that a word's most frequent tag must exceed

RR.views.push(function units() {
  const host = RR.byId("clusters"), { words } = RR.description;
  if (!host || !RR.description.units.length) return;
  const modes = RR.byId("mode"), choice = RR.byId("k"), align = RR.byId("align"), tagged = RR.byId("tags");
  const MOST = 34; // words per cloud before "more"
  const open = new Set();
  let chips = [], items = [];
  // The sliders are the reader's own view of the figure, not part of the shared selection.
  const filter = RR.byId("link-filter"), stroke = RR.byId("stroke"), clipping = RR.byId("clip");
  for (const slider of [filter, stroke]) slider.addEventListener("input", () => ribbons());
  clipping.addEventListener("input", () => colour());
  tagged?.addEventListener("change", () => colour());
  align.addEventListener("change", () => { host.classList.toggle("level", align.value === "height"); arrange(); });
  modes.addEventListener("change", () => RR.set({ mode: Number(modes.value), cluster: null }));
  choice.addEventListener("change", () => RR.set({ k: Number(choice.value), cluster: null }));

  function build() {
    const units = RR.unitsOf(), place = RR.kPlace(), k = units.ks[RR.kIndex()], agree = (at) => units.stability[at]?.toFixed(2).replace("-", "−") ?? "not possible";
    const stablest = (is) => (is ? ", most stable" : "");
    modes.replaceChildren(...units.modes.map((name, i) => RR.el("option", { value: i }, `${name}${stablest(i === units.defaultMode)}`)));
    choice.replaceChildren(...units.ks.map((count, i) => { const at = RR.modeIndex() * units.ks.length + i; return RR.el("option", { value: i }, `${count} (seeds agree ${agree(at)}${stablest(at === RR.defaultPlace(units))})`); }));
    modes.value = RR.modeIndex();
    choice.value = RR.kIndex();
    const wordLabels = RR.row(units.array("wordLabels"), place), unitLabels = RR.row(units.array("unitLabels"), place);
    const association = RR.row(units.array("association"), place), kept = RR.row(units.array("keptByCluster"), place);
    const largest = association.reduce((most, value) => Math.max(most, Math.abs(value) || 0), 1e-9);
    const divided = units.stability[place] !== null;
    const labels = [...(divided ? Array(k).keys() : []), ...(wordLabels.includes(-1) || unitLabels.includes(-1) ? [-1] : [])];
    const children = [RR.svg("svg", { class: "ribbons", "aria-hidden": "true" })];
    chips = [];
    items = [];
    for (const label of labels) {
      const members = [...unitLabels.keys()].filter((unit) => unitLabels[unit] === label);
      const found = [...wordLabels.keys()].filter((word) => wordLabels[word] === label)
        .sort((a, b) => Math.abs(association[b]) - Math.abs(association[a]) || a - b);
      children.push(chip(label, members, kept[label], unitLabels.length), cloud(label, found, association, largest));
    }
    host.replaceChildren(...children);
    const quality = divided ? `seeds agree with ARI ${agree(place)} at k = ${k} · normalised cut ${units.cut[place]?.toFixed(2) ?? "not defined"} per cluster` : `with this weighting the responses cannot be divided into ${k}`;
    RR.note("units", `${RR.description.states[RR.selection.state]}: ${unitLabels.length} units, ${wordLabels.length} ${RR.noun()}s${words.unseen ? ` (${words.unseen.toLocaleString("en")} rarer ones are not analysed)` : ""} · ${quality}`);
    colour(false);
    arrange();
  }
  // Chips of equal height: as many rows as the largest one needs to fit the column.
  function arrange() {
    const box = host.querySelector(".squares"), sizes = chips.map(({ size }) => size), side = sideOf(sizes.reduce((a, b) => a + b, 0)) + 2;
    if (box) host.style.setProperty("--rows", Math.max(1, Math.ceil(Math.max(...sizes) / Math.max(1, Math.floor(box.clientWidth / side)))));
    for (const one of chips) one.place();
    paint();
    ribbons();
  }
  let tint = () => RR.css("rule");
  const paint = () => { for (const one of chips) one.paint(tint); };
  const sideOf = (all) => (all > 800 ? 7 : all > 300 ? 9 : all > 120 ? 12 : 17);

  const heading = (label, ...facts) => RR.el("header", {},
    label < 0 ? RR.el("span", {}, "unassigned") : RR.el("button", { type: "button", onclick: () => RR.set({ cluster: RR.selection.cluster === label ? null : label }) }, `cluster ${label + 1}`),
    RR.el("span", {}, facts.filter(Boolean).join(" · ")));
  const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

  function chip(label, members, kept, all) {
    const own = RR.squares(members, sideOf(all), { name: `units of ${label < 0 ? "no cluster" : `cluster ${label + 1}`}`, tip: RR.unitTip, choose: RR.chooseUnit });
    chips.push(own);
    return RR.el("div", { class: "chip", "data-label": label }, heading(label, counted(members.length, "unit"), Number.isFinite(kept) && `keeps ${Math.round(100 * kept)}%`), own.node);
  }

  function cloud(label, found, association, largest) {
    const shown = open.has(label) ? found : found.slice(0, words.prototypes ? found.length : MOST);
    const own = shown.map((word) => {
      const share = Math.sqrt(Math.abs(association[word]) / largest) || 0;
      const name = words.names[word], count = RR.arrays["words.counts"][word];
      const button = RR.hint(RR.el("button", { type: "button", class: `word${words.prototypes ? " shape" : ""}${count < RR.ENOUGH ? " rare" : ""}`, "data-word": word, "data-hint": "", "aria-pressed": "false", onclick: () => RR.chooseWord(word) }), () => wordTip(word));
      if (words.prototypes) button.append(RR.shape(RR.row(RR.arrays["words.shapes"], word), ...RR.extent(RR.arrays["words.shapes"]), { width: 30 + 22 * share, height: 14 + 10 * share }), name);
      else { button.append(RR.visible(name)); button.style.fontSize = `${12 + 12 * share}px`; button.style.fontWeight = share > 0.75 ? 600 : 400; }
      return button;
    });
    items.push(...own);
    const rest = found.length - shown.length;
    if (rest) own.push(RR.el("button", { type: "button", class: "more", onclick: () => { open.add(label); build(); } }, `did not fit: ${rest} more`));
    if (!found.length) own.push(RR.el("span", { class: "empty" }, `no ${RR.noun()}s`));
    return RR.el("div", { class: "cloud", "data-label": label }, heading(label, counted(found.length, RR.noun())), RR.el("div", { class: "words" }, ...own));
  }

  function wordTip(word) {
    const count = RR.arrays["words.counts"][word];
    const lines = [RR.visible(words.names[word]), `${count.toLocaleString("en")} occurrences${count < RR.ENOUGH ? ": few, read with care" : ""}`];
    const unit = RR.selection.units.at(-1);
    if (unit !== undefined) lines.push(`unit ${unit} changes by ${RR.signed(RR.row(RR.response(), word)[unit])} on average`);
    if (words.tagNames.length) lines.push(`tag ${words.tagNames[RR.arrays["words.tags"][word]]} in ${RR.percent(RR.arrays["words.tagShare"][word])} of them${unsure(word) ? ": ambiguous" : ""}`);
    return lines;
  }

  const press = (button, on) => { if ((button.getAttribute("aria-pressed") === "true") !== on) button.setAttribute("aria-pressed", on); };
  const unsure = (word) => !(RR.arrays["words.tagShare"][word] > RR.SURE);

  function colour(laidOut = true) {
    const { lens, words: chosen, units: picked, sequence, step, cluster } = RR.selection, { values, clip, title } = RR.unitValues();
    RR.byId("clip-name").textContent = `±${clip.toFixed(2)}`;
    const unit = lens === "unit" && picked.length ? picked.at(-1) : null;
    RR.byId("title-units").dataset.printed ??= RR.byId("title-units").textContent;
    RR.title("units", unit === null ? title : `${RR.noun().replace(/^./, (letter) => letter.toUpperCase())}s coloured by how they move unit ${unit}${RR.atEpoch()}`);
    const current = step !== null && sequence !== null ? RR.arrays["words.steps"][RR.stepIndex(sequence, step)] : -1;
    const met = new Set(sequence === null ? [] : RR.arrays["words.steps"].subarray(RR.stepIndex(sequence, 0), RR.stepIndex(sequence + 1, 0)));
    const scale = RR.signScale(clip), blank = RR.css("rule"), response = RR.response();
    tint = (index) => (values ? scale(values[index]) : blank);
    if (laidOut) paint();
    for (const one of chips) one.press(picked);
    const [muted, up, down] = ["muted", "up", "down"].map(RR.css);
    for (const item of items) {
      const index = Number(item.dataset.word), value = unit === null ? 0 : RR.row(response, index)[unit];
      item.style.color = unit === null ? "" : RR.mix(muted, value < 0 ? down : up, Math.sqrt(Math.min(1, Math.abs(value) / clip)));
      press(item, chosen.includes(index) || index === current);
      item.classList.toggle("met", met.has(index));
      if (!tagged) continue;
      item.classList.toggle("tagged", tagged.checked);
      item.classList.toggle("unsure", tagged.checked && unsure(index));
      item.style.setProperty("--tag", RR.classColour(RR.arrays["words.tags"][index]));
    }
    for (const box of host.querySelectorAll(".chip, .cloud")) box.classList.toggle("on", cluster !== null && Number(box.dataset.label) === cluster);
    const tags = tagged?.checked ? [...RR.classKeys(words.tagNames), { colour: "transparent", label: `?: at most ${RR.percent(RR.SURE)} of its occurrences carry it` }] : [];
    const few = RR.arrays["words.counts"].some((count) => count < RR.ENOUGH);
    RR.legend("units-legend", [{ ramp: RR.signRamp(), low: RR.signed(-clip), high: RR.signed(clip) }, { colour: up, label: `band: the ${RR.noun()}s push these units up` }, { colour: down, label: "down; wider is stronger" }, ...(few ? [{ colour: "transparent", label: `italic: fewer than ${RR.ENOUGH} occurrences` }] : []), ...tags]);
  }

  // Ribbons: mean response of a chip's units to a cloud's words; those below a share of the strongest are left out.
  function ribbons() {
    const svg = host.querySelector("svg.ribbons"), units = RR.unitsOf(), place = RR.kPlace(), k = units.ks[RR.kIndex()];
    const side = units.array("links").shape[1], links = RR.row(units.array("links"), place), frame = host.getBoundingClientRect();
    const boxes = (kind) => new Map([...host.querySelectorAll(`.${kind}`)].map((box) => [Number(box.dataset.label), box.getBoundingClientRect()]));
    const chips = boxes("chip"), clouds = boxes("cloud"), ways = { up: RR.css("up"), down: RR.css("down") };
    let largest = 1e-9;
    for (let r = 0; r < k; r++) for (let c = 0; c < k; c++) largest = Math.max(largest, Math.abs(links[r * side + c]) || 0);
    RR.byId("link-filter-name").textContent = `${Math.round(100 * Number(filter.value))}% of the strongest`;
    RR.byId("stroke-name").textContent = `${stroke.value} px`;
    const paths = [];
    for (let r = 0; r < k; r++) {
      for (let c = 0; c < k; c++) {
        const strength = links[r * side + c];
        if (!(Math.abs(strength) >= Number(filter.value) * largest) || !strength) continue;
        const from = chips.get(c), to = clouds.get(r);
        const x0 = from.right - frame.left, x1 = to.left - frame.left, y0 = from.top + from.height / 2 - frame.top, y1 = to.top + to.height / 2 - frame.top;
        const middle = (x0 + x1) / 2;
        paths.push(RR.svg("path", { d: `M${x0} ${y0}C${middle} ${y0} ${middle} ${y1} ${x1} ${y1}`, fill: "none", stroke: strength < 0 ? ways.down : ways.up, "stroke-width": Math.max(0.5, Number(stroke.value) * Math.abs(strength) / largest).toFixed(1), "data-cloud": r, "data-chip": c }));
      }
    }
    svg.replaceChildren(...paths);
    focus();
  }

  // The links of the chip or cloud under the pointer, else of the selected cluster, stand out, with what they lead to.
  let over = null;
  function focus() {
    const label = over?.label ?? RR.selection.cluster, linked = { chip: new Set(), cloud: new Set() };
    for (const path of host.querySelectorAll("svg.ribbons path")) {
      const cloud = Number(path.dataset.cloud), chip = Number(path.dataset.chip);
      const touched = over ? (over.kind === "chip" ? chip : cloud) === label : chip === label || cloud === label;
      path.setAttribute("stroke-opacity", label === null || touched ? 0.42 : 0.08);
      if (over && touched) { linked.chip.add(chip); linked.cloud.add(cloud); }
    }
    for (const box of host.querySelectorAll(".chip, .cloud")) box.classList.toggle("linked", linked[box.classList[0]].has(Number(box.dataset.label)));
  }
  const hover = (event) => {
    const box = event.target.closest(".chip, .cloud"), found = box && Number(box.dataset.label) >= 0 ? { kind: box.classList[0], label: Number(box.dataset.label) } : null;
    if (found?.kind === over?.kind && found?.label === over?.label) return;
    over = found;
    focus();
  };
  host.addEventListener("pointerover", hover);
  host.addEventListener("pointerleave", () => { over = null; focus(); });

  new ResizeObserver(() => arrange()).observe(host);
  RR.on(["state", "mode", "k", "theme"], build);
  RR.on(["words", "units", "lens", "cluster", "step", "sequence", "epoch"], (selection, now) => {
    if (["state", "mode", "k", "theme"].some((key) => now.has(key))) return;
    colour();
    if (now.has("cluster")) focus();
  });
});
