"use strict";
// On a page that `rnnreport watch` made: reloads it from disk when there is a newer one, and keeps what is looked at.
// A style sheet beside the page carries its stamp, because nothing else can be read from disk without a server.
(function () {
  if (location.protocol !== "file:") return;
  const EVERY = 1000, REST = 3000; // ms: between looks; without any action before the page is reloaded
  const root = document.documentElement, { content, dataset } = document.querySelector('meta[name="rnnreport-page"]');
  const kept = history.state?.following ?? {}, byId = (id) => document.getElementById(id);
  let paused = Boolean(kept.paused), newer = false, acted = performance.now(), sheet = null;

  const button = document.createElement("button");
  Object.assign(button, { type: "button", id: "following", className: "quiet" });
  const say = () => {
    button.textContent = !paused ? "Following" : newer ? "Paused: newer page" : "Paused";
    button.setAttribute("aria-pressed", String(!paused));
    button.title = "Whether the page is loaded again when an epoch of the training has landed and nothing is being done here.";
  };
  button.addEventListener("click", () => { paused = !paused; acted = paused ? acted : -REST; say(); });
  say();
  byId("theme").before(button);
  for (const kind of ["pointermove", "pointerdown", "keydown", "wheel", "touchmove"]) addEventListener(kind, (event) => { if (event.target !== button) acted = performance.now(); }, { capture: true, passive: true });

  const busy = () => performance.now() - acted < REST || !getSelection().isCollapsed || document.querySelector('[id$="-play"][aria-pressed="true"]') || (document.activeElement.matches("input[type=text], input[type=search], textarea") && document.activeElement.value);

  // What the page was changed to by hand and the address does not tell. Scrolling counts from the heading above.
  const controls = () => [...document.querySelectorAll("select[id], input[type=checkbox][id], input[type=radio][id]")];
  const details = () => [...document.querySelectorAll("main details")];
  const above = () => [...document.querySelectorAll("main [id]")].filter((place) => place.matches("section") && place.getBoundingClientRect().top <= 1).at(-1);
  function keep() {
    const place = above();
    return {
      paused, place: place?.id, past: place ? -place.getBoundingClientRect().top : scrollY, focus: document.activeElement.id,
      chosen: controls().filter((one) => (one.options ? !one.selectedOptions[0]?.defaultSelected && one.selectedIndex : one.checked !== one.defaultChecked)).map((one) => [one.id, one.options ? one.value : one.checked]),
      open: details().map((one) => one.open),
    };
  }
  function restore() {
    for (const [id, value] of kept.chosen ?? []) {
      const one = byId(id);
      const now = one?.options ? "value" : "checked";
      // what the address tells is there already
      if (!one || id in RR.selection || one[now] === value || (one.options && ![...one.options].some((option) => option.value === value))) continue;
      one[now] = value;
      for (const kind of ["input", "change"]) one.dispatchEvent(new Event(kind, { bubbles: true }));
    }
    const found = details();
    if (found.length === kept.open?.length) found.forEach((one, i) => { one.open = kept.open[i]; });
    if (kept.focus) byId(kept.focus)?.focus({ preventScroll: true });
    if (kept.past !== undefined) {
      const place = byId(kept.place);
      scrollTo(0, (place ? place.getBoundingClientRect().top + scrollY : 0) + kept.past);
    }
    root.dataset.following = "yes";
  }
  function reload() {
    history.scrollRestoration = "manual";
    history.replaceState({ following: keep() }, "");
    location.reload();
  }

  function look() {
    const next = document.createElement("link");
    next.rel = "stylesheet";
    next.href = `${dataset.stamp}?${Date.now()}`;
    next.addEventListener("load", () => {
      sheet?.remove();
      sheet = next;
      newer = getComputedStyle(root).getPropertyValue("--rnnreport-page").trim() !== `"${content}"`;
      say();
      if (newer && !paused && !busy()) reload();
      else setTimeout(look, EVERY);
    });
    // No stamp: the watching has ended, and an ordinary page is there; or this is a copy, which stays as it is.
    next.addEventListener("error", () => { button.remove(); if (sheet) reload(); });
    document.head.append(next);
  }
  const ready = new MutationObserver(() => {
    if (root.dataset.ready !== "yes") return;
    ready.disconnect();
    restore();
    look();
  });
  ready.observe(root, { attributes: true, attributeFilter: ["data-ready"] });
})();
