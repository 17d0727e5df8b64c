// Short messages in the corner. They go by themselves, but never while pointed at or focused.

import { $, h, icon } from "./dom.js";

const LASTS_MS = 6_000;
/** On a phone a second one would cover what one is doing. */
const atMost = () => (window.innerWidth < 720 ? 1 : 2);

/**
 * `toast({ title, body, kind: "plain" | "news" | "wrong", picture, onOpen, quiet })`. A `quiet` one is not read out: something
 * else on the page already is.
 */
export function toast({ title, body, kind = "plain", picture, onOpen, quiet = false }) {
  const place = $("#toasts");
  let timer = 0;
  const element = h("div", { class: `toast ${kind}`, role: quiet ? "group" : kind === "wrong" ? "alert" : "status" });
  const gone = () => {
    clearTimeout(timer);
    element.remove();
  };
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(gone, LASTS_MS);
  };
  const open = () => {
    gone();
    onOpen();
  };
  element.append(
    picture ?? h("span", {}),
    h(
      "div",
      {},
      onOpen
        ? h("button", { type: "button", class: "link toast-title", onclick: open }, title)
        : h("p", { class: "toast-title" }, title),
      body && h("p", {}, body),
    ),
    h("button", { type: "button", class: "icon-button", "aria-label": "Close", onclick: gone }, icon("close")),
  );
  element.addEventListener("pointerenter", () => clearTimeout(timer));
  element.addEventListener("pointerleave", wait);
  element.addEventListener("focusin", () => clearTimeout(timer));
  element.addEventListener("focusout", wait);
  element.addEventListener("keydown", (event) => event.key === "Escape" && gone());
  place.append(element);
  while (place.children.length > atMost()) place.firstElementChild.remove();
  wait();
}
