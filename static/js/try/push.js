// Notifications of the browser itself, for when nobody looks at this page.

import * as api from "../api.js";
import { $ } from "../dom.js";
import { toast } from "../toast.js";
import { disableWebPush, enableWebPush, webPushState } from "../../webpush.js";

const NOTES = {
  on: "On: close this page, and what comes is shown by the browser.",
  off: "Off: what comes while this page is closed waits in the inbox.",
  denied: "Not allowed for this page: the browser's settings can change that.",
};

export function startPush({ person }) {
  const card = $("#webpush");
  const button = $("#webpush-button");

  person.on("become", refresh);
  button.addEventListener("click", change);

  async function refresh() {
    const state = await webPushState();
    card.hidden = state === "unsupported" || person.id === null;
    button.hidden = state === "denied";
    button.textContent = state === "on" ? "Turn off" : "Turn on";
    button.dataset.state = state;
    $("#webpush-note").textContent = NOTES[state] ?? "";
  }

  async function change() {
    const options = { userId: person.id, token: api.token() || undefined };
    button.disabled = true;
    try {
      await (button.dataset.state === "on" ? disableWebPush(options) : enableWebPush(options));
    } catch (error) {
      toast({ title: "Web Push could not be changed", body: api.sentence(error), kind: "wrong" });
    }
    button.disabled = false;
    await refresh();
  }
}
