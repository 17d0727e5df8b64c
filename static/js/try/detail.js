// One item, looked at: opening it is a view, and closing it tells how long it was really on the screen.

import * as api from "../api.js";
import { $, h, icon, put } from "../dom.js";
import { money, number, percent } from "../format.js";
import { picture } from "../picture.js";
import { itemActions } from "./actions.js";
import { why } from "./why.js";

/** A shorter look says nothing. */
const SHORTEST_DWELL_MS = 1_000;
const SIMILAR = 6;

export function startDetail({ person }) {
  const panel = $("#detail");
  const shop = $("#shop");
  let looked = null;
  let returnTo = null;

  panel.addEventListener("keydown", (event) => event.key === "Escape" && close());
  document.addEventListener("visibilitychange", () => looked?.pause(document.visibilityState === "hidden"));
  window.addEventListener("pagehide", () => endView());
  // Whoever looks after a change of user is someone else.
  person.on("become", ({ changed }) => {
    if (!changed) return;
    looked = null;
    close({ quiet: true });
  });

  async function open(item) {
    endView();
    if (panel.hidden) returnTo = document.activeElement;
    looked = stopwatch(item.item_id);
    person.send({ kind: "view", item_id: item.item_id });
    // The page is drawn in the next frame: what the view brings may be here before it, and is not held up by it.
    requestAnimationFrame(() => {
      if (looked !== mine) return;
      panel.hidden = false;
      shop.hidden = true;
      if (!drawn) show(item, null);
      bringIntoView(panel);
      $("#detail-title")?.focus({ preventScroll: true });
    });
    let drawn = false;
    const mine = looked;
    const [whole, similar, reasons] = await Promise.allSettled([
      api.get(api.path("v1/items", item.item_id)),
      api.get(api.path("v1/items", item.item_id, "similar"), { n: SIMILAR }),
      why(item, person.id),
    ]);
    if (looked !== mine) return;
    drawn = true;
    const full = whole.status === "fulfilled" ? { ...item, ...whole.value } : item;
    show(full, similar.status === "fulfilled" ? similar.value?.items : undefined, reasons.value);
  }

  function close({ quiet = false } = {}) {
    endView();
    if (panel.hidden) return;
    panel.hidden = true;
    shop.hidden = false;
    if (!quiet && returnTo?.isConnected) returnTo.focus();
  }

  function endView() {
    if (!looked) return;
    const { item_id, total } = looked;
    looked = null;
    const dwell_ms = Math.round(total());
    if (person.id !== null && dwell_ms >= SHORTEST_DWELL_MS) person.send({ kind: "view", item_id, dwell_ms });
  }

  function show(item, similar, reasons) {
    const focused = panel.contains(document.activeElement) ? document.activeElement : null;
    const onTitle = focused?.id === "detail-title";
    const back = h(
      "button",
      { type: "button", class: "quiet small", dataset: { action: "close" }, onclick: () => close() },
      icon("back"),
      "Back to the shop",
    );
    put(
      panel,
      h("div", { class: "detail-top" }, back, h("p", { class: "note" }, (item.category ?? []).join(" › "))),
      h(
        "div",
        { class: "detail-main" },
        picture(item, "big"),
        h(
          "div",
          { class: "detail-text" },
          h("h2", { id: "detail-title", tabindex: "-1" }, item.title ?? String(item.item_id)),
          h("p", { class: "price large" }, money(item.price, item.currency)),
          h("p", { class: "note" }, availability(item)),
          item.tags?.length > 0 &&
            h(
              "div",
              { class: "chips" },
              item.tags.map((tag) => h("span", { class: "chip" }, tag)),
            ),
          h("div", { class: "detail-actions" }, itemActions({ person, item, labelled: true })),
        ),
      ),
      reasons,
      similar !== null && similarItems(similar),
    );
    if (onTitle) $("#detail-title").focus({ preventScroll: true });
    else if (focused && !focused.isConnected) back.focus({ preventScroll: true });
  }

  function availability({ stock }) {
    if (stock === undefined || stock === null) return "";
    if (stock === 0) return "Sold out";
    return stock < 5 ? `Only ${number(stock)} left` : "In stock";
  }

  function similarItems(items) {
    return h(
      "div",
      { class: "similar" },
      h("h3", {}, "Similar"),
      !items?.length
        ? h("p", { class: "note" }, items ? "Nothing similar is known yet." : "Can't be loaded right now.")
        : h(
            "ul",
            { class: "strip" },
            items.map((item) =>
              h(
                "li",
                { class: "rec", dataset: { itemId: String(item.item_id) } },
                h(
                  "button",
                  { type: "button", class: "rec-open", onclick: () => open(item) },
                  picture(item),
                  h("span", { class: "rec-title" }, item.title),
                ),
                h(
                  "div",
                  { class: "rec-foot" },
                  h("span", {}, money(item.price, item.currency)),
                  h("span", { class: "note" }, percent(item.score, 0)),
                ),
              ),
            ),
          ),
    );
  }

  return { open, close };
}

/** Scrolls only if the top of it is not already in the upper half of the window. */
function bringIntoView(element) {
  const { top } = element.getBoundingClientRect();
  if (top < 0 || top > window.innerHeight * 0.55) element.scrollIntoView({ block: "start" });
}

/** Measures only the time in which the page is visible. */
function stopwatch(item_id) {
  let sum = 0;
  let since = document.visibilityState === "visible" ? performance.now() : null;
  return {
    item_id,
    pause(paused) {
      if (paused && since !== null) {
        sum += performance.now() - since;
        since = null;
      } else if (!paused && since === null) since = performance.now();
    },
    total: () => sum + (since === null ? 0 : performance.now() - since),
  };
}
