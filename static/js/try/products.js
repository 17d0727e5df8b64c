// The shop: search, categories, pages, and a card for each item.

import * as api from "../api.js";
import { $, empty, h, icon, put, text, unavailable } from "../dom.js";
import { money, number } from "../format.js";
import { picture } from "../picture.js";
import { itemActions } from "./actions.js";

const PAGE = 24;
const CATEGORIES = 14;

export function startProducts({ person, open, onMetrics }) {
  const grid = $("#products");
  const state = { q: "", category: "", offset: 0 };
  let latest = null;
  let items = null;
  let turn = 0;

  put(
    grid,
    Array.from({ length: 8 }, () => h("div", { class: "product ghost", "aria-hidden": "true" })),
  );

  onMetrics((metrics) => {
    // The catalogue came, grew or shrank: what is on the page may be out of date.
    if (metrics.catalogue?.items !== items) {
      items = metrics.catalogue?.items;
      load();
    }
  });
  api.onHealth((health) => health === "ok" && latest === null && load());
  person.on("become", () => latest && showItems(latest));

  $("#search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const query = $("#search").value.trim();
    go({ q: query, offset: 0 });
    if (query && person.id !== null) person.send({ kind: "search", query });
  });
  $("#search").addEventListener("input", () => {
    if ($("#search").value === "" && state.q) go({ q: "", offset: 0 });
  });

  function go(change) {
    Object.assign(state, change);
    load();
  }

  function load() {
    const mine = ++turn;
    const wanted = () => mine === turn;
    const read = async () => {
      const answer = await api.get("v1/items", {
        limit: PAGE,
        offset: state.offset,
        category: state.category,
        q: state.q,
      });
      if (!wanted()) return;
      showItems(answer);
      showCategories(answer.categories ?? []);
      showPaging(answer.total);
      latest = answer;
    };
    const failed = (error) => {
      text($("#shop-note"), latest ? `${error.message} Trying again.` : "");
      if (!latest) put(grid, unavailable("The shop can't be shown", error));
    };
    api.persist(read, { wanted, failed });
  }

  function showItems(answer) {
    if (!api.list(answer?.items).length) {
      const filtered = state.q || state.category;
      text($("#shop-note"), "");
      put(
        grid,
        filtered
          ? empty("Nothing found", "Try another word or category.")
          : empty("The catalogue is empty", "Import a data set or PUT /v1/items; it appears here at once."),
      );
      return;
    }
    text(
      $("#shop-note"),
      `${number(state.offset + 1)}–${number(state.offset + answer.items.length)} of ${number(answer.total)}`,
    );
    put(grid, answer.items.map(product));
  }

  function product(item) {
    const label = `product-${item.item_id}`;
    const soldOut = item.stock === 0;
    return h(
      "article",
      {
        class: soldOut ? "product sold-out" : "product",
        dataset: { itemId: String(item.item_id) },
        "aria-labelledby": label,
      },
      h(
        "button",
        {
          type: "button",
          class: "product-picture",
          dataset: { action: "look" },
          tabindex: "-1",
          "aria-hidden": "true",
          onclick: () => open(item),
        },
        picture(item),
      ),
      h("p", { class: "note" }, (item.category ?? []).at(-1) ?? ""),
      h("h3", { id: label }, item.title),
      h("p", { class: "price" }, money(item.price, item.currency), soldOut && h("span", { class: "chip" }, "sold out")),
      h(
        "div",
        { class: "product-actions" },
        h(
          "button",
          {
            type: "button",
            class: "quiet small",
            dataset: { action: "view" },
            "aria-label": `View ${item.title}`,
            onclick: () => open(item),
          },
          icon("eye"),
          "View",
        ),
        itemActions({ person, item }),
      ),
    );
  }

  function showCategories(categories) {
    const all = [{ name: "", count: null }, ...categories.slice(0, CATEGORIES)];
    if (state.category && !all.some((category) => category.name === state.category))
      all.push({ name: state.category, count: null });
    const focused = document.activeElement?.dataset?.category;
    put(
      $("#categories"),
      categories.length > 0 &&
        all.map(({ name, count }) =>
          h(
            "button",
            {
              type: "button",
              class: "choice",
              "aria-pressed": String(state.category === name),
              dataset: { category: name },
              onclick: () => go({ category: name, offset: 0 }),
            },
            name || "Everything",
            count !== null && h("span", { class: "note" }, number(count)),
          ),
        ),
    );
    if (focused !== undefined)
      [...document.querySelectorAll("#categories .choice")].find((chip) => chip.dataset.category === focused)?.focus();
  }

  function showPaging(total) {
    const paging = $("#paging");
    paging.hidden = total <= PAGE;
    const page = Math.floor(state.offset / PAGE) + 1;
    const pages = Math.max(1, Math.ceil(total / PAGE));
    const turnTo = (offset) => {
      go({ offset });
      $("#shop").scrollIntoView({ block: "start" });
    };
    put(
      paging,
      h(
        "button",
        { type: "button", class: "quiet small", disabled: page === 1, onclick: () => turnTo(state.offset - PAGE) },
        "Previous",
      ),
      h("span", { class: "note" }, `Page ${number(page)} of ${number(pages)}`),
      h(
        "button",
        { type: "button", class: "quiet small", disabled: page === pages, onclick: () => turnTo(state.offset + PAGE) },
        "Next",
      ),
    );
  }
}
