//! Export: the rows of one subject, streamed out by COPY in text form and read field by field. Memory does not grow with the
//! number of rows, but for the credited purchases of one slice of messages.
//!
//! COPY takes no parameters, so that the bounds of time stand in settings of the transaction, and the statement in a temporary
//! view; the view also names the columns and their types.

mod encrypted;
mod row;
mod subject;

use std::io::BufRead;
use std::ops::{ControlFlow, Range};

use diesel::connection::SimpleConnection;
use diesel::data_types::PgTimestamp;
use diesel::pg::{CopyFormat, CopyTarget, Pg};
use diesel::prelude::*;
use diesel::query_builder::AstPass;
use diesel::sql_types::{Array, Bool, Double, Nullable, Text, Timestamptz, Uuid as SqlUuid};

use self::encrypted::Encrypted;
use super::conversions;
use crate::encryption::Fields;
use crate::postgres::columns::column;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use crate::postgres::{StoreError, without_time_limit};
use tidings_core::base::{Millis, NotificationId, Timestamp};
use tidings_core::catalogue::Money;
use tidings_decision::feedback::attribution::{self, Brought};
use tidings_schema::events;

pub use row::{Column, Holds, Row};
pub use subject::Subject;
pub(super) use subject::kinds;

/// Days of messages whose credited purchases are held in memory at a time.
const SLICE_DAYS: f64 = 31.0;
/// Moments that stand for "unbounded" in a range.
const ALWAYS: Range<Timestamp> = Timestamp(-62_135_596_800_000_000)..Timestamp(253_370_764_800_000_000);
/// The view that holds the statement, and the columns of its rows.
const VIEW: &str = "tidings_export";

/// The rows of the view.
struct Rows;

impl CopyTarget for Rows {
    type Table = events::table;
    type SqlType = events::SqlType;

    fn walk_target(mut pass: AstPass<'_, '_, Pg>) -> QueryResult<()> {
        pass.push_sql("(SELECT * FROM pg_temp.tidings_export)");
        Ok(())
    }
}

/// Selection of an export.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Kind of rows.
    pub subject: Subject,
    /// Rows of this moment and later; `None` = from the first.
    pub since: Option<Timestamp>,
    /// Rows before this moment; `None` = to the last.
    pub until: Option<Timestamp>,
    /// Purchases count up to this long after a message.
    pub attribution_window: Millis,
    /// Base currency and rates by which revenue in several currencies is summed.
    pub money: Money,
}

impl Selection {
    fn range(&self) -> Range<Timestamp> {
        self.since.unwrap_or(ALWAYS.start)..self.until.unwrap_or(ALWAYS.end)
    }
}

/// Receiver of an export. Whoever breaks gets nothing more.
pub trait Receiver {
    /// The columns, once, before the first row.
    fn columns(&mut self, columns: &[Column]) -> ControlFlow<()>;
    /// The next row.
    fn row(&mut self, row: &Row) -> ControlFlow<()>;
}

/// Hands over the columns and every row, by time; of rows stored meanwhile each once or not at all.
pub fn stream(
    conn: &mut PgConnection,
    fields: &Fields,
    selection: &Selection,
    receiver: &mut dyn Receiver,
) -> Result<(), StoreError> {
    without_time_limit(conn, |conn| {
        conn.batch_execute(
            "CREATE TEMPORARY TABLE IF NOT EXISTS exported_credits (notification_id uuid PRIMARY KEY, kept boolean, \
             revenue double precision) ON COMMIT DELETE ROWS",
        )?;
        let statement = selection.subject.statement();
        conn.batch_execute(&format!("CREATE OR REPLACE TEMPORARY VIEW {VIEW} AS {statement}"))?;
        let mut columns = read_columns(conn)?;
        let mut encrypted = Encrypted::new(fields, selection.subject, &mut columns);
        if receiver.columns(&columns).is_continue() {
            for slice in slices(conn, selection)? {
                if selection.subject == Subject::Outcomes {
                    put_credits(conn, &slice, selection.attribution_window, &selection.money)?;
                }
                bound(conn, &slice)?;
                let source = diesel::copy_to(Rows).with_format(CopyFormat::Text).load_raw(conn)?;
                let heard = match &mut encrypted {
                    None => read(source, &mut |row| Ok(receiver.row(row))),
                    Some(encrypted) => {
                        let heard =
                            read(source, &mut |row| encrypted.take(row, &mut |row| receiver.row(row)));
                        if let Ok(ControlFlow::Continue(())) = heard {
                            encrypted.flush(&mut |row| receiver.row(row))
                        } else {
                            heard
                        }
                    }
                };
                // PQexec discards what is left of the copy, its end too; the other calls of libpq refuse to.
                conn.batch_execute("SELECT 1")?;
                if heard?.is_break() {
                    break;
                }
            }
        }
        conn.batch_execute(&format!("DROP VIEW {VIEW}; DROP TABLE exported_credits"))?;
        Ok(())
    })
}

fn read_columns(conn: &mut PgConnection) -> Result<Vec<Column>, StoreError> {
    let rows = sql::<(Text, Text)>(
        "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute \
         WHERE attrelid = 'pg_temp.tidings_export'::regclass AND attnum > 0 ORDER BY attnum",
    )
    .load::<(String, String)>(conn)?;
    Ok(rows.into_iter().map(|(name, of)| Column::of_type(name, &of)).collect())
}

fn bound(conn: &mut PgConnection, slice: &Range<Timestamp>) -> Result<(), StoreError> {
    sql::<(Text, Text)>(
        "SELECT set_config('tidings.since', ?::timestamptz::text, true), \
         set_config('tidings.until', ?::timestamptz::text, true)",
    )
    .bind::<Timestamptz, _>(to_pg(slice.start))
    .bind::<Timestamptz, _>(to_pg(slice.end))
    .get_result::<(String, String)>(conn)?;
    Ok(())
}

/// Parts that are read one after the other: of events along the partitions, so that PostgreSQL sorts one and not the table; of
/// outcomes so that memory holds the credits of one.
fn slices(conn: &mut PgConnection, selection: &Selection) -> Result<Vec<Range<Timestamp>>, StoreError> {
    let whole = selection.range();
    let cuts = match selection.subject {
        Subject::Events => partition_starts(conn)?,
        Subject::Outcomes => message_months(conn, &whole)?,
        Subject::Decisions | Subject::Items | Subject::Users => Vec::new(),
    };
    let inside = cuts.into_iter().filter(|cut| *cut > whole.start && *cut < whole.end);
    let mut ends: Vec<Timestamp> = inside.chain([whole.end]).collect();
    ends.sort_unstable();
    ends.dedup();
    let mut start = whole.start;
    let next = |end: Timestamp| std::mem::replace(&mut start, end)..end;
    Ok(ends.into_iter().map(next).filter(|slice| slice.start < slice.end).collect())
}

/// Lower bounds of the partitions of `events`, whatever they are called and however wide they are.
fn partition_starts(conn: &mut PgConnection) -> Result<Vec<Timestamp>, StoreError> {
    let rows = sql::<Nullable<Timestamptz>>(
        "SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM $$FROM \\('([^']+)'$$)::timestamptz \
         FROM pg_partition_tree('events') p JOIN pg_class c ON c.oid = p.relid WHERE p.isleaf",
    )
    .load::<Option<PgTimestamp>>(conn)?;
    Ok(rows.into_iter().flatten().map(from_pg).collect())
}

/// Every [`SLICE_DAYS`] from the first message to the last.
fn message_months(conn: &mut PgConnection, whole: &Range<Timestamp>) -> Result<Vec<Timestamp>, StoreError> {
    let (first, last) = sql::<(Nullable<Timestamptz>, Nullable<Timestamptz>)>(
        "SELECT min(created_at), max(created_at) FROM notifications WHERE created_at >= ? AND created_at < ?",
    )
    .bind::<Timestamptz, _>(to_pg(whole.start))
    .bind::<Timestamptz, _>(to_pg(whole.end))
    .get_result::<(Option<PgTimestamp>, Option<PgTimestamp>)>(conn)?;
    let (Some(first), Some(last)) = (first.map(from_pg), last.map(from_pg)) else { return Ok(Vec::new()) };
    let steps = (last.days_since(first) / SLICE_DAYS) as u32 + 1;
    Ok((0..=steps).map(|step| first.plus_days(f64::from(step) * SLICE_DAYS)).collect())
}

/// Puts the purchases credited to messages of this slice where the statement reads them.
fn put_credits(
    conn: &mut PgConnection,
    slice: &Range<Timestamp>,
    window: Millis,
    money: &Money,
) -> Result<(), StoreError> {
    let credits = conversions::credits_between(conn, slice, window, money)?;
    let brought: Vec<(NotificationId, Brought)> = attribution::by_message(&credits).into_iter().collect();
    conn.batch_execute("TRUNCATE exported_credits")?;
    sql::<()>("INSERT INTO exported_credits (notification_id, kept, revenue) SELECT * FROM unnest(?, ?, ?)")
        .bind::<Array<SqlUuid>, _>(column(&brought, |(id, _)| id.0))
        .bind::<Array<Bool>, _>(column(&brought, |(_, brought)| brought.first.is_some()))
        .bind::<Array<Double>, _>(column(&brought, |(_, brought)| brought.revenue))
        .execute(conn)?;
    Ok(())
}

fn read(
    mut source: impl BufRead,
    take: &mut dyn FnMut(&Row) -> Result<ControlFlow<()>, StoreError>,
) -> Result<ControlFlow<()>, StoreError> {
    let unreadable = |reason: String| StoreError::Unreadable { table: "export", reason };
    let (mut line, mut row) = (Vec::new(), Row::default());
    loop {
        line.clear();
        if source.read_until(b'\n', &mut line).map_err(|error| unreadable(error.to_string()))? == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        row.read(line.strip_suffix(b"\n").unwrap_or(&line)).map_err(unreadable)?;
        if take(&row)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}
