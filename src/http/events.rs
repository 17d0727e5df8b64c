//! `POST /v1/events`: one event, an array, or NDJSON. The good ones are taken, the bad ones named by index.

use std::borrow::Cow;
use std::time::Instant;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::auth::Caller;
use super::body::Batch;
use super::error::ApiError;
use crate::actors::App;
use crate::actors::ingest::messages::Origin;
use crate::base::Timestamp;
use crate::event::{Admission, EventError, NewEvent, RawEvent};
use crate::telemetry::Count;

struct Rejected {
    index: usize,
    code: &'static str,
    field: Option<Cow<'static, str>>,
    message: String,
}

/// Answers 202 after the commit; a body that can't be read at all is a 400.
pub async fn post(
    request: HttpRequest,
    Batch(body): Batch,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let at = Instant::now();
    let content_type =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let raws = split(&body, content_type, app.state.config.ingest.max_batch)?;
    let catalogue = app.state.catalogue.load_full();
    let admission = Admission::new(caller.speaker(), &app.state.config, &catalogue, Timestamp::now())
        .with_kinds(&app.state.event_kinds);
    let mut good: Vec<NewEvent> = Vec::with_capacity(raws.len());
    let mut rejected = Vec::new();
    for (index, raw) in raws.into_iter().enumerate() {
        match parse(raw, &caller, &admission) {
            Ok(event) => good.push(event),
            Err(reason) => rejected.push(Rejected { index, ..reason }),
        }
    }
    app.state.metrics.add(Count::RejectedEvents, rejected.len() as u64);
    let sent = good.len();
    let stored = if good.is_empty() {
        0
    } else {
        app.ingest
            .ingest(good, at, Origin::Http, &app.state)
            .await?
            .iter()
            .filter(|appended| appended.stored().is_some())
            .count()
    };
    let rejected: Vec<Value> = rejected
        .into_iter()
        .map(|Rejected { index, code, field, message }| json!({"index": index, "code": code, "field": field, "message": message}))
        .collect();
    Ok(HttpResponse::Accepted()
        .json(json!({"accepted": stored, "duplicates": sent - stored, "rejected": rejected})))
}

/// One object, an array, or a line each. A line that is not JSON is that line's error.
fn split(body: &[u8], content_type: &str, max: usize) -> Result<Vec<Result<Value, String>>, ApiError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        ApiError::invalid("bad_encoding", None, format!("the body is not UTF-8: {error}"))
    })?;
    let is_ndjson = content_type.contains("ndjson") || content_type.contains("jsonl");
    let raws: Vec<Result<Value, String>> = if is_ndjson {
        lines(text)
    } else {
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Array(events)) => events.into_iter().map(Ok).collect(),
            Ok(event @ Value::Object(_)) => vec![Ok(event)],
            Ok(_) => {
                return Err(ApiError::invalid(
                    "bad_json",
                    None,
                    "send an event, an array of events, or NDJSON",
                ));
            }
            // Several lines of JSON without the content type are meant as NDJSON.
            Err(_) if text.trim_end().contains('\n') && lines(text).iter().any(Result::is_ok) => lines(text),
            Err(error) => {
                return Err(ApiError::invalid("bad_json", None, format!("the body is not JSON: {error}")));
            }
        }
    };
    if raws.is_empty() {
        return Err(ApiError::invalid("empty", None, "there is no event in the body"));
    }
    if raws.len() > max {
        return Err(ApiError::invalid(
            "too_many_events",
            None,
            format!("at most {max} events in a request, this one has {}", raws.len()),
        ));
    }
    Ok(raws)
}

fn lines(text: &str) -> Vec<Result<Value, String>> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).map_err(|error| error.to_string()))
        .collect()
}

fn parse(
    raw: Result<Value, String>,
    caller: &Caller,
    admission: &Admission<'_>,
) -> Result<NewEvent, Rejected> {
    let fail = |message: String| Rejected { index: 0, code: "bad_json", field: None, message };
    let raw = raw.map_err(fail)?;
    let raw: RawEvent = serde_json::from_value(raw).map_err(|error| fail(error.to_string()))?;
    admission.admit(raw, caller.subject()).map_err(|EventError { code, field, message }| Rejected {
        index: 0,
        code,
        field: Some(field),
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(body: &str, content_type: &str) -> Option<(usize, usize)> {
        let raws = split(body.as_bytes(), content_type, 3).ok()?;
        Some((raws.iter().filter(|raw| raw.is_ok()).count(), raws.len()))
    }

    #[test]
    fn one_an_array_and_lines_are_understood() {
        assert_eq!(count(r#"{"kind":"view"}"#, "application/json"), Some((1, 1)));
        assert_eq!(count(r#"[{"kind":"view"},{}]"#, "application/json"), Some((2, 2)));
        assert_eq!(count("{}\n\n{bad\n{}\n", "application/x-ndjson"), Some((2, 3)));
        assert_eq!(count("{}\n{}\n", "application/json"), Some((2, 2)));
        assert_eq!(count("{\n\"kind\": \"view\"\n}", ""), Some((1, 1)));
    }

    #[test]
    fn nothing_and_too_much_are_refused_whole() {
        for body in ["", "[]", "7", "nonsense", "[{},{},{},{}]"] {
            assert_eq!(count(body, "application/json"), None, "{body}");
        }
    }
}
