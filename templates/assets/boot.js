"use strict";
// Start: restore the selection from the link, build the views, announce once, then draw what waited.
(function boot() {
  const { sequences, words, units } = RR.description, [first] = [sequences ?? []].flat();
  const chosen = first && ["labels", "quantities"].includes(first.kind) ? first.classNames.length : 0;
  if (RR.description.kind === "report") {
    RR.selection.epoch = Math.max(0, RR.epochs().length - 1);
    const width = units.length ? RR.arrays[`${units[0].prefix}.response`].shape[1] : 0;
    RR.limits = { state: units.length, mode: units[0]?.modes.length ?? 0, k: units[0]?.ks.length ?? 0, words: words?.names.length ?? 0, units: width, cluster: 64, node: RR.description.machine?.answers.length ?? 0, sequence: sequences?.ids.length ?? 0, pinned: sequences?.ids.length ?? 0, epoch: RR.epochs().length, output: chosen, step: 0 };
  } else {
    RR.limits = { sequence: first.ids.length, output: chosen, ...RR.moreLimits() };
  }
  RR.initial = structuredClone(RR.selection);
  const found = RR.readHash();
  if (found.sequence !== undefined && RR.description.kind === "report") {
    RR.limits.step = RR.limits.range = RR.arrays["sequences.lengths"][found.sequence];
    Object.assign(found, RR.readHash());
  }
  Object.assign(RR.selection, found);
  for (const view of RR.views) view();
  const all = new Set(Object.keys(RR.selection));
  for (const { follow } of RR.listeners) follow(RR.selection, all);

  const theme = RR.byId("theme"), copy = RR.byId("copy");
  const say = () => { theme.textContent = RR.dark() ? "Light" : "Dark"; };
  theme.hidden = false;
  say();
  theme.addEventListener("click", () => { RR.setTheme(!RR.dark()); say(); });
  if (copy && navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", async () => { await navigator.clipboard.writeText(location.href); copy.textContent = "Copied"; setTimeout(() => { copy.textContent = "Copy link to this view"; }, 1500); });
  }
  // A link to a section scrolls there and leaves the selection in the address.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    const target = link && RR.byId(link.getAttribute("href").slice(1));
    if (!target) return;
    event.preventDefault();
    RR.show(target);
  });
  addEventListener("hashchange", () => {
    const patch = RR.readHash();
    if (Object.keys(patch).length) RR.set(patch);
  });
  // What is drawn without haste comes one by one; what ends the waiting is last.
  const idle = window.requestIdleCallback ?? setTimeout;
  RR.later.push(() => { document.documentElement.dataset.ready = "yes"; });
  (function next() { idle(() => { RR.later.shift()(); if (RR.later.length) next(); }, { timeout: 200 }); })();
})();
