//! A list as a request asks for it: parameters of a `GET`, or the body of `POST /v1/recommend`. Both are read into one type.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::describe::Described;
use crate::error::ApiError;
use tidings_core::base::{ExternalId, ItemId, json, nearest, suggest_nearest};
use tidings_core::catalogue::{Catalogue, category_levels};
use tidings_core::recommend::serve::item_filter::{ItemFilter, OneOrMany};
use tidings_core::recommend::serve::placement::{MAX_N, Stock};
use tidings_core::recommend::serve::selection::Selection;
use tidings_decision::decide::{Definitions, ListRequest};
use tidings_decision::notify::content::languages::Language;

/// Items of a list where neither request nor placement says.
const DEFAULT_N: usize = 10;
/// Most items left out at the beginning.
const MAX_OFFSET: usize = 10_000;
/// Most items excluded, and most items of a cart.
const MAX_EXCLUDED: usize = 1_000;
const MAX_CART: usize = 100;
/// Kinds of pages that need no placement of their name.
const PAGES: [&str; 7] = ["home", "item", "category", "search", "cart", "checkout", "email"];
/// Names of parameters of a `GET`.
const PARAMETERS: [&str; 17] = [
    "n",
    "offset",
    "exclude",
    "items",
    "category",
    "min_price",
    "max_price",
    "currency",
    "tags",
    "attributes",
    "new_days",
    "stock",
    "locale",
    "placement",
    "page",
    "item",
    "cart",
];

/// The parameters of a `GET`, described.
pub fn described(route: Described) -> Described {
    let numbers = route
        .parameter::<usize>("n", "Items of the list, 1…100.")
        .parameter::<usize>("offset", "Items left out at the beginning.")
        .parameter::<f64>("min_price", "Lowest price.")
        .parameter::<f64>("max_price", "Highest price.")
        .parameter::<u32>("new_days", "Only items that came so many days ago at most.");
    PARAMETERS
        .into_iter()
        .filter(|name| !["n", "offset", "min_price", "max_price", "new_days"].contains(name))
        .fold(numbers, |route, name| route.parameter::<String>(name, about(name)))
}

fn about(parameter: &str) -> &'static str {
    match parameter {
        "exclude" => "Items that are not wanted, separated by commas.",
        "items" => "Only these items, separated by commas.",
        "category" => "Beginning of the category path, such as A > B.",
        "currency" => "ISO 4217 code of the price.",
        "tags" => "Tags of which an item has one, separated by commas.",
        "attributes" => "name:value, separated by commas, or a JSON object.",
        "stock" => "in, or any: sold-out items too.",
        "locale" => "BCP 47 tag of the language of titles; without it that of the user.",
        "placement" => "Name of a placement.",
        "page" => "Kind of the page, or the name of a placement.",
        "item" => "Item of the page.",
        _ => "Items in the cart, separated by commas, the last one at the end.",
    }
}

/// Place where the list is shown.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[schema(as = ListContext)]
#[serde(deny_unknown_fields, default)]
pub struct Context {
    /// Kind of the page, or the name of a placement.
    page: Option<String>,
    /// Item of the page.
    item: Option<ExternalId>,
    /// Items in the cart, the last one at the end.
    cart: Vec<ExternalId>,
}

/// A list as it is asked for, not yet checked.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[schema(as = ListRequest)]
#[serde(deny_unknown_fields, default)]
pub struct Asked {
    /// For whom; absent = for nobody in particular, or for the user of the token.
    pub user_id: Option<ExternalId>,
    n: Option<i64>,
    offset: Option<i64>,
    exclude: Vec<ExternalId>,
    items: Vec<ExternalId>,
    /// A path such as `"A > B"`, or its levels.
    category: Option<Value>,
    min_price: Option<f64>,
    max_price: Option<f64>,
    currency: Option<String>,
    tags: Vec<String>,
    attributes: BTreeMap<String, OneOrMany>,
    new_days: Option<u32>,
    stock: Option<Stock>,
    /// BCP 47 tag of the language of titles; absent = that of the user.
    locale: Option<String>,
    placement: Option<String>,
    context: Context,
}

/// A list to make, and what is to be said with it.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// Request to the core.
    pub list: ListRequest,
    /// Expectations of the request that can't be met.
    pub warnings: Vec<String>,
    /// BCP 47 tag of the language of titles; `None` = that of the user.
    pub locale: Option<String>,
}

fn bad(field: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::invalid("bad_list", Some(field), message)
}

impl Asked {
    /// From the parameters of a `GET`.
    pub fn of_query(query: &str) -> Result<Self, ApiError> {
        Self::of_pairs(pairs(query)?)
    }

    /// From names and texts; each name at most once, but for lists and `attributes`.
    pub fn of_pairs(pairs: Vec<(String, String)>) -> Result<Self, ApiError> {
        let (mut body, mut context) = (Map::new(), Map::new());
        for (name, text) in pairs {
            let Some(known) = PARAMETERS.into_iter().find(|known| *known == name) else {
                return Err(ApiError::invalid_field("unknown_parameter", name.clone(), unknown(&name)));
            };
            let fields = if matches!(known, "page" | "item" | "cart") { &mut context } else { &mut body };
            let value = value(known, &text)?;
            match (fields.get_mut(known), value) {
                (None, value) => drop(fields.insert(known.to_owned(), value)),
                (Some(Value::Array(known)), Value::Array(more)) => known.extend(more),
                (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
                (Some(_), _) => return Err(bad(known, format!("{known} is given twice"))),
            }
        }
        body.insert("context".to_owned(), Value::Object(context));
        Self::of_json(Value::Object(body))
    }

    /// From a body.
    pub fn of_json(body: Value) -> Result<Self, ApiError> {
        json::from_value(body)
            .map_err(|error| ApiError::invalid("bad_list", None, suggest_nearest(&error.to_string())))
    }

    /// Checks bounds and looks names up.
    pub fn resolve(self, catalogue: &Catalogue, definitions: &Definitions) -> Result<Resolved, ApiError> {
        let within = |field: &'static str, asked: Option<i64>, low: usize, high: usize| match asked {
            None => Ok(None),
            Some(n) => match usize::try_from(n) {
                Ok(n) if (low..=high).contains(&n) => Ok(Some(n)),
                _ => Err(bad(field, format!("{field} must be {low}…{high}, is {n}"))),
            },
        };
        let (n, offset) = (within("n", self.n, 1, MAX_N)?, within("offset", self.offset, 0, MAX_OFFSET)?);
        for (field, len, most) in
            [("exclude", self.exclude.len(), MAX_EXCLUDED), ("context", self.context.cart.len(), MAX_CART)]
        {
            if len > most {
                return Err(bad(field, format!("at most {most} items, has {len}")));
            }
        }
        if self.locale.as_deref().is_some_and(|locale| Language::parse(locale).is_none()) {
            return Err(bad("locale", "locale must be a BCP 47 tag such as de-AT"));
        }
        let placement = placement(self.placement.as_deref(), self.context.page.as_deref(), definitions)?;
        let mut warnings = Vec::new();
        let inner = |id: &ExternalId| catalogue.find(id).map(|item| item.id);
        let seed = self.context.item.as_ref().and_then(inner);
        if let Some(item) = self.context.item.filter(|_| seed.is_none()) {
            warnings.push(format!("item {item} is not in the catalogue: the list does not stand beside it"));
        }
        let filter = ItemFilter {
            items: self.items,
            category: self.category.map(levels).transpose()?,
            min_price: self.min_price,
            max_price: self.max_price,
            currency: self.currency,
            tags: self.tags,
            attributes: self.attributes,
            new_days: self.new_days,
        };
        filter.validate().map_err(|error| bad(error.field, format!("{}: {}", error.field, error.message)))?;
        warnings.extend(missing(&filter, catalogue));
        let ids = |ids: &[ExternalId]| ids.iter().filter_map(inner).collect::<Vec<ItemId>>();
        let selection = Selection {
            filter,
            any_stock: self.stock == Some(Stock::Any),
            exclude: ids(&self.exclude),
            basket: ids(&self.context.cart),
            placement,
            wants: None,
        };
        let own = selection.placement.as_ref().map_or(DEFAULT_N, |placement| placement.n);
        let list = ListRequest { n: n.unwrap_or(own), offset: offset.unwrap_or(0), seed, selection };
        Ok(Resolved { list, warnings, locale: self.locale })
    }
}

/// Names and texts of a query.
pub fn pairs(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    actix_web::web::Query::<Vec<(String, String)>>::from_query(query)
        .map(actix_web::web::Query::into_inner)
        .map_err(|error| ApiError::invalid("bad_query", None, error.to_string()))
}

fn unknown(name: &str) -> String {
    match nearest(name, PARAMETERS) {
        Some(near) => format!("unknown parameter `{name}`; did you mean `{near}`?"),
        None => format!("unknown parameter `{name}`; known are {}", PARAMETERS.join(", ")),
    }
}

/// A parameter's text as the JSON that a body would have.
fn value(name: &'static str, text: &str) -> Result<Value, ApiError> {
    let list = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
    Ok(match name {
        "n" | "offset" | "new_days" => match text.trim().parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => return Err(bad(name, format!("{name} must be a whole number, is \"{text}\""))),
        },
        "min_price" | "max_price" => {
            match text.trim().parse::<f64>().ok().filter(|price| price.is_finite()) {
                Some(price) => price.into(),
                None => {
                    return Err(bad(name, format!("{name} must be a number such as 19.90, is \"{text}\"")));
                }
            }
        }
        "exclude" | "items" | "cart" | "tags" => list().map(str::to_owned).collect::<Vec<_>>().into(),
        "attributes" if text.trim_start().starts_with('{') => serde_json::from_str(text)
            .map_err(|error| bad(name, format!("attributes is not a JSON object: {error}")))?,
        "attributes" => {
            let mut all = Map::new();
            for pair in list() {
                let Some((attribute, value)) = pair.split_once(':') else {
                    return Err(bad(name, format!("attributes are name:value, is \"{pair}\"")));
                };
                all.insert(attribute.trim().to_owned(), value.trim().into());
            }
            Value::Object(all)
        }
        _ => text.into(),
    })
}

/// Levels of a category: a list, or a text with / or >.
fn levels(category: Value) -> Result<Vec<String>, ApiError> {
    match category {
        Value::String(text) => Ok(category_levels(&text)),
        other => serde_json::from_value(other)
            .map_err(|_| bad("category", "category must be a text such as \"A > B\" or a list of levels")),
    }
}

/// The placement that is named, else the one of the page.
fn placement(
    named: Option<&str>,
    page: Option<&str>,
    definitions: &Definitions,
) -> Result<Option<std::sync::Arc<tidings_core::recommend::serve::placement::Placement>>, ApiError> {
    let known = || definitions.placements.keys().map(String::as_str);
    let refused = |field: &'static str, name: &str, near: Option<&str>| {
        let near = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
        bad(field, format!("there is no {field} \"{name}\"{near}"))
    };
    if let Some(name) = named {
        let found = definitions.placements.get(name).cloned();
        return found.map(Some).ok_or_else(|| refused("placement", name, nearest(name, known())));
    }
    let Some(page) = page else { return Ok(None) };
    let found = definitions.placements.get(page).cloned();
    if found.is_none() && !PAGES.contains(&page) {
        return Err(refused("page", page, nearest(page, known().chain(PAGES))));
    }
    Ok(found)
}

/// Names of a filter that no item of the catalogue has. O(paths).
fn missing(filter: &ItemFilter, catalogue: &Catalogue) -> Option<String> {
    let path = filter.category.as_ref()?;
    if catalogue.paths_below(path).contains(&true) {
        return None;
    }
    let top = path.first()?;
    let near = nearest(top, catalogue.category_names()).filter(|near| near != top);
    let near = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
    Some(format!("no item has been in the category \"{}\"{near}", path.join(" > ")))
}
