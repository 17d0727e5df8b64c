//! Table `notifications` as the user's inbox: pages, counts, and what was seen, changed and taken back. Whatever is said twice, or
//! late, ends as if it had been said once, in the order of its moments: see [`Marks`].

use std::collections::{HashMap, HashSet};

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::encryption::{Fields, owner, unavailable_message};
use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{NotificationId, Timestamp, UserId};
pub use tidings_decision::decide::record::Mark;
use tidings_decision::deliver::standing::{Place, Placed};
use tidings_decision::deliver::{Change, Marks, Withdrawal};
use tidings_decision::privacy::encryption::Field;

/// Columns `seen_at, read_at, inbox_changed_at, archived_at IS NOT NULL, snoozed_until`.
pub(super) type MarkColumns =
    (Nullable<Timestamptz>, Nullable<Timestamptz>, Nullable<Timestamptz>, Bool, Nullable<Timestamptz>);
/// Their values.
pub(super) type MarkRow =
    (Option<PgTimestamp>, Option<PgTimestamp>, Option<PgTimestamp>, bool, Option<PgTimestamp>);

/// Standing of a message, as stored.
pub(super) fn marks((seen_at, read_at, changed_at, archived, snoozed_until): MarkRow) -> Marks {
    let place = match (archived, snoozed_until) {
        (true, _) => Place::Archived,
        (false, Some(until)) => Place::Snoozed(from_pg(until)),
        (false, None) => Place::Inbox,
    };
    let placed = changed_at.map(|at| Placed { at: from_pg(at), place });
    Marks::new(read_at.map(from_pg), seen_at.map(from_pg), placed)
}

/// A message as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct InboxRow {
    /// Place in the stream.
    pub offset: i64,
    /// The JSON frame as sent.
    pub frame: String,
    /// It was opened.
    pub read: bool,
    /// A list with it was looked at.
    pub seen: bool,
    /// It is in the archive.
    pub archived: bool,
    /// Out of the list until then.
    pub snoozed_until: Option<Timestamp>,
}

/// Part of an inbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// Messages in the list.
    #[default]
    Inbox,
    /// Messages in the list that were not opened.
    Unread,
    /// The archive.
    Archived,
    /// Snoozed messages, which will return to the list.
    Snoozed,
    /// Everything.
    All,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Inbox, Self::Unread, Self::Archived, Self::Snoozed, Self::All];

    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Unread => "unread",
            Self::Archived => "archived",
            Self::Snoozed => "snoozed",
            Self::All => "all",
        }
    }
}

/// Messages of a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Part of the inbox.
    pub part: Part,
    /// Only of this category.
    pub category: Option<String>,
    /// Older than this offset: a page stays the same while messages arrive.
    pub before: i64,
    /// Most messages.
    pub limit: i64,
}

/// A page of live messages, newest first. Answers to logins are not messages to keep. In place of a message that can't be decrypted stands
/// one that says why.
pub fn page(
    conn: &mut PgConnection,
    fields: &Fields,
    user: UserId,
    page: &Page,
    now: Timestamp,
) -> Result<Vec<InboxRow>, StoreError> {
    type Row = (i64, String, String, bool, Option<PgTimestamp>, bool, bool, bool);
    let rows = sql::<(BigInt, Text, Text, Bool, Nullable<Timestamptz>, Bool, Bool, Bool)>(include_str!(
        "sql/inbox_page.sql"
    ))
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<Integer, _>(user.to_sql())
    .bind::<BigInt, _>(page.before)
    .bind::<Timestamptz, _>(to_pg(now))
    .bind::<Nullable<Text>, _>(page.category.as_deref())
    .bind::<Nullable<Text>, _>(page.category.as_deref())
    .bind::<Text, _>(page.part.name())
    .bind::<BigInt, _>(page.limit.max(0))
    .load::<Row>(conn)?;
    let own = owner(Some(user));
    let opener = fields.opener(conn, rows.iter().map(|(_, frame, ..)| (own, frame.as_str())))?;
    let row = |(offset, frame, _, archived, snoozed_until, read, seen, away): Row| InboxRow {
        offset,
        frame: opener.open(own, Field::Frame, frame).unwrap_or_else(unavailable_message),
        read,
        seen: seen || read,
        archived,
        snoozed_until: snoozed_until.filter(|_| away).map(from_pg),
    };
    Ok(rows.into_iter().map(row).collect())
}

/// Live messages in the list that were not read, and those of them that were not seen.
pub fn counts(conn: &mut PgConnection, user: UserId, now: Timestamp) -> Result<(i64, i64), StoreError> {
    let counts = sql::<(BigInt, BigInt)>(include_str!("sql/inbox_counts.sql"))
        .bind::<Integer, _>(user.to_sql())
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<Timestamptz, _>(to_pg(now))
        .load::<(i64, i64)>(conn)?;
    Ok(counts.into_iter().next().unwrap_or_default())
}

/// Carries out marks. Their order does not matter: see [`Marks`].
pub fn mark(conn: &mut PgConnection, marks: &[Mark]) -> Result<(), StoreError> {
    let (mut of_all, mut wishes) = (Vec::new(), Vec::new());
    for mark in marks {
        match mark {
            Mark::Change { user, ids, change, at } => {
                wishes.extend(ids.iter().map(|id| Wish { id: *id, user: *user, change: *change, at: *at }));
            }
            Mark::Given { ids, at } => of_all.extend(ids.iter().map(|id| (*id, *at))),
            Mark::ReadAll { .. } | Mark::Seen { .. } | Mark::Superseded { .. } => {}
        }
    }
    let mut rows = lock(conn, &wishes, Timestamp(0))?;
    merge(conn, &wishes, &mut rows)?;
    for mark in marks {
        match mark {
            Mark::ReadAll { user, up_to, at } => drop(read_up_to(conn, *user, *up_to, *at)?),
            Mark::Seen { user, up_to, at } => drop(seen(conn, *user, *up_to, *at)?),
            Mark::Superseded { id, at } => drop(withdraw(conn, *id, *at, Withdrawal::Superseded)?),
            Mark::Change { .. } | Mark::Given { .. } => {}
        }
    }
    given(conn, &of_all)
}

/// A change of one message.
#[derive(Clone, Copy, Debug)]
struct Wish {
    id: NotificationId,
    user: UserId,
    change: Change,
    at: Timestamp,
}

/// A message that is changed.
struct Row {
    user: UserId,
    expires_at: Timestamp,
    before: Marks,
    marks: Marks,
    deleted_at: Option<Timestamp>,
}

impl Row {
    fn take(&mut self, wish: &Wish) {
        match wish.change {
            Change::Snooze(until) if until >= self.expires_at => {}
            Change::Delete => self.deleted_at = self.deleted_at.or(Some(wish.at)),
            change => self.marks.apply(change, wish.at),
        }
    }

    fn is_changed(&self) -> bool {
        self.deleted_at.is_some() || self.marks != self.before
    }
}

/// The messages that are to be changed, locked: each if it is its user's and has not expired by a moment.
fn lock(
    conn: &mut PgConnection,
    wishes: &[Wish],
    now: Timestamp,
) -> Result<HashMap<NotificationId, Row>, StoreError> {
    if wishes.is_empty() {
        return Ok(HashMap::new());
    }
    type Stored = (Uuid, i32, PgTimestamp, MarkRow);
    let of: HashSet<(NotificationId, UserId)> = wishes.iter().map(|wish| (wish.id, wish.user)).collect();
    let of: Vec<(NotificationId, UserId)> = of.into_iter().collect();
    let rows = sql::<(SqlUuid, Integer, Timestamptz, MarkColumns)>(include_str!("sql/inbox_rows.sql"))
        .bind::<Array<SqlUuid>, _>(column(&of, |(id, _)| id.0))
        .bind::<Array<Integer>, _>(column(&of, |(_, user)| user.to_sql()))
        .bind::<Timestamptz, _>(to_pg(now))
        .load::<Stored>(conn)?;
    let row = |(id, user, expires_at, stored): Stored| {
        let (user, expires_at, before) = (UserId::from_sql(user), from_pg(expires_at), marks(stored));
        (NotificationId(id), Row { user, expires_at, marks: before.clone(), before, deleted_at: None })
    };
    Ok(rows.into_iter().map(row).collect())
}

/// Carries out changes of locked messages.
fn merge(
    conn: &mut PgConnection,
    wishes: &[Wish],
    rows: &mut HashMap<NotificationId, Row>,
) -> Result<(), StoreError> {
    for wish in wishes {
        if let Some(row) = rows.get_mut(&wish.id).filter(|row| row.user == wish.user) {
            row.take(wish);
        }
    }
    let changed: Vec<(&NotificationId, &Row)> = rows.iter().filter(|(_, row)| row.is_changed()).collect();
    put(conn, &changed)
}

fn put(conn: &mut PgConnection, rows: &[(&NotificationId, &Row)]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let at = |at: Option<Timestamp>| at.map(to_pg);
    let is_archived = |row: &Row| row.marks.placed().is_some_and(|placed| placed.place == Place::Archived);
    sql::<()>(include_str!("sql/inbox_put.sql"))
        .bind::<Array<SqlUuid>, _>(column(rows, |(id, _)| id.0))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(rows, |(_, row)| at(row.marks.seen_at())))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(rows, |(_, row)| at(row.marks.read_at())))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(rows, |(_, row)| {
            at(row.marks.placed().map(|placed| placed.at))
        }))
        .bind::<Array<Bool>, _>(column(rows, |(_, row)| is_archived(row)))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(rows, |(_, row)| at(row.marks.returns_at())))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(rows, |(_, row)| at(row.deleted_at)))
        .execute(conn)?;
    Ok(())
}

/// Outcome of a change of named messages.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is made.
    Done {
        /// Messages that stand otherwise than before.
        changed: usize,
        /// Messages of the user that were named.
        found: Vec<NotificationId>,
        /// Ids of none of the user's live messages, as often as they were given.
        not_found: Vec<NotificationId>,
    },
    /// One of them would expire before it came back, at this moment: nothing is changed.
    ExpiresBefore(NotificationId, Timestamp),
}

/// Changes messages of a user, all or none. In a transaction.
pub fn change(
    conn: &mut PgConnection,
    user: UserId,
    ids: &[NotificationId],
    change: Change,
    at: Timestamp,
) -> Result<Outcome, StoreError> {
    let wishes: Vec<Wish> = ids.iter().map(|id| Wish { id: *id, user, change, at }).collect();
    let mut rows = lock(conn, &wishes, at)?;
    if let Change::Snooze(until) = change {
        let early =
            ids.iter().find_map(|id| Some((*id, rows.get(id)?.expires_at)).filter(|(_, at)| *at <= until));
        if let Some((id, expires_at)) = early {
            return Ok(Outcome::ExpiresBefore(id, expires_at));
        }
    }
    merge(conn, &wishes, &mut rows)?;
    let stands_otherwise = |row: &&Row| {
        row.deleted_at.is_some()
            || row.before.standing(at) != row.marks.standing(at)
            || row.before.returns_at() != row.marks.returns_at()
    };
    let (found, not_found) = ids.iter().copied().partition(|id| rows.contains_key(id));
    Ok(Outcome::Done { changed: rows.values().filter(stands_otherwise).count(), found, not_found })
}

/// Everything of a user up to an offset is read, or all there is; up to where that was, and how many were unread. In a
/// transaction.
pub fn read_all(
    conn: &mut PgConnection,
    user: UserId,
    up_to: Option<i64>,
    at: Timestamp,
) -> Result<(i64, usize), StoreError> {
    let last = sql::<BigInt>(
        "SELECT stream_offset FROM notifications WHERE user_id = ? ORDER BY stream_offset DESC LIMIT 1",
    )
    .bind::<Integer, _>(user.to_sql())
    .load::<i64>(conn)?;
    let last = last.into_iter().next().unwrap_or(0);
    let up_to = up_to.map_or(last, |up_to| up_to.min(last));
    Ok((up_to, read_up_to(conn, user, up_to, at)?))
}

fn read_up_to(conn: &mut PgConnection, user: UserId, up_to: i64, at: Timestamp) -> Result<usize, StoreError> {
    let at = to_pg(at);
    let unread = sql::<BigInt>(include_str!("sql/inbox_read_all.sql"))
        .bind::<Timestamptz, _>(at)
        .bind::<Integer, _>(user.to_sql())
        .bind::<BigInt, _>(up_to)
        .bind::<Timestamptz, _>(at)
        .bind::<Timestamptz, _>(at)
        .bind::<Timestamptz, _>(at)
        .bind::<Timestamptz, _>(at)
        .bind::<Timestamptz, _>(at)
        .bind::<Timestamptz, _>(at)
        .load::<i64>(conn)?;
    Ok(unread.into_iter().next().and_then(|unread| usize::try_from(unread).ok()).unwrap_or(0))
}

/// A list with everything up to an offset was looked at; of how many messages that is news.
pub fn seen(conn: &mut PgConnection, user: UserId, up_to: i64, at: Timestamp) -> Result<usize, StoreError> {
    let at = to_pg(at);
    Ok(sql::<()>(
        "UPDATE notifications SET seen_at = ? \
         WHERE user_id = ? AND stream_offset <= ? AND expires_at > ? AND withdrawn_at IS NULL AND trigger <> 'login' \
         AND (seen_at IS NULL OR (inbox_changed_at IS NOT NULL AND seen_at < ?))",
    )
    .bind::<Timestamptz, _>(at)
    .bind::<Integer, _>(user.to_sql())
    .bind::<BigInt, _>(up_to)
    .bind::<Timestamptz, _>(at)
    .bind::<Timestamptz, _>(at)
    .execute(conn)?)
}

/// One statement for all of a commit: after a restart each of ten thousand users is given something.
fn given(conn: &mut PgConnection, given: &[(NotificationId, Timestamp)]) -> Result<(), StoreError> {
    if given.is_empty() {
        return Ok(());
    }
    sql::<()>(
        "UPDATE notifications n SET given_at = g.at FROM unnest(?, ?) AS g (id, at) \
         WHERE n.notification_id = g.id AND n.given_at IS NULL",
    )
    .bind::<Array<SqlUuid>, _>(column(given, |(id, _)| id.0))
    .bind::<Array<Timestamptz>, _>(column(given, |(_, at)| to_pg(*at)))
    .execute(conn)?;
    Ok(())
}

/// Takes a message back, also out of the digest; whose it was, or `None` when there is none or it was taken back before.
pub fn withdraw(
    conn: &mut PgConnection,
    id: NotificationId,
    at: Timestamp,
    reason: Withdrawal,
) -> Result<Option<UserId>, StoreError> {
    let users = sql::<Integer>(
        "WITH gone AS (DELETE FROM held_messages WHERE call_id = ?) \
         UPDATE notifications SET withdrawn_at = ?, withdrawn_reason = ? \
         WHERE notification_id = ? AND withdrawn_at IS NULL RETURNING user_id",
    )
    .bind::<SqlUuid, _>(id.0)
    .bind::<Timestamptz, _>(to_pg(at))
    .bind::<Text, _>(reason.name())
    .bind::<SqlUuid, _>(id.0)
    .load::<i32>(conn)?;
    Ok(users.into_iter().next().map(UserId::from_sql))
}
