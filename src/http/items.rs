//! The catalogue: `PUT /v1/items` (one or many), list, one, delete.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::audited::{Change, MAX_NOTED};
use super::auth::Caller;
use super::bodies::Bodies;
use super::body::Batch;
use super::describe::{self, Described, May};
use super::dto::{self, ItemView};
use super::error::ApiError;
use super::permit::{With, WriteCatalogue};
use super::rejected::{Refusal, Rejected, refuse_all};
use tidings_actors::App;
use tidings_actors::catalogue_changes::put_items;
use tidings_core::base::json_shape::{ArrayFault, elements};
use tidings_core::base::{ExternalId, FieldError, JsonShape};
use tidings_core::catalogue::{Catalogue, Item, NewItem, other_length, too_complex_item};
use tidings_decision::privacy::Permission;
use tidings_store::items::{self, Upserted};
use tidings_store::{Connection, embeddings, in_transaction};

/// Largest tree of one item that takes more than twice its text, bytes: 64 attributes, 32 tags and a path have some 20,000, an embedding
/// of 1,024 numbers 66,000, words in 40 languages up to 132,000.
const MAX_TREE_BYTES: usize = 256 << 10;
/// Most items in a list.
const MAX_LIST: usize = 500;

/// Filter and page of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// At most 500.
    limit: Option<usize>,
    /// Items left out at the beginning.
    offset: Option<usize>,
    /// Top level of the category.
    category: Option<String>,
    /// Text within titles, tags and categories.
    q: Option<String>,
}

/// Items of one body: those that are taken, and those that are not.
type Sorted = (Vec<NewItem>, Vec<Rejected>);

/// Answer to a change.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedItems)]
struct Changed {
    /// Number of items that were taken.
    items: usize,
    rejected: Vec<Rejected>,
}

/// Answer to an erasure of embeddings.
#[derive(Serialize, ToSchema)]
#[schema(as = ErasedEmbeddings)]
struct Erased {
    /// Number of items that had one.
    erased: usize,
}

/// A page of the catalogue.
#[derive(Serialize, ToSchema)]
struct ItemPage<'a> {
    /// Items that match.
    total: usize,
    items: Vec<ItemView<'a>>,
    /// Of everything that matches the text.
    categories: Vec<CategoryCount<'a>>,
}

/// A category and its number of items.
#[derive(Serialize, ToSchema)]
struct CategoryCount<'a> {
    name: &'a str,
    count: usize,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::put("/v1/items", May::Needs(Permission::WriteCatalogue), "Adds or changes items; absent fields keep their value, null clears one.")
            .bodies::<NewItem>()
            .body_example(r#"[{"item_id": 105, "title": "Diver 300", "category": ["Watches", "Dive"], "price": 249.0, "currency": "EUR"}]"#)
            .answers::<Changed>(200, "Good items are taken, the others named.")
            .example(r#"{"items": 1, "rejected": []}"#)
            .answers::<Refusal<'_>>(400, "No item can be taken."),
        describe::get("/v1/items", May::User, "Items of the catalogue, by id.")
            .query::<ListQuery>()
            .answers::<ItemPage<'_>>(200, "A page."),
        describe::get("/v1/items/{id}", May::User, "One item.")
            .answers::<ItemView<'_>>(200, "The item.")
            .example(r#"{"item_id": 105, "title": "Diver 300", "category": ["Watches", "Dive"], "tags": [], "price": 249.0, "currency": "EUR", "stock": null, "url": null, "image_url": null, "attributes": {}, "consumable": false, "embedding_length": null}"#)
            .refuses(&[404]),
        describe::delete("/v1/items/{id}", May::Needs(Permission::WriteCatalogue), "Takes an item out of the catalogue; its history stays.")
            .empty(204, "It is out.")
            .refuses(&[404]),
        describe::delete("/v1/embeddings", May::Needs(Permission::WriteCatalogue), "Erases the embeddings of all items, so that those of another model may come.")
            .answers::<Erased>(200, "Their number.")
            .example(r#"{"erased": 1200}"#),
    ]
}

/// The item with an id; 404 if there is none.
pub fn item_named<'a>(catalogue: &'a Catalogue, id: &ExternalId) -> Result<&'a Arc<Item>, ApiError> {
    catalogue.find(id).ok_or(ApiError::NotFound("this item"))
}

/// Erases the embeddings of all items.
pub async fn delete_embeddings(
    request: HttpRequest,
    app: web::Data<App>,
    _caller: With<WriteCatalogue>,
) -> Result<HttpResponse, ApiError> {
    let (state, change) = (Arc::clone(&app.state), Change::new(&request, &app, StatusCode::OK));
    let erase = move |connection: &mut Connection| {
        state.with_embeddings(|| {
            let erased = in_transaction(connection, |connection| {
                let erased = Erased { erased: embeddings::erase_all(connection)? };
                change.store(connection, (), &erased)?;
                Ok(erased)
            })?;
            state.erase_embeddings();
            Ok(erased)
        })
    };
    Ok(HttpResponse::Ok().json(app.state.store.run(erase).await?))
}

/// Adds or changes items. The good ones are taken, the bad ones named by index; 400 if none is good.
pub async fn put(
    request: HttpRequest,
    Batch(body): Batch,
    app: web::Data<App>,
    bodies: web::Data<Bodies>,
    _caller: With<WriteCatalogue>,
) -> Result<HttpResponse, ApiError> {
    let max = app.state.config.ingest.max_batch;
    let length = app.state.catalogue.load().embeddings().dimensions();
    let (items, rejected) = bodies.work(body, move |body| sort(body, max, length)).await??;
    if items.is_empty() && !rejected.is_empty() {
        return Ok(refuse_all("items", &rejected));
    }
    let change = Change::new(&request, &app, StatusCode::OK);
    let (before, after) = noted(&items, &app.state.catalogue.load());
    let entry = move |connection: &mut Connection, _: &usize| change.store(connection, before, after);
    let items = match items.is_empty() {
        true => 0,
        false => put_items(&app.state, &app.registry, items, Box::new(entry)).await?,
    };
    Ok(HttpResponse::Ok().json(Changed { items, rejected }))
}

/// An item for the audit log: what a wrong change of it costs most by.
#[derive(Serialize)]
struct NotedItem {
    item_id: ExternalId,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stock: Option<i32>,
}

impl NotedItem {
    fn of(item: &Item) -> Self {
        Self {
            item_id: item.external_id.clone(),
            title: item.title.clone(),
            price: item.price,
            currency: item.currency.clone(),
            stock: item.stock,
        }
    }

    fn of_new(item: &NewItem) -> Self {
        Self {
            item_id: item.item_id.clone(),
            title: item.title.clone(),
            price: item.price,
            currency: item.currency.clone(),
            stock: item.stock,
        }
    }
}

/// Items of a request for the audit log, at most [`MAX_NOTED`]: as they are, and as they are to be.
fn noted(items: &[NewItem], catalogue: &Catalogue) -> (Vec<NotedItem>, Vec<NotedItem>) {
    let items = items.iter().take(MAX_NOTED);
    let after: Vec<NotedItem> = items.map(NotedItem::of_new).collect();
    let known = |item: &NotedItem| Some(NotedItem::of(catalogue.find(&item.item_id)?));
    (after.iter().filter_map(known).collect(), after)
}

/// Refuses an embedding of another length than the others have; the first one says how long they are.
fn same_length(item: NewItem, length: &mut Option<usize>) -> Result<NewItem, FieldError> {
    let Some(own) = item.embedding.as_ref().map(Vec::len) else { return Ok(item) };
    let known = *length.get_or_insert(own);
    if own == known { Ok(item) } else { Err(other_length(own, known)) }
}

/// Reads and checks one item after the other, so that no more than one is a tree in memory. `length`: that of the embeddings that are
/// there.
fn sort(body: &[u8], max: usize, mut length: Option<usize>) -> Result<Sorted, ApiError> {
    let bad =
        |message: String| ApiError::invalid("bad_json", None, format!("the body is not JSON: {message}"));
    let text = std::str::from_utf8(body).map_err(|error| bad(error.to_string()))?.trim_ascii();
    let texts = match text.starts_with('[').then(|| elements(text, max)) {
        None => vec![text],
        Some(Ok(texts)) => texts,
        Some(Err(ArrayFault::TooMany)) => {
            let message = format!("at most {max} items in a request");
            return Err(ApiError::invalid("too_many_items", None, message));
        }
        Some(Err(ArrayFault::Unbalanced)) => {
            let error = serde_json::from_str::<IgnoredAny>(text).err();
            return Err(bad(error.map(|error| error.to_string()).unwrap_or_default()));
        }
    };
    let (mut items, mut rejected) = (Vec::with_capacity(texts.len()), Vec::new());
    for (index, text) in texts.into_iter().enumerate() {
        let read = if JsonShape::of(text.as_bytes()).fits(text.as_bytes(), MAX_TREE_BYTES) {
            NewItem::read(serde_json::from_str(text).map_err(|error| bad(format!("item {index}: {error}")))?)
        } else {
            serde_json::from_str::<IgnoredAny>(text).map_err(|error| bad(error.to_string()))?;
            Err(too_complex_item())
        };
        match read.and_then(|item| same_length(item, &mut length)) {
            Ok(item) => items.push(item),
            Err(error) => rejected.push(Rejected::new(index, error)),
        }
    }
    Ok((items, rejected))
}

/// A page of the catalogue, by id, with the categories of everything that matches the text.
pub async fn list(query: web::Query<ListQuery>, app: web::Data<App>, _caller: Caller) -> HttpResponse {
    let catalogue = app.state.catalogue.load();
    let wanted = query.q.as_deref().unwrap_or("").to_lowercase();
    let mut categories: BTreeMap<&str, usize> = BTreeMap::new();
    let mut matching = Vec::new();
    for item in catalogue.iter() {
        let text_matches = wanted.is_empty()
            || item.name().to_lowercase().contains(&wanted)
            || item.tags.iter().chain(&item.category).any(|word| word.to_lowercase().contains(&wanted));
        if !text_matches {
            continue;
        }
        let category = item.category.first().map(String::as_str);
        if let Some(category) = category {
            *categories.entry(category).or_default() += 1;
        }
        if query.category.as_deref().is_none_or(|wanted| category == Some(wanted)) {
            matching.push(item);
        }
    }
    let total = matching.len();
    let limit = query.limit.unwrap_or(50).min(MAX_LIST);
    let page = matching.into_iter().skip(query.offset.unwrap_or(0)).take(limit);
    HttpResponse::Ok().json(ItemPage {
        total,
        items: page.map(|item| dto::item(item, &catalogue)).collect(),
        categories: categories.into_iter().map(|(name, count)| CategoryCount { name, count }).collect(),
    })
}

/// One item.
pub async fn get(
    path: web::Path<String>,
    app: web::Data<App>,
    _caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let catalogue = app.state.catalogue.load();
    let item = item_named(&catalogue, &ExternalId::parse(&path)?)?;
    Ok(HttpResponse::Ok().json(dto::item(item, &catalogue)))
}

/// Takes an item out of the catalogue; its history stays.
pub async fn delete(
    request: HttpRequest,
    path: web::Path<String>,
    app: web::Data<App>,
    _caller: With<WriteCatalogue>,
) -> Result<HttpResponse, ApiError> {
    let id = ExternalId::parse(&path)?;
    let catalogue = app.state.catalogue.load_full();
    let item = item_named(&catalogue, &id)?;
    let (inner, before) = (item.id, NotedItem::of(item));
    let (state, change) = (Arc::clone(&app.state), Change::new(&request, &app, StatusCode::NO_CONTENT));
    let take_out = move |connection: &mut Connection| {
        let watch = state.watch_items();
        in_transaction(connection, |connection| {
            items::deactivate(connection, &id)?;
            change.store(connection, before, ())
        })?;
        Ok(state.settle_stored(&watch, connection, Upserted::default(), &[inner]))
    };
    app.state.store.run(take_out).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_embedding_and_the_most_languages_are_taken() {
        let tags = ('a'..='b').flat_map(|first| ('a'..='t').map(move |second| format!("{first}{second}")));
        let words: Vec<String> = tags
            .map(|tag| {
                format!(r#""{tag}": {{"title": "a", "category": ["b", "c"], "url": "https://a.example"}}"#)
            })
            .collect();
        let item = |numbers: &str| {
            format!(
                r#"[{{"item_id": 1, "embedding": [{numbers}], "translations": {{{}}}}}]"#,
                words.join(",")
            )
        };
        let sorted = sort(item(&vec!["0.0123"; 1_024].join(",")).as_bytes(), 10, None).unwrap();
        assert_eq!(
            (sorted.0.len(), sorted.1.len()),
            (1, 0),
            "{:?}",
            sorted.1.first().map(|fault| &fault.message)
        );
    }

    #[test]
    fn embeddings_of_one_request_have_one_length_which_is_that_of_the_catalogue() {
        let items = br#"[{"item_id":1},{"item_id":2,"embedding":[1,0]},{"item_id":3,"embedding":[1]}]"#;
        for (known, refused) in
            [(None, vec![2]), (Some(2), vec![2]), (Some(1), vec![1]), (Some(3), vec![1, 2])]
        {
            let (good, rejected) = sort(items, 3, known).unwrap();
            assert_eq!(rejected.iter().map(|one| one.index).collect::<Vec<_>>(), refused);
            assert_eq!(good.len() + rejected.len(), 3);
            assert!(rejected[0].message.contains("DELETE /v1/embeddings"), "{}", rejected[0].message);
        }
    }

    #[test]
    fn items_are_counted_first_and_one_with_a_tree_in_it_is_refused_alone() {
        let many = format!("[{}", "{\"\":0},".repeat(600_000));
        let Err(ApiError::Invalid { code, .. }) = sort(many.as_bytes(), 10_000, None) else { panic!() };
        assert_eq!(code, "too_many_items");
        let tree = format!("{{\"item_id\":2,\"attributes\":{{{}\"a\":\"b\"}}}}", "\"\":\"\",".repeat(9_000));
        let (items, rejected) = sort(format!("[{{\"item_id\":1}},{tree},7]").as_bytes(), 3, None).unwrap();
        assert_eq!(items.len(), 1);
        let rejected: Vec<_> = rejected.iter().map(|one| (one.index, one.code)).collect();
        assert_eq!(rejected, [(1, "too_complex"), (2, "bad_item")]);
        for body in ["", "nonsense", "[{\"item_id\":1},]", "[{\"item_id\":1}", "[{\"item_id\":1}] 2"] {
            let Err(ApiError::Invalid { code, .. }) = sort(body.as_bytes(), 3, None) else {
                panic!("{body}")
            };
            assert_eq!(code, "bad_json", "{body}");
        }
    }
}
