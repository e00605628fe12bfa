"use strict";
// Turning a cloud of points: two angles, drag or arrow keys. Returns a function that projects to x, y and depth;
// its ``look`` turns to given angles. Where ``active`` says no, drag and keys do nothing.
RR.turntable = function (node, redraw, active = () => true) {
  const view = { turn: 0.6, tilt: 0.35 };
  const limit = (tilt) => Math.max(-Math.PI / 2, Math.min(Math.PI / 2, tilt));
  let from = null, waiting = false;
  const later = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; redraw(); });
  };
  node.addEventListener("pointerdown", (event) => { if (active()) from = { x: event.clientX, y: event.clientY, ...view }; });
  node.addEventListener("pointermove", (event) => {
    if (!from) return;
    if (!node.classList.contains("turning")) {
      if (Math.hypot(event.clientX - from.x, event.clientY - from.y) < 4) return; // a click, not yet a drag
      node.setPointerCapture(event.pointerId);
      node.classList.add("turning");
    }
    view.turn = from.turn + (event.clientX - from.x) / 150;
    view.tilt = limit(from.tilt + (event.clientY - from.y) / 150);
    later();
  });
  for (const end of ["pointerup", "pointercancel"]) node.addEventListener(end, () => { from = null; node.classList.remove("turning"); });
  node.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, -0.12], ArrowDown: [0, 0.12] }[event.key];
    if (!step || !active()) return;
    event.preventDefault();
    view.turn += step[0];
    view.tilt = limit(view.tilt + step[1]);
    later();
  });
  const look = (turn, tilt) => { Object.assign(view, { turn, tilt: limit(tilt) }); later(); };
  return Object.assign(project, { look });
  function project(space, i) {
    const x = space[3 * i], y = space[3 * i + 1], z = space[3 * i + 2];
    const cosine = Math.cos(view.turn), sine = Math.sin(view.turn);
    const across = x * cosine + z * sine, deep = z * cosine - x * sine;
    return [across, y * Math.cos(view.tilt) - deep * Math.sin(view.tilt), y * Math.sin(view.tilt) + deep * Math.cos(view.tilt)];
  }
};
