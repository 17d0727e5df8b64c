// Numbers and times of the dashboard (`static/js/`), as people read them.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";

/** As much of a page as these modules look at. */
class Node_ {
  #own = "";
  children = [];
  dataset = {};
  style = {};
  classList = { add() {} };
  set textContent(text) {
    this.children = [];
    this.#own = String(text);
  }
  get textContent() {
    return this.#own + this.children.map((one) => one?.textContent ?? String(one)).join("");
  }
  append(...nodes) {
    this.children.push(...nodes.filter((one) => one !== null && one !== undefined && one !== false));
  }
  replaceChildren(...nodes) {
    this.#own = "";
    this.children = [];
    this.append(...nodes);
  }
  setAttribute() {}
  addEventListener() {}
  querySelector() {
    return null;
  }
}
const elements = new Map();
const querySelector = (selector) => elements.get(selector) ?? elements.set(selector, new Node_()).get(selector);
globalThis.document ??= { createElement: () => new Node_(), querySelector, activeElement: null };
// Modules without a package.json beside them, which older versions of Node do not take for modules.
const folder = mkdtempSync(join(tmpdir(), "tidings-dashboard-"));
test.after(() => rmSync(folder, { recursive: true, force: true }));
cpSync(fileURLToPath(new URL("../../../static/js", import.meta.url)), join(folder, "js"), { recursive: true });
writeFileSync(join(folder, "package.json"), '{"type":"module"}');
const { ago, duration, percent, recency } = await import(join(folder, "js/format.js"));
const { startFeedback } = await import(join(folder, "js/operate/feedback.js"));

test("a length of time has no digits that say nothing", () => {
  assert.deepEqual([3_600_000, 5_400_000, 172_000_000].map(duration), ["1 h", `${(1.5).toLocaleString()} h`, `${(47.8).toLocaleString()} h`]);
});

test("long ago is told in months and years", () => {
  const said = (days) => ago(new Date(Date.now() - days * 86_400_000).toISOString()).textContent;
  const words = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  assert.equal(said(12), words.format(-12, "day"));
  assert.equal(said(75), words.format(-2, "month"));
  assert.equal(said(800), words.format(-2, "year"));
});

test("days since the last purchase are not said to count until today", () => {
  assert.equal(recency(null), "none yet");
  assert.equal(recency(356), "356 days before the end of the data");
  assert.equal(recency(0), "at the end of the data");
});

test("of messages that led to a purchase the share is that of delivered ones, never of clicks", () => {
  const overall = { sent: 200, delivered: 100, displayed: 50, clicked: 1, converted: 10 };
  startFeedback().update({ window_days: 7, overall, by_kind: [] });
  const said = querySelector("#feedback-body").textContent;
  assert.ok(said.includes(`Converted10${percent(0.1, 0)} of delivered`), said);
  assert.ok(said.includes(`Clicked1${percent(0.02, 0)} of these`), said);
});
