//! Output of readers: events, items and rejected rows, in batches so that reading and storing overlap.

use std::sync::Arc;

use tidings_core::catalogue::NewItem;
use tidings_core::event::NewEvent;
use tidings_core::event::clean::CleaningStep;
use tidings_core::profile::StatedUser;

/// Entries per batch: large enough that the channel costs nothing, small enough to keep memory flat.
const BATCH: usize = 4_096;

/// A row that is not what the format says, with what is needed to find and mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Name of the file.
    pub file: Arc<str>,
    /// 1-based line in it, after unpacking; of a row that spans lines, the first.
    pub line: u64,
    /// Reason of the rejection.
    pub reason: String,
    /// The row as it stands in the file.
    pub raw: String,
}

/// Rows read since the last batch.
#[derive(Debug, Default)]
pub struct Batch {
    /// Events, each with "the format's own rule says that this is not behaviour".
    pub events: Vec<(NewEvent, bool)>,
    /// Place of each event: file and 1-based line, 0 if not told.
    pub places: Vec<(Arc<str>, u64)>,
    /// Items that the files describe.
    pub items: Vec<NewItem>,
    /// Users with stated features.
    pub users: Vec<StatedUser>,
    /// Items as rows about events describe them.
    pub event_items: Vec<NewItem>,
    /// Rows that could not be read.
    pub rejects: Vec<Reject>,
    /// Rows read, of any sort.
    pub rows: u64,
    /// Rows that are about items or that the format has no use for: read, but no events.
    pub other_rows: u64,
    /// Rows that a condition leaves out.
    pub left_out: u64,
    /// Remarks for the summary.
    pub notes: Vec<String>,
    /// Cleaning that the format did itself.
    pub steps: Vec<CleaningStep>,
}

/// The other end has gone away; it knows why.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the import was stopped")]
pub struct Stopped;

/// Collects entries and passes full batches on.
pub struct Sink<'a> {
    file: Arc<str>,
    line: u64,
    batch: Batch,
    flush: &'a mut dyn FnMut(Batch) -> Result<(), Stopped>,
}

impl<'a> Sink<'a> {
    /// Passes batches to `flush`, the last one in [`Sink::finish`].
    pub fn new(flush: &'a mut dyn FnMut(Batch) -> Result<(), Stopped>) -> Self {
        Self { file: "".into(), line: 0, batch: Batch::default(), flush }
    }

    /// The rows that follow come from this file.
    pub fn begin_file(&mut self, name: &str) {
        self.file = name.into();
        self.line = 0;
    }

    /// The row that follows stands in this line.
    pub fn at(&mut self, line: u64) {
        self.line = line;
    }

    /// Line of the row at hand.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// One row that is an event.
    pub fn event(&mut self, event: NewEvent, aside: bool) -> Result<(), Stopped> {
        self.batch.rows += 1;
        self.batch.events.push((event, aside));
        self.batch.places.push((Arc::clone(&self.file), self.line));
        self.flush_if_full()
    }

    /// One row that is not about an event.
    pub fn other_row(&mut self) -> Result<(), Stopped> {
        self.batch.rows += 1;
        self.batch.other_rows += 1;
        if self.batch.other_rows.is_multiple_of(BATCH as u64 * 4) { self.pass_on() } else { Ok(()) }
    }

    /// One row that a condition leaves out.
    pub fn left_out(&mut self) -> Result<(), Stopped> {
        self.batch.left_out += 1;
        self.other_row()
    }

    /// An item that the files describe: one row in some formats, gathered from many in others, so it counts as none.
    pub fn item(&mut self, item: NewItem) -> Result<(), Stopped> {
        self.batch.items.push(item);
        self.flush_if_full()
    }

    /// One row that states features of a user.
    pub fn user(&mut self, user: StatedUser) -> Result<(), Stopped> {
        self.batch.rows += 1;
        self.batch.other_rows += 1;
        self.batch.users.push(user);
        self.flush_if_full()
    }

    /// An item as rows about events describe it: no authority on the catalogue.
    pub fn item_of_events(&mut self, item: NewItem) -> Result<(), Stopped> {
        self.batch.event_items.push(item);
        self.flush_if_full()
    }

    /// One row that is not what the format says.
    pub fn reject(&mut self, line: u64, reason: impl Into<String>, raw: &str) -> Result<(), Stopped> {
        self.batch.rows += 1;
        self.batch.rejects.push(Reject {
            file: Arc::clone(&self.file),
            line,
            reason: reason.into(),
            raw: raw.to_owned(),
        });
        self.flush_if_full()
    }

    /// A remark for the summary.
    pub fn note(&mut self, note: impl Into<String>) {
        self.batch.notes.push(note.into());
    }

    /// Cleaning that the format did itself, for the report.
    pub fn step(&mut self, step: CleaningStep) {
        self.batch.steps.push(step);
    }

    /// Passes the last batch on.
    pub fn finish(mut self) -> Result<(), Stopped> {
        self.pass_on()
    }

    fn flush_if_full(&mut self) -> Result<(), Stopped> {
        let Batch { events, items, event_items, users, rejects, .. } = &self.batch;
        if events.len() + items.len() + event_items.len() + users.len() + rejects.len() >= BATCH {
            self.pass_on()
        } else {
            Ok(())
        }
    }

    fn pass_on(&mut self) -> Result<(), Stopped> {
        (self.flush)(std::mem::take(&mut self.batch))
    }
}

/// Runs a reader and gathers everything it said, for tests.
#[cfg(test)]
pub fn collect(read: impl FnOnce(&mut Sink) -> anyhow::Result<()>) -> anyhow::Result<Batch> {
    let mut all = Batch::default();
    let mut flush = |batch: Batch| {
        all.events.extend(batch.events);
        all.places.extend(batch.places);
        all.items.extend(batch.items);
        all.users.extend(batch.users);
        all.event_items.extend(batch.event_items);
        all.left_out += batch.left_out;
        all.rejects.extend(batch.rejects);
        all.rows += batch.rows;
        all.other_rows += batch.other_rows;
        all.notes.extend(batch.notes);
        all.steps.extend(batch.steps);
        Ok(())
    };
    let mut sink = Sink::new(&mut flush);
    read(&mut sink)?;
    sink.finish()?;
    Ok(all)
}
