//! `tidings evaluate` as typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::evaluate_parameters::ParameterArgs;

/// Models and data to measure.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Training rows, `user,item,ts` and with --target `kind`, plain or gzip; without it a hold-out in time of the stored data is measured.
    #[arg(long, value_name = "FILE")]
    pub(super) train: Option<PathBuf>,
    /// Test rows; every item of the training rows is ranked, the user's own left out.
    #[arg(long, requires = "train", value_name = "FILE")]
    pub(super) test: Option<PathBuf>,
    /// The part of the training rows (or sessions) on which `auto` tunes; the other algorithms do not need it.
    #[arg(long, requires = "train", value_name = "FILE")]
    pub(super) valid: Option<PathBuf>,
    /// Contents of the files, and the task that is measured.
    #[arg(long, value_enum, default_value_t = Protocol::FullRanking)]
    pub(super) protocol: Protocol,
    /// Of sessions: the rankers by themselves, or the list that a server shows after a click, for new items and with returns,
    /// and the rankers named by --algorithm on the same clicks; without --train on a hold-out of the stored data.
    #[arg(long = "as", value_enum, default_value_t = Standing::Offline)]
    pub(super) standing: Standing,
    /// Prediction target: of full ranking the kind (such as purchase) of the column `kind`, whose other kinds help; of
    /// classification the column, yes or no.
    #[arg(long, requires = "train", value_name = "KIND|COLUMN")]
    pub(super) target: Option<String>,
    /// Rows by which users are known when their lists are made; models are fitted on the training rows alone, and users without
    /// rows here are known by those.
    #[arg(long, requires = "train", value_name = "FILE")]
    pub(super) history: Option<PathBuf>,
    /// Kinds whose items stay out of a user's list [default: the kind of --target].
    #[arg(long, requires = "target", value_delimiter = ',', value_name = "KINDS")]
    pub(super) leave_out: Vec<String>,
    /// Of the stored data: lists of items that had no events in training, or for users known by one event.
    #[arg(long, value_enum, conflicts_with = "train", value_name = "items|users")]
    pub(super) cold: Option<ColdSide>,
    /// Of classification: parts of the cross-validation.
    #[arg(long, default_value_t = 5)]
    pub(super) folds: usize,
    /// Of classification: the fold of each row, a number from 0 a line, instead of drawn ones.
    #[arg(long, requires = "target", value_name = "FILE")]
    pub(super) fold_file: Option<PathBuf>,
    /// popularity, trending, item_knn, user_knn, rp3beta, ease, ridge (ease of each item on its nearest), ials, auto (a blend,
    /// learnt on --valid or on a part of the training rows made like the test rows) or all; of sessions: popularity, markov, sequential_rules, association, item_knn, sknn,
    /// v_sknn, stan, auto or all.
    #[arg(long, default_value = "all")]
    pub(super) algorithm: String,
    /// Lengths of the lists measured.
    #[arg(long, value_delimiter = ',', default_value = "10,20")]
    pub(super) k: Vec<usize>,
    #[command(flatten)]
    pub(super) parameters: ParameterArgs,
    /// One JSON object a line and algorithm.
    #[arg(long)]
    pub(super) json: bool,
}

/// Side of the stored data that is held out whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColdSide {
    /// A fifth of the items, and new ones.
    Items,
    /// A tenth of the users, known by their first event.
    Users,
}

/// Subject of a measurement of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Standing {
    /// Rankers by themselves, tuned on the files.
    Offline,
    /// The list after a click, made by the code of the server.
    Served,
}

/// Task that a test row poses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// Next items of a user who has a history: every item but the user's own is ranked.
    FullRanking,
    /// Next click of a session (files SessionId, ItemId, Time): every item is ranked, repetitions count.
    Sessions,
    /// Probabilities of the column --target of the file --train, by cross-validation.
    Classification,
}
