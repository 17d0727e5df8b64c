/**
 * Types of the client: frames of the protocol, options, and the narrow view of the platform that it uses. Nothing here
 * exists at run time.
 *
 * @module
 */

/** @typedef {number | string} Id An integer or a string of 1…128 bytes. */

/** @typedef {"connecting" | "online" | "offline"} State */

/**
 * `reason` is a sentence for a person; `code` the close code that led here; `retryAt` (ms since 1970) the start of the
 * next attempt, null if there will be none; `attempt` the number of failures in a row.
 * @typedef {{ state: State, reason: string, code: number | null, retryAt: number | null, attempt: number }} Status
 */

/**
 * `score` is 0…1; `reason` says why this item, for a person.
 * @typedef {{ item_id: Id, score: number, title: string, url?: string | null, image_url?: string | null,
 *   price?: number | null, currency?: string | null, reason?: string }} Item
 */

/**
 * Fields of every message. `epoch` and `offset` are its place in the stream, absent if it is ephemeral;
 * `channel: "inbox"` asks to disturb nobody.
 * @typedef {{ notification_id: string, epoch?: string, offset?: number, user_id?: Id, title: string, body: string,
 *   category: string, trigger?: string, sent_at: string, expires_at?: string | null, channel?: string,
 *   collapse_key?: string, items?: Item[], recommendations?: Id[], model?: number | null }} MessageFields
 */
/** @typedef {MessageFields & { type: "recommendation", recommendations: Id[], items: Item[] }} Recommendation Best first. */
/**
 * A message of the shop, or of a trigger about one item.
 * @typedef {MessageFields & { type: "notification", kind: string, priority?: "low" | "normal" | "high" | "transactional",
 *   url?: string, image_url?: string, data?: Record<string, unknown>, ephemeral?: boolean }} Notification
 */
/** @typedef {Recommendation | Notification} Message Told apart by `type`. */
/**
 * A message as a page of the inbox lists it. `archived` and `snoozed_until` are absent where the server has neither.
 * @typedef {MessageFields & { type: "recommendation" | "notification", kind?: string, url?: string, image_url?: string,
 *   data?: Record<string, unknown>, read: boolean, seen?: boolean, archived?: boolean, snoozed_until?: string | null }} InboxMessage
 */
/** @typedef {"unread" | "archive" | "unarchive" | "delete" | "snooze"} InboxChange */
/**
 * `state`: `inbox` (default), `unread`, `archived`, `snoozed`, `all`.
 * @typedef {{ before?: number | string, limit?: number, state?: string, category?: string }} InboxQuery
 */

/**
 * @typedef {{ type: "welcome", session_id: string, connection_id?: string, user_id: Id, epoch: string, offset: number,
 *   recovered: boolean, segment?: string, ping_ms: number, server_time: string }} Welcome
 */
/** @typedef {{ type: "inbox", unread: number, unseen: number }} InboxCounts */
/**
 * @typedef {{ type: "withdraw", notification_id: string,
 *   reason: "read_elsewhere" | "archived" | "snoozed" | "deleted" | "expired" | "superseded" | "withdrawn" | (string & {}) }} Withdraw
 */
/**
 * A message that was withdrawn, or read, is to be listed again; one that is not kept is read by `inbox()`.
 * @typedef {{ type: "restore", notification_id: string, reason: "unread" | "unarchived" | "returned" | (string & {}) }} Restore
 */
/** @typedef {{ type: "accepted", event_id?: Id, duplicate?: boolean, accepted?: number, duplicates?: number }} AcceptedFrame */
/** @typedef {{ type: "muted", of: MuteOf, name: string }} Muted */
/** @typedef {{ type: "subscribed" | "unsubscribed", topic: string }} Follows */
/** @typedef {{ type: "pong", server_time?: string }} Pong */
/** @typedef {{ type: "error", code: string, message: string, temporary: boolean, reply_to?: Id | null }} ErrorFrame */
/** @typedef {Welcome | Message | InboxCounts | Withdraw | Restore | AcceptedFrame | Muted | Follows | Pong | ErrorFrame} ServerFrame Told apart by `type`. */

/** @typedef {"view" | "search" | "add_to_cart" | "remove_from_cart" | "purchase" | "return" | "like" | "rate"} Kind */
/**
 * `event_id` is made up if absent: sending the same again is harmless. `Own` are kinds of the shop's own.
 * @template {string} [Own=never]
 * @typedef {{ kind: Kind | Own, item_id?: Id, query?: string, dwell_ms?: number, quantity?: number, value?: number,
 *   currency?: string, occurred_at?: string, event_id?: Id, basket_id?: Id, session_id?: Id, order_id?: Id,
 *   list_id?: string }} ShopEvent
 */
/** @typedef {{ event_id: string, duplicate: boolean, took_ms: number }} Accepted */
/** @typedef {"displayed" | "clicked" | "dismissed" | "muted" | "liked" | "disliked"} Outcome */
/** @typedef {"category" | "item" | "item_category" | "brand" | "kind"} MuteOf */
/**
 * By name, or the subject of a message.
 * @typedef {{ of: MuteOf, name: string } | { of: MuteOf, notification_id: string, item_id?: Id }} MuteWish
 */
/** @typedef {{ epoch: string, offset: number }} Position Everything up to `offset` was received. */

/**
 * @typedef {({ type: "event" } & ShopEvent<string>) | { type: "ack", offset: number } | { type: "presence", visible: boolean } |
 *   { type: "feedback", notification_id: string, outcome: Outcome, item_id?: Id } | { type: "ping" } |
 *   { type: "read", notification_id: string } | { type: "read", all: true, up_to: number, epoch: string } |
 *   { type: "seen", up_to: number, epoch: string } |
 *   ({ type: "mute" } & MuteWish) | { type: "subscribe" | "unsubscribe", topic: string } |
 *   ({ type: "login", resume?: Position | null } & Identity)} ClientFrame
 */
/**
 * `anonymous_token` or `anonymous_id` bring a visitor along, who is merged into the user.
 * @typedef {{ user_id?: Id, token?: string, device?: string, locale?: string, time_zone?: string,
 *   anonymous_id?: Id, anonymous_token?: string }} Identity
 */

/**
 * What `on` listens to. `gap`: messages were missed that the server no longer holds; read the inbox.
 * @typedef {{ status: Status, welcome: Welcome, message: Message, recommendation: Recommendation,
 *   notification: Notification, inbox: InboxCounts, withdraw: Withdraw, restore: Restore, accepted: Accepted, muted: Muted,
 *   error: ErrorFrame, gap: Welcome }} Events
 */

/**
 * @typedef {{ getItem(key: string): string | null, setItem(key: string, value: string): void,
 *   removeItem(key: string): void, key(index: number): string | null, readonly length: number }} KeyValue
 */

/**
 * What the client takes from its surroundings; each part may be replaced, or null where there is none.
 * @typedef {{ now: () => number, setTimeout: (act: () => void, ms: number) => any, clearTimeout: (timer: any) => void,
 *   random: () => number, WebSocket: any, fetch: typeof fetch, storage: KeyValue | null, document: Document | undefined,
 *   window: Pick<Window, "addEventListener" | "removeEventListener"> | undefined, navigator: Navigator | undefined,
 *   locks: LockManager | undefined, BroadcastChannel: typeof BroadcastChannel | undefined }} Platform
 */

/**
 * Options of {@link Tidings}, all optional in a page that was served by Tidings with authentication off.
 *
 * - `userId`: may be absent when the token says who.
 * - `token`, `getToken`: the sign-in. `getToken` is asked at the start if there is no `token`, before one expires, and
 *   when one was refused; null = nobody is signed in any more.
 * - `url`: the server, such as `https://push.example/`; where `tidings.js` was loaded from by default. Needed in a bundle.
 * - `transport`: `auto` takes Server-Sent Events where WebSockets never open or are silent.
 * - `share`: one connection for all tabs of a browser; true in pages by default.
 * - `storage`: keeps what was not sent (`localStorage` by default, null = memory only).
 * - `resume`: after a reload, go on where the page left off instead of from now.
 * - `anonymousToken`, `anonymousId`: the visitor that the user was before, who is merged into the user.
 * - `webPush`: renew an existing subscription at each start.
 * - `WebSocket`, `fetch`, `random` and `platform` replace what the platform has.
 *
 * @typedef {{ userId?: Id, token?: string, getToken?: () => string | null | Promise<string | null>, url?: string,
 *   device?: string, locale?: string, timeZone?: string, anonymousToken?: string, anonymousId?: Id, transport?: "auto" | "websocket" | "sse", share?: boolean,
 *   storage?: KeyValue | null, resume?: boolean, webPush?: boolean | { serviceWorker?: string, scope?: string },
 *   WebSocket?: any, fetch?: typeof fetch, random?: () => number, platform?: Partial<Platform> }} Options
 */

/**
 * What a line tells: it is open, a frame came, anything came, it has ended (with the server's words). `status`: the
 * connection of the tab that holds it has changed.
 * @typedef {{ opened: () => void, frame: (frame: any) => void, heard: () => void,
 *   lost: (code: number, detail: string) => void, status?: (status: Status) => void }} LineEvents
 */
/**
 * One way to the server.
 * @typedef {{ readonly name: "websocket" | "sse" | "tab", open(position: Position | null): void,
 *   write(frame: ClientFrame): void, close(): void }} Line
 */

/**
 * `welcome` is called at each login, `online` once that is known everywhere, `dropped` when nothing can be written any more, `ended` when there will be no further
 * attempt by itself; `position` is where to resume.
 * @typedef {{ status(status: Status): void, welcome(frame: Welcome): void, online(frame: Welcome): void, frame(frame: any): void,
 *   dropped(code: number | null): void, ping(): void, ended(reason: string): void, forget(): void, position(): Position | null,
 *   identified(user: string, welcome?: Welcome, moved?: boolean): boolean }} ConnectionEvents
 */

export {};
