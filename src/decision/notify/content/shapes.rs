//! Static types of a template's values, known before rendering: their fields, and the most bytes they take when written
//! out. The bounds follow from the limits of the catalogue (`PUT /v1/items`) and of `POST /v1/triggers/{name}`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::context::{ITEM_FIELDS, MAX_ITEMS, USER_FIELDS};

/// Bytes of any number: a float is written without exponent, up to 309 digits.
pub(super) const NUMBER_BYTES: u64 = 350;
/// An item's title or URL; `catalogue` takes no longer ones.
const TEXT_BYTES: u64 = 2_048;
/// A category, an attribute, an id.
const WORD_BYTES: u64 = 256;
/// The whole `event`, 4,096 bytes of JSON, with quotes and spaces as templates write it.
const EVENT_BYTES: u64 = 8_192;
/// The attributes of a user, [`MAX_BYTES`](tidings_core::profile::attributes::MAX_BYTES) of JSON, as templates write them.
const ATTRIBUTES_BYTES: u64 = 8_192;
/// An item written out as a whole.
const ITEM_BYTES: u64 = 2 * TEXT_BYTES + 8 * WORD_BYTES;

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Anything: a field of `event`, a mixture.
    Any,
    Text,
    /// A number or a truth value.
    Number,
    User,
    Item,
    /// A list of items.
    Items,
    /// `loop` inside of `{% for %}`.
    Loop,
}

/// A value before rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Typed {
    pub shape: Shape,
    /// Most bytes when written out, elements of lists at least one each.
    pub bytes: u64,
    /// The field of `event` that it is, a place in [`EventFields`].
    pub field: Option<usize>,
}

impl Typed {
    /// A number or a truth value.
    pub const NUMBER: Self = Self::new(Shape::Number, NUMBER_BYTES);
    /// Nothing.
    pub const MISSING: Self = Self::new(Shape::Any, 0);

    pub const fn new(shape: Shape, bytes: u64) -> Self {
        Self { shape, bytes, field: None }
    }

    pub const fn text(bytes: u64) -> Self {
        Self::new(Shape::Text, bytes)
    }

    /// Either of two values.
    pub fn or(self, other: Self) -> Self {
        let shape = if self.shape == other.shape || other == Self::MISSING { self.shape } else { Shape::Any };
        Self { shape, bytes: self.bytes.max(other.bytes), field: self.field.or(other.field) }
    }

    /// One element of a list, or one character of a text.
    pub fn element(self) -> Self {
        match self.shape {
            Shape::Items => Self::new(Shape::Item, ITEM_BYTES),
            Shape::Text => Self::text(4),
            _ => Self::new(Shape::Any, self.bytes),
        }
    }

    /// Most elements of a list, or characters of a text.
    pub fn elements(self) -> u64 {
        match self.shape {
            Shape::Items => MAX_ITEMS as u64,
            _ => self.bytes,
        }
    }

    /// Name of the shape for a person.
    pub fn description(self) -> &'static str {
        match self.shape {
            Shape::Any => "a value",
            Shape::Text => "a text",
            Shape::Number => "a number",
            Shape::User => "`user`",
            Shape::Item => "an item",
            Shape::Items => "a list of items",
            Shape::Loop => "`loop`",
        }
    }

    /// Names of the fields; `None` where any name may be one.
    pub fn fields(self) -> Option<&'static [&'static str]> {
        match self.shape {
            Shape::Any => None,
            Shape::Text | Shape::Number | Shape::Items => Some(&[]),
            Shape::User => Some(&USER_FIELDS),
            Shape::Item => Some(&ITEM_FIELDS),
            Shape::Loop => Some(&LOOP_FIELDS),
        }
    }

    /// The field of that name; nothing where there is none.
    pub fn field(self, name: &str) -> Self {
        let known = match (self.shape, name) {
            (Shape::Any, _) => Some(Self { field: None, ..self }),
            (Shape::Loop, "previtem" | "nextitem") => {
                Some(Self::new(Shape::Any, EVENT_BYTES.max(ITEM_BYTES)))
            }
            (Shape::Loop, _) => Some(Self::NUMBER),
            (Shape::User, "user_id") | (Shape::Item, "item_id") => Some(Self::new(Shape::Any, WORD_BYTES)),
            (Shape::User, "segment") => Some(Self::text(1)),
            (Shape::User, "attributes") => Some(Self::new(Shape::Any, ATTRIBUTES_BYTES)),
            (Shape::Item, "title" | "url") => Some(Self::text(TEXT_BYTES)),
            (Shape::Item, "category" | "brand") => Some(Self::text(WORD_BYTES)),
            (Shape::Item, "currency") => Some(Self::text(3)),
            (Shape::Item, "price" | "stock") => Some(Self::new(Shape::Number, 24)),
            _ => None,
        };
        known.filter(|_| self.fields().is_none_or(|fields| fields.contains(&name))).unwrap_or(Self::MISSING)
    }

    /// The top-level variable of that name.
    pub fn variable(name: &str) -> Option<Self> {
        Some(match name {
            "user" => Self::new(Shape::User, 2 * WORD_BYTES + ATTRIBUTES_BYTES),
            "item" => Self::new(Shape::Item, ITEM_BYTES),
            "items" => Self::new(Shape::Items, MAX_ITEMS as u64 * ITEM_BYTES),
            "count" => Self::new(Shape::Number, 20),
            "price_before" => Self::new(Shape::Number, 24),
            "event" => Self::new(Shape::Any, EVENT_BYTES),
            "locale" | "time_zone" | "now" => Self::text(64),
            _ => return None,
        })
    }
}

/// Type as which a template uses a field of `event`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Use {
    #[default]
    Text,
    Number,
    Time,
}

/// The fields of `event` that a text reads: the shop's own, known by their use only. From them an event is made to try the
/// template with.
#[derive(Debug)]
pub(super) struct EventFields(Vec<EventField>);

#[derive(Debug, Default)]
struct EventField {
    name: String,
    used_as: Use,
    children: BTreeMap<String, usize>,
    /// Elements, where it is a list.
    element: Option<usize>,
}

impl Default for EventFields {
    fn default() -> Self {
        Self(vec![EventField::default()])
    }
}

impl EventFields {
    /// `event` itself.
    pub const EVENT: usize = 0;

    fn add(&mut self, name: &str) -> usize {
        self.0.push(EventField { name: name.to_owned(), ..EventField::default() });
        self.0.len() - 1
    }

    /// The field of a field.
    pub fn child(&mut self, of: usize, name: &str) -> usize {
        if let Some(known) = self.0.get(of).and_then(|field| field.children.get(name)) {
            return *known;
        }
        let new = self.add(name);
        if let Some(field) = self.0.get_mut(of) {
            field.children.insert(name.to_owned(), new);
        }
        new
    }

    /// The elements of a field that is a list.
    pub fn element(&mut self, of: usize) -> usize {
        if let Some(known) = self.0.get(of).and_then(|field| field.element) {
            return known;
        }
        let name = self.0.get(of).map(|field| field.name.clone()).unwrap_or_default();
        let new = self.add(&name);
        if let Some(field) = self.0.get_mut(of) {
            field.element = Some(new);
        }
        new
    }

    /// Notes what a field is taken for.
    pub fn note(&mut self, field: Option<usize>, used_as: Use) {
        if let Some(field) = field.and_then(|field| self.0.get_mut(field)) {
            field.used_as = used_as;
        }
    }

    /// Names of the fields that the text reads of `event` itself.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let children = self.0.get(Self::EVENT).map(|event| event.children.keys());
        children.into_iter().flatten().map(String::as_str)
    }

    /// An event that has every field that the text reads, over one that has the documented ones.
    pub fn example(&self, documented: &Value) -> Value {
        let mut fields = documented.as_object().cloned().unwrap_or_default();
        if let Value::Object(read) = self.example_of(Self::EVENT) {
            for (name, value) in read {
                fields.entry(name).or_insert(value);
            }
        }
        Value::Object(fields)
    }

    fn example_of(&self, place: usize) -> Value {
        let Some(field) = self.0.get(place) else { return Value::Null };
        if let Some(element) = field.element {
            return json!([self.example_of(element)]);
        }
        if !field.children.is_empty() {
            let children = field.children.iter().map(|(name, child)| (name.clone(), self.example_of(*child)));
            return Value::Object(children.collect::<Map<_, _>>());
        }
        match field.used_as {
            Use::Text => json!(format!("Sample {}", field.name)),
            Use::Number => json!(2),
            Use::Time => json!("2026-03-01T09:00:00Z"),
        }
    }
}

const LOOP_FIELDS: [&str; 11] = [
    "index",
    "index0",
    "revindex",
    "revindex0",
    "first",
    "last",
    "length",
    "depth",
    "depth0",
    "previtem",
    "nextitem",
];

/// Filters by name, each with the largest number of arguments that have no name.
pub(super) const FILTERS: [(&str, usize); 15] = [
    ("upper", 0),
    ("lower", 0),
    ("title", 0),
    ("trim", 1),
    ("length", 0),
    ("first", 0),
    ("join", 1),
    ("default", 2),
    ("int", 0),
    ("float", 0),
    ("money", 1),
    ("number", 1),
    ("date", 0),
    ("relative", 0),
    ("plural", 0),
];

/// Names of filters elsewhere, with those that do the same here.
pub(super) const OTHER_FILTER_NAMES: [(&str, &str); 12] = [
    ("round", "number"),
    ("format_number", "number"),
    ("number_with_delimiter", "number"),
    ("currency", "money"),
    ("format_currency", "money"),
    ("capitalize", "title"),
    ("datetime", "date"),
    ("format_date", "date"),
    ("timeago", "relative"),
    ("pluralize", "plural"),
    ("size", "length"),
    ("count", "length"),
];

/// Tests by name, as in `{% if event.code is defined %}`.
pub(super) const TESTS: [&str; 2] = ["defined", "undefined"];

/// Plural categories of CLDR, the arguments of the filter `plural`.
pub(super) const PLURAL_CATEGORIES: [&str; 6] = ["zero", "one", "two", "few", "many", "other"];
