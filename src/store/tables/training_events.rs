//! Events for training, streamed out of table `events` by binary COPY, a partition at a time: no row is made twice, PostgreSQL
//! sorts one partition and not the table, and whoever stops waits for the rest of one partition at most.

use std::collections::HashMap;
use std::io::BufRead;
use std::ops::ControlFlow;

use diesel::connection::SimpleConnection;
use diesel::pg::{CopyFormat, CopyTarget, Pg};
use diesel::prelude::*;
use diesel::query_builder::AstPass;
use diesel::sql_types::{Bool, Integer, Text};

use super::event_kinds;
use super::robots;
use crate::postgres::copy_out::CopyOut;
use crate::postgres::sql::sql;
use crate::postgres::{StoreError, without_time_limit};
use tidings_core::base::{ItemId, Timestamp, UserId};
use tidings_core::catalogue::Currency;
use tidings_core::event::{Event, OwnKinds};
use tidings_schema::events;

/// Microseconds from 1970 to 2000, from where PostgreSQL counts.
const EPOCH_2000: i64 = 946_684_800_000_000;

/// The events of one time, by moment; at one moment by arrival. COPY takes no parameters, so that the time stands in settings
/// of the transaction; being stable, they prune the other partitions before any is read.
struct Part;

impl CopyTarget for Part {
    type Table = events::table;
    type SqlType = events::SqlType;

    fn walk_target(mut pass: AstPass<'_, '_, Pg>) -> QueryResult<()> {
        pass.push_sql(
            "(SELECT occurred_at, user_id, item_id, kind, dwell_ms, quantity, value, currency, basket FROM events \
             WHERE occurred_at >= current_setting('tidings.from')::timestamptz \
             AND occurred_at < current_setting('tidings.until')::timestamptz \
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
    let kinds = event_kinds::load(conn)?;
    without_time_limit(conn, |conn| {
        // The planner's default of a few megabytes would sort a year of a small shop on disk.
        sql::<()>("SET LOCAL work_mem = '256MB'").execute(conn)?;
        let mut count = 0;
        for (from, until) in partitions(conn)? {
            sql::<Text>("SELECT set_config('tidings.from', ?, true) || set_config('tidings.until', ?, true)")
                .bind::<Text, _>(&from)
                .bind::<Text, _>(&until)
                .get_result::<String>(conn)?;
            let source = diesel::copy_to(Part).with_format(CopyFormat::Binary).load_raw(conn)?;
            let heard = read(source, &robots, &kinds, &mut count, &mut each);
            // PQexec discards what is left of the copy, its end too; the other calls of libpq refuse to.
            conn.batch_execute("SELECT 1")?;
            if heard?.is_break() {
                break;
            }
        }
        Ok(count)
    })
}

/// Bounds of the partitions, in order of time.
fn partitions(conn: &mut PgConnection) -> Result<Vec<(String, String)>, StoreError> {
    let rows = sql::<(Bool, Integer)>(
        "SELECT c.relname LIKE 'events\\_before\\_%' AS is_oldest, right(c.relname, 4)::integer AS year FROM pg_inherits i \
         JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events'::regclass ORDER BY is_oldest DESC, year",
    )
    .load::<(bool, i32)>(conn)?;
    let new_year = |year: i32| format!("{year:04}-01-01 00:00:00+00");
    let bounds = |(is_oldest, year)| match is_oldest {
        true => ("-infinity".to_owned(), new_year(year)),
        false => (new_year(year), new_year(year + 1)),
    };
    Ok(rows.into_iter().map(bounds).collect())
}

fn read(
    source: impl BufRead,
    robots: &HashMap<UserId, Option<Timestamp>>,
    kinds: &OwnKinds,
    count: &mut u64,
    each: &mut impl FnMut(Event) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, StoreError> {
    let unreadable =
        |error: std::io::Error| StoreError::Unreadable { table: "events", reason: error.to_string() };
    let mut copy = CopyOut::new(source).map_err(unreadable)?;
    while copy.next_row(9).map_err(unreadable)? {
        let Some(event) = event(&mut copy, kinds).map_err(unreadable)? else { continue };
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

/// In the order of [`Part`]'s columns; `None` for a kind that this version does not know.
fn event(copy: &mut CopyOut<impl BufRead>, kinds: &OwnKinds) -> std::io::Result<Option<Event>> {
    let occurred_at = copy.integer()?.unwrap_or_default().saturating_add(EPOCH_2000);
    let user = copy.integer()?.and_then(|user| u32::try_from(user).ok());
    let item = copy.integer()?.and_then(|item| u32::try_from(item).ok());
    let kind = copy.integer()?.and_then(|kind| i16::try_from(kind).ok());
    let kind = kind.and_then(|kind| kinds.from_code(kind));
    let dwell_ms = copy.integer()?.and_then(|dwell| u32::try_from(dwell).ok());
    let quantity = copy.real()?.unwrap_or(1.0);
    let value = copy.double()?;
    let currency = copy.letters()?.map(Currency::from_letters);
    let basket = copy.integer()?;
    Ok(kind.map(|kind| Event {
        occurred_at: Timestamp(occurred_at),
        user: user.map(UserId),
        item: item.map(ItemId),
        kind,
        dwell_ms,
        quantity,
        value,
        currency,
        basket,
    }))
}
