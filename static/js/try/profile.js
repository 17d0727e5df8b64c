// What the server knows about the user: segment, habits in natural units, tastes, what was looked at.

import * as api from "../api.js";
import { $, debounce, empty, h, put, unavailable } from "../dom.js";
import { ago, count, money, number, percent, recency, words } from "../format.js";
import { segmentBadge } from "../segment.js";
import { toast } from "../toast.js";

const SETTLE_MS = 350;

export function startProfile({ person, shown, open }) {
  const body = $("#profile-body");
  put(body, empty("No user chosen", "Choose a user to see what the server knows about them."));

  const poll = api.poll(10_000, load, {
    // While logging in the server may not know the user yet.
    active: () => person.id !== null && shown() && person.status?.state !== "connecting",
    failed: (error) => {
      if (error.status === 404) put(body, empty("A new user", "Nothing is known yet. View a product and the profile begins."));
      else if (!body.querySelector(".figures")) put(body, unavailable("The profile can't be shown", error));
    },
  });
  const soon = debounce(() => poll.now(), SETTLE_MS);
  person.on("become", () => {
    put(body, empty("One moment", "Loading the profile."));
  });
  person.on("accepted", soon);
  person.on("welcome", soon);

  async function load() {
    const id = person.id;
    const profile = await api.get(api.path("v1/users", id, "profile"));
    api.list(profile?.affinities);
    if (id === person.id) show(profile);
  }

  function show(profile) {
    put(
      body,
      head(profile),
      robot(profile.robot, profile.user_id),
      features(profile.features ?? {}),
      affinities(profile.affinities ?? []),
      recent(profile.recent ?? []),
    );
  }

  function head(profile) {
    const badge = segmentBadge(profile.segment);
    badge.classList.add("large");
    return h(
      "div",
      { class: "profile-head" },
      badge,
      h(
        "div",
        {},
        h("p", { class: "profile-name" }, String(profile.user_id)),
        h(
          "p",
          { class: "note" },
          profile.segment ? `Segment ${profile.segment}` : "No segment yet",
          profile.first_seen ? [" · since ", ago(profile.first_seen)] : " · new here",
        ),
      ),
    );
  }

  /** Why the server takes the user for a robot, and the way back. */
  function robot(flag, id) {
    if (!flag) return null;
    const lift = async () => {
      try {
        await api.remove(api.path("admin/users", id, "robot"));
        poll.now();
      } catch (error) {
        toast({ title: "The flag stays", body: api.sentence(error), kind: "wrong" });
      }
    };
    return h(
      "p",
      { class: "note" },
      `Taken for a robot and not answered: ${flag.reason}. `,
      h("button", { type: "button", class: "quiet", onclick: lift }, "Not a robot"),
    );
  }

  function features(values) {
    const rows = [
      ["Purchases", number(values.purchases_per_month, 1), "per month"],
      ["Browsing", number(values.browsing_minutes_per_month, 1), "min per month"],
      ["Searches", number(values.searches_per_month, 1), "per month"],
      ["Last purchase", recency(values.recency_days), ""],
      ["Spent", money(values.monetary), "in all"],
    ];
    return h(
      "dl",
      { class: "figures" },
      rows.map(([label, value, unit]) =>
        h("div", {}, h("dt", {}, label), h("dd", {}, h("strong", {}, value), unit && h("span", {}, ` ${unit}`))),
      ),
    );
  }

  function affinities(list) {
    if (!list.length) return h("div", {}, h("h3", {}, "Tastes"), h("p", { class: "note" }, "None visible yet."));
    const top = list.slice(0, 6);
    const largest = Math.max(...top.map((entry) => entry.share), 0.01);
    return h(
      "div",
      {},
      h("h3", {}, "Tastes"),
      h(
        "ul",
        { class: "bars" },
        top.map((entry) => bar(entry, largest)),
      ),
    );
  }

  function bar({ category, share }, largest) {
    const fill = h("span", {});
    fill.style.width = `${(100 * share) / largest}%`;
    return h(
      "li",
      {},
      h("span", { class: "bar-label" }, category),
      h("span", { class: "n" }, percent(share, 0)),
      h("span", { class: "meter", "aria-hidden": "true" }, fill),
    );
  }

  function recent(list) {
    if (!list.length)
      return h("div", {}, h("h3", {}, "Recently"), h("p", { class: "note" }, "Nothing yet: view a product."));
    return h(
      "div",
      {},
      h("h3", {}, "Recently"),
      h(
        "ul",
        { class: "recent", title: count(list.length, "item") },
        list
          .slice(0, 6)
          .map((entry) =>
            h(
              "li",
              {},
              h(
                "button",
                { type: "button", class: "link", onclick: () => open(entry) },
                entry.title ?? String(entry.item_id),
              ),
              h("span", { class: "note" }, `${past(entry.kind)} `, ago(entry.at)),
            ),
          ),
      ),
    );
  }

  function past(kind) {
    const names = {
      view: "viewed",
      add_to_cart: "in the cart",
      remove_from_cart: "out of the cart",
      purchase: "bought",
      return: "returned",
      like: "liked",
      rate: "rated",
    };
    return names[kind] ?? words(kind);
  }

  return { refresh: poll.now };
}
