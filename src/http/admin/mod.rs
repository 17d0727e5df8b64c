//! For administrators: live metrics, segments, models, decisions, sessions, retraining.

mod answers;
mod figures;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use tokio::sync::oneshot;
use uuid::Uuid;

pub use self::answers::described;
use self::answers::{
    CleaningReport, Cleanings, Decisions, ListQuery, ListedUser, SampledUser, Segment, Segments, Session,
    Sessions, Started, Users,
};
pub use self::figures::{DemoMode, SlowCache, metrics};
use super::audited::{Change, in_one};
use super::body::Body;
use super::dto;
use super::error::ApiError;
use crate::permit::{Operate, ReadDecisions, ReadFigures, With};
use tidings_actors::App;
use tidings_actors::recommender::messages::{Asked, ModelCommand};
use tidings_core::base::ExternalId;
use tidings_decision::decide::Input;
use tidings_store::StoreError;
use tidings_store::decisions::DecisionFilter;

/// Users in the scatter plot.
const SAMPLE: i64 = 600;
/// Sessions listed.
const MAX_SESSIONS: usize = 200;

/// Segments of the model that serves, and a sample of users for the plot.
pub async fn segments(app: web::Data<App>, _caller: With<ReadFigures>) -> Result<HttpResponse, ApiError> {
    let sample =
        app.state.store.run(|connection| tidings_store::user_features::sample(connection, SAMPLE)).await?;
    let models = app.state.models.load();
    let summaries =
        models.segmentation.as_ref().map(|segmentation| segmentation.summaries()).unwrap_or_default();
    let all: u64 = summaries.iter().map(|summary| summary.size).sum();
    let segments = summaries.iter().map(|summary| Segment::of(summary, all)).collect();
    let sample = sample.iter().map(SampledUser::of).collect();
    Ok(HttpResponse::Ok().json(Segments { model_version: models.version.0, segments, sample }))
}

/// Lists decisions, newest first, sent or not, with reasons.
pub async fn decisions(
    query: web::Query<ListQuery>,
    app: web::Data<App>,
    caller: With<ReadDecisions>,
) -> Result<HttpResponse, ApiError> {
    let wanted =
        query.user_id.as_deref().filter(|text| !text.is_empty()).map(ExternalId::parse).transpose()?;
    if wanted.is_some() {
        caller.may_name_users()?;
    }
    let (limit, after) = (query.limit(), query.after);
    let (rows, users) = app
        .state
        .store
        .run(move |connection| {
            let user = match &wanted {
                Some(id) => match tidings_store::users::find(connection, id)? {
                    Some(user) => Some(user),
                    None => return Ok((Vec::new(), Default::default())),
                },
                None => None,
            };
            let rows = tidings_store::decisions::recent(connection, &DecisionFilter { limit, user, after })?;
            let ids: Vec<_> = rows.iter().map(|row| row.user).collect();
            let users = tidings_store::users::external_ids(connection, &ids)?;
            Ok((rows, users))
        })
        .await?;
    let catalogue = app.state.catalogue.load();
    let decisions = rows.iter().map(|row| dto::decision(row, &users, &catalogue)).collect();
    Ok(HttpResponse::Ok().json(Decisions { decisions }))
}

/// Users who are connected right now.
pub async fn sessions(app: web::Data<App>, _caller: With<ReadDecisions>) -> Result<HttpResponse, ApiError> {
    let connected = app.state.identity.sessions.users();
    let mut sessions = Vec::new();
    for user in connected.iter().take(MAX_SESSIONS).filter_map(|user| ExternalId::parse(user).ok()) {
        if let Some(entry) = app.registry.running(&user)
            && let Some(snapshot) = entry.profile().await
            && snapshot.connections > 0
        {
            sessions.push(Session {
                user_id: user,
                connections: snapshot.connections,
                connected_at: snapshot.connected_at,
                segment: snapshot.segment.map(|segment| segment.to_string()),
            });
        }
    }
    Ok(HttpResponse::Ok().json(Sessions { total: app.registry.len(), connected: connected.len(), sessions }))
}

/// Lists the cleaning reports of imports: rows read, changed and refused.
pub async fn cleaning(app: web::Data<App>, _caller: With<ReadFigures>) -> Result<HttpResponse, ApiError> {
    let rows = app.state.store.run(|connection| tidings_store::cleaning::recent(connection, 20)).await?;
    let reports = rows.into_iter().map(CleaningReport::from).collect();
    Ok(HttpResponse::Ok().json(Cleanings { reports }))
}

/// Users to choose from; `robots=true`: those who are taken for robots, each with the reason.
pub async fn users(
    query: web::Query<ListQuery>,
    app: web::Data<App>,
    caller: With<ReadDecisions>,
) -> Result<HttpResponse, ApiError> {
    let (prefix, limit) = (query.q.clone().unwrap_or_default(), query.limit());
    if !prefix.is_empty() {
        caller.may_name_users()?;
    }
    if query.robots {
        let rows = app
            .state
            .store
            .run(move |connection| tidings_store::robots::list(connection, &prefix, limit))
            .await?;
        let rest_h = app.state.config.ingest.robot_rest_h;
        let users = rows.iter().map(|(row, flag)| ListedUser::of(row, Some(dto::robot(flag, rest_h))));
        return Ok(HttpResponse::Ok().json(Users { users: users.collect() }));
    }
    let rows = app
        .state
        .store
        .run(move |connection| tidings_store::users::search(connection, &prefix, limit))
        .await?;
    Ok(HttpResponse::Ok().json(Users { users: rows.iter().map(|row| ListedUser::of(row, None)).collect() }))
}

/// Starts a training; while one runs, the answer names that one. A body, which means nothing here, is read all the
/// same: a connection with an unread body could not be used again.
pub async fn retrain(
    request: HttpRequest,
    app: web::Data<App>,
    _body: Body,
    _caller: With<Operate>,
) -> Result<HttpResponse, ApiError> {
    let change = Change::new(&request, &app, StatusCode::ACCEPTED);
    let (reply, answer) = oneshot::channel();
    let _ = app.recommender.offer(ModelCommand::Retrain(change.entry((), ()), reply));
    let silent = |_| ApiError::Unavailable("the recommender does not answer".to_owned());
    let Asked { job, is_new } = answer.await.map_err(silent)??;
    if is_new {
        change.note_stored();
    }
    Ok(HttpResponse::Accepted().json(Started { job }))
}

/// State, stage and progress of a job.
pub async fn job(
    path: web::Path<Uuid>,
    app: web::Data<App>,
    _caller: With<ReadFigures>,
) -> Result<HttpResponse, ApiError> {
    let id = *path;
    if let Some(job) = app.state.jobs.current().filter(|job| job.job_id == id) {
        return Ok(HttpResponse::Ok().json(dto::job(&job)));
    }
    let found: Result<_, StoreError> =
        app.state.store.run(move |connection| tidings_store::jobs::find(connection, id)).await;
    let job = found?.ok_or(ApiError::NotFound("this job"))?;
    Ok(HttpResponse::Ok().json(dto::job(&job)))
}

/// Stops a job soon; what serves goes on serving.
pub async fn cancel(
    request: HttpRequest,
    path: web::Path<Uuid>,
    app: web::Data<App>,
    _caller: With<Operate>,
) -> Result<HttpResponse, ApiError> {
    let id = *path;
    if app.state.jobs.is_running(id) {
        Change::new(&request, &app, StatusCode::ACCEPTED).store_first(&app, (), ()).await?;
        if app.state.jobs.cancel(id) {
            return Ok(HttpResponse::Accepted().json(Started { job: id }));
        }
    }
    match app.state.store.run(move |connection| tidings_store::jobs::find(connection, id)).await? {
        Some(job) => Err(ApiError::Conflict(format!("the job has ended: {}", job.state))),
        None => Err(ApiError::NotFound("this job")),
    }
}

/// Says that a user is no robot. What they did is learnt from again; a rate that no person has flags them anew.
pub async fn lift_robot(
    request: HttpRequest,
    path: web::Path<String>,
    app: web::Data<App>,
    caller: With<Operate>,
) -> Result<HttpResponse, ApiError> {
    let user = ExternalId::parse(&path)?;
    let named = user.clone();
    let change = Change::new(&request, &app, StatusCode::NO_CONTENT);
    in_one(&app, move |connection| {
        let lifted = match tidings_store::users::find(connection, &named)? {
            Some(inner) => tidings_store::robots::lift(connection, inner)?,
            None => false,
        };
        if !lifted {
            return Ok(Err(ApiError::NotFound("a robot of this name")));
        }
        change.store(connection, (), ())?;
        Ok(Ok(()))
    })
    .await?;
    log::info!("robot lifted user_id={user} by={}", caller.name());
    app.registry.happened(&user, Input::RobotLifted);
    Ok(HttpResponse::NoContent().finish())
}
