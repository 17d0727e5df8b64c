//! `tidings audit`.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::say;
use crate::app::database::{Sharing, open};
use crate::app::usage::Usage;
use tidings_core::base::Timestamp;
use tidings_core::config::Config;
use tidings_decision::privacy::audit::{Chained, Hash, Walk, hex};
use tidings_http::audit::AuditView;
use tidings_store::audit::{self, AuditFilter};
use tidings_store::{Store, StoreError};

/// Rows read at once.
const PAGE: i64 = 1_000;

/// Operations on the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditAction {
    /// List entries, the latest first.
    List(ListArgs),
    /// Check that no entry was changed, taken out or put in between; exit code 1 if one was.
    Verify {
        /// Hash of an entry that was noted before: it must still be in the chain.
        #[arg(long, value_name = "HEX")]
        contains: Option<String>,
    },
}

/// Selection of entries.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only entries of this subject.
    #[arg(long)]
    actor: Option<String>,
    /// Only entries whose method and route, or command, contain this text.
    #[arg(long)]
    action: Option<String>,
    /// Only entries whose path contains this text.
    #[arg(long)]
    object: Option<String>,
    /// Only entries since this time.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Most entries.
    #[arg(short = 'n', long, default_value_t = 100)]
    limit: i64,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(config: &Config, action: &AuditAction) -> anyhow::Result<()> {
    let database = open(config, Sharing::Existing)?;
    match action {
        AuditAction::List(args) => list(&database.store, args),
        AuditAction::Verify { contains } => verify(&database.store, contains.as_deref()),
    }
}

fn list(store: &Store, args: &ListArgs) -> anyhow::Result<()> {
    let since = args.since.as_deref().map(|text| {
        Timestamp::parse(text)
            .ok_or_else(|| Usage::error("--since must be a time such as 2026-11-29T08:00:00Z"))
    });
    let mut filter = AuditFilter {
        actor: args.actor.clone(),
        action: args.action.clone(),
        object: args.object.clone(),
        since: since.transpose()?,
        ..AuditFilter::default()
    };
    let mut left = args.limit.max(0);
    while left > 0 {
        filter.limit = left.min(PAGE);
        let asked = filter.clone();
        let rows = store.run_blocking(move |connection| audit::list(connection, &asked))?;
        for row in &rows {
            say(&line(row, args.json)?)?;
        }
        let read = i64::try_from(rows.len())?;
        left -= read;
        filter.before = rows.last().map(|row| row.seq);
        if read < filter.limit {
            break;
        }
    }
    Ok(())
}

fn line(row: &Chained, json: bool) -> anyhow::Result<String> {
    if json {
        return Ok(serde_json::to_string(&AuditView::of(row))?);
    }
    let entry = &row.entry;
    let (actor, address) = (entry.actor.as_deref().unwrap_or("-"), entry.address.as_deref().unwrap_or("-"));
    let (seq, at) = (row.seq, entry.occurred_at);
    Ok(format!(
        "{seq} {at} {actor} ({}) from {address}: {} {} {}",
        entry.role, entry.action, entry.object, entry.status
    ))
}

fn verify(store: &Store, contains: Option<&str>) -> anyhow::Result<()> {
    let (begin, walk, found) = walk(store, contains).context("the audit log is not whole")?;
    if let (Some(wanted), false) = (contains, found) {
        bail!("no entry has the hash {wanted}: entries after it, or all, were taken out");
    }
    let pseudonymous = match walk.pseudonymous {
        0 => String::new(),
        n => format!("{n} of them name an erased user by a pseudonym; "),
    };
    let entries = walk.entries - begin;
    let aged = match begin {
        0 => String::new(),
        n => format!("the {n} before them are older than retention.audit_days; "),
    };
    say(&format!("{entries} entries, whole; {aged}{pseudonymous}the last has the hash {}", hex(&walk.hash)))
}

/// Walks the chain; how many entries were removed before it, and whether an entry with this hash was met.
fn walk(store: &Store, wanted: Option<&str>) -> anyhow::Result<(i64, Walk, bool)> {
    loop {
        let begin = store.run_blocking(audit::begin)?;
        let walked = walk_from(store, begin, wanted);
        // Old entries were removed meanwhile: the log begins elsewhere now.
        if walked.is_ok() || store.run_blocking(audit::begin)? == begin {
            return walked;
        }
    }
}

fn walk_from(
    store: &Store,
    begin: Option<(i64, Hash)>,
    wanted: Option<&str>,
) -> anyhow::Result<(i64, Walk, bool)> {
    let mut walk = begin.map_or_else(Walk::default, |(seq, hash)| Walk::behind(seq, hash));
    let is_wanted = |hash: &Hash| wanted.is_some_and(|wanted| wanted.eq_ignore_ascii_case(&hex(hash)));
    let mut found = begin.is_some_and(|(_, hash)| is_wanted(&hash));
    loop {
        let from = walk.entries;
        let rows: Result<Vec<Chained>, StoreError> =
            store.run_blocking(move |connection| audit::after(connection, from, PAGE));
        let rows = rows?;
        for row in &rows {
            walk.step(row)?;
            found |= is_wanted(&row.hash);
        }
        if rows.is_empty() {
            return Ok((begin.map_or(0, |(seq, _)| seq), walk, found));
        }
    }
}
