//! The cleaning and storing end of an import: batches come in, rows go into the database, a summary comes out.

use std::sync::mpsc::Receiver;
use std::time::Instant;

use anyhow::bail;

use super::format::Format;
use super::progress::Progress;
use super::rejects::Rejects;
use super::sink::{Batch, Reject};
use super::summary::ImportSummary;
use crate::base::Timestamp;
use crate::catalogue::NewItem;
use crate::event::NewEvent;
use crate::event::clean::{Cleaned, Cleaner, CleaningReport, CleaningStep};
use crate::profile::StatedUser;
use crate::store::bulk::{Loaded, Loader};
use crate::store::cleaning::NewCleaning;
use crate::store::{Store, cleaning};

/// Events per transaction.
const CHUNK: usize = 100_000;
/// Items are written in portions of this size at most.
const ITEMS_AT_ONCE: usize = 50_000;
/// And so are users with stated features.
const USERS_AT_ONCE: usize = 50_000;

/// Takes what the reader hands over.
pub struct Intake<'a> {
    began: Instant,
    cleaner: Cleaner,
    rejects: Rejects,
    /// To show when nothing else came.
    first_reject: Option<Reject>,
    rows: u64,
    events: u64,
    notes: Vec<String>,
    /// Cleaning that the format did itself.
    steps: Vec<CleaningStep>,
    output: Output<'a>,
}

impl<'a> Intake<'a> {
    /// Nothing taken yet; the clock starts.
    pub fn new(cleaner: Cleaner, rejects: Rejects, output: Output<'a>) -> Self {
        Self {
            began: Instant::now(),
            cleaner,
            rejects,
            first_reject: None,
            rows: 0,
            events: 0,
            notes: Vec::new(),
            steps: Vec::new(),
            output,
        }
    }

    /// Everything, until the reader is done or something can't be written.
    pub fn take_all(&mut self, batches: Receiver<Batch>) -> anyhow::Result<()> {
        for batch in batches {
            self.take(batch)?;
            self.output.progress.rows_read(self.rows);
        }
        Ok(())
    }

    fn take(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.rows += batch.rows;
        self.events += batch.events.len() as u64;
        self.notes.extend(batch.notes);
        self.steps.extend(batch.steps);
        self.cleaner.note_malformed(batch.rejects.len() as u64);
        self.rejects.write(&batch.rejects)?;
        if self.first_reject.is_none() {
            self.first_reject = batch.rejects.into_iter().next();
        }
        for (event, aside) in batch.events {
            self.cleaner.push(event, aside, &mut self.output.ready);
        }
        self.output.items.extend(batch.items);
        self.output.users.extend(batch.users);
        self.output.store_full_chunks()
    }

    /// Stores the rest, flags robots, saves the report.
    pub fn finish(self, format: Format) -> anyhow::Result<ImportSummary> {
        let Self { began, cleaner, rejects, first_reject, rows, events, notes, steps, mut output } = self;
        let (rejects, rejects_file) = rejects.finish()?;
        if let Some(reject) = first_reject
            && events == 0
            && rejects == rows
        {
            bail!(
                "none of the {rejects} rows is what {} expects; the first, line {} of {}: {}",
                format.name(),
                reject.line,
                reject.file,
                reject.reason
            );
        }
        let Cleaned { mut report, robots, caps: _ } = cleaner.finish(&mut output.ready);
        output.store_rest()?;
        let loader = &output.loader;
        let flagged = output.store.run_blocking(|conn| {
            let flagged = loader.mark_robots(conn, &robots, Timestamp::now())?;
            loader.finish(conn)?;
            Ok(flagged)
        })?;
        let loaded = loader.total();
        complete(&mut report, steps, loaded);
        save(output.store, &report)?;
        output.progress.finish();
        Ok(ImportSummary {
            source: report.source.clone(),
            rows,
            took: began.elapsed(),
            loaded,
            users_named: loader.n_users(),
            items_named: loader.n_items(),
            anonymous: output.anonymous,
            robots: flagged as u64,
            rejects,
            rejects_file,
            notes,
            cleaning: report,
        })
    }
}

/// Adds what the format did itself, and what was there already, so that the rows kept are those newly stored.
fn complete(report: &mut CleaningReport, steps: Vec<CleaningStep>, loaded: Loaded) {
    for step in steps {
        report.push(step);
    }
    report.push(CleaningStep {
        step: "already_stored".into(),
        description: "events that an earlier import brought".into(),
        dropped: loaded.known_events,
        changed: 0,
    });
}

fn save(store: &Store, report: &CleaningReport) -> anyhow::Result<()> {
    let row = NewCleaning {
        source: report.source.clone(),
        rows_read: i64::try_from(report.rows_read).unwrap_or(i64::MAX),
        rows_kept: i64::try_from(report.rows_kept).unwrap_or(i64::MAX),
        steps: serde_json::to_value(&report.steps)?,
    };
    store.run_blocking(|conn| cleaning::insert(conn, &row))?;
    Ok(())
}

/// Writes to the database.
pub struct Output<'a> {
    store: &'a Store,
    loader: Loader,
    progress: Progress,
    /// Clean events not yet stored.
    ready: Vec<NewEvent>,
    /// Items not yet stored.
    items: Vec<NewItem>,
    /// Users with stated features, not yet stored.
    users: Vec<StatedUser>,
    anonymous: u64,
}

impl<'a> Output<'a> {
    /// Nothing written yet.
    pub fn new(store: &'a Store, progress: Progress) -> Self {
        let loader = Loader::new();
        Self {
            store,
            loader,
            progress,
            ready: Vec::new(),
            items: Vec::new(),
            users: Vec::new(),
            anonymous: 0,
        }
    }

    fn store_full_chunks(&mut self) -> anyhow::Result<()> {
        if self.ready.len() >= CHUNK {
            let whole = self.ready.len() / CHUNK * CHUNK;
            let after = self.ready.split_off(whole);
            let full = std::mem::replace(&mut self.ready, after);
            self.store_events(&full)?;
        }
        if self.users.len() >= USERS_AT_ONCE {
            self.store_users()?;
        }
        if self.items.len() >= ITEMS_AT_ONCE { self.store_items() } else { Ok(()) }
    }

    fn store_rest(&mut self) -> anyhow::Result<()> {
        let rest = std::mem::take(&mut self.ready);
        self.progress.begin_storing(rest.len() as u64);
        self.store_events(&rest)?;
        self.store_users()?;
        self.store_items()
    }

    fn store_events(&mut self, events: &[NewEvent]) -> anyhow::Result<()> {
        let mut stored = 0;
        for chunk in events.chunks(CHUNK) {
            self.store.run_blocking(|conn| self.loader.events(conn, chunk))?;
            self.anonymous += chunk.iter().filter(|event| event.user.is_none()).count() as u64;
            stored += chunk.len() as u64;
            self.progress.stored(stored, events.len() as u64);
        }
        Ok(())
    }

    fn store_users(&mut self) -> anyhow::Result<()> {
        let users = std::mem::take(&mut self.users);
        self.store.run_blocking(|conn| self.loader.stated(conn, &users))?;
        Ok(())
    }

    fn store_items(&mut self) -> anyhow::Result<()> {
        let items = std::mem::take(&mut self.items);
        self.store.run_blocking(|conn| self.loader.items(conn, &items))?;
        Ok(())
    }
}
