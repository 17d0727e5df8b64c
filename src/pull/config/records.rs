//! `[records]`: what a record is, and what is taken of it.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::Deserialize;
use tidings_core::event::{EventKind, FIRST_OWN_CODE, OwnKind, OwnKinds};
use tidings_intake::Mapping;

use super::error::ConfigError;

/// Days for which the server keeps receipts of events, less one for clocks and waiting.
const MAX_AGE_DAYS: u32 = 29;

/// Outer form of the records.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Envelope {
    /// One JSON object, an event or an item.
    #[default]
    Plain,
    /// A change of a table as Debezium writes it: `op`, `before`, `after`.
    Debezium,
}

/// Names and places of a record's fields.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// The server's own names, or those of `records.map`.
    #[default]
    Own,
    /// Track calls of Segment.
    Segment,
    /// Events of Google Analytics 4, as it exports them to BigQuery.
    Ga4,
}

/// `[records]`, checked.
#[derive(Clone, Debug)]
pub struct RecordSettings {
    /// Outer form.
    pub envelope: Envelope,
    /// Layout inside of it.
    pub layout: Layout,
    /// Fields of other names.
    pub mapping: Mapping,
    /// Kinds of the shop's own. Which of them name an item the server knows.
    pub kinds: Arc<OwnKinds>,
    /// Kind of events that don't say theirs.
    pub kind: Option<EventKind>,
    /// Zone of times without an offset.
    pub zone: TimeZone,
    /// True if events without a time of their own happened when the source took them.
    pub time_of_record: bool,
    /// Records that the source took longer ago than this are refused, days.
    pub max_age_days: u32,
    /// Largest record, bytes.
    pub max_bytes: usize,
}

/// `[records]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRecords {
    envelope: Envelope,
    layout: Layout,
    kinds: Vec<String>,
    map: std::collections::BTreeMap<String, String>,
    kind: Option<String>,
    time_zone: Option<String>,
    time_of_record: bool,
    max_age_days: Option<u32>,
    max_bytes: Option<usize>,
}

impl RawRecords {
    /// Checks what the types don't.
    pub(super) fn check(self) -> Result<RecordSettings, ConfigError> {
        let pairs: Vec<String> = self.map.iter().map(|(field, name)| format!("{field}={name}")).collect();
        let mapping =
            pairs.join(",").parse().map_err(|error| ConfigError(format!("records.map: {error}")))?;
        if self.layout != Layout::Own && (!self.map.is_empty() || self.kind.is_some() || self.time_of_record)
        {
            return Err(ConfigError::new(
                "records.layout: segment and ga4 say themselves what their fields are: leave out records.map, records.kind and \
                 records.time_of_record",
            ));
        }
        let kinds = own_kinds(&self.kinds)?;
        let kind = match &self.kind {
            None => None,
            Some(name) => Some(match kinds.find(name) {
                Ok(kind) => kind,
                Err(says) => tidings_intake::fields::kind(name)
                    .ok_or_else(|| ConfigError(format!("records.kind: is {name:?}, {says}")))?,
            }),
        };
        let zone = self.time_zone.as_deref().unwrap_or("UTC");
        let zone = TimeZone::get(zone).map_err(|_| {
            ConfigError(format!("records.time_zone: there is no zone {zone:?}; such as Europe/Berlin"))
        })?;
        let max_age_days = self.max_age_days.unwrap_or(MAX_AGE_DAYS);
        if !(1..=MAX_AGE_DAYS).contains(&max_age_days) {
            return Err(ConfigError(format!(
                "records.max_age_days: must be 1…{MAX_AGE_DAYS}: the server knows repeated events for 30 days; import older \
                 records with tidings import"
            )));
        }
        let max_bytes = self.max_bytes.unwrap_or(1 << 20);
        if !(64..=16 << 20).contains(&max_bytes) {
            return Err(ConfigError::new("records.max_bytes: must be 64…16777216"));
        }
        Ok(RecordSettings {
            envelope: self.envelope,
            layout: self.layout,
            mapping,
            kinds: Arc::new(kinds),
            kind,
            zone,
            time_of_record: self.time_of_record,
            max_age_days,
            max_bytes,
        })
    }
}

/// The shop's own kinds by their names; codes and weights are the server's.
fn own_kinds(names: &[String]) -> Result<OwnKinds, ConfigError> {
    let mut kinds = OwnKinds::default();
    for (code, name) in (FIRST_OWN_CODE..).zip(names) {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_word) || EventKind::from_name(name).is_some() {
            return Err(ConfigError(format!(
                "records.kinds: {name:?} is no name of the server's event.kinds: letters a-z, digits and _, and none of {}",
                EventKind::ALL.map(EventKind::name).join(", ")
            )));
        }
        kinds.add(name, OwnKind::new(code, 0.0, false), true);
    }
    Ok(kinds)
}
