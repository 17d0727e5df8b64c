// Pictures of items, and a drawn stand-in where there is none.

import { h, s, safeUrl } from "./dom.js";

function hash(value) {
  let sum = 2166136261;
  for (const character of String(value)) sum = Math.imul(sum ^ character.codePointAt(0), 16777619);
  return sum >>> 0;
}

/** Two soft shapes and the initials, the same every time for the same item. */
function drawn(item) {
  const seed = hash(item.title ?? item.item_id);
  const hue = seed % 360;
  const words = String(item.title ?? item.item_id)
    .split(/\s+/)
    .filter((word) => /^[\p{L}\p{N}]/u.test(word));
  const initials = words
    .slice(0, 2)
    .map((word) => [...word][0].toUpperCase())
    .join("");
  return s(
    "svg",
    { viewBox: "0 0 100 100", "aria-hidden": "true", preserveAspectRatio: "xMidYMid slice" },
    s("rect", { width: 100, height: 100, fill: `hsl(${hue} 26% 84%)` }),
    s("circle", { cx: 20 + (seed % 60), cy: 84, r: 46, fill: `hsl(${(hue + 28) % 360} 30% 74%)` }),
    s("circle", { cx: 86 - (seed % 50), cy: 12, r: 26, fill: `hsl(${(hue + 330) % 360} 32% 78%)` }),
    s(
      "text",
      { x: 50, y: 61, "text-anchor": "middle", "font-size": 32, "font-weight": 600, fill: `hsl(${hue} 40% 24%)` },
      initials || "·",
    ),
  );
}

/** Pictures of the simulated shop are the server's own, so they are beside this page also where a proxy shows it below a path. */
const beside = (address) => (address.startsWith("/demo/images/") ? address.slice(1) : address);

/** A `.thumb` box; decorative (the title stands beside it). */
export function picture(item, extra = "") {
  const box = h("span", { class: `thumb ${extra}`, "aria-hidden": "true" });
  const address = item.image_url && safeUrl(item.image_url);
  if (!address) {
    box.append(drawn(item));
    return box;
  }
  const image = h("img", { src: beside(item.image_url), alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(drawn(item)), { once: true });
  box.append(image);
  return box;
}
