//! Puts the simulated shop into a database: the catalogue, then three months of history, cleaned like any import.

use anyhow::Context as _;

use super::dirt;
use super::history::History;
use super::shop::Shop;
use super::size::DemoSize;
use tidings_core::base::Timestamp;
use tidings_core::event::clean::{Cleaner, CleaningParameters, CleaningReport};
use tidings_core::event::{EventLimits, NewEvent};
use tidings_store::bulk::Loader;
use tidings_store::cleaning::{self, NewCleaning};
use tidings_store::{Store, StoreError, items};

/// Reports searched for the demo's own.
const REPORTS: i64 = 1_000;

/// Contents of the shop after loading.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoSummary {
    /// Items of the catalogue.
    pub items: usize,
    /// Shoppers with a history.
    pub shoppers: u32,
    /// Events stored now; 0 when the shop was there already.
    pub events: u64,
    /// Report of the cleaning; `None` when the shop was there already.
    pub cleaning: Option<CleaningReport>,
}

/// Loads the demo's shop unless it is there; see [`load_sized`].
pub fn load(
    store: &Store,
    seed: u64,
    now: Timestamp,
    progress: &mut dyn FnMut(&'static str, f32),
) -> anyhow::Result<DemoSummary> {
    load_sized(store, DemoSize::of_seed(seed), now, progress)
}

/// Items, events and the cleaning report in one transaction: all of the shop is there or nothing of it, and a second
/// call leaves it as it is. Refuses a database with another catalogue. `progress` hears a step and how much of it is
/// done, 0…1. Blocks for some seconds.
pub fn load_sized(
    store: &Store,
    size: DemoSize,
    now: Timestamp,
    progress: &mut dyn FnMut(&'static str, f32),
) -> anyhow::Result<DemoSummary> {
    // The report is written last, so it also says that everything before it is there.
    let source = format!("demo shop, seed {}", size.seed);
    let (reports, known_items) =
        store.run_blocking(|conn| Ok((cleaning::recent(conn, REPORTS)?, items::load_all(conn)?)))?;
    let shop = Shop::generate(size.seed, size.n_items)?;
    let summary =
        DemoSummary { items: shop.items.len(), shoppers: size.n_shoppers, events: 0, cleaning: None };
    if reports.iter().any(|row| row.report.source == source) {
        return Ok(summary);
    }
    anyhow::ensure!(
        known_items.iter().all(|item| item.title.is_none()),
        "this database holds another catalogue: choose another --data-dir for the demo"
    );
    progress("history", 0.0);
    let history = History { shop: &shop, n_shoppers: size.n_shoppers, now }.events();
    let (events, report, robots) = clean(&source, dirt::soil(history, &shop, now), now);
    progress("history", 1.0);
    let new_items = shop.new_items();
    progress("store", 0.0);
    let stored = store
        .run_blocking(|conn| {
            tidings_store::without_time_limit(conn, |conn| {
                let mut loader = Loader::new(store.fields());
                loader.items(conn, &new_items)?;
                // In one chunk: a quarter of a million rows are a second's COPY.
                loader.events(conn, &events)?;
                loader.mark_robots(conn, &robots, now)?;
                loader.finish(conn)?;
                cleaning::insert(conn, &row(&report, loader.total().events)?)?;
                Ok(loader.total().events)
            })
        })
        .context("could not store the demo's history")?;
    progress("store", 1.0);
    Ok(DemoSummary { events: stored, cleaning: Some(report), ..summary })
}

fn clean(
    source: &str,
    history: Vec<NewEvent>,
    now: Timestamp,
) -> (Vec<NewEvent>, CleaningReport, Vec<tidings_core::base::ExternalId>) {
    let mut cleaner = Cleaner::new(source, EventLimits::at(now), CleaningParameters::default(), None);
    let mut events = Vec::with_capacity(history.len());
    for event in history {
        cleaner.push(event, false, &mut events);
    }
    let cleaned = cleaner.finish(&mut events);
    (events, cleaned.report, cleaned.robots)
}

fn row(report: &CleaningReport, stored: u64) -> Result<NewCleaning, StoreError> {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    Ok(NewCleaning {
        source: report.source.clone(),
        rows_read: count(report.rows_read),
        rows_kept: count(stored),
        steps: serde_json::to_value(&report.steps).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_core::base::ExternalId;

    #[test]
    fn dirt_is_found_and_the_rest_is_kept() {
        let shop = Shop::generate(1, 600).unwrap();
        let now = Timestamp::parse("2026-11-23T12:00:00Z").unwrap();
        let history = History { shop: &shop, n_shoppers: 300, now }.events();
        let people = history.len() as u64;
        let (events, report, robots) = clean("demo", dirt::soil(history, &shop, now), now);
        let names: Vec<String> = robots.iter().map(ExternalId::to_string).collect();
        assert_eq!(names, ["crawler-1", "crawler-2", "crawler-3"], "nobody else is that fast");
        let of = |name: &str| report.step(name).unwrap_or_else(|| panic!("{name}: {:?}", report.steps));
        assert!(of("duplicates").dropped > 20, "{report:?}");
        assert_eq!(report.rows_kept, events.len() as u64);
        let from_people =
            events.iter().filter(|event| matches!(event.user, Some(ExternalId::Integer(_)))).count();
        assert_eq!(from_people as u64, people);
        let longest = events.iter().filter_map(|event| event.dwell_ms).max().unwrap();
        assert!(longest < 4 * 3_600_000, "a tab left open for {longest} ms");
    }
}
