// How a segment looks: the letter with its colour; in plots a shape as well, for those who don't see the colour.

import { h, s } from "./dom.js";

export const SHAPES = { A: "circle", B: "square", C: "triangle", D: "diamond", E: "cross" };

/** A small square with the segment's letter; a dash for none yet. */
export function segmentBadge(segment) {
  const label = segment ? `Segment ${segment}` : "No segment yet";
  return h(
    "span",
    { class: "segment", dataset: { segment: segment ?? "" }, title: label },
    h("span", { class: "visually-hidden" }, segment ? "Segment " : "No segment yet"),
    segment ?? "–",
  );
}

/** A mark at x, y of about `r` pixels radius. */
export function mark(segment, x, y, r, properties = {}) {
  const known = Object.hasOwn(SHAPES, segment);
  const all = { class: "mark", "data-segment": known ? segment : "", ...properties };
  switch (known ? SHAPES[segment] : "circle") {
    case "square":
      return s("rect", { x: x - r * 0.9, y: y - r * 0.9, width: r * 1.8, height: r * 1.8, ...all });
    case "triangle":
      return s("path", { d: `M${x} ${y - r * 1.15}L${x + r * 1.1} ${y + r * 0.85}H${x - r * 1.1}Z`, ...all });
    case "diamond":
      return s("path", {
        d: `M${x} ${y - r * 1.25}L${x + r * 1.25} ${y}L${x} ${y + r * 1.25}L${x - r * 1.25} ${y}Z`,
        ...all,
      });
    case "cross": {
      const a = r * 1.15;
      const b = r * 0.4;
      return s("path", {
        d: `M${x - b} ${y - a}h${2 * b}v${a - b}h${a - b}v${2 * b}h${b - a}v${a - b}h${-2 * b}v${b - a}h${b - a}v${-2 * b}h${a - b}Z`,
        ...all,
      });
    }
    default:
      return s("circle", { cx: x, cy: y, r, ...all });
  }
}
