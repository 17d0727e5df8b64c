//! Parameters, bodies and answers of the inbox.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::describe::{self, Described, May};
use tidings_core::base::{NotificationId, Timestamp};
use tidings_decision::privacy::Permission;
use tidings_store::inbox::InboxRow;

/// Page of the inbox to return.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// `inbox` (default), `unread`, `archived`, `snoozed` or `all`.
    pub(super) state: Option<String>,
    /// Only messages of this category.
    pub(super) category: Option<String>,
    /// Older than this offset.
    pub(super) before: Option<i64>,
    /// At most 100.
    pub(super) limit: Option<i64>,
}

/// Messages that are changed, 1…1,000.
#[derive(Deserialize, ToSchema)]
#[schema(as = NamedMessages)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeBody {
    pub(super) notification_ids: Vec<NotificationId>,
}

/// Messages that were opened: some, or all.
#[derive(Deserialize, ToSchema)]
#[schema(as = ReadMessages)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadBody {
    #[serde(default)]
    pub(super) notification_ids: Vec<NotificationId>,
    #[serde(default)]
    pub(super) all: bool,
    /// Of all only those up to this offset.
    #[serde(default)]
    pub(super) up_to: Option<i64>,
}

/// Messages that are put off.
#[derive(Deserialize, ToSchema)]
#[schema(as = SnoozedMessages)]
#[serde(deny_unknown_fields)]
pub(super) struct SnoozeBody {
    pub(super) notification_ids: Vec<NotificationId>,
    /// Ahead, and before the messages expire.
    pub(super) until: Timestamp,
}

/// Place up to which everything was seen.
#[derive(Deserialize, ToSchema)]
#[schema(as = SeenMessages)]
#[serde(deny_unknown_fields)]
pub(super) struct SeenBody {
    /// An offset.
    pub(super) up_to: i64,
}

/// A message as it was sent, with how it stands.
#[derive(Serialize, ToSchema)]
pub(super) struct InboxMessage {
    read: bool,
    seen: bool,
    archived: bool,
    snoozed_until: Option<Timestamp>,
    /// Fields of the frame, see WebSocket: `recommendation` or `notification`.
    #[serde(flatten)]
    frame: Map<String, Value>,
}

impl From<InboxRow> for InboxMessage {
    fn from(row: InboxRow) -> Self {
        let InboxRow { offset: _, frame, read, seen, archived, snoozed_until } = row;
        let mut frame: Map<String, Value> = serde_json::from_str(&frame).unwrap_or_default();
        frame.retain(|name, _| !["read", "seen", "archived", "snoozed_until"].contains(&name.as_str()));
        Self { read, seen, archived, snoozed_until, frame }
    }
}

/// A page of the inbox, newest first, with the counts of all of it.
#[derive(Serialize, ToSchema)]
pub(super) struct InboxPage {
    pub(super) messages: Vec<InboxMessage>,
    pub(super) unread: i64,
    pub(super) unseen: i64,
    /// `before` of the next page; null at the end.
    pub(super) next_before: Option<i64>,
}

/// Counts after a change.
#[derive(Serialize, ToSchema)]
pub(super) struct InboxChanged {
    pub(super) unread: i64,
    pub(super) unseen: i64,
    /// Messages that stand otherwise than before.
    pub(super) changed: usize,
    /// Ids of none of the user's live messages.
    pub(super) not_found: Vec<NotificationId>,
}

const IDS: &str = r#"{"notification_ids": ["01938c2e-7a00-7000-8000-5d2f6c1b9e10"]}"#;

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    let post = |path, summary| {
        describe::post(path, May::Owner(Permission::WriteUsers), summary)
            .answers::<InboxChanged>(200, "The change is told to every open connection of the user.")
            .example(r#"{"unread": 3, "unseen": 1, "changed": 1, "not_found": []}"#)
            .refuses(&[404])
    };
    let named = |path, summary| post(path, summary).body::<ChangeBody>().body_example(IDS);
    vec![
        describe::get(
            "/v1/users/{id}/inbox",
            May::Owner(Permission::ReadUsers),
            "Messages of the user, newest first.",
        )
        .query::<PageQuery>()
        .answers::<InboxPage>(200, "A page."),
        post("/v1/users/{id}/inbox/read", "Marks messages, or all of them, as read.")
            .body::<ReadBody>()
            .body_example(r#"{"all": true}"#),
        post("/v1/users/{id}/inbox/seen", "Marks everything up to an offset as seen.")
            .body::<SeenBody>()
            .body_example(r#"{"up_to": 41}"#),
        named("/v1/users/{id}/inbox/unread", "Puts messages back, as ones that were not opened."),
        named("/v1/users/{id}/inbox/archive", "Puts messages into the archive."),
        named("/v1/users/{id}/inbox/unarchive", "Takes messages out of the archive."),
        named("/v1/users/{id}/inbox/delete", "Deletes messages for good."),
        post("/v1/users/{id}/inbox/snooze", "Takes messages out of the inbox until a moment.")
            .body::<SnoozeBody>(),
        describe::delete(
            "/v1/notifications/{id}",
            May::Needs(Permission::SendMessages),
            "Withdraws a message, or all messages of a call.",
        )
        .empty(204, "It is taken back, from every open page too.")
        .refuses(&[404]),
    ]
}
