// The bell at the top: the inbox of the user that one is, by the connection that the page has.

import "../../inbox.js";
import { $ } from "../dom.js";

export function startInbox({ person, open }) {
  const inbox = $("#inbox");
  const pageTitle = document.title;
  person.on("become", () => {
    inbox.hidden = person.id === null;
    inbox.client = person.client;
  });
  inbox.addEventListener("tidings-count", ({ detail: { unread } }) => {
    document.title = unread ? `(${unread}) ${pageTitle}` : pageTitle;
  });
  // Products are shown in this page.
  inbox.addEventListener("tidings-select", (event) => {
    const item = event.detail.item ?? event.detail.message.items?.[0];
    if (!item) return;
    event.preventDefault();
    open(item);
  });
}
