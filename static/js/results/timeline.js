// One user's timeline, newest first: what was decided, sent and answered, and why or why not.

import * as api from "../api.js";
import { $, empty, h, put, unavailable } from "../dom.js";
import { ago, money, percent, title, words } from "../format.js";
import { toast } from "../toast.js";
import { outcomeLabel } from "../outcome.js";

const PAGE = 40;
const SLICES = { holdout: "control group", random: "random test" };

export function startTimeline({ active, navigate }) {
  const body = $("#timeline-body");
  const field = $("#timeline-user");
  let user = null;
  let next = null;
  let turn = 0;
  const open = new Set();

  $("#timeline-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const value = field.value.trim();
    if (value) navigate(`#/results/${encodeURIComponent(value)}`);
  });

  function show(wanted) {
    if (wanted === null) {
      if (user === null) put(body, empty("Nobody chosen", "Type a user id, or follow “Their timeline” from a decision under Operate."));
      return;
    }
    if (wanted !== user) open.clear();
    user = wanted;
    field.value = user;
    load();
    $("#timeline").scrollIntoView({ block: "start" });
  }

  function load(before) {
    const asked = user;
    const mine = ++turn;
    const wanted = () => mine === turn && active();
    api.persist(
      async () => {
        const page = await api.get(api.path("admin/users", asked, "timeline"), { limit: PAGE, before });
        if (!wanted()) return;
        next = page.next_before;
        if (!before && !page.entries.length) put(body, empty("Nothing yet", "No decision was made about this user so far."));
        else draw(page.entries, Boolean(before));
      },
      { wanted, failed: (error) => failed(error, asked, Boolean(before)) },
    );
  }

  function failed(error, asked, more) {
    if (error.status === 404) put(body, empty("No such user", `No event and no message names ${asked} yet.`));
    else if (!more) put(body, unavailable("The timeline can't be shown", error));
    else toast({ title: "Earlier entries can't be shown", body: api.sentence(error), kind: "wrong" });
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
  const parts = { decision, message, feedback, event }[moment.what](moment);
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
    variant && `variant “${variant}”`,
    propensity < 1 && `chosen with probability ${percent(propensity, 0)}`,
  ];
  return {
    head: outcome === "send" ? "Decided to send" : outcomeLabel(outcome),
    note: facts.filter(Boolean).join(" · "),
    more: [
      because && h("p", { class: "timeline-why" }, words(because), until && [" (until ", ago(until), ")"]),
      steps.length > 0 &&
        h(
          "details",
          {},
          h("summary", {}, "All steps"),
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

function event({ kind, item, value }) {
  return { head: title(kind), note: [item?.title, value && String(value)].filter(Boolean).join(" · "), more: null };
}
