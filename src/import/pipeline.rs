//! The cleaning and storing end of an import: batches come in, rows go into the database, a summary comes out.

use std::sync::mpsc::Receiver;
use std::time::Instant;

use anyhow::bail;
use serde_json::json;

use super::examples;
use super::format::Format;
use super::options::CatalogueMode;
use super::progress::Progress;
use super::rejects::{Reasons, Rejects};
use super::sink::{Batch, Reject};
use super::summary::ImportSummary;
use tidings_core::base::{ExternalId, Timestamp};
use tidings_core::catalogue::NewItem;
use tidings_core::event::NewEvent;
use tidings_core::event::clean::{Cleaned, Cleaner, CleaningReport, CleaningStep};
use tidings_core::profile::StatedUser;
use tidings_decision::privacy::audit::AuditEntry;
use tidings_store::bulk::{Loaded, Loader};
use tidings_store::cleaning::NewCleaning;
use tidings_store::{Store, audit, cleaning, in_transaction, items};

/// Events per transaction.
const CHUNK: usize = 100_000;
/// Items are written in portions of this size at most.
const ITEMS_AT_ONCE: usize = 50_000;
/// And so are users with stated features.
const USERS_AT_ONCE: usize = 50_000;

/// Events and items shown before anything is stored.
const EXAMPLES: usize = 5;

/// Takes what the reader hands over.
pub struct Intake<'a> {
    began: Instant,
    cleaner: Cleaner,
    rejects: Rejects,
    /// Rows that were refused, or dropped as impossible.
    reasons: Reasons,
    impossible: u64,
    /// To show when nothing else came.
    first_reject: Option<Reject>,
    /// The first rows as understood.
    examples: Vec<String>,
    rows: u64,
    left_out: u64,
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
            reasons: Reasons::default(),
            impossible: 0,
            first_reject: None,
            examples: Vec::new(),
            rows: 0,
            left_out: 0,
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
        self.left_out += batch.left_out;
        self.events += batch.events.len() as u64;
        self.notes.extend(batch.notes);
        self.steps.extend(batch.steps);
        self.cleaner.note_malformed(batch.rejects.len() as u64);
        self.rejects.write(&batch.rejects)?;
        for reject in &batch.rejects {
            self.reasons.note(&reject.file, reject.line, &reject.reason);
        }
        if self.first_reject.is_none() {
            self.first_reject = batch.rejects.into_iter().next();
        }
        for ((event, aside), (file, line)) in batch.events.into_iter().zip(batch.places) {
            if self.examples.len() < EXAMPLES {
                self.examples.push(examples::event(&event, line));
            }
            if let Some(reason) = self.cleaner.push(event, aside, &mut self.output.ready) {
                self.impossible += 1;
                self.reasons.note(&file, line, &reason.to_string());
            }
        }
        let items = batch.items.iter().chain(&batch.event_items);
        let room = (2 * EXAMPLES).saturating_sub(self.examples.len());
        self.examples.extend(items.take(room).map(examples::item));
        self.output.items.extend(batch.items);
        self.output.users.extend(batch.users);
        self.output.event_items.extend(batch.event_items);
        self.output.store_full_chunks()
    }

    /// Stores the rest, flags robots, saves the report.
    pub fn finish(self, format: Format) -> anyhow::Result<ImportSummary> {
        let Self { began, cleaner, rejects, first_reject, rows, events, mut output, .. } = self;
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
        let flagged = output.conclude(&robots)?;
        let loaded = output.loader.total();
        complete(&mut report, self.steps, loaded);
        output.save(&report)?;
        output.progress.finish();
        Ok(ImportSummary {
            source: report.source.clone(),
            understood: Vec::new(),
            examples: self.examples,
            stored: output.store.is_some(),
            rows,
            left_out: self.left_out,
            took: began.elapsed(),
            loaded,
            users_named: output.loader.n_users(),
            items_named: output.loader.n_items(),
            catalogue: output.mode,
            items_not_used: output.items_not_used,
            anonymous: output.anonymous,
            robots: flagged,
            rejects,
            rejects_file,
            impossible: self.impossible,
            reasons: self.reasons.finish(),
            notes: self.notes,
            cleaning: report,
        })
    }
}

/// Adds what the format did itself, and what was there already, so that the rows kept are those newly stored.
fn complete(report: &mut CleaningReport, steps: Vec<CleaningStep>, loaded: Loaded) {
    for step in steps {
        report.push(step);
    }
    if loaded.erased_events > 0 {
        report.push(CleaningStep {
            step: "erased".into(),
            description: "events of users that were erased".into(),
            dropped: loaded.erased_events,
            changed: 0,
        });
    }
    report.push(CleaningStep {
        step: "already_stored".into(),
        description: "events that an earlier import brought".into(),
        dropped: loaded.known_events,
        changed: 0,
    });
}

/// Writes to the database, or to none.
pub struct Output<'a> {
    store: Option<&'a Store>,
    /// The command in the audit log.
    command: Option<&'a AuditEntry>,
    loader: Loader,
    progress: Progress,
    /// Treatment of items that the files describe.
    items_mode: CatalogueMode,
    /// Treatment of items as events describe them.
    mode: CatalogueMode,
    /// Clean events not yet stored.
    ready: Vec<NewEvent>,
    /// Items not yet stored.
    items: Vec<NewItem>,
    /// Users with stated features, not yet stored.
    users: Vec<StatedUser>,
    /// Items as events describe them, not yet stored.
    event_items: Vec<NewItem>,
    items_not_used: u64,
    anonymous: u64,
}

impl<'a> Output<'a> {
    /// Nothing written yet; never anything without a store.
    pub fn new(
        store: Option<&'a Store>,
        command: Option<&'a AuditEntry>,
        progress: Progress,
        format: Format,
        catalogue: Option<CatalogueMode>,
    ) -> anyhow::Result<Self> {
        let mode = match (catalogue, store) {
            (Some(stated), _) => stated,
            // Its items are gathered from all lines, and there is nowhere else to have them from.
            (None, _) if format == Format::OnlineRetail => CatalogueMode::Fill,
            (None, Some(store)) if store.run_blocking(items::is_any_titled)? => CatalogueMode::Keep,
            (None, _) => CatalogueMode::Fill,
        };
        let loader = store.map(|store| Loader::new(store.fields())).unwrap_or_default();
        Ok(Self {
            store,
            command,
            loader: match catalogue {
                Some(CatalogueMode::Replace) => loader.replacing_embeddings(),
                _ => loader,
            },
            progress,
            items_mode: catalogue.unwrap_or(CatalogueMode::Replace),
            mode,
            ready: Vec::new(),
            items: Vec::new(),
            event_items: Vec::new(),
            users: Vec::new(),
            items_not_used: 0,
            anonymous: 0,
        })
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
        if self.items.len() + self.event_items.len() >= ITEMS_AT_ONCE { self.store_items() } else { Ok(()) }
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
            if let Some(store) = self.store {
                store.run_blocking(|conn| self.loader.events(conn, chunk))?;
            }
            self.anonymous += chunk.iter().filter(|event| event.user.is_none()).count() as u64;
            stored += chunk.len() as u64;
            self.progress.stored(stored, events.len() as u64);
        }
        Ok(())
    }

    fn store_users(&mut self) -> anyhow::Result<()> {
        let users = std::mem::take(&mut self.users);
        if let Some(store) = self.store {
            store.run_blocking(|conn| self.loader.stated(conn, &users))?;
        }
        Ok(())
    }

    fn store_items(&mut self) -> anyhow::Result<()> {
        let of_files = std::mem::take(&mut self.items);
        let of_events = std::mem::take(&mut self.event_items);
        for (items, mode) in [(of_files, self.items_mode), (of_events, self.mode)] {
            let Some(store) = self.store else { continue };
            match mode {
                CatalogueMode::Keep => self.items_not_used += items.len() as u64,
                CatalogueMode::Fill => {
                    store.run_blocking(|conn| self.loader.fill_items(conn, &items))?;
                }
                CatalogueMode::Replace => {
                    store.run_blocking(|conn| self.loader.items(conn, &items))?;
                }
            }
        }
        Ok(())
    }

    /// Flags robots, dates users and items back; how many were flagged.
    fn conclude(&mut self, robots: &[ExternalId]) -> anyhow::Result<u64> {
        let Some(store) = self.store else { return Ok(robots.len() as u64) };
        let loader = &self.loader;
        let flagged = store.run_blocking(|conn| {
            let flagged = loader.mark_robots(conn, robots, Timestamp::now())?;
            loader.finish(conn)?;
            Ok(flagged)
        })?;
        Ok(flagged as u64)
    }

    /// Saves the report, and the end of the command in the audit log with it.
    fn save(&self, report: &CleaningReport) -> anyhow::Result<()> {
        let Some(store) = self.store else { return Ok(()) };
        let row = NewCleaning {
            source: report.source.clone(),
            rows_read: i64::try_from(report.rows_read).unwrap_or(i64::MAX),
            rows_kept: i64::try_from(report.rows_kept).unwrap_or(i64::MAX),
            steps: serde_json::to_value(&report.steps)?,
        };
        let Loaded { events, items, changed_items, .. } = self.loader.total();
        let items = items + changed_items;
        let told = json!({"state": "succeeded", "rows": row.rows_read, "events": events, "items": items});
        let end = self.command.map(|command| command.at_stage(Timestamp::now(), &told));
        store.run_blocking(|conn| {
            in_transaction(conn, |conn| {
                cleaning::insert(conn, &row)?;
                audit::append(conn, end.as_slice())
            })
        })?;
        Ok(())
    }
}
