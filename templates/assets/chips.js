"use strict";
// The squares of a memory chip, one per unit. Their colours are one picture under the buttons, which serve pointer,
// keyboard and screen reader: to colour 1,500 units is one drawing, not 1,500 styles for the browser to work out.
RR.squares = function (members, side, { name, tip, choose }) {
  const buttons = members.map((unit, i) => RR.hint(RR.el("button", { type: "button", class: "unit", "data-unit": unit, "data-hint": "", "aria-label": `unit ${unit}`, "aria-pressed": "false", tabindex: i ? -1 : 0, onclick: () => { focusOn(i); choose(unit); } }), () => tip(unit)));
  const picture = RR.el("canvas", { "aria-hidden": "true" });
  const node = RR.el("div", { class: "squares", role: "group", "aria-label": name }, picture, ...(buttons.length ? buttons : [RR.el("span", { class: "empty" }, "no units")]));
  node.style.setProperty("--side", `${side}px`);
  let places = [], pressed = [], entry = 0;

  // The chip is one stop of the tabulator key; arrows lead from unit to unit.
  const focusOn = (i) => { buttons[entry].tabIndex = -1; buttons[entry = i].tabIndex = 0; };
  const beside = (i, way) => {
    const [x, y] = places[i], far = ([a, b]) => 1e4 * Math.abs(b - y) + Math.abs(a - x); // the next row, there the nearest
    return [...places.keys()].filter((other) => way * (places[other][1] - y) > 0).reduce((best, other) => (best < 0 || far(places[other]) < far(places[best]) ? other : best), -1);
  };
  node.addEventListener("keydown", (event) => {
    const i = buttons.indexOf(event.target), last = buttons.length - 1;
    const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: last, ArrowDown: event.key === "ArrowDown" ? beside(i, 1) : 0, ArrowUp: event.key === "ArrowUp" ? beside(i, -1) : 0 }[event.key];
    if (i < 0 || to === undefined) return;
    event.preventDefault();
    if (to < 0 || to > last) return;
    focusOn(to);
    buttons[to].focus();
  });

  return {
    node,
    size: members.length,
    // Where the squares lie: asked for when they are laid out, never while they are coloured.
    place() { places = buttons.map((button) => [button.offsetLeft, button.offsetTop]); this.box = [node.clientWidth, node.clientHeight]; },
    paint(colour) {
      const [width, height] = this.box, sharp = devicePixelRatio || 1, pen = picture.getContext("2d");
      Object.assign(picture, { width: Math.round(width * sharp), height: Math.round(height * sharp) }); // empties it too
      pen.scale(sharp, sharp);
      members.forEach((unit, i) => {
        pen.fillStyle = colour(unit);
        pen.beginPath();
        pen.roundRect(...places[i], side, side, side < 9 ? 1 : 2);
        pen.fill();
      });
    },
    press(chosen) {
      for (const unit of pressed) buttons[members.indexOf(unit)].setAttribute("aria-pressed", "false");
      pressed = chosen.filter((unit) => members.includes(unit));
      for (const unit of pressed) buttons[members.indexOf(unit)].setAttribute("aria-pressed", "true");
    },
  };
};
