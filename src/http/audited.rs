//! Requests that go into the audit log: changes by people and services, readings of a person's data by somebody else, and
//! refused attempts.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::{HttpMessage, HttpRequest};
use serde::Serialize;
use serde_json::Value;

use super::error::ApiError;
use super::forwarded::Original;
use tidings_actors::App;
use tidings_core::base::Timestamp;
use tidings_decision::privacy::audit::{AuditEntry, masked};
use tidings_decision::privacy::{Access, Role};
use tidings_state::tombstones::Tombstones;
use tidings_store::{Connection, StoreError, audit, in_transaction};

/// Most ids of one request that an entry names.
pub const MAX_NOTED: usize = 50;

/// Set once the entry was stored with its change; handler and log both reach it.
pub type IsStored = Arc<AtomicBool>;

/// Caller of a request, left in its extensions once it is known.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Access rights.
    pub access: Access,
    /// True if the entry was stored with its change.
    pub is_stored: IsStored,
}

/// Meaning of a request for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing to keep.
    Plain,
    /// Changes something of the shop, or of another person.
    Change,
    /// Reads data of another person.
    Reading,
}

/// Kind of a request by its route; `Plain` for what users do and read themselves, for data that a shop's backend passes on (events, items,
/// messages, lists to show) and for figures of all together.
fn kind(method: &str, pattern: &str, access: &Access) -> Kind {
    let reads = matches!(method, "GET" | "HEAD" | "OPTIONS");
    if pattern == "/oidc/callback" {
        return Kind::Change;
    }
    match access.role {
        Role::User => Kind::Plain,
        // Nobody can be told from anybody: who read is not known.
        _ if reads && access.is_open() => Kind::Plain,
        role if reads => reading(pattern, role),
        role => change(method, pattern, role),
    }
}

fn reading(pattern: &str, role: Role) -> Kind {
    let of_person = match pattern {
        "/v1/users/{id}/recommendations" | "/v1/recommendations" => role.is_of_people(),
        "/admin/users" | "/admin/decisions" | "/admin/sessions" | "/admin/live" => true,
        "/v1/admin/audit" | "/v1/people" | "/v1/topics/{name}/subscribers" => true,
        pattern => pattern.starts_with("/v1/users/{id}") || pattern.starts_with("/admin/users/{id}"),
    };
    if of_person { Kind::Reading } else { Kind::Plain }
}

fn change(method: &str, pattern: &str, role: Role) -> Kind {
    match pattern {
        "/admin/templates/preview" => Kind::Plain,
        "/admin/triggers/{name}/dry-run" => Kind::Reading,
        "/v1/events" | "/v1/recommend" | "/v1/connections/{connection_id}/frames" | "/v1/sources/{name}" => {
            Kind::Plain
        }
        // A backend passes these on for its users, or as they come.
        "/v1/notifications" | "/v1/triggers/{name}" => of_people(role),
        "/v1/users/{id}" if method != "DELETE" => of_people(role),
        "/v1/items" if method == "PUT" => of_people(role),
        pattern if pattern.starts_with("/v1/users/{id}/inbox") => of_people(role),
        pattern if pattern.starts_with("/v1/users/{id}/topics") => of_people(role),
        pattern if pattern.starts_with("/v1/webpush") => Kind::Plain,
        pattern if pattern.starts_with("/admin/") || pattern.starts_with("/v1/") => Kind::Change,
        _ => Kind::Plain,
    }
}

fn of_people(role: Role) -> Kind {
    if role.is_of_people() { Kind::Change } else { Kind::Plain }
}

/// A change whose entry is stored by the transaction that makes it: neither is there without the other.
pub struct Change {
    /// `None` for what is not kept, such as a user's own changes.
    entry: Option<AuditEntry>,
    is_stored: IsStored,
    tombstones: Arc<Tombstones>,
}

impl Change {
    /// The change that a request makes, which will be answered with this status.
    pub fn new(request: &HttpRequest, app: &App, status: StatusCode) -> Self {
        let seen = request.extensions().get::<Seen>().cloned();
        let pattern = request.match_pattern().unwrap_or_default();
        let is_kept = seen
            .as_ref()
            .is_some_and(|seen| kind(request.method().as_str(), &pattern, &seen.access) == Kind::Change);
        let address = Original::of(request.head(), &app.state.config.server.trusted_proxies).client;
        Self {
            entry: is_kept.then(|| entry(request, status.as_u16(), seen.as_ref(), address)),
            is_stored: seen.map(|seen| seen.is_stored).unwrap_or_default(),
            tombstones: Arc::clone(&app.state.tombstones),
        }
    }

    /// The change that a sign-in makes, by whoever [it turns out to be](Self::by).
    pub fn signing_in(request: &HttpRequest, app: &App, status: StatusCode) -> Self {
        let address = Original::of(request.head(), &app.state.config.server.trusted_proxies).client;
        Self {
            entry: Some(entry(request, status.as_u16(), None, address)),
            is_stored: IsStored::default(),
            tombstones: Arc::clone(&app.state.tombstones),
        }
    }

    /// The change as one of this caller.
    pub fn by(self, access: &Access) -> Self {
        let entry = self.entry.map(|entry| AuditEntry {
            actor: access.actor(),
            role: access.audited_role().to_owned(),
            ..entry
        });
        Self { entry, ..self }
    }

    /// Mark that keeps [`record`] from adding the entry once more.
    pub fn stored(&self) -> IsStored {
        IsStored::clone(&self.is_stored)
    }

    /// The entry with what was there before, and what is there since, for a transaction that an actor makes; `None` for what is not kept.
    /// Once that is committed, [`Self::note_stored`] is to be called.
    pub fn entry(&self, before: impl Serialize, after: impl Serialize) -> Option<AuditEntry> {
        let kept = |value: Value| Some(value).filter(|value| !value.is_null()).map(|value| masked(&value));
        Some(AuditEntry {
            before: kept(serde_json::to_value(before).unwrap_or_default()),
            after: kept(serde_json::to_value(after).unwrap_or_default()),
            ..self.entry.clone()?
        })
    }

    /// Keeps [`record`] from adding the entry once more.
    pub fn note_stored(&self) {
        if self.entry.is_some() {
            self.is_stored.store(true, Ordering::Release);
        }
    }

    /// Stores the entry with what was there before, and what is there since. Goes last in its transaction: entries are added one after
    /// the other.
    pub fn store(
        &self,
        connection: &mut Connection,
        before: impl Serialize,
        after: impl Serialize,
    ) -> Result<(), StoreError> {
        let Some(entry) = self.entry(before, after) else { return Ok(()) };
        audit::append(connection, &[self.tombstones.in_entry(&entry)])?;
        self.note_stored();
        Ok(())
    }

    /// Stores the entry of what is then done in memory, or in many steps, which it has to precede.
    pub async fn store_first(
        self,
        app: &App,
        before: impl Serialize + Send + 'static,
        after: impl Serialize + Send + 'static,
    ) -> Result<(), ApiError> {
        if self.entry.is_some() {
            app.state.store.run(move |connection| self.store(connection, before, after)).await?;
        }
        Ok(())
    }
}

/// Runs a change in one transaction, with [its entry](Change::store) as its last step. `work` refuses before it has changed anything: what
/// it did until then is stored all the same.
pub async fn in_one<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&mut Connection) -> Result<Result<T, ApiError>, StoreError> + Send + 'static,
) -> Result<T, ApiError> {
    app.state.store.run(move |connection| in_transaction(connection, work)).await?
}

/// Adds an answered request to the audit log; a change waits until its entry is stored.
pub async fn record(response: &ServiceResponse<BoxBody>, app: &App) {
    let (request, status) = (response.request(), response.status());
    let seen = request.extensions().get::<Seen>().cloned();
    let is_refused = matches!(status.as_u16(), 401 | 403);
    let is_done = status.is_success() || status == StatusCode::SEE_OTHER;
    let kind = match &seen {
        Some(seen) if is_done || status.is_server_error() => {
            // Most requests are of users, and the pattern is looked up anew.
            let pattern = || request.match_pattern().unwrap_or_default();
            match seen.access.role {
                Role::User => Kind::Plain,
                _ => kind(request.method().as_str(), &pattern(), &seen.access),
            }
        }
        _ => Kind::Plain,
    };
    // One that failed afterwards was rolled back, or not: that it was tried is kept.
    let is_stored = is_done && seen.as_ref().is_some_and(|seen| seen.is_stored.load(Ordering::Acquire));
    if (kind == Kind::Change && is_stored) || (kind == Kind::Plain && !is_refused) {
        return;
    }
    let address = Original::of(request.head(), &app.state.config.server.trusted_proxies).client;
    let entry = entry(request, status.as_u16(), seen.as_ref(), address);
    match kind {
        Kind::Change => {
            app.state.audit.changed(entry).await;
        }
        Kind::Reading => app.state.audit.read(entry).await,
        Kind::Plain => app.state.audit.refused(entry, address),
    }
}

fn entry(request: &HttpRequest, status: u16, seen: Option<&Seen>, address: Option<IpAddr>) -> AuditEntry {
    let route = request.match_pattern().unwrap_or_else(|| request.path().to_owned());
    AuditEntry {
        occurred_at: Timestamp::now(),
        actor: seen.and_then(|seen| seen.access.actor()),
        role: seen.map_or("none", |seen| seen.access.audited_role()).to_owned(),
        address: address.map(|address| address.to_string()),
        action: format!("{} {route}", request.method()),
        object: request.path().to_owned(),
        status,
        before: None,
        after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_and_readings_of_others_are_kept_and_a_person_s_own_are_not() {
        let with = |role: Role| Access { role, name: "anna".into(), ..Access::open() };
        let kinds = |method: &str, pattern: &str| {
            [Role::User, Role::Service, Role::Viewer, Role::Admin]
                .map(|role| kind(method, pattern, &with(role)))
        };
        use Kind::{Change, Plain, Reading};
        for (method, pattern, service, person) in [
            ("GET", "/v1/users/{id}/profile", Reading, Reading),
            ("GET", "/v1/users/{id}/recommendations", Plain, Reading),
            ("GET", "/admin/users/{id}/timeline", Reading, Reading),
            ("GET", "/admin/metrics", Plain, Plain),
            ("GET", "/v1/items", Plain, Plain),
            ("POST", "/v1/events", Plain, Plain),
            ("POST", "/v1/notifications", Plain, Change),
            ("DELETE", "/v1/notifications/{id}", Change, Change),
            ("POST", "/v1/users/{id}/consent", Change, Change),
            ("POST", "/v1/users/{id}/merge", Change, Change),
            ("PATCH", "/v1/users/{id}", Plain, Change),
            ("DELETE", "/v1/users/{id}", Change, Change),
            ("POST", "/v1/erasures/{id}/release", Change, Change),
            ("POST", "/v1/users/{id}/inbox/read", Plain, Change),
            ("POST", "/v1/webhooks", Change, Change),
            ("POST", "/admin/retrain", Change, Change),
            ("POST", "/admin/templates/preview", Plain, Plain),
            ("POST", "/v1/admin/revocations", Change, Change),
            ("POST", "/v1/people/sign-in", Change, Change),
            ("GET", "/v1/people/me", Plain, Plain),
        ] {
            assert_eq!(kinds(method, pattern), [Plain, service, person, person], "{method} {pattern}");
        }
        let open = |method, pattern| kind(method, pattern, &Access::open());
        assert_eq!(open("GET", "/v1/users/{id}/profile"), Plain, "nobody knows who");
        assert_eq!(open("POST", "/admin/retrain"), Change);
    }
}
