//! `tidings keys`.

use anyhow::bail;
use clap::{Args, Subcommand};
use uuid::Uuid;

use super::{noted, say};
use crate::app::database::{Sharing, open};
use crate::app::usage::Usage;
use tidings_core::base::{Timestamp, nearest};
use tidings_core::config::Config;
use tidings_decision::privacy::api_key::ApiKey;
use tidings_decision::privacy::{Permission, api_key};
use tidings_http::api_keys::{KeyView, NewKey};
use tidings_store::{Store, api_keys};

/// Operations on API keys. A running server follows within a second.
#[derive(Debug, Subcommand)]
pub enum KeysAction {
    /// Make a key and print it: it is not shown again.
    Create(CreateArgs),
    /// List the keys.
    List {
        /// Revoked keys as well.
        #[arg(long)]
        revoked: bool,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key.
    Revoke {
        /// Its id, as the list shows it.
        key_id: Uuid,
    },
}

/// A key to be made.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Name in records.
    name: String,
    /// Administrator in place of a service.
    #[arg(long)]
    admin: bool,
    /// Permission, such as send_messages, in place of all that a service has; may be repeated.
    #[arg(long = "permission", value_name = "PERMISSION", value_parser = permission, conflicts_with = "admin")]
    permissions: Vec<Permission>,
    /// Area it is confined to, such as events:write; may be repeated.
    #[arg(long = "scope", value_name = "AREA:RIGHT")]
    scopes: Vec<String>,
    /// Address, network or web origin it may be used from; may be repeated.
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<String>,
    /// Valid for this many days [default: for good].
    #[arg(long)]
    days: Option<f64>,
}

/// Runs it.
pub fn run(config: &Config, action: &KeysAction) -> anyhow::Result<()> {
    match action {
        KeysAction::Create(args) => create(config, args),
        KeysAction::List { revoked, json } => list(&open(config, Sharing::Existing)?.store, *revoked, *json),
        KeysAction::Revoke { key_id } => revoke(&open(config, Sharing::Existing)?.store, *key_id),
    }
}

/// A permission by its name.
fn permission(name: &str) -> Result<Permission, String> {
    Permission::named(name).ok_or_else(|| {
        let names = || Permission::ALL.iter().map(|permission| permission.name());
        match nearest(name, names()) {
            Some(near) => format!("there is no permission \"{name}\", did you mean {near}?"),
            None => format!(
                "there is no permission \"{name}\"; there are {}",
                names().collect::<Vec<_>>().join(", ")
            ),
        }
    })
}

fn create(config: &Config, args: &CreateArgs) -> anyhow::Result<()> {
    let now = Timestamp::now();
    if args.days.is_some_and(|days| !(days > 0.0 && days <= 36_500.0)) {
        return Err(Usage::error("--days must be more than 0 and at most 36500"));
    }
    let new = NewKey {
        name: args.name.clone(),
        role: args.admin.then(|| "admin".to_owned()),
        permissions: args.permissions.clone(),
        scopes: args.scopes.clone(),
        origins: args.origins.clone(),
        expires_at: args.days.map(|days| now.plus_days(days).to_string()),
    };
    let (key, text) =
        new.make(now).map_err(|(field, message)| Usage::error(format!("{field}: {message}")))?;
    let hint = api_key::hint(&text);
    let database = open(config, Sharing::Attach)?;
    let made = noted(&database.store, "keys create", |connection| {
        let made = api_keys::insert(connection, &key, &hint, "operator")?;
        Ok((made.then(|| format!("{} {}", key.id, key.name)), made))
    })?;
    if !made {
        bail!("there are {} keys already; revoke one first", api_keys::MAX_KEYS);
    }
    say(&text)
}

fn list(store: &Store, revoked: bool, json: bool) -> anyhow::Result<()> {
    for row in store.run_blocking(|connection| api_keys::list(connection, revoked))? {
        let (key, hint, used) = (row.key.clone(), row.hint.clone(), row.last_used_at);
        let scopes: Vec<String> = key.scopes.iter().map(ToString::to_string).collect();
        let used = used.map_or_else(|| "never used".to_owned(), |at| format!("used {at}"));
        let end = match (row.revoked_at, key.expires_at) {
            (Some(at), _) => format!("revoked {at}"),
            (None, Some(at)) => format!("until {at}"),
            (None, None) => "for good".to_owned(),
        };
        match json {
            true => say(&serde_json::to_string(&KeyView::from(row))?)?,
            false => say(&format!(
                "{} {hint}… {} {} [{}] {end}, {used}",
                key.id,
                rights(&key),
                key.name,
                scopes.join(" ")
            ))?,
        }
    }
    Ok(())
}

/// Role of a key, or its own permissions.
fn rights(key: &ApiKey) -> String {
    if key.permissions.is_empty() {
        return key.role.name().to_owned();
    }
    key.permissions.iter().map(|permission| permission.name()).collect::<Vec<_>>().join(",")
}

fn revoke(store: &Store, id: Uuid) -> anyhow::Result<()> {
    let revoked = noted(store, "keys revoke", |connection| {
        let revoked = api_keys::revoke(connection, id, "operator")?;
        Ok((revoked.then(|| id.to_string()), revoked))
    })?;
    if !revoked {
        bail!("no key has the id {id}, or it is revoked");
    }
    say(&format!("revoked {id}"))
}
