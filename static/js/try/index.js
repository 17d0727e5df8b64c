// The "Try it" area: view the shop as one of its users, do things, and watch what arrives.

import * as api from "../api.js";
import { $ } from "../dom.js";
import { createPerson, parseId } from "./person.js";
import { startBecome } from "./become.js";
import { startProfile } from "./profile.js";
import { startPreferences } from "./preferences.js";
import { startPush } from "./push.js";
import { startRecommendations } from "./recommendations.js";
import { startProducts } from "./products.js";
import { startInbox } from "./inbox.js";
import { startDetail } from "./detail.js";
import { startNotifications } from "./notifications.js";

const address = (id) => `#/try/${encodeURIComponent(String(id))}`;

export function startTry({ onMetrics, navigate }) {
  const person = createPerson();
  const shown = () => !$("#area-try").hidden;
  const detail = startDetail({ person });
  const suggestions = startBecome({ person, shown, become: (id) => navigate(address(id)) });
  const profile = startProfile({ person, shown, open: detail.open });
  const preferences = startPreferences({ person, changed: () => recommendations.refresh() });
  startPush({ person });
  const recommendations = startRecommendations({ person, open: detail.open });
  startProducts({ person, open: detail.open, onMetrics });
  startNotifications({
    person,
    open: detail.open,
    unmute: preferences.unmute,
    muted() {
      preferences.reload();
      recommendations.refresh();
    },
  });

  startInbox({ person, open: detail.open });

  for (const button of document.querySelectorAll("[data-jump]")) {
    button.addEventListener("click", () => {
      if (button.dataset.jump !== "stream") detail.close({ quiet: true });
      $(`#${button.dataset.jump}`).scrollIntoView({ behavior: "smooth", block: "start" });
    });
  }

  // The server is back: no need to wait for the back-off.
  api.onHealth((health) => health === "ok" && person.status?.retryAt && person.retry());

  return {
    shown(user) {
      if (user === null && person.id !== null) {
        // Back from the other area: the address says again who one is.
        navigate(address(person.id), { replace: true });
        return;
      }
      const id = user === null ? person.id : parseId(user);
      if (id !== person.id) person.become(id);
      for (const panel of [suggestions, profile, recommendations]) panel.refresh();
    },
    reconnect: person.reconnect,
  };
}
