// What cleaning did to the data: step by step, with counts.

import * as api from "../api.js";
import { $, empty, h, put, unavailable } from "../dom.js";
import { ago, number, percent, title } from "../format.js";

export function startCleaning({ active }) {
  const body = $("#cleaning-body");
  let drawn = "";
  const poll = api.poll(30_000, load, {
    active,
    failed: (error) => !drawn && put(body, unavailable("Cleaning can't be shown", error)),
  });

  async function load() {
    const reports = api.list((await api.get("admin/cleaning"))?.reports);
    const now = JSON.stringify(reports);
    if (now === drawn) return;
    drawn = now;
    if (!reports.length) {
      put(body, empty("Nothing was cleaned yet", "An import or a training reports here what it left out, and why."));
      return;
    }
    put(
      body,
      reports.slice(0, 5).map((report, index) => one(report, index === 0)),
    );
  }

  function one(report, open) {
    const kept = report.rows_read ? report.rows_kept / report.rows_read : null;
    return h(
      "details",
      { class: "report", open },
      h(
        "summary",
        {},
        h("span", { class: "report-name" }, title(report.source)),
        h("span", { class: "note" }, `${percent(kept)} kept · `, ago(report.created_at)),
      ),
      h("p", { class: "note" }, `${number(report.rows_kept)} of ${number(report.rows_read)} rows kept.`),
      h(
        "ol",
        { class: "steps" },
        (report.steps ?? []).map((step) =>
          h(
            "li",
            {},
            h("span", {}, title(step.step), h("span", { class: "note block" }, step.description)),
            h("span", { class: "n" }, effect(step)),
          ),
        ),
      ),
    );
  }

  function effect({ dropped, changed }) {
    const parts = [];
    if (dropped) parts.push(`−${number(dropped)}`);
    if (changed) parts.push(`${number(changed)} changed`);
    return parts.join(", ") || "none";
  }

  return { refresh: poll.now };
}
