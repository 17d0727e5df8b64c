//! Initial state of users' actors, for many logins in a few queries.

use std::collections::{BTreeMap, HashMap};

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Bool, Double, Integer, Jsonb, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use uuid::Uuid;

use super::consents;
use super::deferred;
use super::event_kinds;
use super::event_row::{EventColumns, EventRow, event_from_row, is_of_own_kind};
use super::notifications;
use super::preferences::{self, Preferences};
use super::user_attributes::opened;
use crate::encryption::attributes::sealed_attributes;
use crate::encryption::{Fields, Opener};
use crate::postgres::StoreError;
use crate::postgres::convert::{external_id, from_pg, items_from_sql, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{NotificationId, Timestamp, UserId};
use tidings_core::event::{Event, OwnKinds};
use tidings_core::profile::StatedFeatures;
use tidings_decision::decide::{RecentSend, SentAs, StoredUser, occasion};
use tidings_decision::deliver::channel::from_code;
use tidings_decision::privacy::encryption::Owner;

/// Days that [`StoredUser::recent`] reaches back: the longest window a frequency cap may have.
const RECENT_DAYS: f64 = 7.0;
/// As many as the policy remembers.
const MOST_RECENT: i64 = 1_024;
/// As many events of a user are read: what came before them is months old, or was sent by a program.
const MOST_EVENTS: i64 = 5_000;
/// Days back for which acknowledged messages of [`StoredUser::tail`] can be sent again.
const TAIL_DAYS: f64 = 1.0;

/// Preferences and latest consents of users; who has neither is left out. Two queries.
pub fn load_wishes(conn: &mut PgConnection, users: &[UserId]) -> Result<Vec<Wishes>, StoreError> {
    let ids: Vec<i32> = users.iter().map(|user| user.to_sql()).collect();
    let mut wishes: BTreeMap<UserId, Wishes> = BTreeMap::new();
    let empty = |user| Wishes { user, preferences: Preferences::default(), consents: Vec::new() };
    for (user, preferences) in preferences::load(conn, users)? {
        wishes.insert(user, Wishes { preferences, ..empty(user) });
    }
    for (user, purpose, granted) in consents::load(conn, &ids)? {
        wishes.entry(user).or_insert_with(|| empty(user)).consents.push((purpose, granted));
    }
    Ok(wishes.into_values().collect())
}

/// Preferences and consents of a user.
#[derive(Clone, Debug, PartialEq)]
pub struct Wishes {
    /// The user.
    pub user: UserId,
    /// Preferences.
    pub preferences: Preferences,
    /// The latest answer for each purpose.
    pub consents: Vec<(String, bool)>,
}

/// The states of the users that exist, in the order asked for, each with its newest 5,000 events: a profile is that of all events for
/// every user who has no more, and a user who has millions costs no more than those. At most thirteen queries, and those for
/// keys, whatever the number of users.
pub fn load_states(
    conn: &mut PgConnection,
    fields: &Fields,
    users: &[UserId],
    now: Timestamp,
) -> Result<Vec<StoredUser>, StoreError> {
    let ids: Vec<i32> = users.iter().map(|user| user.to_sql()).collect();
    let mut states = known_users(conn, fields, &ids)?;
    for (user, event) in events(conn, &ids)? {
        if let Some(state) = states.get_mut(&user) {
            state.events.push(event);
        }
    }
    for (user, preferences) in preferences::load(conn, users)? {
        if let Some(state) = states.get_mut(&user) {
            state.preferences = preferences;
        }
    }
    for (user, purpose, granted) in consents::load(conn, &ids)? {
        if let Some(state) = states.get_mut(&user) {
            state.consents.push((purpose, granted));
        }
    }
    for row in deferred::load(conn, fields, &ids, now)? {
        if let Some(state) = states.get_mut(&row.user) {
            state.held.push(row);
        }
    }
    for (user, offset) in last_offsets(conn, &ids)? {
        if let Some(state) = states.get_mut(&user) {
            state.last_offset = offset;
            state.floor = offset;
        }
    }
    for (user, notification) in notifications::tails(conn, fields, &ids, now.plus_days(-TAIL_DAYS), now)? {
        if let Some(state) = states.get_mut(&user) {
            state.floor = state.floor.min(notification.offset - 1);
            state.tail.push(notification);
        }
    }
    // Who has fewer messages than memory holds has none before them: nearly everybody, and nothing is read.
    let is_full = |state: &&StoredUser| state.tail.len() >= notifications::TAIL;
    let full: Vec<(i32, i64)> =
        states.values().filter(is_full).map(|state| (state.user.to_sql(), state.floor + 1)).collect();
    for (user, notification) in notifications::older(conn, &full, now)? {
        if let Some(state) = states.get_mut(&user) {
            state.older.push(notification);
        }
    }
    recent_from_tails(conn, &mut states, now.plus_days(-RECENT_DAYS))?;
    Ok(users.iter().filter_map(|user| states.remove(user)).collect())
}

/// Takes recent messages from the tails, except for users who got more than memory holds: those are read again.
fn recent_from_tails(
    conn: &mut PgConnection,
    states: &mut HashMap<UserId, StoredUser>,
    since: Timestamp,
) -> Result<(), StoreError> {
    let is_cut = |state: &StoredUser| {
        // Messages of a merged visitor are not in the order of their time.
        let is_mixed = state.merged_at.is_some_and(|at| at >= since);
        let oldest = state.tail.first();
        state.tail.len() >= notifications::TAIL
            && (is_mixed || oldest.is_some_and(|oldest| oldest.created_at >= since))
    };
    let (cut, whole): (Vec<&StoredUser>, Vec<&StoredUser>) = states.values().partition(|state| is_cut(state));
    let ids = |states: &[&StoredUser]| states.iter().map(|state| state.user.to_sql()).collect::<Vec<i32>>();
    let (cut, whole) = (ids(&cut), ids(&whole));
    let mut sent: HashMap<Uuid, SentAs> = sent_as(conn, &whole, since)?.into_iter().collect();
    let mut outcomes: HashMap<Uuid, Vec<i16>> = HashMap::new();
    for (id, outcome) in outcomes_since(conn, &whole, since)? {
        outcomes.entry(id).or_default().push(outcome);
    }
    for user in &whole {
        if let Some(state) = states.get_mut(&UserId::from_sql(*user)) {
            let recent = state.tail.iter().filter(|one| one.created_at >= since);
            state.recent = recent
                .map(|one| {
                    let id = &one.notification_id.0;
                    RecentSend::new(one, sent.remove(id), outcomes.remove(id).unwrap_or_default())
                })
                .collect();
        }
    }
    if cut.is_empty() {
        return Ok(());
    }
    for (user, send) in recent_sends(conn, &cut, since)? {
        if let Some(state) = states.get_mut(&user) {
            state.recent.push(send);
        }
    }
    Ok(())
}

/// Decisions about messages; the shop's own have no such row.
fn sent_as(
    conn: &mut PgConnection,
    users: &[i32],
    since: Timestamp,
) -> Result<Vec<(Uuid, SentAs)>, StoreError> {
    // By user, not by moment: an index over moments leads through everybody's.
    let rows = sql::<(SqlUuid, Text, Text, Nullable<BigInt>, Bool)>(
        "SELECT d.* FROM unnest(?) AS u (user_id) CROSS JOIN LATERAL (\
         SELECT notification_id, campaign, channel, dedupe_key, counted FROM decisions \
         WHERE user_id = u.user_id AND decided_at >= ? AND notification_id IS NOT NULL \
         ORDER BY decided_at DESC LIMIT ?) d",
    )
    .bind::<Array<Integer>, _>(users)
    .bind::<Timestamptz, _>(to_pg(since))
    .bind::<BigInt, _>(MOST_RECENT)
    .load::<(Uuid, String, String, Option<i64>, bool)>(conn)?;
    let row = |(id, campaign, channel, dedupe_key, counted)| {
        (id, SentAs { campaign, channel, dedupe_key, counted })
    };
    Ok(rows.into_iter().map(row).collect())
}

fn outcomes_since(
    conn: &mut PgConnection,
    users: &[i32],
    since: Timestamp,
) -> Result<Vec<(Uuid, i16)>, StoreError> {
    Ok(sql::<(SqlUuid, SmallInt)>(
        "SELECT f.* FROM unnest(?) AS u (user_id) CROSS JOIN LATERAL (\
         SELECT notification_id, outcome FROM feedback WHERE user_id = u.user_id AND occurred_at >= ? \
         ORDER BY occurred_at DESC LIMIT ?) f",
    )
    .bind::<Array<Integer>, _>(users)
    .bind::<Timestamptz, _>(to_pg(since))
    .bind::<BigInt, _>(MOST_RECENT)
    .load::<(Uuid, i16)>(conn)?)
}

type KnownUser = (
    i32,
    String,
    Option<PgTimestamp>,
    Option<PgTimestamp>,
    Option<PgTimestamp>,
    Option<serde_json::Value>,
    Vec<String>,
    Vec<PgTimestamp>,
    Option<f64>,
    Option<f64>,
    Option<f64>,
);

fn known_users(
    conn: &mut PgConnection,
    fields: &Fields,
    ids: &[i32],
) -> Result<HashMap<UserId, StoredUser>, StoreError> {
    type Columns = (
        Integer,
        Text,
        Nullable<Timestamptz>,
        Nullable<Timestamptz>,
        Nullable<Timestamptz>,
        Nullable<Jsonb>,
        Array<Text>,
        Array<Timestamptz>,
        Nullable<Double>,
        Nullable<Double>,
        Nullable<Double>,
    );
    let rows = sql::<Columns>(
        "SELECT u.user_id, u.external_id, CASE WHEN u.is_robot THEN coalesce(u.robot_since, u.created_at) END, \
         u.last_connected_at, u.merged_at, (SELECT attributes FROM user_attributes a WHERE a.user_id = u.user_id), \
         ARRAY(SELECT o.trigger FROM user_once o WHERE o.user_id = u.user_id ORDER BY o.trigger), \
         ARRAY(SELECT o.fired_at FROM user_once o WHERE o.user_id = u.user_id ORDER BY o.trigger), \
         s.purchases_per_month, s.browsing_minutes_per_month, s.searches_per_month \
         FROM users u LEFT JOIN stated_features s USING (user_id) WHERE u.user_id = ANY(?)",
    )
    .bind::<Array<Integer>, _>(ids)
    .load::<KnownUser>(conn)?;
    let sealed = |row: &KnownUser| {
        let owner = Owner(row.0);
        row.5.iter().flat_map(sealed_attributes).map(move |text| (owner, text.to_owned())).collect::<Vec<_>>()
    };
    let sealed: Vec<(Owner, String)> = rows.iter().flat_map(sealed).collect();
    let opener = fields.opener(conn, sealed.iter().map(|(owner, text)| (*owner, text.as_str())))?;
    rows.into_iter()
        .map(|row| known_user(row, &opener))
        .map(|user| user.map(|user| (user.user, user)))
        .collect()
}

/// The state of a user of whom nothing else has been read.
fn known_user(row: KnownUser, opener: &Opener) -> Result<StoredUser, StoreError> {
    let (
        id,
        text,
        robot_since,
        last_connected,
        merged_at,
        attributes,
        fired,
        fired_at,
        purchases,
        minutes,
        searches,
    ) = row;
    Ok(StoredUser {
        user: UserId::from_sql(id),
        external_id: external_id("users", &text)?,
        robot_since: robot_since.map(from_pg),
        last_connected: last_connected.map(from_pg),
        merged_at: merged_at.map(from_pg),
        fired_once: fired.into_iter().zip(fired_at.into_iter().map(from_pg)).collect(),
        events: Vec::new(),
        stated: stated(purchases, minutes, searches),
        preferences: Preferences::default(),
        attributes: attributes.map(|stored| opened(opener, UserId::from_sql(id), stored)).unwrap_or_default(),
        consents: Vec::new(),
        held: Vec::new(),
        last_offset: 0,
        tail: Vec::new(),
        older: Vec::new(),
        floor: 0,
        recent: Vec::new(),
    })
}

/// All three or none: the columns of a row that is there are never null.
fn stated(purchases: Option<f64>, minutes: Option<f64>, searches: Option<f64>) -> Option<StatedFeatures> {
    Some(StatedFeatures {
        purchases_per_month: purchases?,
        browsing_minutes_per_month: minutes?,
        searches_per_month: searches?,
    })
}

/// The newest [`MOST_EVENTS`] events of each user, the oldest first.
fn events(conn: &mut PgConnection, ids: &[i32]) -> Result<Vec<(UserId, Event)>, StoreError> {
    let rows = sql::<EventColumns>(include_str!("sql/newest_events.sql"))
        .bind::<Array<Integer>, _>(ids)
        .bind::<BigInt, _>(MOST_EVENTS)
        .load::<EventRow>(conn)?;
    // Most shops have no kinds of their own: nothing is read for them.
    let kinds = match rows.iter().any(is_of_own_kind) {
        true => event_kinds::load(conn)?,
        false => OwnKinds::default(),
    };
    let event = |row| event_from_row(row, &kinds);
    Ok(rows.into_iter().filter_map(event).filter_map(|event| Some((event.user?, event))).collect())
}

fn last_offsets(conn: &mut PgConnection, ids: &[i32]) -> Result<Vec<(UserId, i64)>, StoreError> {
    // One step into the index a user; max() with GROUP BY would read all of each user's messages.
    let rows = sql::<(Integer, BigInt)>(
        "SELECT u.user_id, n.stream_offset FROM unnest(?) AS u (user_id) CROSS JOIN LATERAL \
         (SELECT stream_offset FROM notifications WHERE user_id = u.user_id ORDER BY stream_offset DESC LIMIT 1) n",
    )
    .bind::<Array<Integer>, _>(ids)
    .load::<(i32, i64)>(conn)?;
    Ok(rows.into_iter().map(|(user, offset)| (UserId::from_sql(user), offset)).collect())
}

type RecentRow = (
    i32,
    Uuid,
    PgTimestamp,
    String,
    String,
    Vec<i32>,
    Vec<i16>,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<bool>,
    PgTimestamp,
    bool,
    i16,
    Option<Uuid>,
);

fn recent_sends(
    conn: &mut PgConnection,
    ids: &[i32],
    since: Timestamp,
) -> Result<Vec<(UserId, RecentSend)>, StoreError> {
    type Columns = (
        Integer,
        SqlUuid,
        Timestamptz,
        Text,
        Text,
        Array<Integer>,
        Array<SmallInt>,
        Nullable<Text>,
        Nullable<Text>,
        Nullable<BigInt>,
        Nullable<Bool>,
        Timestamptz,
        Bool,
        SmallInt,
        Nullable<SqlUuid>,
    );
    // A user's own messages by their number, and a step into an index for what belongs to each: a plan over moments would read
    // everybody's. A message and its decision bear the same moment, which the decisions' index leads to.
    let rows = sql::<Columns>(include_str!("sql/recent_sends.sql"))
        .bind::<Array<Integer>, _>(ids)
        .bind::<BigInt, _>(MOST_RECENT)
        .bind::<Timestamptz, _>(to_pg(since))
        .load::<RecentRow>(conn)?;
    Ok(rows.into_iter().map(recent_send).collect())
}

fn recent_send(row: RecentRow) -> (UserId, RecentSend) {
    let (
        user,
        id,
        at,
        category,
        trigger,
        items,
        outcomes,
        campaign,
        channel,
        dedupe_key,
        counted,
        expires,
        given,
        taken,
        call,
    ) = row;
    let send = RecentSend {
        campaign: campaign.unwrap_or_else(|| trigger.clone()),
        channel: channel.unwrap_or_else(|| from_code(taken).name().to_owned()),
        expires_at: from_pg(expires),
        given,
        dedupe_key: occasion(dedupe_key, call),
        passes_caps: counted == Some(false),
        notification_id: NotificationId(id),
        at: from_pg(at),
        category,
        trigger,
        items: items_from_sql(items),
        outcomes,
    };
    (UserId::from_sql(user), send)
}
