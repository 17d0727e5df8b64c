/** Elements of the inbox. @module */

/** Paths of 20 × 20 icons. */
const ICONS = {
  bell: "M5 8.6a5 5 0 0 1 10 0c0 4.4 1.7 5.3 1.7 5.3H3.3S5 13 5 8.6M8.3 16.6a1.9 1.9 0 0 0 3.4 0",
  close: "M5 5l10 10M15 5L5 15",
  back: "M12 4l-6 6 6 6",
  gear: "M3 6h8M15 6h2M3 14h2M9 14h8M13 4v4M7 12v4",
  check: "M2 11l3.5 3.5L12 7M9.5 13.5l1 1L18 7",
  archive: "M3 4h14v3.5H3zM4.5 7.5V16h11V7.5M8 11h4",
  unarchive: "M3 12v4h14v-4M10 12V4M6.5 7.5L10 4l3.5 3.5",
  more: "M5 10h.01M10 10h.01M15 10h.01",
};
const SVG = "http://www.w3.org/2000/svg";

/** @typedef {keyof typeof ICONS} IconName */
/** @typedef {Node | string | null | undefined | false} Child */

/**
 * An element. Functions are listeners (`onclick`), true is an empty attribute; null, undefined and false are left out.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {Record<string, unknown>} [attributes] @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else set(element, name, value);
  }
  put(element, ...children);
  return element;
}

/** @param {Element} element @param {string} name @param {unknown} value */
export function set(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : String(value));
}

/** Replaces what is inside. @param {Element} element @param {...(Child | Child[])} children */
export function put(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}

/** Drawn for the eye only. @param {IconName} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button with an icon alone. @param {IconName} name @param {string} label @param {Record<string, unknown>} attributes */
export const iconButton = (name, label, attributes) =>
  h("button", { type: "button", part: "button", class: "icon", "aria-label": label, title: label, ...attributes }, icon(name));

/** A button with a text. @param {string} label @param {Record<string, unknown>} attributes */
export const textButton = (label, attributes) => h("button", { type: "button", part: "button", class: "text", ...attributes }, label);
