//! `tidings recommend`: lists as the server would make them, of one user or of all.

use std::io::Write;

use clap::Args;

use super::say;
use crate::app::database::{Sharing, open};
use crate::app::server;
use crate::app::usage::Usage;
use tidings_core::base::{ExternalId, Timestamp};
use tidings_core::config::Config;
use tidings_core::recommend::serve::removed::Removed;
use tidings_decision::decide::Loaded;
use tidings_http::lists::asked::{Asked, Resolved};
use tidings_http::lists::bulk::{self, Cursor};
use tidings_http::lists::{ListedItem, answer};
use tidings_state::AppState;
use tidings_state::user_lists::made;
use tidings_store::{lists, users};

/// Users whose lists are written, and the parameters of the lists.
#[derive(Debug, Args)]
pub struct RecommendArgs {
    /// List of this user.
    #[arg(long, value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    user: Option<String>,
    /// Lists of all users but robots, one JSON object a line.
    #[arg(long)]
    all: bool,
    /// Parameter of the list, as in GET /v1/users/{id}/recommendations; may be repeated.
    #[arg(long = "with", value_name = "NAME=VALUE")]
    with: Vec<String>,
    /// One JSON object instead of lines for people.
    #[arg(long)]
    json: bool,
}

/// Makes and prints. Works beside a running server, whose events since the last training it does not count.
pub fn run(config: &Config, args: &RecommendArgs) -> anyhow::Result<()> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.to_owned())),
        None => Err(Usage::error(format!("--with {text}: NAME=VALUE, for example n=5"))),
    };
    let pairs = args.with.iter().map(pair).collect::<anyhow::Result<Vec<_>>>()?;
    let asked = Asked::of_pairs(pairs).map_err(|error| Usage::error(format!("--with: {error}")))?;
    let database = open(config, Sharing::Existing)?;
    let state = server::load_models(config.clone(), database.store.clone())?;
    state.store.run_blocking(|connection| state.read_definitions(connection))?;
    let resolved = asked
        .resolve(&state.catalogue.load(), &state.definitions.load())
        .map_err(|error| Usage::error(format!("--with: {error}")))?;
    match &args.user {
        Some(user) => of_user(&state, &ExternalId::parse(user)?, &resolved, args.json),
        None => of_all(&state, &resolved),
    }
}

fn of_all(state: &AppState, resolved: &Resolved) -> anyhow::Result<()> {
    let mut cursor = Cursor::new(None, usize::MAX);
    let mut out = std::io::stdout().lock();
    while let Some((lines, next)) =
        state.store.run_blocking(|connection| bulk::group(connection, state, resolved, cursor))?
    {
        out.write_all(&lines)?;
        cursor = next;
    }
    Ok(out.flush()?)
}

fn of_user(state: &AppState, user: &ExternalId, resolved: &Resolved, as_json: bool) -> anyhow::Result<()> {
    let stored = state.store.run_blocking(|connection| {
        let Some(id) = users::find(connection, user)? else { return Ok(Vec::new()) };
        users::load_states(connection, state.store.fields(), &[id], Timestamp::now())
    })?;
    let catalogue = state.catalogue.load();
    let loaded = stored.into_iter().next().map(|stored| Loaded::fold(stored, &catalogue));
    let is_known = loaded.is_some();
    let listed = made(state, user, loaded.unwrap_or_else(Loaded::stranger), &resolved.list);
    let mut list = answer(&listed, resolved, &catalogue);
    list.user_id = Some(Some(user));
    if state.config.retention.lists_days > 0 {
        let answered: Vec<_> = list.answered(&listed, Some(user)).into_iter().collect();
        state.store.run_blocking(|connection| lists::insert(connection, &answered))?;
    }
    if as_json {
        return say(&serde_json::to_string(&list)?);
    }
    if !is_known {
        say(&format!("user {user} is not known: the list of anybody"))?;
    }
    for (place, ListedItem { item, .. }) in (1..).zip(&list.items) {
        say(&format!("{place:>3}  {:<16} {:<48} {}", item.item_id.to_string(), item.title, item.reason))?;
    }
    for warning in &resolved.warnings {
        say(warning)?;
    }
    match list.removed == Removed::default() {
        true => Ok(()),
        false => say(&format!("left out: {}", serde_json::to_string(&list.removed)?)),
    }
}
