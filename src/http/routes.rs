//! The table of routes.

use actix_web::web::{self, delete, get, patch, post, put};
use actix_web::{HttpResponse, ResponseError};

use super::error::ApiError;
use super::{
    admin, assets, connections, consent, definitions, events, experiments, fire, health, inbox, items,
    limits, live, models, notifications, outcomes, preferences, preview, rules, scheduled, sse, timeline,
    users, webpush, websocket,
};

/// Every path of the server. What is not here is a file of the dashboard or a 404.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/ws", get().to(websocket::open))
        .route("/echo", get().to(websocket::echo))
        .route("/healthz", get().to(health::alive))
        .route("/readyz", get().to(health::ready))
        .route("/metrics", get().to(health::prometheus))
        .service(
            web::scope("/v1")
                .route("/events", post().to(events::post))
                .route("/notifications", post().to(notifications::post))
                .service(
                    web::resource("/notifications/scheduled")
                        .route(get().to(scheduled::list))
                        .default_service(web::to(wrong_method)),
                )
                .service(
                    web::resource("/notifications/scheduled/{id}")
                        .route(get().to(scheduled::get))
                        .route(patch().to(scheduled::patch))
                        .route(delete().to(scheduled::delete))
                        .default_service(web::to(wrong_method)),
                )
                .route("/notifications/{id}", delete().to(inbox::withdraw))
                .route("/sse", get().to(sse::open))
                .service(
                    web::resource("/connections/{connection_id}/frames")
                        .route(post().to(connections::post))
                        .default_service(web::to(wrong_method)),
                )
                .service(
                    web::resource("/items")
                        .route(get().to(items::list))
                        .route(put().to(items::put))
                        .default_service(web::to(wrong_method)),
                )
                .route("/items/{id}", get().to(items::get))
                .route("/items/{id}", delete().to(items::delete))
                .route("/items/{id}/similar", get().to(items::similar))
                .route("/users/{id}/recommendations", get().to(users::recommendations))
                .route("/users/{id}/profile", get().to(users::profile))
                .route("/users/{id}/inbox", get().to(inbox::page))
                .route("/users/{id}/inbox/read", post().to(inbox::read))
                .route("/users/{id}/inbox/seen", post().to(inbox::seen))
                .service(
                    web::resource("/users/{id}/preferences")
                        .route(get().to(preferences::get))
                        .route(put().to(preferences::put))
                        .route(patch().to(preferences::patch))
                        .default_service(web::to(wrong_method)),
                )
                .route("/users/{id}/consent", get().to(consent::get))
                .route("/users/{id}/consent", post().to(consent::post))
                .route("/users/{id}/mute", post().to(consent::mute))
                .route("/triggers/{name}", post().to(fire::post))
                .route("/webpush/key", get().to(webpush::key))
                .service(
                    web::resource("/webpush/subscriptions")
                        .route(post().to(webpush::subscribe))
                        .route(delete().to(webpush::unsubscribe))
                        .default_service(web::to(wrong_method)),
                )
                .route("/webpush/reports", post().to(webpush::report))
                .default_service(web::to(missing)),
        )
        .service(
            web::scope("/admin")
                .route("/metrics", get().to(admin::metrics))
                .route("/segments", get().to(admin::segments))
                .route("/live", get().to(live::get))
                .route("/models", get().to(models::list))
                .route("/models/rollback", post().to(models::rollback))
                .route("/models/shadow", delete().to(models::end_shadow))
                .route("/models/{version}/activate", post().to(models::activate))
                .route("/models/{version}/shadow", post().to(models::shadow))
                .route("/templates/preview", post().to(preview::preview))
                .route("/triggers/{name}/dry-run", post().to(preview::try_trigger))
                .route("/rules", get().to(rules::list))
                .route("/decisions", get().to(admin::decisions))
                .route("/sessions", get().to(admin::sessions))
                .route("/outcomes", get().to(outcomes::outcomes))
                .route("/experiments/readings", get().to(experiments::readings))
                .route("/experiments/{name}/reading", get().to(experiments::reading))
                .route("/limits", get().to(limits::limits))
                .route("/cleaning", get().to(admin::cleaning))
                .route("/users", get().to(admin::users))
                .route("/users/{id}/timeline", get().to(timeline::timeline))
                .route("/retrain", post().to(admin::retrain))
                .route("/jobs/{id}", get().to(admin::job))
                .route("/jobs/{id}", delete().to(admin::cancel))
                .service(
                    web::scope("/{kind:triggers|templates|policies|experiments}")
                        .route("", get().to(definitions::list))
                        .route("/{name}", get().to(definitions::get))
                        .route("/{name}", put().to(definitions::put))
                        .route("/{name}/activate", post().to(definitions::activate))
                        .route("/{name}/pause", post().to(definitions::pause)),
                )
                .default_service(web::to(missing)),
        )
        .default_service(web::to(assets::file));
}

async fn missing() -> HttpResponse {
    ApiError::NotFound("this path").error_response()
}

async fn wrong_method() -> HttpResponse {
    ApiError::MethodNotAllowed.error_response()
}
