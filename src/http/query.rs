//! Query parameters: unknown ones are refused with the nearest name.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, web};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use tidings_core::base::suggest_nearest;

/// Parameters of a route that takes none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

/// Reads the parameters of a request.
pub fn read<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, ApiError> {
    parse(request.query_string())
}

/// Reads a query string.
pub fn parse<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    web::Query::<T>::from_query(query).map(web::Query::into_inner).map_err(|error| refused(&error))
}

/// Words for parameters that can't be read.
pub fn refused(error: &impl ToString) -> ApiError {
    let message = error.to_string();
    let message = message.strip_prefix("Query deserialize error: ").unwrap_or(&message);
    let Some(unknown) = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next())
    else {
        return ApiError::invalid("bad_query", None, message);
    };
    let shown = suggest_nearest(message).replacen("unknown field", "unknown parameter", 1);
    let shown = shown.replacen("there are no fields", "this path takes none", 1);
    ApiError::invalid_field("unknown_parameter", unknown.to_owned(), shown)
}

/// Refuses parameters of a route that takes none.
pub async fn none(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if !request.query_string().is_empty() {
        parse::<NoParameters>(request.query_string())?;
    }
    next.call(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Page {
        limit: Option<u32>,
    }

    #[test]
    fn an_unknown_parameter_is_named_with_the_nearest() {
        assert_eq!(parse::<Page>("limit=7").unwrap().limit, Some(7));
        for (query, code, text) in [
            ("limt=7", "unknown_parameter", "unknown parameter `limt`; did you mean `limit`?"),
            ("x=1", "unknown_parameter", "unknown parameter `x`, expected `limit`"),
            ("limit=seven", "bad_query", "invalid digit found in string"),
        ] {
            let Err(ApiError::Invalid { code: found, message, .. }) = parse::<Page>(query) else {
                panic!("{query}")
            };
            assert_eq!((found, &*message), (code, text), "{query}");
        }
        let Err(error) = parse::<NoParameters>("exclude=1") else { panic!() };
        assert_eq!(error.to_string(), "unknown parameter `exclude`, this path takes none");
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        for query in ["limit=1&limit=2", "limit=1&limit=1", "limit=1&%6cimit=2"] {
            let Err(error) = parse::<Page>(query) else { panic!("{query}") };
            assert_eq!(error.to_string(), "duplicate field `limit`", "{query}");
        }
    }
}
