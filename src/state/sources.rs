//! Latest report of each puller (`tidings pull`): what it reads, how fast, how far behind. Kept in memory; a puller that ends falls
//! silent, and its last report is forgotten after a day or when newer ones need the room.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use tidings_core::base::Timestamp;

/// Most pullers remembered.
const MAX_SOURCES: usize = 64;
/// Time after which a report is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(86_400);
/// Time without a report after which a puller counts as silent.
const SILENT: Duration = Duration::from_secs(20);
/// Longest text kept, characters.
const MAX_TEXT: usize = 300;

/// Report of a puller; counts since its start.
#[derive(Clone, Debug, Default, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SourceReport {
    /// Kind of the source, such as `kafka`.
    pub from: String,
    /// Topics, stream or tables.
    pub reads: String,
    /// Records read.
    pub records: u64,
    /// Events stored.
    pub stored: u64,
    /// Events that were stored before.
    pub duplicates: u64,
    /// Items put or deleted.
    pub items: u64,
    /// Records refused.
    pub refused: u64,
    /// Records that are neither event nor item.
    pub skipped: u64,
    /// Records that wait in the source; null where the source can't tell.
    pub lag_records: Option<u64>,
    /// Age of the latest acknowledged record, seconds; 0 at the end of the source.
    pub lag_s: f64,
    /// The source's present fault; null while it answers.
    pub fault: Option<String>,
}

/// Report as shown.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct SourceStatus {
    /// Name of the puller.
    pub name: String,
    /// Its latest report.
    #[serde(flatten)]
    pub report: SourceReport,
    /// Records a second between the last two reports; null after the first.
    pub records_per_s: Option<f64>,
    /// Moment of the latest report.
    pub reported_at: Timestamp,
    /// True if reports have stopped.
    pub silent: bool,
}

struct Kept {
    report: SourceReport,
    records_per_s: Option<f64>,
    reported_at: Timestamp,
    received: Instant,
}

/// Latest reports by name.
#[derive(Default)]
pub struct Sources(Mutex<BTreeMap<String, Kept>>);

impl Sources {
    /// Takes a report; texts are cut to 300 characters.
    pub fn note(&self, name: &str, mut report: SourceReport) {
        for text in [&mut report.from, &mut report.reads].into_iter().chain(&mut report.fault) {
            if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
                text.truncate(end);
            }
        }
        let received = Instant::now();
        let mut sources = self.0.lock();
        let records_per_s = sources.get(name).and_then(|last| {
            // A puller that was started anew counts anew.
            let records = report.records.checked_sub(last.report.records)?;
            let seconds = received.duration_since(last.received).as_secs_f64();
            (seconds > 0.1).then(|| records as f64 / seconds)
        });
        sources.retain(|_, kept| kept.received.elapsed() < FORGOTTEN);
        if sources.len() >= MAX_SOURCES && !sources.contains_key(name) {
            let oldest = sources.iter().min_by_key(|(_, kept)| kept.received).map(|(name, _)| name.clone());
            sources.remove(&oldest.unwrap_or_default());
        }
        let kept = Kept { report, records_per_s, reported_at: Timestamp::now(), received };
        sources.insert(name.to_owned(), kept);
    }

    /// All that are remembered, by name.
    pub fn list(&self) -> Vec<SourceStatus> {
        let sources = self.0.lock();
        let status = |(name, kept): (&String, &Kept)| SourceStatus {
            name: name.clone(),
            report: kept.report.clone(),
            records_per_s: kept.records_per_s,
            reported_at: kept.reported_at,
            silent: kept.received.elapsed() > SILENT,
        };
        sources.iter().filter(|(_, kept)| kept.received.elapsed() < FORGOTTEN).map(status).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_reports_are_kept_and_their_number_is_bounded() {
        let sources = Sources::default();
        for index in 0..100 {
            let report = SourceReport { records: index, reads: "x".repeat(1_000), ..SourceReport::default() };
            sources.note(&format!("puller-{index:03}"), report.clone());
            sources.note("always", report);
        }
        let list = sources.list();
        assert_eq!(list.len(), MAX_SOURCES);
        let last = list.iter().find(|status| status.name == "always").unwrap();
        assert_eq!((last.report.records, last.report.reads.len(), last.silent), (99, MAX_TEXT, false));
    }
}
