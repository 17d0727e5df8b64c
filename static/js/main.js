// Starts the page: routes, theme, the server's state, and the three areas.

import { loadAccount, may, onAccount, startAccount } from "./account.js";
import * as api from "./api.js";
import { $, h, icon, put, text } from "./dom.js";
import { compact, count, duration, rate, refreshTimes } from "./format.js";
import { startTry } from "./try/index.js";
import { startOperate } from "./operate/index.js";
import { startResults } from "./results/index.js";

/** What /admin/metrics last said; all areas listen. */
const metricsListeners = new Set();
/** When the server stopped answering (0 = it answers), and what else is wrong. */
let downSince = 0;
let problem = "";
const live = { metrics: null, route: { area: "try", user: null } };

const tryArea = startTry({ onMetrics, navigate });
const operateArea = startOperate({
  onMetrics,
  active: (page) => live.route.area === "operate" && (page === undefined || live.route.page === page),
  refresh: () => metricsPoll.now(),
});
const resultsArea = startResults({ navigate, active: () => live.route.area === "results" });
const account = startAccount({
  navigate,
  done() {
    api.report("ok");
    tryArea.reconnect();
    showRoute();
  },
});
const metricsPoll = api.poll(1000, loadMetrics, { probe: true, failed: metricsFailed });

function onMetrics(listener) {
  metricsListeners.add(listener);
  if (live.metrics) listener(live.metrics);
}

async function loadMetrics() {
  const metrics = await api.get("admin/metrics");
  api.list(metrics?.history);
  live.metrics = metrics;
  text($("#vital-users"), compact(metrics.connected_users));
  text($("#vital-events"), rate(metrics.rates?.events_per_s));
  text($("#vital-pushes"), rate(metrics.rates?.pushes_per_s));
  text($("#vital-latency"), duration(metrics.latency_ms?.event_to_push?.p50));
  $("#demo-mark").hidden = !metrics.demo;
  text($("#server-line"), serverLine(metrics));
  for (const listener of metricsListeners) listener(metrics);
  problem = "";
  showBanner();
}

/** The server answers, but not with figures: say why (a token without the right, a database that is away). */
function metricsFailed(error) {
  const answered = error.status !== 401 && error.code !== "unreachable";
  problem = answered ? `The figures of the server can't be shown: ${error.message} Trying again.` : "";
  showBanner();
}

function serverLine(metrics) {
  const parts = [`Tidings ${metrics.version}`, `up ${duration(metrics.uptime_s * 1000)}`];
  parts.push(count(metrics.catalogue?.items ?? 0, "item"), count(metrics.users ?? 0, "user"));
  return parts.join(" · ");
}

// Routes: #/try, #/try/<user id>, #/operate/<page>, #/results, #/results/<user id>. #/operate is its first page.

function readRoute() {
  const [area, user] = location.hash.replace(/^#\/?/, "").split("/");
  if (area === "operate") return { area, user: null, page: operateArea.page(user) };
  if (area === "account") return { area, user: null };
  let id = null;
  try {
    id = user ? decodeURIComponent(user) : null;
  } catch {
    id = null;
  }
  return { area: area === "results" ? area : "try", user: id };
}

function navigate(hash, { replace = false } = {}) {
  if (location.hash === hash) return;
  if (replace) history.replaceState(null, "", hash);
  else location.hash = hash;
  if (replace) showRoute();
}

function showRoute() {
  if (location.hash === "#main") {
    $("#main").focus();
    return;
  }
  live.route = readRoute();
  for (const area of ["try", "operate", "results", "account"]) {
    const shown = live.route.area === area;
    $(`#area-${area}`).hidden = !shown;
    const link = $(`[data-area="${area}"]`);
    if (!link) continue;
    if (shown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (live.route.area === "operate") operateArea.shown(live.route.page);
  else if (live.route.area === "results") resultsArea.shown(live.route.user);
  else if (live.route.area === "account") account.refresh();
  else tryArea.shown(live.route.user);
}

window.addEventListener("hashchange", () => {
  const before = live.route;
  showRoute();
  if (before.area !== live.route.area || before.page !== live.route.page) window.scrollTo(0, 0);
});

// How the line to the server is.

api.onHealth((health) => {
  downSince = health === "down" ? Date.now() : 0;
  document.body.classList.toggle("is-stale", health !== "ok");
  document.body.classList.toggle("needs-signin", health === "unauthorized");
  $("#signin").hidden = health !== "unauthorized";
  if (health === "unauthorized") {
    text($("#signin-problem"), api.token() ? "The server does not accept this token." : "");
    $("#signin-problem").hidden = !api.token();
    account.showWays();
  }
  showBanner();
});

function showBanner() {
  const banner = $("#banner");
  banner.hidden = downSince === 0 && problem === "";
  if (banner.hidden) return;
  if (!banner.firstChild) {
    const again = h("button", { type: "button", class: "quiet small", onclick: () => metricsPoll.now() }, "Try now");
    put(banner, h("p", { id: "banner-text" }), again);
  }
  const network = navigator.onLine === false ? "This device has no network." : "The server can't be reached.";
  const since = duration(Math.max(1000, Math.floor((Date.now() - downSince) / 1000) * 1000));
  const down = `${network} What you see is from ${since} ago. Trying again.`;
  text($("#banner-text"), downSince ? down : problem);
}

// Pages of those who may see them.
onAccount(() => {
  for (const link of document.querySelectorAll("[data-needs]")) link.hidden = !may(link.dataset.needs);
});

// Theme: as the system, light, dark.

const THEMES = { auto: ["auto", "as the system"], light: ["sun", "light"], dark: ["moon", "dark"] };

function showTheme() {
  const chosen = document.documentElement.dataset.theme ?? "auto";
  const [name, label] = THEMES[chosen];
  put($("#theme"), icon(name));
  $("#theme").setAttribute("aria-label", `Theme: ${label}`);
  $("#theme").title = `Theme: ${label}`;
}

$("#theme").addEventListener("click", () => {
  const order = Object.keys(THEMES);
  const root = document.documentElement;
  const next = order[(order.indexOf(root.dataset.theme ?? "auto") + 1) % order.length];
  if (next === "auto") delete root.dataset.theme;
  else root.dataset.theme = next;
  try {
    if (next === "auto") localStorage.removeItem("tidings.theme");
    else localStorage.setItem("tidings.theme", next);
  } catch {
    // Without storage the choice lasts until the page is left.
  }
  showTheme();
});

showTheme();
loadAccount();
showRoute();
setInterval(() => {
  refreshTimes();
  if (downSince) showBanner();
}, 1000);
