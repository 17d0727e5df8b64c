//! Refused entries of a request that may carry several: each is named by its place; all of them together are an error.

use std::borrow::Cow;

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ErrorBody;
use tidings_core::base::FieldError;

/// A refused event, item or message.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Rejected {
    /// Place in the request.
    pub index: usize,
    /// Stable name of the error, snake_case.
    pub code: &'static str,
    /// The field at fault; null of an entry that could not be read.
    pub field: Option<Cow<'static, str>>,
    /// The error in words, with the fix.
    pub message: String,
}

impl Rejected {
    /// The entry at a place, with its error.
    pub fn new(index: usize, FieldError { code, field, message }: FieldError) -> Self {
        Self { index, code, field: Some(field), message }
    }
}

/// A request of which nothing was accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = AllRejected)]
pub struct Refusal<'a> {
    #[serde(flatten)]
    error: ErrorBody,
    /// Present where the entries could be read, as the next two; 0.
    #[schema(required = false)]
    accepted: usize,
    /// 0.
    #[schema(required = false)]
    duplicates: usize,
    /// All of them.
    #[schema(required = false)]
    rejected: &'a [Rejected],
}

/// Answers 400 with all that were refused; the error is that of the first. `entries`: their name in the plural.
pub fn refuse_all(entries: &str, rejected: &[Rejected]) -> HttpResponse {
    let (code, field) = match rejected.first() {
        Some(first) => (first.code, first.field.as_deref()),
        None => ("empty", None),
    };
    let message = match rejected {
        [one] => one.message.clone(),
        several => format!("none of the {} {entries} can be accepted; see rejected", several.len()),
    };
    let error = ErrorBody::new(code, message, field);
    HttpResponse::BadRequest().json(Refusal { error, accepted: 0, duplicates: 0, rejected })
}
