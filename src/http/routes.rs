//! The table of routes.

use actix_web::web::{self, ServiceConfig, delete, get, patch, post, put};
use actix_web::{HttpResponse, Resource, ResponseError};

use super::error::ApiError;
use super::{
    admin, assets, connections, consent, definitions, events, experiments, fire, health, inbox, items,
    limits, live, models, notifications, outcomes, preferences, preview, rules, scheduled, sse, timeline,
    users, webpush, websocket,
};

/// Every path of the server. What is not here is a file of the dashboard or a 404. The first that matches serves.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/ws", get().to(websocket::open))
        .route("/echo", get().to(websocket::echo))
        .configure(probes)
        .service(
            web::scope("/v1")
                .route("/events", post().to(events::post))
                .configure(shop_messages)
                .route("/sse", get().to(sse::open))
                .service(
                    web::resource("/connections/{connection_id}/frames")
                        .route(post().to(connections::post))
                        .default_service(web::to(wrong_method)),
                )
                .configure(catalogue)
                .configure(users_of_shop)
                .route("/triggers/{name}", post().to(fire::post))
                .configure(web_push)
                .default_service(web::to(missing)),
        )
        .service(
            web::scope("/admin")
                .configure(overview)
                .configure(model_versions)
                .configure(trials)
                .configure(readings)
                .configure(maintenance)
                .configure(active_definitions)
                .default_service(web::to(missing)),
        )
        .default_service(web::to(assets::file));
}

/// For load balancers and Prometheus.
fn probes(config: &mut ServiceConfig) {
    config
        .route("/healthz", get().to(health::alive))
        .route("/readyz", get().to(health::ready))
        .route("/metrics", get().to(health::prometheus));
}

/// `/v1/notifications`: messages of the shop, those that wait, and taking them back.
fn shop_messages(config: &mut ServiceConfig) {
    config
        .route("/notifications", post().to(notifications::post))
        .service(resource("/notifications/scheduled").route(get().to(scheduled::list)))
        .service(
            resource("/notifications/scheduled/{id}")
                .route(get().to(scheduled::get))
                .route(patch().to(scheduled::patch))
                .route(delete().to(scheduled::delete)),
        )
        .route("/notifications/{id}", delete().to(inbox::withdraw));
}

/// `/v1/items`.
fn catalogue(config: &mut ServiceConfig) {
    config
        .service(resource("/items").route(get().to(items::list)).route(put().to(items::put)))
        .route("/items/{id}", get().to(items::get))
        .route("/items/{id}", delete().to(items::delete))
        .route("/items/{id}/similar", get().to(items::similar));
}

/// `/v1/users/{id}`: recommendations, inbox, preferences and consent of one user.
fn users_of_shop(config: &mut ServiceConfig) {
    config
        .route("/users/{id}/recommendations", get().to(users::recommendations))
        .route("/users/{id}/profile", get().to(users::profile))
        .route("/users/{id}/inbox", get().to(inbox::page))
        .route("/users/{id}/inbox/read", post().to(inbox::read))
        .route("/users/{id}/inbox/seen", post().to(inbox::seen))
        .service(
            resource("/users/{id}/preferences")
                .route(get().to(preferences::get))
                .route(put().to(preferences::put))
                .route(patch().to(preferences::patch)),
        )
        .route("/users/{id}/consent", get().to(consent::get))
        .route("/users/{id}/consent", post().to(consent::post))
        .route("/users/{id}/mute", post().to(consent::mute));
}

/// `/v1/webpush`: subscriptions of browsers, and reports of their service workers.
fn web_push(config: &mut ServiceConfig) {
    config
        .route("/webpush/key", get().to(webpush::key))
        .service(
            resource("/webpush/subscriptions")
                .route(post().to(webpush::subscribe))
                .route(delete().to(webpush::unsubscribe)),
        )
        .route("/webpush/reports", post().to(webpush::report));
}

/// `/admin`: figures of the running server.
fn overview(config: &mut ServiceConfig) {
    config
        .route("/metrics", get().to(admin::metrics))
        .route("/segments", get().to(admin::segments))
        .route("/live", get().to(live::get));
}

/// `/admin/models`.
fn model_versions(config: &mut ServiceConfig) {
    config
        .route("/models", get().to(models::list))
        .route("/models/rollback", post().to(models::rollback))
        .route("/models/shadow", delete().to(models::end_shadow))
        .route("/models/{version}/activate", post().to(models::activate))
        .route("/models/{version}/shadow", post().to(models::shadow));
}

/// `/admin`: messages and decisions that are shown and not made.
fn trials(config: &mut ServiceConfig) {
    config
        .route("/templates/preview", post().to(preview::preview))
        .route("/triggers/{name}/dry-run", post().to(preview::try_trigger));
}

/// `/admin`: what is read from the tables.
fn readings(config: &mut ServiceConfig) {
    config
        .route("/rules", get().to(rules::list))
        .route("/decisions", get().to(admin::decisions))
        .route("/sessions", get().to(admin::sessions))
        .route("/outcomes", get().to(outcomes::outcomes))
        .route("/experiments/readings", get().to(experiments::readings))
        .route("/experiments/{name}/reading", get().to(experiments::reading))
        .route("/limits", get().to(limits::limits))
        .route("/cleaning", get().to(admin::cleaning))
        .route("/users", get().to(admin::users))
        .route("/users/{id}/timeline", get().to(timeline::timeline));
}

/// `/admin`: training, and jobs that run.
fn maintenance(config: &mut ServiceConfig) {
    config
        .route("/retrain", post().to(admin::retrain))
        .route("/jobs/{id}", get().to(admin::job))
        .route("/jobs/{id}", delete().to(admin::cancel));
}

/// `/admin/triggers`, `/admin/templates`, `/admin/policies` and `/admin/experiments`.
fn active_definitions(config: &mut ServiceConfig) {
    config.service(
        web::scope("/{kind:triggers|templates|policies|experiments}")
            .route("", get().to(definitions::list))
            .route("/{name}", get().to(definitions::get))
            .route("/{name}", put().to(definitions::put))
            .route("/{name}/activate", post().to(definitions::activate))
            .route("/{name}/pause", post().to(definitions::pause)),
    );
}

/// A path of several methods; others are answered with 405.
fn resource(path: &str) -> Resource {
    web::resource(path).default_service(web::to(wrong_method))
}

async fn missing() -> HttpResponse {
    ApiError::NotFound("this path").error_response()
}

async fn wrong_method() -> HttpResponse {
    ApiError::MethodNotAllowed.error_response()
}
