//! `tidings privacy report`: the record of processing (GDPR article 30): each kind of personal data with its table, number of
//! rows, source and purpose. `tidings privacy erase`: erasure of a user (article 17).

use anyhow::bail;
use clap::{Args, Subcommand};
use uuid::Uuid;

use super::sheet::{Cell, FormArgs, Sheet, until_closed};
use super::{noted, say};
use crate::app::database::{Database, Sharing, open};
use tidings_core::base::{ExternalId, Timestamp};
use tidings_core::config::Config;
use tidings_store::erasures::{self, NewErasure};
use tidings_store::personal_data::{self, HOLDINGS};

/// Reports about personal data.
#[derive(Debug, Subcommand)]
pub enum PrivacyCommand {
    /// Record of processing: what is held about people, how much of it, from where and what for.
    #[command(
        after_help = "Examples:\n  tidings privacy report\n  tidings privacy report --csv > processing.csv"
    )]
    Report(ReportArgs),
    /// Erase a user: the id is refused at once, the rows are removed by the server that runs, or by the next one that starts.
    #[command(after_help = "Example:\n  tidings privacy erase 17")]
    Erase {
        /// Id of the user.
        user: String,
    },
}

/// Form of the record.
#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    form: FormArgs,
}

/// Prints what was asked for.
pub fn run(config: &Config, command: &PrivacyCommand) -> anyhow::Result<()> {
    let database = open(config, Sharing::Existing)?;
    match command {
        PrivacyCommand::Report(args) => report(config, &database, args),
        PrivacyCommand::Erase { user } => erase(config, &database, user),
    }
}

/// Notes the request and prints the id of its receipt.
fn erase(config: &Config, database: &Database, user: &str) -> anyhow::Result<()> {
    let user = ExternalId::parse(user)?;
    let now = Timestamp::now();
    let until = now.plus_days(f64::from(config.privacy.tombstone_days));
    let new = NewErasure { id: Uuid::now_v7(), user: user.clone(), by: "operator", now, until };
    let noted = noted(&database.store, "privacy erase", |connection| {
        let Some(id) = erasures::request(connection, &new)? else { return Ok((None, None)) };
        let receipt = erasures::receipt(connection, id, now)?;
        Ok((receipt.map(|receipt| receipt.pseudonym), Some(id)))
    })?;
    let Some(id) = noted else { bail!("nothing names the user {user}: there is nothing to erase") };
    say(&format!("{id}: the id is refused from now on; GET /v1/erasures/{id} says how far the erasure is"))
}

fn report(config: &Config, database: &Database, args: &ReportArgs) -> anyhow::Result<()> {
    let counts = database.store.run_blocking(personal_data::count_tables)?;
    let print = || {
        let mut sheet =
            Sheet::on_stdout(args.form, &["kind", "table", "rows", "kept", "source", "purpose", "content"])?;
        for (holding, rows) in HOLDINGS.iter().zip(counts) {
            sheet.row(&[
                Cell::Text(holding.name.to_owned()),
                Cell::Text(holding.table.to_owned()),
                Cell::Count(rows),
                Cell::Text(match config.retention.of_table(holding.table) {
                    Some(days) => format!("{days} days"),
                    None => "until it is changed or the user erased".to_owned(),
                }),
                Cell::Text(holding.source.to_owned()),
                Cell::Text(holding.purpose.to_owned()),
                Cell::Text(holding.about.to_owned()),
            ])?;
        }
        sheet.finish()
    };
    until_closed(print())
}
