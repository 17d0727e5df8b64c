//! Summary of an import, for the terminal.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::options::CatalogueMode;
use super::rejects::ReasonCount;
use super::understood::Understood;
use tidings_core::event::clean::{CleaningReport, grouped};
use tidings_store::bulk::Loaded;

/// Everything that was read, written and refused.
#[derive(Clone, Debug)]
pub struct ImportSummary {
    /// Format and files.
    pub source: String,
    /// Understanding of each file, where there was something to find out.
    pub understood: Vec<Understood>,
    /// The first rows as understood, a line each.
    pub examples: Vec<String>,
    /// True if anything was stored; not in a dry run.
    pub stored: bool,
    /// Rows of any sort in the files.
    pub rows: u64,
    /// Rows that a condition left out.
    pub left_out: u64,
    /// From the first byte to the last commit.
    pub took: Duration,
    /// Counts of what was written.
    pub loaded: Loaded,
    /// Users that the events name.
    pub users_named: u64,
    /// Items that events or the catalogue name.
    pub items_named: u64,
    /// Treatment of items as rows about events describe them.
    pub catalogue: CatalogueMode,
    /// Items that were not taken from the files, since the catalogue is kept.
    pub items_not_used: u64,
    /// Clean events that name no user.
    pub anonymous: u64,
    /// Users flagged as robots by this import.
    pub robots: u64,
    /// Rows that could not be read.
    pub rejects: u64,
    /// File of these rows.
    pub rejects_file: Option<PathBuf>,
    /// Rows that were dropped, since they can't have happened.
    pub impossible: u64,
    /// Reasons for which rows were refused or dropped, the most frequent one first.
    pub reasons: Vec<ReasonCount>,
    /// Remarks, e.g. of files left out.
    pub notes: Vec<String>,
    /// Step by step.
    pub cleaning: CleaningReport,
}

impl ImportSummary {
    /// Rows per second over the whole import.
    pub fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.took.as_secs_f64().max(1e-6)
    }

    /// Share of the rows that were refused or dropped as impossible, of those that were to be taken; 0…1.
    pub fn refused(&self) -> f64 {
        let wanted = self.rows.saturating_sub(self.left_out);
        if wanted == 0 { 0.0 } else { (self.rejects + self.impossible) as f64 / wanted as f64 }
    }

    /// Describes what is wrong with an import of which more than a share was refused.
    pub fn complaint(&self, max_refused: f64) -> Option<String> {
        if self.refused() <= max_refused {
            return None;
        }
        let reason = self.reasons.first().map_or_else(String::new, |reason| format!(": {}", reason.reason));
        let cure = if self.reasons.iter().any(|reason| reason.reason.contains("5 stars")) {
            "; ratings of another scale are read with --scale, e.g. --scale 1-10"
        } else {
            ""
        };
        let kept = if self.stored { "; what could be read is stored" } else { "" };
        Some(format!(
            "{} of {} rows were refused ({:.1} %), more than --max-refused allows ({:.1} %){reason}{cure}{kept}",
            grouped(self.rejects + self.impossible),
            grouped(self.rows.saturating_sub(self.left_out)),
            self.refused() * 100.0,
            max_refused * 100.0
        ))
    }

    fn write_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loaded { events, known_events, erased_events, users, items, changed_items, stated_users } =
            self.loaded;
        writeln!(
            f,
            "  events   {} new, {} already there, {} of both anonymous",
            grouped(events),
            grouped(known_events),
            grouped(self.anonymous)
        )?;
        if erased_events > 0 {
            writeln!(
                f,
                "  refused  {} events of users that were erased (tidings privacy erase)",
                grouped(erased_events)
            )?;
        }
        writeln!(
            f,
            "  users    {} named, {} new, {} flagged as robots",
            grouped(self.users_named),
            grouped(users),
            grouped(self.robots)
        )?;
        writeln!(
            f,
            "  items    {} named, {} new, {} changed",
            grouped(self.items_named),
            grouped(items),
            grouped(changed_items)
        )?;
        if stated_users > 0 {
            writeln!(f, "  stated   features of {} users, new or changed", grouped(stated_users))?;
        }
        if self.items_not_used > 0 {
            writeln!(
                f,
                "  kept     the catalogue, whatever the file says of {} items; --catalogue fill adds what it lacks",
                grouped(self.items_not_used)
            )?;
        }
        Ok(())
    }
}

/// Understanding of the files, a block of aligned lines and the cleaning table; no newline at the end.
impl fmt::Display for ImportSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for understood in &self.understood {
            writeln!(f, "{understood}")?;
        }
        if !self.stored {
            writeln!(f, "the first rows as understood")?;
            for example in &self.examples {
                writeln!(f, "  {example}")?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "{} {}",
            if self.stored { "imported" } else { "dry run, nothing is stored:" },
            self.source
        )?;
        writeln!(
            f,
            "  rows     {} in {:.1} s, {} rows/s",
            grouped(self.rows),
            self.took.as_secs_f64(),
            grouped(self.rows_per_second() as u64)
        )?;
        if self.left_out > 0 {
            writeln!(f, "  left out {} by --where", grouped(self.left_out))?;
        }
        if self.stored {
            self.write_counts(f)?;
        }
        match &self.rejects_file {
            Some(path) => writeln!(f, "  rejects  {}, see {}", grouped(self.rejects), path.display())?,
            None => writeln!(f, "  rejects  {}", grouped(self.rejects))?,
        }
        for ReasonCount { reason, count, first } in &self.reasons {
            writeln!(f, "  refused  {} × {reason}; {first}", grouped(*count))?;
        }
        for note in &self.notes {
            writeln!(f, "  note     {note}")?;
        }
        writeln!(f)?;
        f.write_str(self.cleaning.to_string().trim_end())
    }
}
