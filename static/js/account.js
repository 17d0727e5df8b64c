// Who is signed in, and signing in and out: by name and password, by a link that sets a password, or with a token.

import * as api from "./api.js";
import { $, empty, h, put, tableBox, text, unavailable } from "./dom.js";
import { ago } from "./format.js";

/** What `v1/people/me` last said; null = nobody. */
let me = null;
const listeners = new Set();

/** Whether the person, or the token, has that permission. */
export const may = (permission) => me?.permissions?.includes(permission) ?? false;

/** Calls with who it is, now and whenever that changes. */
export function onAccount(listener) {
  listeners.add(listener);
  listener(me);
}

function become(next) {
  me = next;
  api.setCsrf(me?.csrf_token ?? "");
  const named = $("#account");
  named.hidden = !me?.name;
  text($("#account-name"), me?.name ?? "");
  for (const listener of listeners) listener(me);
}

/** Asks who it is; what needs no sign-in is everybody's. */
export async function loadAccount() {
  try {
    become(await api.get("v1/people/me"));
  } catch (error) {
    if (error.status === 401) become(null);
  }
}

const problemOf = (error) =>
  error.code === "sign_in_refused" ? "The name or the password is wrong." : api.sentence(error);

/** Shows what is wrong with a form, or nothing. */
function tell(id, message) {
  const line = $(id);
  text(line, message);
  line.hidden = !message;
}

/** Runs what a form asks for, once at a time. */
function onSubmit(form, problem, work) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = $("button[type=submit]", form);
    if (button.disabled) return;
    button.disabled = true;
    tell(problem, "");
    try {
      await work();
    } catch (error) {
      tell(problem, problemOf(error));
    } finally {
      button.disabled = false;
    }
  });
}

/** `done()` once somebody is signed in. */
export function startAccount({ done, navigate }) {
  const finished = (answer) => {
    api.setToken("");
    become(answer);
    done();
  };
  onSubmit($("#password-form"), "#password-problem", async () => {
    const field = $("#signin-password");
    const body = { name: $("#signin-name").value, password: field.value };
    try {
      finished(await api.post("v1/people/sign-in", body));
    } finally {
      field.value = "";
    }
  });
  $("#signin-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = $("#signin-token");
    api.setToken(field.value.trim());
    field.value = "";
    loadAccount().then(done);
  });
  $("#sign-out").addEventListener("click", async () => {
    const hadSession = me?.session_id;
    api.setToken("");
    try {
      if (hadSession) await api.post("v1/people/sign-out");
    } catch {
      // The session has ended already.
    }
    become(null);
    location.reload();
  });
  startJoin({ finished, navigate });
  const page = startOwnPage();
  return { ...page, showWays };
}

/** Ways to sign in, as the server has them. */
async function showWays() {
  try {
    const ways = await api.get("v1/people/sign-in");
    $("#password-form").hidden = !ways.password;
    $("#token-way").open = !ways.password;
    const provider = $("#provider-way");
    provider.hidden = !ways.provider;
    if (ways.provider) text(provider, `Sign in with ${ways.provider}`);
    if (document.activeElement === document.body) (ways.password ? $("#signin-name") : $("#signin-token")).focus();
  } catch {
    $("#token-way").open = true;
  }
}

/** The page of a link: `#/join/<secret>`. */
function startJoin({ finished, navigate }) {
  let secret = null;
  let owner = null;
  async function open(link) {
    secret = link;
    tell("#join-problem", "");
    const form = $("#join-form");
    form.hidden = true;
    try {
      owner = (await api.post("v1/people/link", { link })).name;
      text($("#join-note"), owner ? `Choose a password for ${owner}.` : "Nobody has an account yet: make the first administrator.");
      $("#join-name-field").hidden = Boolean(owner);
      $("#join-name").required = !owner;
      form.hidden = false;
      (owner ? $("#join-password") : $("#join-name")).focus();
    } catch (error) {
      text($("#join-note"), error.status === 404 ? "This link was used or has expired. Ask for another." : api.sentence(error));
    }
  }
  onSubmit($("#join-form"), "#join-problem", async () => {
    const [first, again] = [$("#join-password"), $("#join-again")];
    if (first.value !== again.value) throw new api.ApiError(0, "different", "The two passwords are not the same.");
    const body = { link: secret, password: first.value };
    if (!owner) body.name = $("#join-name").value;
    const answer = await api.post("v1/people/join", body);
    first.value = again.value = "";
    finished(answer);
    navigate("#/try", { replace: true });
    shown();
  });
  function shown() {
    const [area, link] = location.hash.replace(/^#\/?/, "").split("/");
    const isJoin = area === "join" && Boolean(link);
    $("#join").hidden = !isJoin;
    document.body.classList.toggle("is-joining", isJoin);
    if (isJoin && link !== secret) open(link);
  }
  window.addEventListener("hashchange", shown);
  shown();
}

/** The own account: sessions and password. */
function startOwnPage() {
  const body = $("#own-sessions");
  async function refresh() {
    $("#own-password").hidden = !me?.session_id;
    if (!me?.session_id) {
      put(body, empty("No session", "You are here with a token, or this server asks for no sign-in."));
      return;
    }
    try {
      const { sessions } = await api.get("v1/people/sessions");
      put(body, tableBox("Sessions", table(api.list(sessions))), everywhere());
    } catch (error) {
      put(body, unavailable("Sessions can't be shown", error));
    }
  }
  function table(sessions) {
    return h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ["Browser", "Signed in", "Last used", "Address", ""].map((name) => h("th", { scope: "col" }, name || h("span", { class: "visually-hidden" }, "End"))))),
      h("tbody", {}, sessions.map(row)),
    );
  }
  function row(session) {
    const end = h("button", { type: "button", class: "quiet small", "aria-label": `End the session of ${session.browser ?? "an unknown browser"}`, onclick: () => finish(`v1/people/sessions/${session.session_id}`) }, "End");
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, session.browser ?? "unknown"),
      h("td", {}, ago(session.created_at)),
      h("td", {}, ago(session.seen_at)),
      h("td", {}, session.address ?? "–"),
      h("td", {}, session.current ? "this one" : end),
    );
  }
  async function finish(path) {
    try {
      await api.remove(path);
    } catch (error) {
      put(body, unavailable("The session was not ended", error));
      return;
    }
    refresh();
  }
  function everywhere() {
    const run = async () => {
      try {
        await api.post("v1/people/sign-out-everywhere");
      } finally {
        location.reload();
      }
    };
    return h(
      "div",
      { class: "actions" },
      h("button", { type: "button", class: "quiet", onclick: () => $("#sign-out").click() }, "Sign out"),
      h("button", { type: "button", class: "quiet", id: "sign-out-everywhere", onclick: run }, "Sign out everywhere"),
    );
  }
  onSubmit($("#own-password"), "#own-problem", async () => {
    const [old, first] = [$("#own-old"), $("#own-new")];
    become(await api.post("v1/people/password", { password: old.value, new_password: first.value }));
    old.value = first.value = "";
    tell("#own-problem", "The password is changed. Other sessions have ended.");
    refresh();
  });
  return { refresh };
}
