//! The table of routes.

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, ResponseError, Scope};

use super::describe::May;
use super::error::ApiError;
use super::table::{Table, delete, get, patch, post, put};
use super::{
    admin, api_keys, assets, asyncapi, attributes, audit, calls, connections, consent, definitions, erasures,
    events, experiments, fire, health, inbox, items, limits, lists, live, merge, models, notifications,
    openapi, outcomes, people, personal_data, placements, preferences, preview, revocations, rules,
    scheduled, sources, sse, timeline, topics, users, webhooks, webpush, websocket,
};

/// Every path of the server. What is not here is a file of the dashboard or a 404. The first that matches serves.
pub fn routes(config: &mut ServiceConfig) {
    for resource in root().resources() {
        config.service(resource);
    }
    config
        .service(scope("/v1", api()))
        .service(scope("/admin", administration()))
        .default_service(web::to(assets::file));
}

/// Method, path and who may call it, of every route.
pub fn rights() -> Vec<(Method, String, May)> {
    let under = |prefix: &'static str, table: Table| {
        table.rights().into_iter().map(move |(method, path, may)| (method, format!("{prefix}{path}"), may))
    };
    under("", root()).chain(under("/v1", api())).chain(under("/admin", administration())).collect()
}

fn scope(prefix: &str, table: Table) -> Scope {
    table.resources().fold(web::scope(prefix), Scope::service).default_service(web::to(missing))
}

fn root() -> Table {
    Table::default()
        .route("/ws", get().to(websocket::open))
        .route("/echo", get().to(websocket::echo))
        .route("/oidc/callback", get().to(people::oidc::callback))
        .configure(probes)
}

fn api() -> Table {
    Table::default()
        .route("/events", post().bare(events::post))
        .configure(shop_messages)
        .route("/sse", get().to(sse::open))
        .route("/connections/{connection_id}/frames", post().to(connections::post))
        .configure(catalogue)
        .configure(users_of_shop)
        .configure(followed)
        .route("/triggers/{name}", post().bare(fire::post))
        .configure(web_push)
        .configure(told_systems)
        .configure(pullers)
        .configure(security)
        .configure(signed_in)
        .configure(accounts)
}

fn administration() -> Table {
    Table::default()
        .configure(overview)
        .configure(model_versions)
        .configure(trials)
        .configure(readings)
        .configure(maintenance)
        .configure(active_definitions)
}

/// For load balancers, Prometheus and those who read what there is.
fn probes(table: Table) -> Table {
    table
        .route("/healthz", get().to(health::alive))
        .route("/readyz", get().to(health::ready))
        .route("/metrics", get().to(health::prometheus))
        .route("/openapi.json", get().bare(openapi::get))
        .route("/asyncapi.json", get().bare(asyncapi::get))
}

/// `/v1/notifications`: messages of the shop, what has become of them, those that wait, and taking them back.
fn shop_messages(table: Table) -> Table {
    table
        .route("/notifications", post().bare(notifications::post))
        .route("/notifications", get().to(calls::list))
        .route("/notifications/scheduled", get().to(scheduled::list))
        .route("/notifications/scheduled/{id}", get().bare(calls::get))
        .route("/notifications/scheduled/{id}", patch().bare(scheduled::patch))
        .route("/notifications/scheduled/{id}", delete().bare(scheduled::delete))
        .route("/notifications/{id}", get().bare(calls::get))
        .route("/notifications/{id}", patch().bare(scheduled::patch))
        .route("/notifications/{id}", delete().bare(inbox::withdraw))
        .route("/notifications/{id}/pause", post().bare(calls::pause))
        .route("/notifications/{id}/resume", post().bare(calls::resume))
}

/// `/v1/items`, and lists of them.
fn catalogue(table: Table) -> Table {
    table
        .route("/items", get().to(items::list))
        .route("/items", put().bare(items::put))
        .route("/items/{id}", get().bare(items::get))
        .route("/items/{id}", delete().bare(items::delete))
        .route("/items/{id}/similar", get().to(lists::similar))
        .route("/embeddings", delete().bare(items::delete_embeddings))
        .route("/recommend", post().bare(lists::post))
        .route("/recommendations", get().to(lists::bulk::all))
}

/// `/v1/users/{id}`: recommendations, inbox, preferences and consent of one user.
fn users_of_shop(table: Table) -> Table {
    table
        .route("/users/{id}", get().bare(attributes::get))
        .route("/users/{id}", patch().bare(attributes::patch))
        .route("/users/{id}", delete().bare(erasures::post))
        .route("/users/{id}/recommendations", get().to(lists::recommendations))
        .route("/users/{id}/profile", get().bare(users::profile))
        .route("/users/{id}/privacy", get().bare(personal_data::overview))
        .route("/users/{id}/export", get().bare(personal_data::export))
        .route("/users/{id}/merge", post().bare(merge::post))
        .route("/users/{id}/sign-out", post().bare(revocations::sign_out))
        .route("/users/{id}/inbox", get().to(inbox::page))
        .route("/users/{id}/inbox/read", post().bare(inbox::read))
        .route("/users/{id}/inbox/seen", post().bare(inbox::seen))
        .route("/users/{id}/inbox/unread", post().bare(inbox::unread))
        .route("/users/{id}/inbox/archive", post().bare(inbox::archive))
        .route("/users/{id}/inbox/unarchive", post().bare(inbox::unarchive))
        .route("/users/{id}/inbox/delete", post().bare(inbox::delete))
        .route("/users/{id}/inbox/snooze", post().bare(inbox::snooze))
        .route("/users/{id}/preferences", get().bare(preferences::get))
        .route("/users/{id}/preferences", put().bare(preferences::put))
        .route("/users/{id}/preferences", patch().bare(preferences::patch))
        .route("/users/{id}/consent", get().bare(consent::get))
        .route("/users/{id}/consent", post().bare(consent::post))
        .route("/users/{id}/mute", post().bare(consent::mute))
        .route("/erasures/{id}", get().bare(erasures::get))
        .route("/erasures/{id}/release", post().bare(erasures::release))
}

/// `/v1/topics` and `/v1/users/{id}/topics`: what users follow.
fn followed(table: Table) -> Table {
    table
        .route("/topics/{name}/subscribers", get().to(topics::subscribers))
        .route("/topics/{name}/subscribers", put().bare(topics::subscribe))
        .route("/topics/{name}/subscribers", delete().bare(topics::unsubscribe))
        .route("/users/{id}/topics", get().bare(topics::of_user))
        .route("/users/{id}/topics/{name}", put().bare(topics::follow))
        .route("/users/{id}/topics/{name}", delete().bare(topics::unfollow))
}

/// `/v1/webpush`: subscriptions of browsers, and reports of their service workers.
fn web_push(table: Table) -> Table {
    table
        .route("/webpush/key", get().bare(webpush::key))
        .route("/webpush/subscriptions", post().bare(webpush::subscribe))
        .route("/webpush/subscriptions", delete().bare(webpush::unsubscribe))
        .route("/webpush/reports", post().bare(webpush::report))
}

/// `/v1/webhooks`: systems of the shop that are told what happens.
fn told_systems(table: Table) -> Table {
    table
        .route("/webhooks", get().bare(webhooks::list))
        .route("/webhooks", post().bare(webhooks::post))
        .route("/webhooks/{id}", get().bare(webhooks::get))
        .route("/webhooks/{id}", patch().bare(webhooks::patch))
        .route("/webhooks/{id}", delete().bare(webhooks::delete))
        .route("/webhooks/{id}/rotate", post().bare(webhooks::rotate))
        .route("/webhooks/{id}/test", post().bare(webhooks::test))
        .route("/webhooks/{id}/deliveries", get().to(webhooks::log::deliveries))
        .route("/webhooks/{id}/replay", post().bare(webhooks::log::replay))
}

/// `/v1/sources`: reports of pullers.
fn pullers(table: Table) -> Table {
    table.route("/sources", get().bare(sources::list)).route("/sources/{name}", post().bare(sources::post))
}

/// `/v1/admin`: who did what, revoked tokens, API keys.
fn security(table: Table) -> Table {
    table
        .route("/admin/audit", get().to(audit::list))
        .route("/admin/revocations", get().to(revocations::list))
        .route("/admin/revocations", post().bare(revocations::post))
        .route("/admin/keys", get().to(api_keys::list))
        .route("/admin/keys", post().bare(api_keys::post))
        .route("/admin/keys/{id}", delete().bare(api_keys::delete))
}

/// `/v1/people`: signing in and out, and what is one's own.
fn signed_in(table: Table) -> Table {
    table
        .route("/people/sign-in", get().bare(people::sign_in::ways))
        .route("/people/sign-in", post().bare(people::sign_in::post))
        .route("/people/oidc", get().bare(people::oidc::start))
        .route("/people/link", post().bare(people::sign_in::link))
        .route("/people/join", post().bare(people::sign_in::join))
        .route("/people/me", get().bare(people::own::me))
        .route("/people/sessions", get().bare(people::own::sessions))
        .route("/people/sessions/{id}", delete().bare(people::own::end_session))
        .route("/people/sign-out", post().bare(people::own::sign_out))
        .route("/people/sign-out-everywhere", post().bare(people::own::sign_out_everywhere))
        .route("/people/password", post().bare(people::own::password))
}

/// `/v1/people`: accounts.
fn accounts(table: Table) -> Table {
    table
        .route("/people", get().to(people::list))
        .route("/people", post().bare(people::post))
        .route("/people/{id}", patch().bare(people::patch))
        .route("/people/{id}/link", post().bare(people::link))
}

/// `/admin`: figures of the running server.
fn overview(table: Table) -> Table {
    table
        .route("/metrics", get().bare(admin::metrics))
        .route("/segments", get().bare(admin::segments))
        .route("/live", get().to(live::get))
}

/// `/admin/models`.
fn model_versions(table: Table) -> Table {
    table
        .route("/models", get().bare(models::list))
        .route("/models/rollback", post().bare(models::rollback))
        .route("/models/shadow", delete().bare(models::end_shadow))
        .route("/models/{version}/card", get().bare(models::card))
        .route("/models/{version}/activate", post().bare(models::activate))
        .route("/models/{version}/shadow", post().bare(models::shadow))
}

/// `/admin`: messages and decisions that are shown and not made.
fn trials(table: Table) -> Table {
    table
        .route("/templates/preview", post().bare(preview::preview))
        .route("/triggers/{name}/dry-run", post().bare(preview::try_trigger))
}

/// `/admin`: what is read from the tables.
fn readings(table: Table) -> Table {
    table
        .route("/rules", get().to(rules::list))
        .route("/decisions", get().to(admin::decisions))
        .route("/sessions", get().bare(admin::sessions))
        .route("/outcomes", get().to(outcomes::outcomes))
        .route("/outcomes/placements", get().to(placements::outcomes))
        .route("/experiments/readings", get().to(experiments::readings))
        .route("/experiments/{name}/reading", get().to(experiments::reading))
        .route("/limits", get().bare(limits::limits))
        .route("/cleaning", get().bare(admin::cleaning))
        .route("/users", get().to(admin::users))
        .route("/users/{id}/timeline", get().to(timeline::timeline))
        .route("/users/{id}/robot", delete().bare(admin::lift_robot))
}

/// `/admin`: training, and jobs that run.
fn maintenance(table: Table) -> Table {
    table
        .route("/retrain", post().bare(admin::retrain))
        .route("/jobs/{id}", get().bare(admin::job))
        .route("/jobs/{id}", delete().bare(admin::cancel))
}

/// `/admin/triggers`, `/admin/templates`, `/admin/policies`, `/admin/experiments` and `/admin/placements`.
fn active_definitions(table: Table) -> Table {
    table
        .route("/{kind:triggers|templates|policies|experiments|placements}", get().bare(definitions::list))
        .route(
            "/{kind:triggers|templates|policies|experiments|placements}/{name}",
            get().bare(definitions::get),
        )
        .route(
            "/{kind:triggers|templates|policies|experiments|placements}/{name}",
            put().to(definitions::put),
        )
        .route(
            "/{kind:triggers|templates|policies|experiments|placements}/{name}/activate",
            post().to(definitions::activate),
        )
        .route(
            "/{kind:triggers|templates|policies|experiments|placements}/{name}/pause",
            post().bare(definitions::pause),
        )
}

async fn missing() -> HttpResponse {
    ApiError::NotFound("this path").error_response()
}
