"use strict";
// Bokeh figures: embedded when they come into view, painted only while they are, found by name, coloured like the page.
RR.plots = {};
Bokeh.set_log_level("error"); // sources are empty until the first selection, which Bokeh would warn about

// `ready(plot)` runs once the figure is drawn; views keep quiet until then.
RR.plot = function (name, ready) {
  const place = RR.byId(`plot-${name}`);
  const item = RR.description.figures[name];
  if (!place || !item) return;
  const build = async () => {
    const views = await Bokeh.embed.embed_item(item, place);
    const figure = views.roots[0].model;
    views.roots[0].canvas_view.events_el.tabIndex = -1; // a stop of the keyboard where no key does anything
    const named = new Map([...figure.document.all_models].filter(({ name }) => name).map((model) => [model.name, model]));
    const plot = { figure, find: (model) => named.get(model) ?? null, place };
    plot.source = plot.find;
    plot.fill = (source, data) => { plot.source(source).data = data; };
    RR.plots[name] = plot;
    RR.dress(plot);
    ready(plot);
    figure.hold_render = held; // it may have been scrolled past meanwhile
    place.dataset.ready = "yes";
  };
  // A figure out of sight has its data at once and is painted when it comes back: most of a click was painting.
  let building = false, held = false;
  new IntersectionObserver((entries) => {
    held = !entries.at(-1).isIntersecting;
    if (RR.plots[name]) RR.plots[name].figure.hold_render = held;
    else if (!held && !building) { building = true; build(); }
  }, { rootMargin: "300px" }).observe(place);
};

// Draws a figure once the page has time, so that it does not grow under the pointer of who comes to it; then while it is
// near the window, and once more when it comes there after a change: `refresh` says that.
RR.later = [];
RR.whileSeen = function (node, draw) {
  let seen = false, stale = true;
  const refresh = () => { stale = !seen; if (seen) draw(); };
  RR.later.push(() => { if (stale) { stale = false; draw(); } });
  new IntersectionObserver((entries) => {
    seen = entries.at(-1).isIntersecting;
    if (seen && stale) refresh();
  }, { rootMargin: "300px" }).observe(node);
  return refresh;
};

// Text, axes and grid in the colours of the theme.
RR.dress = function ({ figure }) {
  const ink = RR.css("ink"), muted = RR.css("muted"), rule = RR.css("rule");
  for (const model of figure.document.all_models) {
    if (model.type.endsWith("Axis")) model.setv({ major_label_text_color: muted, axis_label_text_color: muted });
    else if (model.type === "Grid") model.setv({ grid_line_color: model.dimension === 1 ? rule : null, grid_line_alpha: 0.7 });
    else if (model.type === "Span") model.setv({ line_color: model.name?.endsWith("cursor") ? ink : muted, line_dash: model.name?.endsWith("cursor") ? [3, 3] : [] });
  }
};
RR.lineColour = function (plot, name, colour) {
  const renderer = plot.find(name);
  if (!renderer) return;
  const glyph = renderer.glyph;
  if (!glyph) { renderer.text_color = colour; return; } // a label
  const properties = {};
  for (const key of ["line_color", "fill_color"]) if (key in glyph && glyph[key]?.value !== null) properties[key] = { value: colour };
  glyph.setv(properties);
};
// Calls `follow(indices)` when marks of a source are clicked, `over(indices)` while the pointer is on them.
RR.touch = function (plot, source, { click, over }) {
  const columns = plot.source(source);
  if (click) {
    columns.selected.properties.indices.change.connect(() => {
      const indices = [...columns.selected.indices];
      if (!indices.length) return;
      click(indices);
      columns.selected.indices = [];
    });
  }
  if (over) {
    columns.inspect.connect(() => over([...columns.inspected.indices]));
    plot.place.addEventListener("pointerleave", () => over([]));
  }
};

RR.setTheme = function (dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  RR.forgetColours();
  try { localStorage.setItem("rnnreport-theme", dark ? "dark" : "light"); } catch { /* a sandboxed frame has no storage */ }
  for (const plot of Object.values(RR.plots)) RR.dress(plot);
  const all = new Set([...Object.keys(RR.selection), "theme"]);
  for (const { follow } of RR.listeners) follow(RR.selection, all);
};
