//! `tidings privacy report`: the record of processing (GDPR article 30): each kind of personal data with its table, number of
//! rows, source and purpose.

use clap::{Args, Subcommand};

use super::sheet::{Cell, FormArgs, Sheet, until_closed};
use crate::app::database::{Sharing, open};
use crate::config::Config;
use crate::store::personal_data::{self, HOLDINGS};

/// Reports about personal data.
#[derive(Debug, Subcommand)]
pub enum PrivacyCommand {
    /// Record of processing: what is held about people, how much of it, from where and what for.
    #[command(
        after_help = "Examples:\n  tidings privacy report\n  tidings privacy report --csv > processing.csv"
    )]
    Report(ReportArgs),
}

/// Form of the record.
#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    form: FormArgs,
}

/// Prints what was asked for.
pub fn run(config: &Config, command: &PrivacyCommand) -> anyhow::Result<()> {
    let PrivacyCommand::Report(args) = command;
    let database = open(config, Sharing::Attach)?;
    let counts = database.store.run_blocking(personal_data::count_tables)?;
    let print = || {
        let mut sheet =
            Sheet::on_stdout(args.form, &["kind", "table", "rows", "source", "purpose", "content"])?;
        for (holding, rows) in HOLDINGS.iter().zip(counts) {
            sheet.row(&[
                Cell::Text(holding.name.to_owned()),
                Cell::Text(holding.table.to_owned()),
                Cell::Count(rows),
                Cell::Text(holding.source.to_owned()),
                Cell::Text(holding.purpose.to_owned()),
                Cell::Text(holding.about.to_owned()),
            ])?;
        }
        sheet.finish()
    };
    until_closed(print())
}
