// One user's story, newest first: what was decided, sent and answered, and why or why not.

import * as api from "../api.js";
import { $, empty, h, put } from "../dom.js";
import { ago, money, percent, title, words } from "../format.js";

const PAGE = 40;
const SAID = {
  send: "Decided to send",
  defer: "Put off",
  digest: "Collected for the digest",
  inbox_only: "Kept for the inbox",
  drop: "Nothing sent",
};
const SLICES = { holdout: "held out", random: "left to chance" };

export function startTimeline({ active, navigate }) {
  const body = $("#timeline-body");
  const field = $("#timeline-user");
  let user = null;
  let next = null;
  const open = new Set();

  $("#timeline-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const value = field.value.trim();
    if (value) navigate(`#/results/${encodeURIComponent(value)}`);
  });

  function show(wanted) {
    if (wanted === null) {
      if (user === null) put(body, empty("Nobody chosen", "Type a user id, or follow “Why?” from a decision under Operate."));
      return;
    }
    if (wanted !== user) open.clear();
    user = wanted;
    field.value = user;
    load();
    $("#timeline").scrollIntoView({ block: "start" });
  }

  async function load(before) {
    const asked = user;
    try {
      const page = await api.get(api.path("admin/users", asked, "timeline"), { limit: PAGE, before });
      if (asked !== user || !active()) return;
      next = page.next_before;
      if (!before && !page.entries.length) put(body, empty("Nothing yet", "No decision was made about this user so far."));
      else draw(page.entries, Boolean(before));
    } catch (error) {
      if (asked !== user) return;
      const unknown = error.status === 404;
      put(body, empty(unknown ? "No such user" : "The story can't be shown", unknown ? `Nothing has named ${asked} yet.` : error.message));
    }
  }

  function draw(entries, more) {
    body.querySelector(".timeline-more")?.remove();
    let list = body.querySelector(".timeline");
    if (!more || !list) {
      list = h("ol", { class: "timeline" });
      put(body, list);
    }
    list.append(...entries.map(entry));
    if (next)
      body.append(h("button", { type: "button", class: "quiet small timeline-more", onclick: () => load(next) }, "Earlier"));
  }

  return { show };
}

function entry(moment) {
  const parts = { decision, message, feedback }[moment.what](moment);
  return h(
    "li",
    { dataset: { what: moment.what, outcome: moment.outcome ?? "" } },
    h("div", { class: "timeline-head" }, h("strong", {}, parts.head), h("span", { class: "note" }, parts.note), ago(moment.at)),
    parts.more,
  );
}

function decision({ outcome, category, trigger, because, steps, slice, variant, propensity, until }) {
  const facts = [
    `${title(category)} on ${words(trigger)}`,
    SLICES[slice],
    variant && `words “${variant}”`,
    propensity < 1 && `chosen with probability ${percent(propensity, 0)}`,
  ];
  return {
    head: SAID[outcome] ?? title(outcome),
    note: facts.filter(Boolean).join(" · "),
    more: [
      because && h("p", { class: "timeline-why" }, words(because), until && [" (until ", ago(until), ")"]),
      steps.length > 0 &&
        h(
          "details",
          {},
          h("summary", {}, "Every step"),
          h("ol", { class: "dots steps" }, steps.map((step) => h("li", { dataset: { verdict: step.verdict } }, words(step.text)))),
        ),
    ],
  };
}

function message({ title: said, kind, category, channel, delivered, read, withdrawn }) {
  const fate = withdrawn ? words(withdrawn) : read ? "read" : delivered ? "delivered" : "not confirmed yet";
  return { head: `Sent: ${said ?? title(kind)}`, note: `${title(category)} by ${channel} · ${fate}`, more: null };
}

function feedback({ outcome, item, value }) {
  return { head: title(outcome), note: [item?.title, value && money(value)].filter(Boolean).join(" · "), more: null };
}
