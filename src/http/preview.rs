//! Trying before telling: what a template would say, and whom a trigger would reach.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::bodies::Bodies;
use super::body::Body;
use super::describe::{self, Described, May};
use super::dto::{ItemName, item_name};
use super::error::ApiError;
use super::items::item_named;
use super::permit::{EditDefinitions, With};
use tidings_actors::App;
use tidings_core::base::{ExternalId, ItemId, Timestamp, json, suggest_nearest};
use tidings_core::catalogue::Catalogue;
use tidings_core::profile::{Attributes, SegmentId};
use tidings_decision::decide::UserState;
use tidings_decision::decide::record::TraceStep;
use tidings_decision::notify::content::{self, Reader, Template, TemplateContext, Templates};
use tidings_decision::notify::triggers::{Condition, Definition, Trigger};
use tidings_decision::privacy::Permission;

/// Most users of one dry run: each is read from the tables.
const MAX_USERS: usize = 100;
/// Users when none are named.
const SOME_USERS: usize = 25;
/// Most items in a preview.
const MAX_ITEMS: usize = 10;
/// Largest `event` of a preview, bytes of JSON; as of `POST /v1/triggers/{name}`.
const MAX_EVENT_BYTES: usize = 4_096;

/// A template to show, with what its message is about.
#[derive(Deserialize, ToSchema)]
#[schema(as = PreviewRequest)]
#[serde(deny_unknown_fields)]
struct PreviewBody {
    /// Of a stored template; or `template`.
    name: Option<String>,
    #[schema(value_type = Option<Object>)]
    template: Option<Template>,
    /// The trigger whose message is shown; absent = each that uses the template.
    trigger: Option<String>,
    #[serde(default = "english")]
    locale: String,
    #[serde(default)]
    variant: usize,
    time_zone: Option<String>,
    /// The item that the message is about; absent = the first of `item_ids`, for triggers that are about one.
    item_id: Option<ExternalId>,
    /// The list, for triggers that have one.
    #[serde(default)]
    item_ids: Vec<ExternalId>,
    price_before: Option<f64>,
    event: Option<Value>,
}

fn english() -> String {
    "en".to_owned()
}

impl PreviewBody {
    fn validate(&self) -> Result<(), ApiError> {
        let bad = |field, message| Err(bad_preview(Some(field), message));
        if self.item_ids.len() > MAX_ITEMS {
            return bad("item_ids", format!("at most {MAX_ITEMS} items"));
        }
        if self.event.as_ref().is_some_and(|event| event.to_string().len() > MAX_EVENT_BYTES) {
            return bad("event", format!("at most {MAX_EVENT_BYTES} bytes of JSON"));
        }
        if let Some(zone) = self.time_zone.as_ref().filter(|zone| TimeZone::get(zone).is_err()) {
            return bad("time_zone", format!("\"{zone}\" is no IANA time zone such as Europe/Berlin"));
        }
        Ok(())
    }

    /// Name of the template that is shown.
    fn template_name(&self) -> Result<&str, ApiError> {
        match (&self.template, &self.name) {
            (Some(template), _) => Ok(&template.name),
            (None, Some(name)) => Ok(name),
            (None, None) => Err(bad_preview(None, "give a template, or the name of one".to_owned())),
        }
    }

    /// The template of the request, compiled; `None` if it names a stored one.
    fn own_templates(&self) -> Result<Option<Templates>, ApiError> {
        let Some(template) = &self.template else { return Ok(None) };
        let bad = |error: String| bad_preview(Some("template"), error);
        content::check_sources(template).map_err(|error| bad(error.to_string()))?;
        Templates::new([template]).map(Some).map_err(|error| bad(error.to_string()))
    }

    /// The message that a trigger would send.
    fn show(
        &self,
        name: &str,
        definition: &Arc<Definition>,
        templates: &Templates,
        catalogue: &Catalogue,
    ) -> Result<Shown, ApiError> {
        let (trigger, list) = self.fired(definition, catalogue)?;
        let someone = ExternalId::Text("someone".into());
        let reader = Reader {
            user_id: &someone,
            segment: Some(SegmentId(0)),
            attributes: &Attributes::default(),
            locale: Some(&self.locale),
            time_zone: self.time_zone.as_deref(),
        };
        let context = TemplateContext::new(reader, &trigger, &list, catalogue, Timestamp::now());
        let rendered = templates
            .render(name, self.variant, &self.locale, &context)
            .ok_or(ApiError::NotFound("this template"))?
            .map_err(|error| bad_preview(Some("template"), error.to_string()))?;
        if let Some(problem) = rendered.problem {
            return Err(bad_preview(Some("template"), problem.to_string()));
        }
        let carried: Vec<&ExternalId> =
            context.items.iter().chain(&context.item).map(|item| &item.item_id).collect();
        let left_out = self.item_ids.iter().filter(|item| !carried.contains(item)).cloned().collect();
        Ok(Shown {
            title: rendered.content.title,
            body: rendered.content.body,
            variant: rendered.variant,
            language: rendered.language,
            left_out,
            trigger: None,
        })
    }

    /// The condition of a template that no trigger uses yet, from what is given.
    fn likely_condition(&self) -> Condition {
        match (self.price_before, &self.event) {
            (Some(_), _) => Condition::PriceDrop { percent: 5.0 },
            (None, Some(event)) if !event.is_null() => Condition::Api,
            _ if self.item_id.is_none() && self.item_ids.is_empty() => Condition::Login,
            _ => Condition::View,
        }
    }

    /// The trigger as it would fire for these items, and their list. An item that only a list could hold is left out by the
    /// context, as it is from the message.
    fn fired(
        &self,
        definition: &Arc<Definition>,
        catalogue: &Catalogue,
    ) -> Result<(Trigger, Vec<ItemId>), ApiError> {
        let find = |id: &ExternalId| {
            let missing = || bad_preview(Some("item_ids"), format!("there is no item {id}"));
            catalogue.find(id).map(|item| item.id).ok_or_else(missing)
        };
        let mut list = self.item_ids.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let mut item = self.item_id.as_ref().map(find).transpose()?;
        let about_one =
            !definition.when.recommends() || matches!(definition.when, Condition::View | Condition::Cart);
        let is_shop = matches!(definition.when, Condition::OrderStatus | Condition::Api);
        if item.is_none() && about_one && !is_shop {
            item = list.first().copied();
            // What goes with an item is never the item itself.
            if list.len() > 1 {
                list.remove(0);
            }
        }
        let item = item.filter(|_| about_one);
        let event = self.event.clone().filter(|event| !event.is_null()).map(Arc::new);
        let trigger = Trigger { price_before: self.price_before, event, ..Trigger::of(definition, item) };
        Ok((trigger, list))
    }
}

/// The message of one trigger.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = PreviewedMessage)]
struct Shown {
    title: String,
    body: String,
    variant: String,
    language: String,
    /// Items that the message does not carry.
    left_out: Vec<ExternalId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<String>,
}

/// Messages of a template: the first, and that of each trigger that uses it.
#[derive(Serialize, ToSchema)]
struct Preview {
    #[serde(flatten)]
    first: Shown,
    variants: Vec<String>,
    /// Reason for which storing the template would be refused.
    problem: Option<String>,
    previews: Vec<Shown>,
}

/// Outcome of a dry run for one user; of one who is not known without what the message would be.
#[derive(Serialize, ToSchema)]
#[schema(as = TriedUser)]
struct Tried {
    user_id: ExternalId,
    /// `send`, `defer`, `digest`, `inbox_only`, `drop` or `unknown_user`.
    outcome: &'static str,
    reasons: Vec<String>,
    /// End of a deferral.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Timestamp>)]
    until: Option<Option<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<TraceStep>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<ItemName>>,
}

impl Tried {
    fn unknown(user_id: ExternalId) -> Self {
        let (outcome, reasons) = ("unknown_user", Vec::new());
        Self { user_id, outcome, reasons, until: None, steps: None, title: None, body: None, items: None }
    }
}

/// Outcome of a dry run.
#[derive(Serialize, ToSchema)]
struct DryRun {
    trigger: String,
    users: usize,
    would_get_it: usize,
    results: Vec<Tried>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::post(
            "/admin/templates/preview",
            May::Needs(Permission::EditDefinitions),
            "Shows the message of a template.",
        )
        .body::<PreviewBody>()
        .body_example(r#"{"name": "price_drop", "item_ids": [105], "price_before": 299.0}"#)
        .answers::<Preview>(200, "What each trigger that uses it would send.")
        .refuses(&[404]),
        describe::post(
            "/admin/triggers/{name}/dry-run",
            May::Needs(Permission::EditDefinitions),
            "Lists who would get a trigger's message now, who not and why.",
        )
        .optional_body::<DryRunBody>()
        .answers::<DryRun>(200, "Nothing is sent.")
        .refuses(&[404]),
    ]
}

/// Shows the message of a template for these items: what each trigger that uses it would send.
pub async fn preview(
    Body(body): Body,
    app: web::Data<App>,
    bodies: web::Data<Bodies>,
    _caller: With<EditDefinitions>,
) -> Result<HttpResponse, ApiError> {
    let wish: PreviewBody = json::from_slice(&body).map_err(|error| {
        bad_preview(None, format!("not a preview: {}", suggest_nearest(&error.to_string())))
    })?;
    wish.validate()?;
    let shown = bodies.elsewhere(move || shown(&wish, &app)).await??;
    Ok(HttpResponse::Ok().json(shown))
}

/// Renders the messages: every text of the template in every sample, as storing it would.
fn shown(wish: &PreviewBody, app: &App) -> Result<Preview, ApiError> {
    let definitions = app.state.definitions.load();
    let name = wish.template_name()?;
    let triggers = match &wish.trigger {
        Some(trigger) => {
            vec![definitions.triggers.find(trigger).cloned().ok_or(ApiError::NotFound("this trigger"))?]
        }
        None => definitions.triggers.iter().filter(|trigger| trigger.template == name).cloned().collect(),
    };
    let own = wish.own_templates()?;
    let templates = own.as_ref().unwrap_or(&definitions.templates);
    // What storing it would be refused for.
    let problem = wish.template.as_ref().and_then(|template| content::validate(template, &triggers).err());
    let catalogue = app.state.catalogue.load();
    let show = |definition: &Arc<Definition>| wish.show(name, definition, templates, &catalogue);
    let mut previews = Vec::new();
    for trigger in &triggers {
        previews.push(Shown { trigger: Some(trigger.name.clone()), ..show(trigger)? });
    }
    let first = match previews.first() {
        Some(first) => first.clone(),
        None => show(&Arc::new(Definition::plain(wish.likely_condition())))?,
    };
    Ok(Preview {
        first,
        variants: templates.variants(name).into_iter().map(str::to_owned).collect(),
        problem: problem.map(|problem| problem.to_string()),
        previews,
    })
}

fn bad_preview(field: Option<&'static str>, message: String) -> ApiError {
    ApiError::invalid("bad_preview", field, message)
}

/// Users, and what a trigger is fired about.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = DryRunRequest)]
#[serde(deny_unknown_fields, default)]
struct DryRunBody {
    /// At most 100; empty = some of those connected, then any.
    user_ids: Vec<ExternalId>,
    item_id: Option<ExternalId>,
    price_before: Option<f64>,
    /// Of a trigger that is not stored.
    #[schema(value_type = Option<Object>)]
    trigger: Option<Definition>,
}

/// Lists who would get it now, who not and why. Users: those named, else some of those connected, then any.
pub async fn try_trigger(
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: With<EditDefinitions>,
) -> Result<HttpResponse, ApiError> {
    let bad = |message: String| ApiError::invalid("bad_dry_run", None, message);
    let wish: DryRunBody = if body.is_empty() {
        DryRunBody::default()
    } else {
        json::from_slice(&body).map_err(|error| bad(format!("not a dry run: {error}")))?
    };
    if wish.user_ids.len() > MAX_USERS {
        return Err(bad(format!("at most {MAX_USERS} users")));
    }
    if !wish.user_ids.is_empty() {
        caller.may_name_users()?;
    }
    let definition = match wish.trigger {
        Some(definition) => {
            definition.validate().map_err(|error| bad(error.to_string()))?;
            Arc::new(definition)
        }
        None => {
            let definitions = app.state.definitions.load();
            Arc::clone(definitions.triggers.find(&path).ok_or(ApiError::NotFound("this trigger"))?)
        }
    };
    let item = match &wish.item_id {
        Some(id) => Some(item_named(&app.state.catalogue.load(), id)?.id),
        None => None,
    };
    let trigger = Trigger { price_before: wish.price_before, ..Trigger::of(&definition, item) };
    let mut results = Vec::new();
    for user in whom(&app, wish.user_ids).await? {
        let Some(loaded) = app.loader.load(&user, false).await? else {
            results.push(Tried::unknown(user));
            continue;
        };
        let snapshot = app.state.snapshot();
        let world = snapshot.world(Some(loaded.user), &app.state);
        let found = UserState::new(&user, *loaded, &app.state.epoch, &world).dry_run(&trigger, &world);
        let catalogue = app.state.catalogue.load();
        let items = found.items.iter().filter_map(|item| item_name(*item, &catalogue)).collect();
        results.push(Tried {
            user_id: user,
            outcome: found.outcome,
            reasons: found.reasons,
            until: Some(found.until),
            steps: Some(found.steps),
            title: Some(found.content.title),
            body: Some(found.content.body),
            items: Some(items),
        });
    }
    let would_get_it = results.iter().filter(|one| one.outcome == "send").count();
    let (trigger, users) = (definition.name.clone(), results.len());
    Ok(HttpResponse::Ok().json(DryRun { trigger, users, would_get_it, results }))
}

async fn whom(app: &App, named: Vec<ExternalId>) -> Result<Vec<ExternalId>, ApiError> {
    if !named.is_empty() {
        return Ok(named);
    }
    let mut users: Vec<ExternalId> =
        app.registry.users(SOME_USERS).into_iter().map(|(user, _)| user).collect();
    if users.len() < SOME_USERS {
        let rows = app
            .state
            .store
            .run(|connection| tidings_store::users::search(connection, "", SOME_USERS as i64))
            .await?;
        for row in rows {
            if users.len() < SOME_USERS && !users.contains(&row.external_id) {
                users.push(row.external_id);
            }
        }
    }
    users.sort();
    Ok(users)
}
