//! `GET /asyncapi.json`: the AsyncAPI 3.0 document of the frames of WebSockets and event streams, made from the types that are parsed and
//! encoded.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::describe::{self, Described, May, Named};
use super::permit::Anybody;
use tidings_decision::deliver::client_frame::ClientFrame;
use tidings_decision::deliver::shapes::{
    Accepted, AcceptedMany, Close, Ephemeral, Follows, InboxCounts, MutedOf, Notification, Pong,
    Recommendation, Refused, Restore, Welcome, Withdraw,
};

/// The document as JSON; it is the same for the life of a process.
static JSON: LazyLock<String> = LazyLock::new(|| serde_json::to_string(&document()).unwrap_or_default());

/// Content of every frame.
const JSON_TYPE: &str = "application/json";
/// Sides of a connection.
const SERVER: &str = "server";
const CLIENT: &str = "client";
/// Place of the schemas.
const SCHEMAS: &str = "#/components/schemas/";
/// Frame that ends an event stream, where a WebSocket has its closing handshake.
const CLOSE: &str = "close";
/// Frames of a client that may have other fields: a login and a ping by an older or newer client, and an event, whose basket has several
/// names.
const OPEN: [&str; 3] = [LOGIN, "event", "ping"];
/// Frame that begins a WebSocket, where an event stream is logged in by its request.
const LOGIN: &str = "login";

/// Description of the route.
pub fn described() -> Vec<Described> {
    vec![
        describe::get("/asyncapi.json", May::Anybody, "Frames of WebSockets and event streams.")
            .answers::<Value>(200, "AsyncAPI 3.0."),
    ]
}

/// Answers the document.
pub async fn get(_: Anybody) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(JSON.as_str())
}

/// Schemas by name, and the frames that are made of them.
#[derive(Default)]
struct Frames {
    schemas: Vec<Named>,
    /// Of the server, each with its shapes.
    server: Vec<(&'static str, Vec<RefOr<Schema>>)>,
}

impl Frames {
    /// A type of frame with one of its shapes.
    fn shape<T: ToSchema + PartialSchema>(mut self, kind: &'static str) -> Self {
        T::schemas(&mut self.schemas);
        match self.server.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, shapes)) => shapes.push(T::schema()),
            None => self.server.push((kind, vec![T::schema()])),
        }
        self
    }
}

/// Every frame of the server.
fn of_server() -> Frames {
    Frames::default()
        .shape::<Welcome<'_>>("welcome")
        .shape::<Recommendation<'_>>("recommendation")
        .shape::<Recommendation<'_>>("notification")
        .shape::<Notification<'_>>("notification")
        .shape::<Ephemeral<'_>>("notification")
        .shape::<InboxCounts>("inbox")
        .shape::<Withdraw>("withdraw")
        .shape::<Restore>("restore")
        .shape::<Accepted<'_>>("accepted")
        .shape::<AcceptedMany>("accepted")
        .shape::<MutedOf<'_>>("muted")
        .shape::<Follows<'_>>("subscribed")
        .shape::<Follows<'_>>("unsubscribed")
        .shape::<Pong>("pong")
        .shape::<Refused<'_>>("error")
        .shape::<Close>(CLOSE)
}

fn value(schema: &impl Serialize) -> Value {
    serde_json::to_value(schema).unwrap_or_default()
}

/// Schemas that others refer to.
type Components = BTreeMap<String, Value>;

/// An object put together of others, as one: its fields, those it must have, and whether it may have others.
fn merged(schema: &Value, components: &Components, into: &mut Map<String, Value>) {
    if let Some(name) =
        schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix(SCHEMAS))
    {
        return components.get(name).into_iter().for_each(|schema| merged(schema, components, into));
    }
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        merged(part, components, into);
    }
    for (name, value) in schema.as_object().into_iter().flatten() {
        match (name.as_str(), into.get_mut(name)) {
            ("allOf", _) => {}
            ("properties", Some(Value::Object(known))) => {
                known.extend(value.as_object().cloned().unwrap_or_default())
            }
            ("required", Some(Value::Array(known))) => {
                known.extend(value.as_array().cloned().unwrap_or_default())
            }
            ("description", Some(_)) => {}
            _ => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
}

/// One shape of a frame of this type.
fn of_type(kind: &str, shape: &Value, components: &Components) -> Value {
    let mut whole = Map::new();
    merged(shape, components, &mut whole);
    let tag = [("type", "string".into()), ("const", kind.into())];
    let tag: Map<String, Value> = tag.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if let Some(properties) = whole.entry("properties").or_insert_with(|| Map::new().into()).as_object_mut() {
        properties.insert("type".to_owned(), tag.into());
    }
    if let Some(required) =
        whole.entry("required").or_insert_with(|| Vec::<Value>::new().into()).as_array_mut()
    {
        required.retain(|name| name != "type");
        required.insert(0, "type".into());
    }
    whole.into()
}

/// Frames of a client, each with its one shape: the alternatives of the type that is parsed.
fn of_client(components: &Components) -> Vec<(String, Value)> {
    let all = value(&ClientFrame::schema());
    let alternatives = all.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_default();
    let frame = |alternative: &Value| {
        let mut whole = Map::new();
        merged(alternative, components, &mut whole);
        let kind = whole.get("properties")?.pointer("/type/enum/0")?.as_str()?.to_owned();
        let mut shape = of_type(&kind, alternative, components);
        if let Some(object) = shape.as_object_mut().filter(|_| !OPEN.contains(&kind.as_str())) {
            object.insert("additionalProperties".to_owned(), false.into());
        }
        Some((kind, shape))
    };
    alternatives.iter().filter_map(frame).collect()
}

/// A reference within the document.
#[derive(Clone, Serialize)]
struct Reference {
    #[serde(rename = "$ref")]
    to: String,
}

impl Reference {
    fn new(to: String) -> Self {
        Self { to }
    }
}

/// The document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    asyncapi: &'static str,
    info: Info,
    default_content_type: &'static str,
    channels: BTreeMap<&'static str, Channel>,
    operations: BTreeMap<&'static str, Operation>,
    components: Parts,
}

#[derive(Serialize)]
struct Info {
    title: &'static str,
    version: &'static str,
    description: &'static str,
    license: License,
}

#[derive(Serialize)]
struct License {
    name: &'static str,
}

/// Somewhere frames go to and come from.
#[derive(Serialize)]
struct Channel {
    address: &'static str,
    description: &'static str,
    messages: BTreeMap<String, Reference>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parameters: BTreeMap<&'static str, Parameter>,
}

#[derive(Serialize)]
struct Parameter {
    description: &'static str,
}

/// Direction of the frames of a channel: sent or received by the server.
#[derive(Serialize)]
struct Operation {
    action: &'static str,
    channel: Reference,
    summary: &'static str,
    messages: Vec<Reference>,
}

#[derive(Serialize)]
struct Parts {
    messages: BTreeMap<String, Message>,
    schemas: Components,
}

/// A type of frame of one side.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    name: String,
    summary: String,
    content_type: &'static str,
    payload: Value,
}

impl Message {
    fn new(name: &str, summary: String, payload: Value) -> Self {
        Self { name: name.to_owned(), summary, content_type: JSON_TYPE, payload }
    }
}

/// Name of a message among the components: both sides may have frames of one type.
fn of(side: &str, kind: &str) -> String {
    format!("{side}.{kind}")
}

fn channel(address: &'static str, description: &'static str, messages: &[String]) -> Channel {
    let named =
        messages.iter().map(|name| (name.clone(), Reference::new(format!("#/components/messages/{name}"))));
    Channel { address, description, messages: named.collect(), parameters: BTreeMap::new() }
}

fn operation(action: &'static str, channel: &str, messages: &[String]) -> Operation {
    let of_channel = |name: &String| Reference::new(format!("#/channels/{channel}/messages/{name}"));
    let summary = if action == "send" { "Frames of the server." } else { "Frames of a client." };
    Operation {
        action,
        channel: Reference::new(format!("#/channels/{channel}")),
        summary,
        messages: messages.iter().map(of_channel).collect(),
    }
}

/// Messages of the server and of a client, by name.
fn messages(
    server: &[(&'static str, Vec<RefOr<Schema>>)],
    components: &Components,
) -> BTreeMap<String, Message> {
    let of_server = server.iter().map(|(kind, shapes)| {
        let mut shapes: Vec<Value> =
            shapes.iter().map(|shape| of_type(kind, &value(shape), components)).collect();
        let payload = match shapes.len() {
            1 => shapes.remove(0),
            _ => [("oneOf".to_owned(), Value::Array(shapes))].into_iter().collect::<Map<_, _>>().into(),
        };
        (of(SERVER, kind), Message::new(kind, format!("`{kind}` of the server."), payload))
    });
    let of_client = of_client(components).into_iter().map(|(kind, shape)| {
        let summary = shape.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
        (of(CLIENT, &kind), Message::new(&kind, summary, shape))
    });
    of_server.chain(of_client).collect()
}

/// The document.
pub fn document() -> Document {
    let Frames { mut schemas, server } = of_server();
    ClientFrame::schemas(&mut schemas);
    let mut components: Components =
        schemas.into_iter().map(|(name, schema)| (name, value(&schema))).collect();
    let messages = messages(&server, &components);
    used_only(&mut components, messages.values().map(|message| message.payload.clone()).collect());
    let named = |side: &str, but: &str| -> Vec<String> {
        let is_of = |name: &&String| name.starts_with(side) && **name != of(side, but);
        messages.keys().filter(is_of).cloned().collect()
    };
    let (sent, streamed) = (named(SERVER, CLOSE), named(SERVER, ""));
    let (received, posted) = (named(CLIENT, ""), named(CLIENT, LOGIN));
    let mut frames = channel(
        "/v1/connections/{connection_id}/frames",
        "The way back of an event stream: a request with one frame, or an array.",
        &posted,
    );
    frames
        .parameters
        .insert("connection_id", Parameter { description: "As the welcome of the stream tells it." });
    let both = [sent.clone(), received.clone()].concat();
    Document {
        asyncapi: "3.0.0",
        info: Info {
            title: "Tidings",
            version: env!("CARGO_PKG_VERSION"),
            description: "Frames of WebSockets and event streams, one JSON object each. Clients ignore fields that they do not know; the \
                          server refuses them. The order of frames and the codes of a closing are in docs/api.md.",
            license: License { name: "Apache-2.0" },
        },
        default_content_type: JSON_TYPE,
        channels: BTreeMap::from([
            ("websocket", channel("/ws", "A WebSocket: text frames of JSON.", &both)),
            (
                "stream",
                channel(
                    "/v1/sse",
                    "An event stream: each frame the data of an event of its type.",
                    &streamed,
                ),
            ),
            ("frames", frames),
        ]),
        operations: BTreeMap::from([
            ("sendOnSocket", operation("send", "websocket", &sent)),
            ("receiveOnSocket", operation("receive", "websocket", &received)),
            ("sendOnStream", operation("send", "stream", &streamed)),
            ("receiveFrames", operation("receive", "frames", &posted)),
        ]),
        components: Parts { messages, schemas: components },
    }
}

/// Leaves the schemas that something refers to, directly or not.
fn used_only(components: &mut Components, mut open: Vec<Value>) {
    let mut used = BTreeMap::new();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                let name =
                    members.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix(SCHEMAS));
                if let Some((name, schema)) = name.and_then(|name| components.remove_entry(name)) {
                    open.push(schema.clone());
                    used.insert(name, schema);
                }
                open.extend(members.into_iter().map(|(_, member)| member));
            }
            Value::Array(parts) => open.extend(parts),
            _ => {}
        }
    }
    *components = used;
}
