//! The one place where base types become PostgreSQL's and back.

use diesel::data_types::PgTimestamp;

use tidings_core::base::{ExternalId, ItemId, Timestamp};

use super::error::StoreError;

/// 2000-01-01T00:00:00Z, PostgreSQL's epoch, in Unix microseconds.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// To `timestamptz`.
pub(crate) fn to_pg(moment: Timestamp) -> PgTimestamp {
    PgTimestamp(moment.0.saturating_sub(POSTGRES_EPOCH_MICROS))
}

/// From `timestamptz`.
pub(crate) fn from_pg(moment: PgTimestamp) -> Timestamp {
    Timestamp(moment.0.saturating_add(POSTGRES_EPOCH_MICROS))
}

/// From the stored text form of an id.
pub(crate) fn external_id(table: &'static str, text: &str) -> Result<ExternalId, StoreError> {
    ExternalId::parse(text).map_err(|error| StoreError::Unreadable { table, reason: error.to_string() })
}

/// A segment (0 = A) to `smallint`.
pub(crate) fn segment_to_sql(segment: Option<u8>) -> Option<i16> {
    segment.map(i16::from)
}

/// A segment from `smallint`; out of range, which no writer makes, becomes none.
pub(crate) fn segment_from_sql(segment: Option<i16>) -> Option<u8> {
    segment.and_then(|segment| u8::try_from(segment).ok())
}

/// Separates the elements of a list inside one text, for `string_to_array(…, E'\x1f')`: PostgreSQL can't unnest an
/// array of arrays by rows. ASCII's unit separator; no reason or category contains control characters.
const UNIT_SEPARATOR: &str = "\u{1f}";

/// Texts as one text.
pub(crate) fn join_texts(texts: &[String]) -> String {
    texts.join(UNIT_SEPARATOR)
}

/// Ids as one text, for `string_to_array(…, ',')::integer[]`.
pub(crate) fn join_items(items: &[ItemId]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(items.len() * 6);
    for (position, item) in items.iter().enumerate() {
        let separator = if position == 0 { "" } else { "," };
        let _ = write!(text, "{separator}{item}");
    }
    text
}

/// Numbers as one text, for `string_to_array(…, ',')::real[]`; none as null. Each reads back as it was, NaN too.
pub(crate) fn join_numbers(numbers: &[f32]) -> Option<String> {
    let texts: Vec<String> = numbers.iter().map(f32::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

/// From `integer[]`.
pub(crate) fn items_from_sql(items: Vec<i32>) -> Vec<ItemId> {
    items.into_iter().map(ItemId::from_sql).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_survive_the_round_trip() {
        for micros in [0, -1, 1_322_000_000_123_456, POSTGRES_EPOCH_MICROS] {
            assert_eq!(from_pg(to_pg(Timestamp(micros))), Timestamp(micros));
        }
        assert_eq!(to_pg(Timestamp(POSTGRES_EPOCH_MICROS)).0, 0);
    }

    #[test]
    fn lists_are_joined_without_a_stray_separator() {
        assert_eq!(join_items(&[]), "");
        assert_eq!(join_items(&[ItemId(3), ItemId(40)]), "3,40");
    }
}
