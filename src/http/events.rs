//! `POST /v1/events`: one event, an array, or NDJSON. The good ones are taken, the bad ones named by index.

use std::time::Instant;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde::de::IgnoredAny;
use utoipa::ToSchema;

use super::auth::Caller;
use super::bodies::Bodies;
use super::body::{Batch, without_place};
use super::describe::{self, Described, May};
use super::error::ApiError;
use super::permit::{ActForUsers, UserOr};
use super::rates;
use super::rejected::{Refusal, Rejected, refuse_all};
use tidings_actors::App;
use tidings_actors::ingest::messages::Origin;
use tidings_core::base::json_shape::{ArrayFault, elements, is_one_object};
use tidings_core::base::{FieldError, JsonShape, Timestamp};
use tidings_core::event::{Admission, NewEvent, RawEvent, erased_user};
use tidings_decision::privacy::Permission;
use tidings_store::events::Appended;
use tidings_telemetry::Count;

/// Largest event as text, bytes; ids, keys and a query have some hundred.
const MAX_EVENT_BYTES: usize = 64 << 10;
/// Largest tree inside of an event, whose fields are texts and numbers, bytes.
const MAX_EVENT_TREE_BYTES: usize = 4 << 10;

/// Events of one body: those that are taken, and those that are not.
#[derive(Default)]
struct Sorted {
    good: Vec<NewEvent>,
    /// Places of `good` in the request.
    places: Vec<usize>,
    rejected: Vec<Rejected>,
}

/// Answer to a request.
#[derive(Serialize, ToSchema)]
#[schema(as = EventsAccepted)]
struct Answer {
    accepted: usize,
    duplicates: usize,
    rejected: Vec<Rejected>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::post(
            "/v1/events",
            May::UserOr(Permission::ActForUsers),
            "Takes one event, an array, or NDJSON.",
        )
        .bodies::<RawEvent>()
        .body_example(
            r#"[{"kind": "view", "user_id": 17, "item_id": 105, "dwell_ms": 4200, "event_id": "a1"}]"#,
        )
        .body_as::<RawEvent>("application/x-ndjson")
        .answers::<Answer>(202, "Good events are committed, the others named.")
        .example(r#"{"accepted": 1, "duplicates": 0, "rejected": []}"#)
        .answers::<Refusal<'_>>(400, "Nothing can be accepted."),
    ]
}

/// Answers 202 after the commit; a body that can't be read, or of which every event is refused, is a 400.
pub async fn post(
    request: HttpRequest,
    Batch(body): Batch,
    app: web::Data<App>,
    bodies: web::Data<Bodies>,
    caller: UserOr<ActForUsers>,
) -> Result<HttpResponse, ApiError> {
    let at = Instant::now();
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_ndjson = content_type.is_some_and(|name| name.contains("ndjson") || name.contains("jsonl"));
    let user = caller.subject().cloned();
    let sort = {
        let app = app.clone();
        move |body: &[u8]| sort(body, is_ndjson, &app, &caller)
    };
    let Sorted { good, places, mut rejected } = bodies.work(body, sort).await??;
    if let Some(user) = user {
        rates::events(&request, &app, &user, good.len())?;
    }
    let appended = match good.is_empty() {
        true => Vec::new(),
        false => app.ingest.ingest(good, at, Origin::Http, &app.state).await?,
    };
    let (mut accepted, mut duplicates) = (0, 0);
    for (appended, index) in appended.iter().zip(places) {
        match appended {
            Appended::Stored(_) => accepted += 1,
            Appended::Duplicate => duplicates += 1,
            // While the request was under way.
            Appended::Erased => rejected.push(Rejected::new(index, erased_user())),
        }
    }
    rejected.sort_by_key(|one| one.index);
    app.state.metrics.add(Count::RejectedEvents, rejected.len() as u64);
    if accepted + duplicates == 0 {
        return Ok(refuse_all("events", &rejected));
    }
    Ok(HttpResponse::Accepted().json(Answer { accepted, duplicates, rejected }))
}

/// Reads and checks one event after the other, so that no more than one is a tree in memory.
fn sort(body: &[u8], is_ndjson: bool, app: &App, caller: &Caller) -> Result<Sorted, ApiError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        ApiError::invalid("bad_encoding", None, format!("the body is not UTF-8: {error}"))
    })?;
    let texts = split(text, is_ndjson, app.state.config.ingest.max_batch)?;
    let catalogue = app.state.catalogue.load_full();
    let admission = Admission::new(caller.speaker(), &app.state.config, &catalogue, Timestamp::now())
        .with_kinds(&app.state.event_kinds);
    let n = texts.events.len();
    let mut sorted =
        Sorted { good: Vec::with_capacity(n), places: Vec::with_capacity(n), rejected: Vec::new() };
    let is_erased = |event: &NewEvent| event.user.as_ref().is_some_and(|user| app.state.tombstones.has(user));
    for (index, text) in texts.events.into_iter().enumerate() {
        let parsed = parse(text).and_then(|raw| admission.admit(raw, caller.subject()).map_err(Fault::Event));
        match parsed {
            Ok(event) if is_erased(&event) => {
                sorted.rejected.push(Rejected::new(index, erased_user()));
            }
            Ok(event) => {
                sorted.good.push(event);
                sorted.places.push(index);
            }
            // The others of an array can't be told from it.
            Err(Fault::NoJson(message)) if !texts.is_lines => {
                let message = format!("the body is not JSON: event {index}: {message}");
                return Err(ApiError::invalid("bad_json", None, message));
            }
            Err(fault) => sorted.rejected.push(fault.rejected(index)),
        }
    }
    Ok(sorted)
}

/// Reason an event is refused.
#[derive(Debug)]
pub enum Fault {
    /// Its text is no JSON.
    NoJson(String),
    /// It is no event.
    NoEvent(String),
    /// It has more in it than any event has.
    TooComplex,
    /// It is not a good one.
    Event(FieldError),
}

impl Fault {
    fn rejected(self, index: usize) -> Rejected {
        match self {
            Self::NoJson(message) | Self::NoEvent(message) => {
                Rejected { index, code: "bad_json", field: None, message }
            }
            Self::TooComplex => {
                let message =
                    format!("an event has at most {MAX_EVENT_BYTES} bytes, and texts and numbers only");
                Rejected { index, code: "too_complex", field: None, message }
            }
            Self::Event(error) => Rejected::new(index, error),
        }
    }
}

/// Reads an event, if it is none that would take more memory than any event has.
pub fn parse(text: &str) -> Result<RawEvent, Fault> {
    let is_simple =
        text.len() <= MAX_EVENT_BYTES && JsonShape::of(text.as_bytes()).inner_bytes <= MAX_EVENT_TREE_BYTES;
    if !is_simple {
        // An array that is cut short looks like an event with much in it.
        return Err(match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Fault::TooComplex,
            Err(error) => Fault::NoJson(error.to_string()),
        });
    }
    serde_json::from_str(text).map_err(|error| match error.is_data() {
        true => Fault::NoEvent(without_place(&error)),
        false => Fault::NoJson(error.to_string()),
    })
}

/// Texts of the events of a body.
#[derive(Debug)]
pub struct Texts<'a> {
    /// Each event, in the order of the body.
    pub events: Vec<&'a str>,
    /// Each is a line of its own: one that is not JSON is that line's error.
    pub is_lines: bool,
}

/// One object, an array, or a line each; at most `max`, counted before any is parsed.
pub fn split(text: &str, is_ndjson: bool, max: usize) -> Result<Texts<'_>, ApiError> {
    let bad = |message: String| Err(ApiError::invalid("bad_json", None, message));
    let text = text.trim_ascii();
    let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text);
    let (events, is_lines) = if is_ndjson {
        (lines(text, max), true)
    } else if text.starts_with('[') {
        match elements(text, max) {
            Ok(events) => (Some(events), false),
            Err(ArrayFault::TooMany) => (None, false),
            Err(ArrayFault::Unbalanced) => {
                let error = is_json(text).err().map(|error| error.to_string()).unwrap_or_default();
                return bad(format!("the body is not JSON: {error}"));
            }
        }
    } else if is_one_object(text) {
        (Some(vec![text]), false)
    } else if text.contains('\n') && text.lines().any(|line| is_json(line).is_ok()) {
        // Several lines of JSON without the content type are meant as NDJSON.
        (lines(text, max), true)
    } else {
        return match is_json(text) {
            Ok(_) => bad("send an event, an array of events, or NDJSON".to_owned()),
            Err(error) => bad(format!("the body is not JSON: {error}")),
        };
    };
    match events {
        None => {
            let message = format!("at most {max} events in a request, this one has more");
            Err(ApiError::invalid("too_many_events", None, message))
        }
        Some(events) if events.is_empty() => {
            Err(ApiError::invalid("empty", None, "there is no event in the body"))
        }
        Some(events) => Ok(Texts { events, is_lines }),
    }
}

/// Lines that are not blank; `None` if they are more than `max`.
fn lines(text: &str, max: usize) -> Option<Vec<&str>> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let found: Vec<&str> = lines.by_ref().take(max).collect();
    lines.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events that are JSON and all, of a body.
    fn count(body: &str, is_ndjson: bool) -> Option<(usize, usize)> {
        let texts = split(body, is_ndjson, 3).ok()?;
        let is_json = |text: &&&str| serde_json::from_str::<IgnoredAny>(text).is_ok();
        Some((texts.events.iter().filter(is_json).count(), texts.events.len()))
    }

    #[test]
    fn one_an_array_and_lines_are_understood() {
        assert_eq!(count(r#"{"kind":"view"}"#, false), Some((1, 1)));
        assert_eq!(count(r#"[{"kind":"view"},{}]"#, false), Some((2, 2)));
        assert_eq!(count("{}\n\n{bad\n{}\n", true), Some((2, 3)));
        assert_eq!(count("{}\n{}\n", false), Some((2, 2)));
        assert_eq!(count("{bad\n{}\n", false), Some((1, 2)));
        assert_eq!(count("{\n\"kind\": \"view\"\n}", false), Some((1, 1)));
    }

    #[test]
    fn nothing_and_too_much_are_refused_whole() {
        for body in ["", "[]", "7", "\"x\"", "nonsense", "[{},{},{},{}]", "[{}", "[{}]{}"] {
            assert_eq!(count(body, false).map(|(_, all)| all), None, "{body}");
        }
        assert_eq!(count("{}\n{}\n{}\n{}", true), None);
        assert_eq!(count("{}\n{}\n{}\n{}", false), None);
    }

    #[test]
    fn too_many_are_told_by_the_first_of_them() {
        let many = format!("[{}", "{\"\":0},".repeat(600_000));
        let Err(ApiError::Invalid { code, .. }) = split(&many, false, 10_000) else { panic!() };
        assert_eq!(code, "too_many_events");
    }

    #[test]
    fn an_event_with_a_tree_in_it_is_not_parsed() {
        let code = |text: &str| match parse(text) {
            Ok(_) => "",
            Err(fault) => fault.rejected(0).code,
        };
        assert_eq!(code(r#"{"kind":"view","item_id":{"a":1}}"#), "", "its field is at fault");
        assert_eq!(code(&format!("{{\"kind\":[{}0]}}", "{\"\":0},".repeat(9_000))), "too_complex");
        assert_eq!(code(&format!("{{\"kind\":\"{}\"}}", "x".repeat(70_000))), "too_complex");
        assert_eq!(code(&format!("{{\"kind\":\"{}\"", "x".repeat(70_000))), "bad_json");
        assert_eq!(code("7"), "bad_json");
    }
}
