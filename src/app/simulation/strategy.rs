//! A policy under test: rules as a server has them, and which of its choices are learned.

use anyhow::{Context, bail};

use crate::config::Policy;
use crate::decide::definitions::overlay;
use crate::notify::Rules;

/// When.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hours {
    /// At the occasion.
    Now,
    /// At the hour that promises most.
    Learned,
    /// At an hour drawn evenly.
    Random,
}

/// In which words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// Drawn evenly.
    Even,
    /// By the bandit.
    Learned,
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Volume {
    /// Whatever the rules let through.
    Rules,
    /// Every occasion, rules or not.
    Everything,
    /// Nothing.
    Nothing,
    /// So many a week to each, evenly; once the warm-up is over by what was learned, at the same count over all.
    Weekly {
        /// Messages a week and shopper, on average.
        mean: usize,
        /// By what was learned, else the same to each.
        learned: bool,
    },
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Strategy {
    /// In tables.
    pub name: String,
    /// The server's.
    pub rules: Rules,
    /// When.
    pub hours: Hours,
    /// In which words.
    pub words: Words,
    /// How much.
    pub volume: Volume,
}

/// Names that [`Strategy::named`] knows.
pub const NAMES: [&str; 3] = ["default", "everything", "nothing"];

impl Strategy {
    /// One that is shipped: `default` (the server's rules, all choices learned), `everything` (each occasion at once),
    /// `nothing`.
    pub fn named(name: &str) -> Option<Self> {
        let shipped = |hours, words, volume| Self {
            name: name.to_owned(),
            rules: Rules::new(&Policy::default()),
            hours,
            words,
            volume,
        };
        match name {
            "default" => Some(shipped(Hours::Now, Words::Learned, Volume::Rules)),
            "everything" => Some(shipped(Hours::Now, Words::Even, Volume::Everything)),
            "nothing" => Some(shipped(Hours::Now, Words::Even, Volume::Nothing)),
            _ => None,
        }
    }

    /// By name, or from a file as `PUT /admin/policies/default` takes it.
    pub fn read(what: &str) -> anyhow::Result<Self> {
        if let Some(known) = Self::named(what) {
            return Ok(known);
        }
        let text = match std::fs::read_to_string(what) {
            Ok(text) => text,
            Err(error) => bail!("policy {what}: neither one of {} nor a file: {error}", NAMES.join(", ")),
        };
        let body = serde_json::from_str(&text).with_context(|| format!("policy {what}: not JSON"))?;
        let policy =
            overlay(&Policy::default(), &body).map_err(|error| anyhow::anyhow!("policy {what}: {error}"))?;
        let shipped = Self::named("default").context("there is no default policy")?;
        Ok(Self { name: what.to_owned(), rules: Rules::new(&policy), ..shipped })
    }
}
