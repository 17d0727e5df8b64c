//! The columns of an event, as profiles read it.

use diesel::data_types::PgTimestamp;
use diesel::sql_types::{BigInt, Double, Float, Integer, Nullable, SmallInt, Text, Timestamptz};

use crate::postgres::convert::from_pg;
use tidings_core::base::{ItemId, UserId};
use tidings_core::catalogue::Currency;
use tidings_core::event::{Event, FIRST_OWN_CODE, OwnKinds};

/// The columns of an [`Event`].
pub(super) type EventRow =
    (PgTimestamp, Option<i32>, Option<i32>, i16, Option<i32>, f32, Option<f64>, Option<String>, Option<i64>);

/// SQL types of an [`EventRow`].
pub(super) type EventColumns = (
    Timestamptz,
    Nullable<Integer>,
    Nullable<Integer>,
    SmallInt,
    Nullable<Integer>,
    Float,
    Nullable<Double>,
    Nullable<Text>,
    Nullable<BigInt>,
);

/// Returns whether a row is of one of the shop's own kinds.
pub(super) fn is_of_own_kind(row: &EventRow) -> bool {
    row.3 >= FIRST_OWN_CODE
}

/// `None` for a kind that neither this version nor the shop knows.
pub(super) fn event_from_row(row: EventRow, kinds: &OwnKinds) -> Option<Event> {
    let (occurred_at, user, item, kind, dwell_ms, quantity, value, currency, basket) = row;
    Some(Event {
        occurred_at: from_pg(occurred_at),
        user: user.map(UserId::from_sql),
        item: item.map(ItemId::from_sql),
        kind: kinds.from_code(kind)?,
        dwell_ms: dwell_ms.and_then(|dwell| u32::try_from(dwell).ok()),
        quantity,
        value,
        currency: currency.as_deref().and_then(Currency::parse),
        basket,
    })
}
