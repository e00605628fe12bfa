"use strict";
// A step of a continuous series as a small shape: one bar per feature, or a line where there are many.
RR.shape = function (values, low, high, size = { width: 40, height: 18 }) {
  const { width, height } = size;
  const root = RR.svg("svg", { class: "shape", width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const span = high - low || 1;
  const level = (value) => height - ((value - low) / span) * height;
  const zero = level(Math.max(low, Math.min(high, 0)));
  if (values.length > 24) {
    const points = Array.from(values, (value, i) => `${(i / (values.length - 1)) * width},${level(value).toFixed(1)}`).join(" ");
    root.append(RR.svg("polyline", { points, fill: "none", stroke: "currentColor", "stroke-width": 1.2 }));
    return root;
  }
  const bar = width / values.length;
  values.forEach((value, i) => {
    const top = Math.min(level(value), zero), tall = Math.max(0.8, Math.abs(level(value) - zero));
    root.append(RR.svg("rect", { x: i * bar, y: Math.min(top, height - 0.8), width: Math.max(0.7, bar - 0.8), height: tall, fill: "currentColor" }));
  });
  return root;
};
RR.extent = function (values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) { if (value < low) low = value; if (value > high) high = value; }
  return low <= high ? [low, high] : [0, 1];
};
