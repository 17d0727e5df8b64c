//! Lists on request: for a user, beside an item, or for nobody in particular; filtered, paged, and by placement.

pub mod asked;
pub mod bulk;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use self::asked::{Asked, Resolved};
use super::auth::Caller;
use super::body::Body;
use super::describe::{self, Described, May};
use super::error::ApiError;
use super::items::item_named;
use crate::permit::{Own, ReadUsers, UserOr};
use tidings_actors::App;
use tidings_actors::journal::messages::Record;
use tidings_core::base::{ExternalId, Timestamp};
use tidings_core::catalogue::Catalogue;
use tidings_core::profile::Profile;
use tidings_core::recommend::serve::live::RecentCounts;
use tidings_core::recommend::serve::removed::Removed;
use tidings_core::recommend::{Recommendation, Request};
use tidings_decision::decide::{ListRequest, Loaded, Recommendations};
use tidings_decision::deliver::frames::{self, RecommendedItem};
use tidings_decision::notify::content::ItemLanguage;
use tidings_decision::privacy::Permission;
use tidings_state::user_lists::made;
use tidings_store::lists::AnsweredList;

/// An item of a list.
#[derive(Serialize, ToSchema)]
pub struct ListedItem<'a> {
    /// The item, with its reason.
    #[serde(flatten)]
    pub item: RecommendedItem<'a>,
    /// Rule of the placement that put it there.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
}

/// A list of recommendations.
#[derive(Serialize, ToSchema)]
#[schema(as = ItemList)]
pub struct List<'a> {
    /// User of the list; null = nobody in particular, absent of a list beside an item.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ExternalId>)]
    pub user_id: Option<Option<&'a ExternalId>>,
    /// Item that the list stands beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_id: Option<&'a ExternalId>,
    /// Name of this answer, for the events that come of it.
    list_id: Uuid,
    /// Model version; 0 = none yet.
    model: i32,
    /// Placement by which it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    placement: Option<&'a str>,
    /// Best first.
    pub items: Vec<ListedItem<'a>>,
    /// Number of items that each filter left out.
    #[schema(value_type = std::collections::BTreeMap<String, u32>)]
    pub removed: Removed,
    /// Expectations of the request that can't be met.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    #[schema(required = false)]
    warnings: &'a [String],
}

impl List<'_> {
    /// The part of the list that is kept, so that events may name it; `None` of one without a placement.
    pub fn answered(&self, listed: &Recommendations, user: Option<&ExternalId>) -> Option<AnsweredList> {
        Some(AnsweredList {
            list: self.list_id,
            user: user.cloned(),
            placement: self.placement?.to_owned(),
            items: listed.items.iter().map(|recommended| recommended.item).collect(),
            made_at: Timestamp::now(),
        })
    }
}

/// Has a list of a placement stored with the next commit; the answer does not wait for it. Of those that a `client` asks for with a
/// user's token as many as somebody can look at.
fn note(app: &App, client: Option<&ExternalId>, answered: Option<AnsweredList>) {
    if let Some(list) = answered
        && app.state.config.retention.lists_days > 0
        && client.is_none_or(|user| app.state.limiter.list(user))
    {
        // One that finds no room is not counted, and neither are the events that name it.
        let _ = app.journal.offer(Record::List(Box::new(list)));
    }
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    let of_user = "/v1/users/{id}/recommendations";
    let lists = describe::get(
        "/v1/recommendations",
        May::Needs(Permission::ReadUsers),
        "Lists of all users, one JSON object a line.",
    )
    .parameter::<String>("after", "The last user of the lines before.")
    .parameter::<usize>("limit", "Number of users; all without it.");
    vec![
        asked::described(describe::get(
            of_user,
            May::Owner(Permission::ReadUsers),
            "The list that the user would get now.",
        ))
        .answers::<List<'_>>(200, "The list; for an unknown user what is popular.")
        .example(EXAMPLE),
        describe::post(
            "/v1/recommend",
            May::UserOr(Permission::ReadUsers),
            "A list beside a page, a cart or an item, for a user or nobody in particular.",
        )
        .optional_body::<Asked>()
        .body_example(r#"{"user_id": 17, "n": 4, "context": {"page": "cart", "cart": [105]}}"#)
        .answers::<List<'_>>(200, "The list."),
        asked::described(describe::get(
            "/v1/items/{id}/similar",
            May::User,
            "Items that go with this one, for anybody.",
        ))
        .answers::<List<'_>>(200, "The list.")
        .refuses(&[404]),
        asked::described(lists).answers_as::<List<'_>>(200, "application/x-ndjson", "One list a line."),
    ]
}

const EXAMPLE: &str = r#"{
    "user_id": 17, "list_id": "01938c2e-7a00-7000-8000-5d2f6c1b9e10", "model": 3,
    "items": [{"item_id": 105, "score": 1.0, "title": "Diver 300", "reason": "because you viewed Diver 200"}],
    "removed": {"bought": 2}
}"#;

/// The best items for a user right now; for an unknown one, what is popular.
pub async fn recommendations(
    path: web::Path<String>,
    request: HttpRequest,
    app: web::Data<App>,
    caller: Own<ReadUsers>,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user(&path, &app)?;
    answer_for(Some(user), Asked::of_query(request.query_string())?, caller.subject(), &app).await
}

/// The same by a body, also for nobody in particular.
pub async fn post(
    Body(body): Body,
    app: web::Data<App>,
    caller: UserOr<ReadUsers>,
) -> Result<HttpResponse, ApiError> {
    let body: Value = match body.is_empty() {
        true => Value::Object(Map::new()),
        false => serde_json::from_slice(&body)
            .map_err(|error| ApiError::invalid("bad_json", None, format!("the body is not JSON: {error}")))?,
    };
    let asked = Asked::of_json(body)?;
    let named = asked.user_id.clone().or_else(|| caller.subject().cloned());
    let user = named.map(|named| caller.known(&named, &app)).transpose()?;
    answer_for(user, asked, caller.subject(), &app).await
}

/// Items that go with this one, for anybody.
pub async fn similar(
    path: web::Path<String>,
    request: HttpRequest,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let catalogue = app.state.catalogue.load();
    let item = item_named(&catalogue, &ExternalId::parse(&path)?)?;
    let asked = Asked::of_query(request.query_string())?;
    let resolved = asked.resolve(&catalogue, &app.state.definitions.load())?;
    let (models, now) = (app.state.models.load(), Timestamp::now());
    let (found, nobody) = (app.state.live.look_up(Some(item.id), now), Profile::default());
    let request = Request {
        seed: Some(item.id),
        offset: resolved.list.offset,
        selection: &resolved.list.selection,
        settings: &app.state.config.recommend,
        live: found.evidence(),
        ..Request::new(&nobody, &catalogue, now, resolved.list.n)
    };
    let list = match request.selection.placement {
        Some(_) => models.page(&request),
        None => models.similar(item.id, &request),
    };
    let listed =
        Recommendations { items: list.items, model: models.version, removed: list.removed, locale: None };
    let list = answer(&listed, &resolved, &catalogue);
    note(&app, caller.subject(), list.answered(&listed, None));
    Ok(HttpResponse::Ok().json(List { item_id: Some(&item.external_id), ..list }))
}

async fn answer_for(
    user: Option<ExternalId>,
    asked: Asked,
    client: Option<&ExternalId>,
    app: &App,
) -> Result<HttpResponse, ApiError> {
    let resolved = asked.resolve(&app.state.catalogue.load(), &app.state.definitions.load())?;
    let listed = match &user {
        Some(user) => listed(app, user, &resolved.list).await?,
        None => made(&app.state, &nobody()?, Loaded::stranger(), &resolved.list),
    };
    let catalogue = app.state.catalogue.load();
    let list = answer(&listed, &resolved, &catalogue);
    note(app, client, list.answered(&listed, user.as_ref()));
    Ok(HttpResponse::Ok().json(List { user_id: Some(user.as_ref()), ..list }))
}

/// Name under which a list for nobody in particular is made; no user of a shop can have it.
fn nobody() -> Result<ExternalId, ApiError> {
    Ok(ExternalId::parse(&Uuid::now_v7().to_string())?)
}

/// The list that the user's actor makes, else the one it would make if it were started.
async fn listed(app: &App, user: &ExternalId, list: &ListRequest) -> Result<Recommendations, ApiError> {
    if let Some(entry) = app.registry.get(user)
        && let Some(listed) = entry.recommend(list.clone()).await
    {
        return Ok(listed);
    }
    let loaded = app.loader.load(user, false).await?.map_or_else(Loaded::stranger, |loaded| *loaded);
    Ok(made(&app.state, user, loaded, list))
}

/// A list as an answer: items with reasons and rules, and what was left out. Whom or what it is for is the caller's to say.
pub fn answer<'a>(listed: &Recommendations, resolved: &'a Resolved, catalogue: &'a Catalogue) -> List<'a> {
    let language = ItemLanguage::of(resolved.locale.as_deref().or(listed.locale.as_deref()));
    let item = |recommended| item(recommended, resolved, catalogue, &language);
    let items = listed.items.iter().filter_map(item);
    List {
        user_id: None,
        item_id: None,
        list_id: Uuid::now_v7(),
        model: listed.model.0,
        placement: resolved.list.selection.placement.as_deref().map(|placement| placement.name.as_str()),
        items: items.collect(),
        removed: listed.removed,
        warnings: &resolved.warnings,
    }
}

fn item<'a>(
    recommended: &Recommendation,
    resolved: &'a Resolved,
    catalogue: &'a Catalogue,
    language: &ItemLanguage,
) -> Option<ListedItem<'a>> {
    let selection = &resolved.list.selection;
    let placement = selection.placement.as_deref();
    // The currency that the price was compared in.
    let own = placement.and_then(|placement| placement.filter.currency.as_deref());
    let currency = selection.filter.currency.as_deref().or(own);
    let one = std::slice::from_ref(recommended);
    let item = frames::recommended_items(one, catalogue, language, currency).pop()?;
    let rule = placement.zip(recommended.touch).and_then(|(placement, touch)| placement.name_of(touch));
    Some(ListedItem { item, rule })
}
