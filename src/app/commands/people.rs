//! `tidings people`.

use std::io::Read;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use rand::RngExt;

use super::{noted, say};
use crate::app::database::{Sharing, open};
use crate::app::usage::Usage;
use tidings_core::base::Timestamp;
use tidings_core::config::Config;
use tidings_decision::privacy::password::{self, MAX_CHARS, SALT_BYTES};
use tidings_decision::privacy::{Role, sign_in};
use tidings_http::people::PersonView;
use tidings_state::sign_ins::{new_link, page_of_link};
use tidings_store::people::{self, Changed, PersonRow};
use tidings_store::{Connection, Store, StoreError};

/// Maker of an account that was made on the command line.
const BY: &str = "command line";

/// Operations on accounts of people. A running server follows within a second.
#[derive(Debug, Subcommand)]
pub enum PeopleAction {
    /// Add somebody, and print a link to set the password, good once.
    Add {
        /// Name to sign in with.
        name: String,
        /// viewer, marketer, operator, privacy_officer, developer or admin.
        #[arg(long, value_parser = role)]
        role: Role,
        /// Source of the password.
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// List accounts.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Sign somebody out and let them sign in no more.
    Disable {
        /// Name of the account.
        name: String,
    },
    /// Let somebody sign in again.
    Enable {
        /// Name of the account.
        name: String,
    },
    /// Print a link to set a new password, good once.
    Password {
        /// Name of the account.
        name: String,
        /// Source of the password.
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Give somebody another role.
    Role {
        /// Name of the account.
        name: String,
        /// viewer, marketer, operator, privacy_officer, developer or admin.
        #[arg(value_parser = role)]
        role: Role,
    },
}

/// Source of a password.
#[derive(Debug, Args)]
pub struct PasswordArgs {
    /// Read the password from standard input in place of printing a link.
    #[arg(long)]
    password_stdin: bool,
}

fn role(text: &str) -> Result<Role, String> {
    let known = Role::named(text).filter(|role| role.is_of_people());
    known.ok_or_else(|| format!("must be one of {}", Role::OF_PEOPLE.map(Role::name).join(", ")))
}

/// Runs it.
pub fn run(config: &Config, action: &PeopleAction) -> anyhow::Result<()> {
    let sharing = match action {
        PeopleAction::Add { name, .. } => {
            sign_in::name(name).map_err(Usage::error)?;
            Sharing::Attach
        }
        _ => Sharing::Existing,
    };
    let database = open(config, sharing)?;
    let store = &database.store;
    match action {
        PeopleAction::Add { name, role, password } => add(config, store, name, *role, password),
        PeopleAction::List { json } => list(store, *json),
        PeopleAction::Disable { name } => change(store, "disable", name, None, Some(true)),
        PeopleAction::Enable { name } => change(store, "enable", name, None, Some(false)),
        PeopleAction::Password { name, password } => {
            let row = find(store, name)?;
            let password = read_password(password, &row.person.name)?;
            give_password(config, store, &row, password, true)
        }
        PeopleAction::Role { name, role } => change(store, "role", name, Some(*role), None),
    }
}

fn find(store: &Store, name: &str) -> anyhow::Result<PersonRow> {
    let name = sign_in::name(name).map_err(Usage::error)?;
    let known = store.run_blocking(|connection| people::by_name(connection, &name))?;
    known.with_context(|| format!("there is nobody of the name {name}; tidings people list names all"))
}

fn add(config: &Config, store: &Store, name: &str, role: Role, source: &PasswordArgs) -> anyhow::Result<()> {
    let name = sign_in::name(name).map_err(Usage::error)?;
    // Refused before there is an account.
    let password = read_password(source, &name)?;
    let made = noted(store, "people add", |connection| {
        let made = people::add(connection, &name, role, BY)?;
        Ok((made.as_ref().map(|_| format!("{name} {}", role.name())), made))
    })?;
    let row = made.with_context(|| format!("there is somebody of the name {name} already"))?;
    give_password(config, store, &row, password, false)
}

/// The password of standard input, checked.
fn read_password(source: &PasswordArgs, name: &str) -> anyhow::Result<Option<String>> {
    if !source.password_stdin {
        return Ok(None);
    }
    let (mut text, longest) = (String::new(), 4 * MAX_CHARS as u64 + 2);
    std::io::stdin().take(longest).read_to_string(&mut text).context("standard input")?;
    let text = text.trim_end_matches(['\r', '\n']).to_owned();
    password::check(&text, name).map_err(|fault| Usage::error(fault.to_string()))?;
    Ok(Some(text))
}

/// Sets the password, or prints a link that does. `alone`: it is the whole change, with an entry of its own.
fn give_password(
    config: &Config,
    store: &Store,
    row: &PersonRow,
    password: Option<String>,
    alone: bool,
) -> anyhow::Result<()> {
    let (id, object) = (row.person.id, alone.then(|| row.person.name.clone()));
    if let Some(password) = password {
        let salt = rand::rng().random::<[u8; SALT_BYTES]>();
        let hash = password::hash(&password, &salt).context("the password can't be hashed")?;
        noted(store, "people password", |connection| {
            Ok((object, people::set_password(connection, id, &hash)?))
        })?;
        return say(&format!("the password of {} is set", row.person.name));
    }
    let (secret, hash, until) = new_link(config.people.link_h, Timestamp::now());
    noted(store, "people password", |connection| {
        Ok((object, people::add_link(connection, &hash, Some(id), until)?))
    })?;
    say(&address_of_link(config, &secret))
}

/// Address of the page of a link, as far as it is known here: a proxy has another.
fn address_of_link(config: &Config, secret: &str) -> String {
    let base = config.server.base_path.as_str();
    format!("{}://{}{base}/{}", config.tls.scheme(), config.server.listen, page_of_link(secret))
}

fn list(store: &Store, json: bool) -> anyhow::Result<()> {
    let all = |connection: &mut Connection| people::list(connection, "", i64::MAX);
    for row in store.run_blocking(all)? {
        let state = match (row.disabled_at, row.signed_in_at) {
            (Some(at), _) => format!("disabled {at}"),
            (None, Some(at)) => format!("signed in {at}"),
            (None, None) => "never signed in".to_owned(),
        };
        let line = format!("{} {} {state}", row.person.name, row.person.role.name());
        match json {
            true => say(&serde_json::to_string(&PersonView::from(row))?)?,
            false => say(&line)?,
        }
    }
    Ok(())
}

fn change(
    store: &Store,
    what: &str,
    name: &str,
    role: Option<Role>,
    disabled: Option<bool>,
) -> anyhow::Result<()> {
    let id = find(store, name)?.person.id;
    let changed = noted(store, &format!("people {what}"), |connection| {
        let changed = people::change(connection, id, role, disabled)?;
        let object = match &changed {
            Changed::Done(rows) => Some(format!("{} {}", rows.1.person.name, rows.1.person.role.name())),
            Changed::Unknown | Changed::LastAdmin => None,
        };
        Ok((object, changed))
    })?;
    match changed {
        Changed::Unknown => bail!("there is nobody of the name {name}"),
        Changed::LastAdmin => bail!("{name} is the last administrator: make somebody else one first"),
        Changed::Done(rows) => {
            let (_, after) = *rows;
            let state = if after.disabled_at.is_some() { ", disabled" } else { "" };
            say(&format!("{} {}{state}", after.person.name, after.person.role.name()))
        }
    }
}

/// A link that makes the first administrator, if there is none yet. One from before is over.
pub fn first_link(config: &Config, connection: &mut Connection) -> Result<Option<String>, StoreError> {
    if people::any_admin(connection)? {
        return Ok(None);
    }
    let (secret, hash, until) = new_link(config.people.link_h, Timestamp::now());
    people::add_link(connection, &hash, None, until)?;
    Ok(Some(secret))
}
