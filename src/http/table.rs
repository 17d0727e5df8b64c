//! A table of routes that answers for its methods: `HEAD` wherever there is a `GET`, `OPTIONS` everywhere, and 405 with `Allow` for
//! any other method of a path that exists.

use std::collections::BTreeSet;

use actix_web::guard::{Any, Get, Head};
use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::middleware::from_fn;
use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, ResponseError, Route, web,
};

use super::describe::May;
use super::error::ApiError;
use super::permit::Authorised;
use super::query;

/// A method that waits for its handler.
#[derive(Clone, Debug)]
pub struct Verb(Method);

/// A method and its handler.
pub struct Entry {
    method: Method,
    route: Route,
    may: May,
}

/// Reads.
pub fn get() -> Verb {
    Verb(Method::GET)
}

/// Acts or adds.
pub fn post() -> Verb {
    Verb(Method::POST)
}

/// Replaces or makes.
pub fn put() -> Verb {
    Verb(Method::PUT)
}

/// Changes.
pub fn patch() -> Verb {
    Verb(Method::PATCH)
}

/// Ends or removes.
pub fn delete() -> Verb {
    Verb(Method::DELETE)
}

impl Verb {
    /// Names the handler.
    pub fn to<F, Args>(self, handler: F) -> Entry
    where
        F: Handler<Args>,
        Args: Authorised + FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        // The body that a handler makes for `HEAD` is not sent: the encoder writes the length and leaves the bytes out.
        let route = match self.0 {
            Method::GET => web::route().guard(Any(Get()).or(Head())),
            ref method => web::route().method(method.clone()),
        };
        Entry { method: self.0, route: route.to(handler), may: Args::MAY }
    }

    /// Names the handler of a route that takes no parameters: any is refused.
    pub fn bare<F, Args>(self, handler: F) -> Entry
    where
        F: Handler<Args>,
        Args: Authorised + FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let Entry { method, route, may } = self.to(handler);
        Entry { method, route: route.wrap(from_fn(query::none)), may }
    }
}

/// Paths in the order in which they are tried, each with its methods.
#[derive(Default)]
pub struct Table {
    paths: Vec<(&'static str, Vec<Entry>)>,
}

impl Table {
    /// Adds a method to a path.
    #[must_use]
    pub fn route(mut self, path: &'static str, entry: Entry) -> Self {
        match self.paths.iter_mut().find(|(known, _)| *known == path) {
            Some((_, entries)) => entries.push(entry),
            None => self.paths.push((path, vec![entry])),
        }
        self
    }

    /// Adds the routes of a group.
    #[must_use]
    pub fn configure(self, group: impl FnOnce(Self) -> Self) -> Self {
        group(self)
    }

    /// Method, path and who may call it, of each route.
    pub fn rights(&self) -> Vec<(Method, &'static str, May)> {
        let of_path = |(path, entries): &(&'static str, Vec<Entry>)| -> Vec<_> {
            entries.iter().map(|entry| (entry.method.clone(), *path, entry.may)).collect()
        };
        self.paths.iter().flat_map(of_path).collect()
    }

    /// One resource for each path.
    pub fn resources(self) -> impl Iterator<Item = Resource> {
        self.paths.into_iter().map(|(path, entries)| {
            let allow = allow(entries.iter().map(|entry| &entry.method));
            let resource = web::resource(path);
            let resource = entries.into_iter().fold(resource, |resource, entry| resource.route(entry.route));
            resource.default_service(web::to(move |request: HttpRequest| {
                let response = other_method(request.method(), &allow);
                async move { response }
            }))
        })
    }
}

/// Value of `Allow` for a path with these methods.
pub fn allow<'a>(methods: impl IntoIterator<Item = &'a Method>) -> HeaderValue {
    let mut names: BTreeSet<&str> = methods.into_iter().map(Method::as_str).collect();
    if names.contains("GET") {
        names.insert("HEAD");
    }
    names.insert("OPTIONS");
    let names: Vec<&str> = names.into_iter().collect();
    HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"))
}

/// Answer to a method that the path has no handler for.
pub fn other_method(method: &Method, allow: &HeaderValue) -> HttpResponse {
    let mut response = match *method {
        Method::OPTIONS => HttpResponse::NoContent().finish(),
        _ => ApiError::MethodNotAllowed.error_response(),
    };
    response.headers_mut().insert(ALLOW, allow.clone());
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permit::Anybody;
    use actix_web::{App, test};

    async fn answer(request: HttpRequest, _: Anybody) -> String {
        format!("{} {}", request.method(), request.path())
    }

    fn table() -> Table {
        Table::default()
            .route("/things", get().to(answer))
            .route("/things/last", post().to(answer))
            .route("/things/{id}", put().to(answer))
            .route("/things", delete().to(answer))
    }

    #[actix_web::test]
    async fn each_path_answers_for_its_methods() {
        let scope = table().resources().fold(web::scope("/v1"), actix_web::Scope::service);
        let app = test::init_service(App::new().service(scope)).await;
        for (method, path, status, allowed) in [
            ("GET", "/v1/things", 200, None),
            ("HEAD", "/v1/things", 200, None),
            ("DELETE", "/v1/things", 200, None),
            ("OPTIONS", "/v1/things", 204, Some("DELETE, GET, HEAD, OPTIONS")),
            ("POST", "/v1/things", 405, Some("DELETE, GET, HEAD, OPTIONS")),
            ("GET", "/v1/things/last", 405, Some("OPTIONS, POST")),
            ("HEAD", "/v1/things/7", 405, Some("OPTIONS, PUT")),
            ("PUT", "/v1/things/7", 200, None),
            ("BREW", "/v1/things/7", 405, Some("OPTIONS, PUT")),
            ("OPTIONS", "/v1/others", 404, None),
        ] {
            let request = test::TestRequest::with_uri(path).method(method.parse().unwrap());
            let response = test::call_service(&app, request.to_request()).await;
            assert_eq!(response.status(), status, "{method} {path}");
            let allow = response.headers().get(ALLOW).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(allow.as_deref(), allowed, "{method} {path}");
        }
    }
}
