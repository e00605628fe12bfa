"use strict";
// The points of MM-PHATE by other methods, in small canvases of the same colours. Returns what draws them.
RR.smallPictures = function (redraw) {
  const SIDE = 520, host = RR.byId("pictures"), choice = RR.byId("pictures-input"), { pictures, rawPictures } = RR.description;
  if (!host || !pictures) return () => {};
  // MM-PHATE standardises in any case: it stays beside the pictures of the activity as it is.
  const sets = {
    pictures: pictures.methods.map((method, m) => [method, `pictures.${m}`]),
    rawPictures: [[pictures.methods[0], "pictures.0"], ...(rawPictures?.methods ?? []).map((method, m) => [method, `rawPictures.${m}`])],
  };
  let canvases = [];
  const build = () => {
    canvases = sets[choice?.value ?? "pictures"].map(([method, array]) => {
      const canvas = RR.el("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": `${method} of the same points` });
      return { array, canvas, node: RR.el("div", { class: "picture" }, RR.el("h4", {}, method), canvas) };
    });
    host.replaceChildren(...canvases.map(({ node }) => node));
  };
  build();
  choice?.addEventListener("change", () => { build(); redraw(); });
  return (colour, alpha) => canvases.forEach(({ array, canvas }) => {
    const brush = canvas.getContext("2d"), xy = RR.arrays[array], where = (value) => SIDE / 2 + 0.255 * value;
    brush.clearRect(0, 0, SIDE, SIDE);
    RR.arrays["pictures.places"].forEach((i, at) => {
      brush.globalAlpha = alpha[i];
      brush.fillStyle = colour[i];
      brush.beginPath();
      brush.arc(where(xy[2 * at]), where(-xy[2 * at + 1]), 4, 0, 2 * Math.PI);
      brush.fill();
    });
  });
};
