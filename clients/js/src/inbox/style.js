/** The look of the inbox. Each colour and size is a CSS variable of the page with a default here. @module */

const TEXT = `
:host { display: inline-block; position: relative;
  --accent: var(--tidings-accent, light-dark(#0c5c63, #63cdc6));
  --surface: var(--tidings-surface, light-dark(#fff, #141d21));
  --hover: var(--tidings-hover, light-dark(#eaf0ee, #1f2b31));
  --text: var(--tidings-text, light-dark(#13232a, #e8eff0));
  --soft: var(--tidings-text-soft, light-dark(#46575e, #b2c1c6));
  --line: var(--tidings-border, light-dark(#d3dddb, #2b3940));
  --badge: var(--tidings-badge, light-dark(#b9410f, #ff9a6c));
  --on-badge: var(--tidings-on-badge, light-dark(#fff, #2a0f02));
  --wrong: var(--tidings-error, light-dark(#a3281f, #ff9a90));
  --radius: var(--tidings-radius, 12px);
  font: var(--tidings-font-size, 15px)/1.4 var(--tidings-font, system-ui, sans-serif); color: var(--text); }
:host([hidden]) { display: none; }
:host([theme="auto"]) { color-scheme: light dark; }
:host([theme="light"]) { color-scheme: light; }
:host([theme="dark"]) { color-scheme: dark; }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
button, select, input { font: inherit; color: inherit; }
button { cursor: pointer; border: 0; background: none; padding: 0; text-align: start; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
svg { width: 20px; height: 20px; display: block; fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linecap: round; stroke-linejoin: round; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.bell { position: relative; display: grid; place-items: center; width: var(--tidings-bell-size, 40px); height: var(--tidings-bell-size, 40px); border-radius: 50%; color: var(--tidings-bell, currentColor); }
.bell:hover { background: var(--hover); }
.badge { position: absolute; top: -2px; inset-inline-end: -3px; min-width: 18px; height: 18px; padding: 0 4px; border-radius: 9px; background: var(--badge); color: var(--on-badge); font-size: 11px; font-weight: 700; line-height: 18px; text-align: center; }
.panel { position: fixed; inset: auto; margin: 0; padding: 0; width: min(var(--tidings-width, 400px), calc(100vw - 16px)); max-height: min(var(--tidings-max-height, 620px), calc(100vh - 16px));
  overflow: hidden; color: var(--text); background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius); box-shadow: var(--tidings-shadow, 0 18px 44px -12px rgb(0 0 0 / 35%)); }
.panel:popover-open { display: flex; flex-direction: column; }
header, .bar { display: flex; align-items: center; gap: 6px; padding: 10px 12px 10px 16px; border-bottom: 1px solid var(--line); }
h2 { flex: 1; margin: 0; font-size: 1.1em; font-weight: 650; }
p { margin: 0; }
.icon { display: grid; place-items: center; flex: none; width: 34px; height: 34px; border-radius: 8px; color: var(--soft); }
.icon:hover { background: var(--hover); color: var(--text); }
.icon[data-name="more"] svg { stroke-width: 2.6; }
.text { min-height: 30px; padding: 4px 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--surface); }
.text:hover { background: var(--hover); }
button:disabled { opacity: .6; cursor: default; }
.bar { padding: 6px 16px; justify-content: space-between; gap: 8px; font-size: .87em; color: var(--soft); }
.bar label { display: flex; align-items: center; gap: 8px; }
select, input[type="time"] { min-height: 30px; padding: 2px 6px; color: var(--text); background: var(--surface); border: 1px solid var(--line); border-radius: 8px; }
.notice { background: var(--hover); color: var(--text); }
.notice.wrong, .problem, .sure { color: var(--wrong); }
.body { overflow-y: auto; overscroll-behavior: contain; min-height: 120px; scrollbar-width: thin; }
ul { list-style: none; margin: 0; padding: 0; }
.row { position: relative; display: grid; grid-template-columns: minmax(0, 1fr) auto auto; align-items: start; padding: 0 8px 0 0; border-bottom: 1px solid var(--line); }
.row:hover { background: var(--hover); }
.row > .icon { margin-top: 8px; }
.open { display: grid; grid-template-columns: minmax(0, 1fr); gap: 2px; padding: 10px 4px 10px 24px; color: inherit; text-decoration: none; outline-offset: -3px !important; }
.open.pictured { grid-template-columns: 52px minmax(0, 1fr); column-gap: 10px; }
.open img { grid-row: 1 / 4; width: 52px; height: 52px; object-fit: cover; border-radius: 8px; background: var(--hover); }
.open.pictured > span { grid-column: 2; }
.head { overflow-wrap: anywhere; }
.unread .head { font-weight: 650; }
.unread::before { content: ""; position: absolute; inset-inline-start: 9px; top: 17px; width: 8px; height: 8px; border-radius: 50%; background: var(--tidings-unread, var(--badge)); }
.words { color: var(--soft); font-size: .9em; overflow-wrap: anywhere; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
.meta { color: var(--soft); font-size: .8em; }
.items, .actions { grid-column: 1 / -1; display: flex; flex-wrap: wrap; gap: 6px; padding: 0 8px 12px 24px; }
.actions .text, .items .text { font-size: .87em; }
.items .text { display: inline-flex; gap: 6px; align-items: center; max-width: 100%; text-decoration: none; color: inherit; }
.items .text span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.whole .words { -webkit-line-clamp: none; }
.state { display: grid; justify-items: center; gap: 8px; padding: 32px 24px; text-align: center; color: var(--soft); }
.state.problem { color: var(--wrong); }
.older { padding: 12px; text-align: center; }
.ghost { height: 58px; margin: 10px 16px; border-radius: 8px; background: var(--hover); }
form { display: grid; gap: 18px; padding: 16px; }
fieldset { display: grid; gap: 8px; margin: 0; padding: 0; border: 0; min-width: 0; }
legend { padding: 0 0 6px; font-weight: 650; }
form label { display: flex; align-items: center; gap: 8px; min-height: 26px; }
input[type="checkbox"] { width: 18px; height: 18px; margin: 0; accent-color: var(--accent); flex: none; }
.line { display: flex; flex-wrap: wrap; gap: 8px 16px; }
.soft { color: var(--soft); font-size: .9em; }
@media (max-width: 480px) { .panel { width: 100vw; max-width: none; border-radius: var(--radius) var(--radius) 0 0; max-height: 85vh; } }
@media (prefers-reduced-motion: no-preference) {
  .panel:popover-open { animation: open 140ms ease-out; }
  .row.new { animation: arrive 320ms ease-out; }
  @keyframes open { from { opacity: 0; transform: translateY(-6px); } }
  @keyframes arrive { from { opacity: 0; } }
}
@media (forced-colors: active) { .unread::before, .badge { forced-color-adjust: none; } }
`;

/** @type {CSSStyleSheet | undefined} */ let sheet;

/** One sheet for all; made from a script, it is no inline style to a content security policy. */
export function style() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(TEXT);
  }
  return sheet;
}
