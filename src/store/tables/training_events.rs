//! Events for training, streamed out of table `events` by binary COPY, a month at a time: no row is made twice, PostgreSQL
//! sorts one month and not the table, and whoever stops waits for the rest of one month at most.

use std::collections::HashMap;
use std::io::BufRead;
use std::ops::ControlFlow;

use diesel::connection::SimpleConnection;
use diesel::pg::{CopyFormat, CopyTarget, Pg};
use diesel::prelude::*;
use diesel::query_builder::AstPass;
use diesel::sql_types::Text;

use super::robots;
use crate::base::{ItemId, Timestamp, UserId};
use crate::event::{Event, EventKind};
use crate::store::postgres::copy_out::CopyOut;
use crate::store::postgres::sql::sql;
use crate::store::postgres::{StoreError, without_time_limit};
use crate::store::schema::events;

/// Microseconds from 1970 to 2000, from where PostgreSQL counts.
const EPOCH_2000: i64 = 946_684_800_000_000;

/// One month of events, by time; at one moment by arrival. COPY takes no parameters, so that the month stands in a setting
/// of the transaction; being stable, it prunes the other partitions before any is read.
struct Month;

impl CopyTarget for Month {
    type Table = events::table;
    type SqlType = events::SqlType;

    fn walk_target(mut pass: AstPass<'_, '_, Pg>) -> QueryResult<()> {
        pass.push_sql(
            "(SELECT occurred_at, user_id, item_id, kind, dwell_ms, quantity, value, basket FROM events \
             WHERE occurred_at >= current_setting('tidings.month')::timestamptz \
             AND occurred_at < current_setting('tidings.month')::timestamptz + interval '1 month' \
             ORDER BY occurred_at, received_at, event_key)",
        );
        Ok(())
    }
}

/// Hands over every event that is not a robot's, nor from a time when its user was taken for one, by time (at one moment: by arrival), until `each` breaks. Streams: memory does not grow with the table. How many were handed
/// over; an event stored meanwhile may or may not be among them, none is there twice.
pub fn for_each(
    conn: &mut PgConnection,
    mut each: impl FnMut(Event) -> ControlFlow<()>,
) -> Result<u64, StoreError> {
    let robots = robots::unlearned(conn)?;
    without_time_limit(conn, |conn| {
        // The planner's default of a few megabytes would sort a month of a large shop on disk.
        sql::<()>("SET LOCAL work_mem = '256MB'").execute(conn)?;
        let mut count = 0;
        for month in months(conn)? {
            sql::<Text>("SELECT set_config('tidings.month', ?, true)")
                .bind::<Text, _>(&month)
                .get_result::<String>(conn)?;
            let source = diesel::copy_to(Month).with_format(CopyFormat::Binary).load_raw(conn)?;
            let heard = read(source, &robots, &mut count, &mut each);
            // PQexec discards what is left of the copy, its end too; the other calls of libpq refuse to.
            conn.batch_execute("SELECT 1")?;
            if heard?.is_break() {
                break;
            }
        }
        Ok(count)
    })
}

/// First moments of the months that have a partition, in order.
fn months(conn: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    Ok(sql::<Text>(
        "SELECT to_char(to_date(right(c.relname, 6), 'YYYYMM'), 'YYYY-MM-DD \"00:00:00+00\"') FROM pg_inherits i \
         JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events'::regclass ORDER BY right(c.relname, 6)",
    )
    .load(conn)?)
}

fn read(
    source: impl BufRead,
    robots: &HashMap<UserId, Option<Timestamp>>,
    count: &mut u64,
    each: &mut impl FnMut(Event) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, StoreError> {
    let unreadable =
        |error: std::io::Error| StoreError::Unreadable { table: "events", reason: error.to_string() };
    let mut copy = CopyOut::new(source).map_err(unreadable)?;
    while copy.next_row(8).map_err(unreadable)? {
        let Some(event) = event(&mut copy).map_err(unreadable)? else { continue };
        let unlearned = event.user.and_then(|user| robots.get(&user));
        if unlearned.is_some_and(|until| until.is_none_or(|until| event.occurred_at < until)) {
            continue;
        }
        *count += 1;
        if each(event).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// In the order of [`Month`]'s columns; `None` for a kind that this version does not know.
fn event(copy: &mut CopyOut<impl BufRead>) -> std::io::Result<Option<Event>> {
    let occurred_at = copy.integer()?.unwrap_or_default().saturating_add(EPOCH_2000);
    let user = copy.integer()?.and_then(|user| u32::try_from(user).ok());
    let item = copy.integer()?.and_then(|item| u32::try_from(item).ok());
    let kind = copy.integer()?.and_then(|kind| i16::try_from(kind).ok()).and_then(EventKind::from_code);
    let dwell_ms = copy.integer()?.and_then(|dwell| u32::try_from(dwell).ok());
    let quantity = copy.real()?.unwrap_or(1.0);
    let value = copy.double()?;
    let basket = copy.integer()?;
    Ok(kind.map(|kind| Event {
        occurred_at: Timestamp(occurred_at),
        user: user.map(UserId),
        item: item.map(ItemId),
        kind,
        dwell_ms,
        quantity,
        value,
        basket,
    }))
}
