// The decision feed: what was sent, postponed or not sent, for whom, and why.

import * as api from "../api.js";
import { $, empty, h, put, text, unavailable } from "../dom.js";
import { ago, count, number, percent, title, words } from "../format.js";
import { OUTCOMES, outcomeWords, STEPS } from "../outcome.js";
import { segmentBadge } from "../segment.js";

const LIMIT = 60;
const SHOWN = 40;
/** Where a message ended, or null when nothing stopped it. */
const endedAt = (decision) =>
  (decision.steps ?? []).findLast((step) => step.verdict === "stop" || step.verdict === "change")?.step ?? null;

export function startDecisions({ active }) {
  const list = $("#decisions-body");
  const hold = $("#decisions-hold");
  const filter = { outcome: "", user: "" };
  let latest = [];
  let shownIds = new Set();
  let open = new Set();
  let paused = false;
  let pointed = false;

  list.addEventListener("pointerenter", () => (pointed = true));
  list.addEventListener("pointerleave", () => {
    pointed = false;
    show();
  });
  hold.addEventListener("click", () => {
    paused = !paused;
    show();
  });

  const user = h("input", {
    type: "search",
    id: "decisions-user",
    placeholder: "User id",
    "aria-label": "Only this user",
    maxlength: "128",
    autocomplete: "off",
  });
  const outcomes = [["", ["All"]], ...Object.entries(OUTCOMES)].map(([value, [label]]) => {
    const chip = h(
      "button",
      { type: "button", class: "choice", "aria-pressed": String(value === ""), dataset: { outcome: value } },
      label,
    );
    chip.addEventListener("click", () => {
      filter.outcome = value;
      for (const other of outcomes) other.setAttribute("aria-pressed", String(other === chip));
      show(true);
    });
    return chip;
  });
  user.addEventListener("change", () => {
    filter.user = user.value.trim();
    poll.now();
  });
  user.addEventListener("keydown", (event) => event.key === "Enter" && user.blur());
  const funnel = h("p", { class: "note", id: "decisions-funnel" });
  const bars = h("ol", { class: "step-bars", id: "decisions-bars", "aria-label": "Where the latest decisions ended" });
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Outcome" }, outcomes);
  put($("#decisions-filter"), chips, user, funnel, bars);

  const poll = api.poll(2_000, load, {
    active,
    failed: (error) =>
      !latest.length && put(list, h("li", {}, unavailable("Decisions can't be shown", error))),
  });

  let askedFor = "";
  async function load() {
    const asked = filter.user;
    const { decisions } = await api.get("admin/decisions", { limit: LIMIT, user_id: asked });
    if (asked !== filter.user) return;
    latest = api.list(decisions);
    const changed = askedFor !== asked;
    askedFor = asked;
    show(changed);
  }

  const matching = () =>
    latest.filter((decision) => !filter.outcome || decision.outcome === filter.outcome).slice(0, SHOWN);

  /** A bar for each step that ended something, and one for what was sent. */
  function drawBars(ended, sent) {
    const rows = Object.entries(STEPS)
      .map(([step, label]) => [step, label, ended.get(step) ?? 0])
      .filter(([, , held]) => held > 0);
    const all = [...rows, ["sent", "Sent", sent]];
    put(
      bars,
      (latest.length ? all : []).map(([step, label, n]) => {
        const fill = h("span", {});
        fill.style.width = `${(100 * n) / latest.length}%`;
        const meter = h("span", { class: "meter", "aria-hidden": "true" }, fill);
        return h("li", { dataset: { step } }, h("span", {}, label), meter, h("strong", {}, String(n)));
      }),
    );
  }

  /** How many of the latest got through, and which step held the others back. */
  function showFunnel() {
    const ended = new Map();
    for (const decision of latest) {
      const step = endedAt(decision);
      if (step) ended.set(step, (ended.get(step) ?? 0) + 1);
    }
    const parts = Object.entries(STEPS)
      .filter(([step]) => ended.has(step))
      .map(([step, label]) => `${label.toLowerCase()} ${ended.get(step)}`);
    const sent = latest.filter((decision) => decision.outcome === "send").length;
    drawBars(ended, sent);
    const held = parts.length ? `; not sent at once: ${parts.join(", ")}` : "";
    text(funnel, latest.length ? `Of the last ${count(latest.length, "decision")} ${sent} sent${held}.` : "");
  }

  /** While someone reads or has paused, only count what is new. */
  function show(force = false) {
    showFunnel();
    const rows = matching();
    const reading = paused || pointed || list.contains(document.activeElement);
    const fresh = rows.filter((decision) => !shownIds.has(decision.decision_id)).length;
    text(hold, paused ? (fresh ? `Resume (${number(fresh)} new)` : "Resume") : "Pause");
    if (reading && !force && list.children.length && shownIds.size) return;
    open = new Set([...list.querySelectorAll("details[open]")].map((element) => element.dataset.decision));
    shownIds = new Set(rows.map((decision) => decision.decision_id));
    if (!rows.length) {
      put(
        list,
        h(
          "li",
          {},
          filter.outcome || filter.user
            ? empty("None of these", "Nothing recent matches the filter.")
            : empty(
                "No decisions yet",
                "Each time something happens the server decides whether to send a message. Its decisions appear here, with the reasons.",
              ),
        ),
      );
      return;
    }
    put(list, rows.map(row));
  }

  function row(decision) {
    const id = String(decision.decision_id);
    const items = decision.items ?? [];
    const reasons = decision.reasons ?? [];
    return h(
      "li",
      {},
      h(
        "details",
        { class: "decision", dataset: { decision: id }, open: open.has(id) },
        h(
          "summary",
          {},
          h("span", { class: `chip ${decision.outcome}` }, outcomeWords(decision.outcome)),
          segmentBadge(decision.segment),
          h("span", { class: "decision-user" }, String(decision.user_id)),
          h(
            "span",
            { class: "decision-what" },
            h("span", {}, title(decision.category)),
            h("span", { class: "note" }, ` on ${words(decision.trigger)}`),
            Number.isFinite(decision.p_click) &&
              h("span", { class: "note", title: "Probability of a click" }, ` · ${percent(decision.p_click)} click`),
          ),
          h("span", { class: "decision-why note" }, reasons[0] ? words(reasons[0]) : ""),
          ago(decision.decided_at),
        ),
        h(
          "div",
          { class: "decision-more" },
          h(
            "div",
            {},
            h("h3", {}, reasons.length === 1 ? "Reason" : "Reasons"),
            reasons.length
              ? h(
                  "ul",
                  { class: "dots" },
                  reasons.map((reason) => h("li", {}, words(reason))),
                )
              : h("p", { class: "note" }, "None given."),
          ),
          decision.steps?.length > 0 &&
            h(
              "div",
              {},
              h("h3", {}, "All steps"),
              h(
                "ol",
                { class: "dots steps" },
                decision.steps.map((step) => h("li", { dataset: { verdict: step.verdict } }, words(step.text))),
              ),
            ),
          h(
            "div",
            {},
            h("h3", {}, "Items"),
            items.length
              ? h(
                  "ul",
                  { class: "dots" },
                  items.map((item) => h("li", {}, item.title ?? String(item.item_id))),
                )
              : h("p", { class: "note" }, "None."),
          ),
          Number.isFinite(decision.p_click) &&
            h(
              "div",
              {},
              h("h3", {}, "Expected"),
              h(
                "ul",
                { class: "dots" },
                h("li", {}, `${percent(decision.p_click)} to be clicked`),
                h("li", {}, `${percent(decision.p_purchase)} to be followed by a purchase`),
                h("li", {}, `${percent(decision.p_mute)} to be muted`),
              ),
            ),
          h(
            "p",
            { class: "note" },
            decision.model_version ? `Model ${decision.model_version}` : "No model",
            decision.policy_version > 0 && ` · policy ${decision.policy_version}`,
            decision.channel && ` · by ${decision.channel}`,
            decision.until && [" · until ", ago(decision.until)],
            " · ",
            h("a", { href: `#/try/${encodeURIComponent(String(decision.user_id))}` }, "View as this user"),
            " · ",
            h("a", { href: `#/results/${encodeURIComponent(String(decision.user_id))}` }, "Their timeline"),
          ),
        ),
      ),
    );
  }

  return { refresh: poll.now };
}
