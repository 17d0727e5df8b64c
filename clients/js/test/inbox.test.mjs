// The inbox without a page: the order of its messages under pages and changes, its words, and the addresses that it follows.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { Entries, safeUrl } from "../src/inbox/entries.js";
import { mute } from "../src/inbox/preferences.js";
import { Language, readable } from "../src/inbox/words.js";
import { TidingsInbox } from "../src/inbox.js";

const message = (offset, more = {}) => ({ notification_id: `m${offset}`, offset, title: `T${offset}`, read: false, ...more });
const ids = (entries) => entries.all.map((one) => one.notification_id).join(" ");

test("the module loads where there are no elements", () => assert.equal(typeof TidingsInbox, "function"));

test("pages follow each other by offset while messages arrive", () => {
  const entries = new Entries();
  assert.equal(entries.next, undefined);
  entries.page({ messages: [message(5), message(4)], next_before: 4 }, { first: true, askedAt: 1 });
  entries.arrive(message(6));
  entries.arrive(message(6));
  assert.deepEqual(entries.page({ messages: [message(4), message(3)], next_before: null }, { first: false, askedAt: 2 }), ["m3"]);
  assert.equal(ids(entries), "m6 m5 m4 m3");
  assert.equal(entries.next, null);
});

test("the first page anew keeps what arrived after it was asked for, and nothing else", () => {
  const entries = new Entries();
  entries.page({ messages: [message(2), message(1)], next_before: null }, { first: true, askedAt: 1 });
  entries.arrive(message(4));
  entries.page({ messages: [message(3), message(1)], next_before: 1 }, { first: true, askedAt: 2 });
  assert.equal(ids(entries), "m4 m3 m1");
});

test("a page that was asked for before a change does not take it back, a later one does", () => {
  const entries = new Entries();
  const page = () => ({ messages: [message(2), message(1)], next_before: null });
  entries.page(page(), { first: true, askedAt: 1 });
  entries.mark("m1", true, Infinity);
  entries.remove("m2", 5);
  entries.page(page(), { first: true, askedAt: 4 });
  assert.equal(ids(entries), "m1");
  assert.equal(entries.get("m1").read, true);
  entries.mark("m1", true, 6);
  entries.page(page(), { first: true, askedAt: 7 });
  assert.equal(ids(entries), "m2 m1");
  assert.equal(entries.get("m1").read, false);
});

test("what was removed comes back as it was, in its place", () => {
  const entries = new Entries();
  entries.page({ messages: [3, 2, 1].map((n) => message(n, { read: n === 2 })), next_before: null }, { first: true, askedAt: 1 });
  const was = { ...entries.get("m2") };
  entries.remove("m2", Infinity);
  assert.equal(ids(entries), "m3 m1");
  entries.restore(was, 5);
  assert.equal(ids(entries), "m3 m2 m1");
  assert.equal(entries.get("m2").read, true);
});

test("changes of ten thousand messages are not all remembered", () => {
  const entries = new Entries();
  for (let n = 0; n < 10_000; n += 1) entries.mark(`m${n}`, true, Infinity);
  entries.page({ messages: [message(9_999), message(1)], next_before: null }, { first: true, askedAt: 1 });
  assert.deepEqual(entries.all.map((one) => one.read), [true, false]);
});

test("words, numbers and times in the language of the page", () => {
  const [english, german] = [new Language("en-GB"), new Language("de-AT")];
  assert.equal(english.say("bell", { n: 1 }), "Notifications, 1 unread");
  assert.equal(german.say("bell", { n: 12_345 }), `Mitteilungen, ${new Intl.NumberFormat("de-AT").format(12_345)} ungelesene`);
  assert.equal(german.say("loaded", { n: 1 }), "1 ältere Mitteilung");
  assert.equal(german.say("loaded", { n: 2 }), "2 ältere Mitteilungen");
  const now = Date.parse("2030-01-10T12:00:00Z");
  for (const [ago, said] of [[20_000, "jetzt"], [5 * 60_000, "vor 5 Minuten"], [3_600_000, "vor 1 Stunde"], [86_400_000, "gestern"]]) {
    assert.equal(german.ago(now - ago, now), said);
  }
  assert.match(english.ago(now - 30 * 86_400_000, now), /11 Dec 2029/);
});

test("another language is English as a whole until it has words; plurals as it has them", () => {
  const language = new Language("pl");
  assert.equal(language.locale, "en");
  const polish = new Language("pl", { loaded: { one: "{n} starsza", few: "{n} starsze", other: "{n} starszych" }, older: "Starsze" });
  assert.deepEqual([1, 3, 5].map((n) => polish.say("loaded", { n })), ["1 starsza", "3 starsze", "5 starszych"]);
  assert.equal(polish.say("retry"), "Try again");
  assert.equal(new Language("not a language").locale, "en");
  assert.equal(english("mute", { name: "$& {n}" }), "Mute “$& {n}”");
  assert.equal(readable("price_drop"), "Price drop");
});

const english = (name, values) => new Language("en").say(name, values);

test("both languages have the same words with the same holes", () => {
  const holes = (name, tag) => {
    const values = new Proxy({ n: 2 }, { get: (_, key) => (key === "n" ? 2 : `<${String(key)}>`) });
    return [...new Language(tag).say(name, values).matchAll(/<\w+>/g)].map(String).sort().join();
  };
  for (const name of ["arrived", "until", "mute", "didSnooze", "didMute", "refused", "unmute", "ofBrowser"]) {
    assert.equal(holes(name, "de"), holes(name, "en"), name);
    assert.notEqual(holes(name, "de"), "", name);
  }
});

test("only addresses of the web are followed", () => {
  for (const url of ["https://shop.example/a", "http://shop.example", "/products/2", "products?x=1#y"]) assert.equal(safeUrl(url), url);
  for (const url of ["javascript:alert(1)", " javascript:alert(1)", "data:text/html,x", "blob:x", "", null, undefined, 7, "https://["]) {
    assert.equal(safeUrl(url), null, String(url));
  }
});

test("the README names each CSS variable, event and attribute, and no other", () => {
  const text = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
  const readme = text("../README.md");
  const names = (source, pattern) => [...new Set(source.match(pattern))].sort();
  const variables = /--tidings-[a-z-]+/g;
  assert.deepEqual(names(readme, variables), names(text("../src/inbox/style.js") + text("../src/inbox.js"), variables));
  const events = /(?<=[`"])tidings-(select|count|change|toggle)(?=[`"])/g;
  assert.deepEqual(names(readme, events), names(text("../src/inbox.js"), /(?<=#emit\(")tidings-[a-z]+/g));
  for (const attribute of TidingsInbox.observedAttributes) assert.ok(readme.includes(`\`${attribute}\``), attribute);
});

test("mutes in quick succession are all kept, also beside one that is taken back", async () => {
  const soon = () => new Promise((resolve) => setTimeout(resolve, 5));
  let stored = { muted: ["news"], mutes: [{ of: "category", name: "deals" }, { of: "brand", name: "deals" }] };
  const client = {
    mute: async ({ of, name }, now) => (assert.deepEqual([of, now], ["category", true]), await soon(), (stored = { ...stored, muted: [...stored.muted, name] })),
    preferences: async (change) => {
      const was = structuredClone(stored);
      await soon();
      if (change) stored = { ...stored, ...change };
      return change ? stored : was;
    },
  };
  await Promise.all([mute(client, "sale", true), mute(client, "words", true), mute(client, "news", false), mute(client, "ours", true), mute(client, "deals", false)]);
  assert.deepEqual(stored, { muted: ["sale", "words", "ours"], mutes: [{ of: "brand", name: "deals" }] });
  // One that fails holds up none.
  const failing = mute({ mute: async () => { throw new Error("no"); } }, "x", true);
  const next = mute(client, "y", true);
  await assert.rejects(failing);
  await next;
  assert.ok(stored.muted.includes("y"));
});
