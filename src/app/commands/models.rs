//! `tidings models`: what is stored of each version.

use anyhow::{Context, bail};
use clap::Subcommand;

use super::say;
use crate::app::database::{Sharing, open};
use tidings_core::base::ModelVersion;
use tidings_core::config::Config;
use tidings_core::evaluate::card::ModelCard;
use tidings_store::models;

/// Versions named where one is not there.
const MOST_NAMED: i64 = 10;

/// Views of models.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// The card of a version: data, parameters, figures with intervals, changes against the version before.
    Card {
        /// Number of the version.
        version: i32,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Prints what is asked for.
pub fn run(config: &Config, command: &ModelsCommand) -> anyhow::Result<()> {
    let ModelsCommand::Card { version, json } = command;
    let database = open(config, Sharing::Existing)?;
    let (card, known) = database.store.run_blocking(|connection| {
        let card = models::card(connection, ModelVersion(*version))?;
        Ok((card, models::list(connection, MOST_NAMED)?))
    })?;
    let Some(card) = card else {
        if known.iter().any(|row| row.version.0 == *version) {
            bail!("version {version} has no card: it was trained before there were any; train again");
        }
        let known: Vec<String> = known.iter().map(|row| row.version.to_string()).collect();
        bail!("there is no model version {version}; the newest are: {}", known.join(", "));
    };
    if *json {
        return say(&card.to_string());
    }
    let card: ModelCard = serde_json::from_value(card).context("the card can't be read")?;
    say(card.text().trim_end())
}
