//! `tidings segments` and `tidings users`: the segments of the model that serves, and the users as of its training.

use std::ops::ControlFlow;

use anyhow::{Context, bail};
use clap::Args;

use super::sheet::{Cell, FormArgs, Sheet, until_closed};
use crate::app::database::{Sharing, open};
use crate::app::server;
use crate::app::usage::Usage;
use tidings_core::base::ExternalId;
use tidings_core::config::Config;
use tidings_core::profile::SegmentId;
use tidings_store::user_features::{self, UserFeaturesRow};

/// Form of the segments.
#[derive(Debug, Args)]
pub struct SegmentsArgs {
    #[command(flatten)]
    form: FormArgs,
}

/// Selection and form of users.
#[derive(Debug, Args)]
pub struct UsersArgs {
    /// Features beside the segment: purchases, minutes of browsing and searches a month.
    #[arg(long)]
    profile: bool,
    /// Only users of this segment, a letter.
    #[arg(long, value_name = "LETTER")]
    segment: Option<String>,
    #[command(flatten)]
    form: FormArgs,
}

/// Prints each segment with its size and means, A first.
pub fn segments(config: &Config, args: &SegmentsArgs) -> anyhow::Result<()> {
    let database = open(config, Sharing::Existing)?;
    let model = database.store.run_blocking(server::last_good_model)?.context(UNTRAINED)?;
    let Some(segmentation) = model.segmentation else { bail!("{UNTRAINED}") };
    let columns = [
        "segment",
        "users",
        "share",
        "purchases_per_month",
        "browsing_minutes_per_month",
        "searches_per_month",
    ];
    let all = segmentation.summaries().iter().map(|summary| summary.size).sum::<u64>().max(1);
    let print = || {
        let mut sheet = Sheet::on_stdout(args.form, &columns)?;
        for summary in segmentation.summaries() {
            sheet.row(&[
                Cell::Text(summary.segment.to_string()),
                Cell::Count(summary.size),
                Cell::Number(summary.size as f64 / all as f64),
                Cell::Number(summary.purchases_per_month),
                Cell::Number(summary.browsing_minutes_per_month),
                Cell::Number(summary.searches_per_month),
            ])?;
        }
        sheet.finish()
    };
    until_closed(print())
}

const UNTRAINED: &str = "there are no segments yet: run `tidings train` once users are there";

/// Prints users, in the order of their ids.
pub fn users(config: &Config, args: &UsersArgs) -> anyhow::Result<()> {
    let segment = args.segment.as_deref().map(letter).transpose()?;
    let database = open(config, Sharing::Existing)?;
    let names =
        ["user_id", "segment", "purchases_per_month", "browsing_minutes_per_month", "searches_per_month"];
    let columns = if args.profile { names.as_slice() } else { names.get(..2).unwrap_or_default() };
    let mut sheet = None;
    let mut written = Ok(());
    let count = database.store.run_blocking(|connection| {
        user_features::for_each(connection, segment.map(|segment| segment.0), |user, row| {
            written = (|| {
                let sheet = match &mut sheet {
                    Some(sheet) => sheet,
                    none => none.insert(Sheet::on_stdout(args.form, columns)?),
                };
                let cells = cells(user, row);
                sheet.row(cells.get(..columns.len()).unwrap_or_default())
            })();
            if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    })?;
    match (count, segment) {
        (0, Some(segment)) => bail!("no user is in segment {segment}"),
        (0, None) => bail!("{UNTRAINED}"),
        _ => until_closed(written.and_then(|()| sheet.map_or(Ok(()), Sheet::finish))),
    }
}

fn cells(user: &ExternalId, row: &UserFeaturesRow) -> [Cell; 5] {
    [
        Cell::Text(user.to_string()),
        row.segment.map_or(Cell::Absent, |id| Cell::Text(SegmentId(id).to_string())),
        Cell::Number(row.purchases_per_month),
        Cell::Number(row.browsing_minutes_per_month),
        Cell::Number(row.searches_per_month),
    ]
}

fn letter(text: &str) -> anyhow::Result<SegmentId> {
    match text.as_bytes() {
        [letter @ (b'A'..=b'Z' | b'a'..=b'z')] => Ok(SegmentId(letter.to_ascii_uppercase() - b'A')),
        _ => Err(Usage::error("--segment: a letter from A to Z")),
    }
}
