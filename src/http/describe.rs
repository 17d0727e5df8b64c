//! Description of a route for the OpenAPI document: its parameters, bodies, answers and errors by their types, and who may call it. Each
//! module describes its own routes beside their handlers; `openapi.rs` puts them together.

use serde_json::Value;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ObjectBuilder, OneOfBuilder, Ref, Type};
use utoipa::openapi::{
    Content, ContentBuilder, RefOr, Required, Response, ResponseBuilder, Schema, SecurityRequirement,
};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::error::ErrorBody;
use tidings_core::base::{ExternalId, NotificationId};
use tidings_decision::privacy::{Permission, Scope};

const JSON: &str = "application/json";
/// Name of the security scheme of signed tokens.
pub const TOKEN: &str = "token";
/// Name of the security scheme of API keys.
pub const API_KEY: &str = "api_key";
/// Name of the security scheme of sessions of people.
pub const SESSION: &str = "session";

/// Caller of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    /// Anybody, without a token.
    Anybody,
    /// Any token; what it may say or see depends on the request.
    User,
    /// A person who is signed in.
    Person,
    /// A user, as far as the request is about that user, or a role with the permission.
    UserOr(Permission),
    /// The user of the path, or a role with the permission.
    Owner(Permission),
    /// A role with the permission.
    Needs(Permission),
}

impl May {
    /// Names in the security requirements of the document, one of which is needed; empty = no token is.
    pub fn names(self) -> Vec<&'static str> {
        match self {
            Self::Anybody | Self::Person => vec![],
            Self::User => vec!["user"],
            Self::UserOr(permission) => vec!["user", permission.name()],
            Self::Owner(permission) => vec!["owner", permission.name()],
            Self::Needs(permission) => vec![permission.name()],
        }
    }
}

/// A named schema.
pub type Named = (String, RefOr<Schema>);

/// One route, described.
pub struct Described {
    method: HttpMethod,
    path: &'static str,
    may: May,
    summary: &'static str,
    parameters: Vec<Parameter>,
    body: Option<RequestBody>,
    answers: Vec<(u16, Response)>,
    refusals: Vec<u16>,
    schemas: Vec<Named>,
}

macro_rules! verbs {
    ($($verb:ident $method:ident),*) => {
        $(
            /// A route of this method.
            pub fn $verb(path: &'static str, may: May, summary: &'static str) -> Described {
                Described::new(HttpMethod::$method, path, may, summary)
            }
        )*
    };
}

verbs!(get Get, post Post, put Put, patch Patch, delete Delete);

impl Described {
    fn new(method: HttpMethod, path: &'static str, may: May, summary: &'static str) -> Self {
        let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        Self {
            method,
            path,
            may,
            summary,
            parameters: names.map(|name| in_path(path, name)).collect(),
            body: None,
            answers: Vec::new(),
            refusals: Vec::new(),
            schemas: Vec::new(),
        }
    }

    /// Query parameters.
    #[must_use]
    pub fn query<T: IntoParams>(mut self) -> Self {
        self.parameters.extend(T::into_params(|| Some(ParameterIn::Query)));
        self
    }

    /// A query parameter by hand, for those that are read one by one.
    #[must_use]
    pub fn parameter<T: PartialSchema>(self, name: &str, about: &str) -> Self {
        self.given::<T>(ParameterIn::Query, name, about)
    }

    /// A request header.
    #[must_use]
    pub fn header(self, name: &str, about: &str) -> Self {
        self.given::<String>(ParameterIn::Header, name, about)
    }

    fn given<T: PartialSchema>(mut self, place: ParameterIn, name: &str, about: &str) -> Self {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(place)
            .required(Required::False)
            .description(Some(about))
            .schema(Some(T::schema()));
        self.parameters.push(parameter.build());
        self
    }

    /// A JSON body.
    #[must_use]
    pub fn body<T: ToSchema>(self) -> Self {
        self.reads::<T>(JSON, Required::True)
    }

    /// A JSON body that may be left out.
    #[must_use]
    pub fn optional_body<T: ToSchema>(self) -> Self {
        self.reads::<T>(JSON, Required::False)
    }

    /// A body of another type, or of another type as well.
    #[must_use]
    pub fn body_as<T: ToSchema>(self, media: &str) -> Self {
        self.reads::<T>(media, Required::True)
    }

    /// A JSON body of one, or of an array of them.
    #[must_use]
    pub fn bodies<T: ToSchema>(mut self) -> Self {
        let one = self.refer::<T>();
        let schema = OneOfBuilder::new().item(one.clone()).item(ArrayBuilder::new().items(RefOr::from(one)));
        self.takes(JSON, schema.into(), Required::True)
    }

    fn reads<T: ToSchema>(mut self, media: &str, required: Required) -> Self {
        let schema = self.refer::<T>().into();
        self.takes(media, schema, required)
    }

    fn takes(mut self, media: &str, schema: RefOr<Schema>, required: Required) -> Self {
        let body = self.body.take().map_or_else(RequestBodyBuilder::new, RequestBodyBuilder::from);
        let content = Content::new(Some(schema));
        self.body = Some(body.content(media, content).required(Some(required)).build());
        self
    }

    /// An example of the JSON body.
    #[must_use]
    pub fn body_example(mut self, text: &str) -> Self {
        if let Some(RefOr::T(content)) = self.body.as_mut().and_then(|body| body.content.get_mut(JSON)) {
            content.example = example(text);
        }
        self
    }

    /// A JSON answer of a status.
    #[must_use]
    pub fn answers<T: ToSchema>(mut self, status: u16, about: &str) -> Self {
        let content = Content::new(Some(self.refer::<T>()));
        let response = ResponseBuilder::new().description(about).content(JSON, content).build();
        self.answers.push((status, response));
        self
    }

    /// An example of the JSON answer before this.
    #[must_use]
    pub fn example(mut self, text: &str) -> Self {
        let last = self.answers.last_mut().and_then(|(_, response)| response.content.get_mut(JSON));
        if let Some(RefOr::T(content)) = last {
            content.example = example(text);
        }
        self
    }

    /// An answer of another media type, whose text or bytes the schema describes.
    #[must_use]
    pub fn answers_as<T: ToSchema>(mut self, status: u16, media: &str, about: &str) -> Self {
        let content = ContentBuilder::new().schema(Some(self.refer::<T>())).build();
        let response = ResponseBuilder::new().description(about).content(media, content).build();
        self.answers.push((status, response));
        self
    }

    /// An answer without a body.
    #[must_use]
    pub fn empty(mut self, status: u16, about: &str) -> Self {
        self.answers.push((status, Response::new(about)));
        self
    }

    /// Errors beside those that every route has.
    #[must_use]
    pub fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend(statuses);
        self
    }

    /// The reference to a type's schema, which is kept.
    fn refer<T: ToSchema>(&mut self) -> Ref {
        let name = T::name().into_owned();
        self.schemas.push((name.clone(), T::schema()));
        T::schemas(&mut self.schemas);
        Ref::from_schema_name(name)
    }

    /// The operation as the document has it, and the schemas it names.
    pub fn finish(mut self) -> (&'static str, PathItem, Vec<Named>) {
        let error = self.refer::<ErrorBody>();
        let errors = self.errors();
        let mut operation = OperationBuilder::new()
            .summary(Some(self.summary))
            .operation_id(Some(self.id()))
            .tag(tag(self.path))
            .request_body(self.body.take());
        for parameter in std::mem::take(&mut self.parameters) {
            operation = operation.parameter(parameter);
        }
        let mut answers = std::mem::take(&mut self.answers);
        for status in errors {
            let content = Content::new(Some(error.clone()));
            // A page may say so to people, and what stands before the handler say it to programs.
            match answers.iter_mut().find(|(answered, _)| *answered == status) {
                Some((_, response)) => drop(response.content.insert(JSON.to_owned(), content.into())),
                None => {
                    let response = ResponseBuilder::new().description(meaning(status)).content(JSON, content);
                    answers.push((status, response.build()));
                }
            }
        }
        for (status, response) in answers {
            operation = operation.response(status.to_string(), response);
        }
        for requirement in self.requirements() {
            operation = operation.security(requirement);
        }
        (self.path, PathItem::new(self.method, operation), self.schemas)
    }

    /// Statuses of errors: those of every route with a token, those of a body, and its own.
    fn errors(&self) -> Vec<u16> {
        let mut all = self.refusals.clone();
        // Every route refuses parameters that it does not know.
        all.extend([400, 429, 503]);
        if self.may != May::Anybody {
            all.extend([401, 403]);
        }
        if self.body.is_some() {
            all.extend([408, 413, 415]);
        }
        if ["/users/{id}", "/recommend", "/subscriptions"].iter().any(|part| self.path.contains(part)) {
            all.push(410);
        }
        all.sort_unstable();
        all.dedup();
        let answered = |status: &u16| self.answers.iter().any(|(known, _)| known == status);
        all.retain(|status| !answered(status));
        all
    }

    fn requirements(&self) -> Vec<SecurityRequirement> {
        let names = self.may.names();
        match self.may {
            May::Anybody => return vec![SecurityRequirement::default()],
            May::Person => return vec![SecurityRequirement::new(SESSION, [] as [&str; 0])],
            _ => {}
        }
        let scope = Scope::of_route(self.method_name(), self.path);
        let scopes: Vec<String> = scope.iter().map(ToString::to_string).collect();
        vec![
            SecurityRequirement::new(TOKEN, names.clone()),
            SecurityRequirement::new(SESSION, names),
            SecurityRequirement::new(API_KEY, scopes),
        ]
    }

    fn method_name(&self) -> &'static str {
        match self.method {
            HttpMethod::Get => "GET",
            HttpMethod::Put => "PUT",
            HttpMethod::Patch => "PATCH",
            HttpMethod::Delete => "DELETE",
            _ => "POST",
        }
    }

    /// `get_v1_users_id_inbox`: method and path.
    fn id(&self) -> String {
        let words = self.path.split(['/', '{', '}', '-', '.']).filter(|word| !word.is_empty());
        let mut id = self.method_name().to_lowercase();
        words.for_each(|word| {
            id.push('_');
            id.push_str(word);
        });
        id
    }
}

/// Schema of a merge patch (RFC 7396) of an object: some of its fields, each of which may be null.
pub fn patch_of(object: RefOr<Schema>, about: &str, changeable: impl Fn(&str) -> bool) -> RefOr<Schema> {
    let RefOr::T(Schema::Object(mut object)) = object else { return object };
    object.properties.retain(|name, _| changeable(name));
    for field in object.properties.values_mut() {
        let null = ObjectBuilder::new().schema_type(Type::Null);
        *field = AnyOfBuilder::new().item(null).item(field.clone()).into();
    }
    object.required.clear();
    object.description = Some(about.to_owned());
    Schema::Object(object).into()
}

/// A parameter of the path.
fn in_path(path: &str, name: &str) -> Parameter {
    let text = || -> RefOr<Schema> { ObjectBuilder::new().schema_type(Type::String).into() };
    let (about, schema) = match name {
        "id" if path.contains("/users/") => ("Id of a user, as the shop has it.", ExternalId::schema()),
        "id" if path.contains("/items/") => ("Id of an item, as the shop has it.", ExternalId::schema()),
        "id" => ("Id, a UUID.", NotificationId::schema()),
        "version" => ("Version of a model.", i32::schema()),
        "kind" => ("Kind of definitions.", kinds()),
        "connection_id" => ("Name of the connection, from the `welcome` of its stream.", text()),
        _ => ("Name.", text()),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(about))
        .schema(Some(schema))
        .build()
}

fn kinds() -> RefOr<Schema> {
    let all = ["triggers", "templates", "policies", "experiments", "placements"];
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(all)).into()
}

/// Group of a path: what follows its prefix.
fn tag(path: &str) -> &str {
    let path = path.trim_start_matches('/');
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    match first {
        "v1" => rest.split('/').next().unwrap_or(rest),
        "admin" => "admin",
        _ => "server",
    }
}

/// An example; a text that is no JSON is a string, which is no example of an object.
fn example(text: &str) -> Option<Value> {
    Some(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())))
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The body or a parameter is not what it should be.",
        401 => "No token, or a bad one.",
        403 => "The token does not allow this.",
        404 => "No such thing.",
        408 => "The body did not come in time.",
        409 => "It can't be done as things are.",
        410 => "The user was erased.",
        412 => "It was changed meanwhile.",
        413 => "The body is too large.",
        415 => "The body is packed in a way that is not understood.",
        422 => "The Idempotency-Key was used for another request.",
        429 => "Too many requests, or too much waits; Retry-After says when to try again.",
        _ => "The server can't do it now; Retry-After says when to try again.",
    }
}
