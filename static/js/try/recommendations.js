// What the server would recommend to the user right now, each with its reason.

import * as api from "../api.js";
import { $, debounce, empty, h, put, text, unavailable } from "../dom.js";
import { money, number, percent } from "../format.js";
import { picture } from "../picture.js";

const SHOWN = 8;

export function startRecommendations({ person, open }) {
  const body = $("#recommendations-body");
  const note = $("#recommendations-note");
  let before = "";
  put(body, welcome());

  const poll = api.poll(20_000, load, {
    active: () => person.id !== null && !$("#area-try").hidden,
    failed: (error) =>
      !body.querySelector(".rec") && put(body, unavailable("No recommendations", error)),
  });
  const soon = debounce(() => poll.now(), 250);
  person.on("become", () => {
    before = "";
    poll.now();
  });
  person.on("accepted", soon);
  person.on("message", soon);

  async function load() {
    const id = person.id;
    const answer = await api.get(api.path("v1/users", id, "recommendations"), { n: SHOWN });
    if (id !== person.id) return;
    api.list(answer?.items);
    text(note, answer.model ? `model ${answer.model}` : "no model trained yet");
    const now = answer.items.map((item) => item.item_id).join();
    if (now === before && body.querySelector(".rec")) return;
    before = now;
    show(answer.items);
  }

  function show(items) {
    if (!items.length) {
      put(body, empty("Nothing to recommend yet", "The shop needs items, and a little behaviour to learn from."));
      return;
    }
    const kept = new Set([...body.querySelectorAll(".rec")].map((card) => card.dataset.itemId));
    const strip = body.querySelector(".strip");
    const scrolled = strip?.contains(document.activeElement) ? strip.scrollLeft : 0;
    const list = h(
      "ol",
      { class: "strip", tabindex: "0", "aria-label": "Recommendations, best first" },
      items.map((item) => card(item, kept.size > 0 && !kept.has(String(item.item_id)))),
    );
    put(body, list);
    list.scrollLeft = scrolled;
  }

  function card(item, fresh) {
    const fill = h("span", {});
    fill.style.width = `${Math.round(100 * Math.min(1, Math.max(0, item.score ?? 0)))}%`;
    return h(
      "li",
      { class: fresh ? "rec fresh" : "rec", dataset: { itemId: String(item.item_id) } },
      h(
        "button",
        { type: "button", class: "rec-open", onclick: () => open(item) },
        picture(item),
        h("span", { class: "rec-title" }, item.title),
      ),
      h("p", { class: "rec-reason" }, item.reason),
      h(
        "div",
        { class: "rec-foot" },
        h("span", {}, money(item.price, item.currency)),
        h(
          "span",
          { class: "score", title: `Score ${number(item.score, 2)} of 1` },
          h("span", { class: "meter", "aria-hidden": "true" }, fill),
          percent(item.score, 0),
        ),
      ),
    );
  }

  return { refresh: poll.now };
}

/** Before anyone is chosen: what this page is for. */
function welcome() {
  const steps = [
    ["Choose a user", "Any user of the shop, or a new id."],
    ["View a product", "View, search, put it into the cart, buy it."],
    ["Watch what arrives", "Each event is stored and answered within milliseconds."],
  ];
  return h(
    "ol",
    { class: "welcome" },
    steps.map(([title, detail]) => h("li", {}, h("h3", {}, title), h("p", {}, detail))),
  );
}
