//! Table `items`: the catalogue.

use std::collections::{BTreeMap, HashMap};

use diesel::data_types::PgTimestamp;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::Jsonb;

use super::embeddings;
use super::external_ids::{Names, find_all, resolve_all};
use super::item_prices;
use super::loaded_items;
use crate::postgres::convert::{external_id, from_pg, to_pg};
use crate::postgres::sql::sql;
use crate::postgres::{StoreError, without_time_limit};
use tidings_core::base::{ExternalId, ItemId, Timestamp};
use tidings_core::catalogue::{Catalogue, Embedding, Item, Local, NewItem, PricePoint};
use tidings_schema::items as table;

/// Items that are not there from which on they are inserted whole.
const MANY: usize = 100;

/// Columns of an [`Item`], in the order of the table.
#[derive(Queryable, Selectable)]
#[diesel(table_name = table, check_for_backend(diesel::pg::Pg))]
struct ItemRow {
    item_id: i32,
    external_id: String,
    title: Option<String>,
    category: Vec<String>,
    tags: Vec<String>,
    price: Option<f64>,
    currency: Option<String>,
    stock: Option<i32>,
    url: Option<String>,
    image_url: Option<String>,
    attributes: serde_json::Value,
    consumable: bool,
    created_at: PgTimestamp,
    translations: serde_json::Value,
    prices: serde_json::Value,
}

impl ItemRow {
    fn into_item(self) -> Result<Item, StoreError> {
        // Written by us as an object of texts; a value of another type that someone put there by hand is shown as JSON.
        let attributes = match self.attributes {
            serde_json::Value::Object(map) => map
                .into_iter()
                .map(|(name, value)| match value {
                    serde_json::Value::String(text) => (name, text),
                    other => (name, other.to_string()),
                })
                .collect(),
            _ => BTreeMap::new(),
        };
        // What someone put there by hand and is neither is not shown.
        let local = Local::of(
            serde_json::from_value(self.translations).unwrap_or_default(),
            serde_json::from_value(self.prices).unwrap_or_default(),
        );
        Ok(Item {
            local,
            id: ItemId::from_sql(self.item_id),
            external_id: external_id("items", &self.external_id)?,
            title: self.title,
            category: self.category,
            tags: self.tags,
            price: self.price,
            currency: self.currency,
            stock: self.stock,
            url: self.url,
            image_url: self.image_url,
            attributes,
            consumable: self.consumable,
            created_at: from_pg(self.created_at),
        })
    }
}

/// Items as they are after an update.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Upserted {
    /// In input order.
    pub items: Vec<Item>,
    /// Prices that are new and the ones before them, and since when each holds.
    pub prices: Vec<(ItemId, PricePoint)>,
    /// Embeddings that are new; `None` = erased.
    pub embeddings: Vec<(ItemId, Option<Embedding>)>,
}

/// Adds or changes items and returns them as they are now; an absent field keeps what is stored, a cleared one loses it. An id
/// given twice takes the later values. Items once deleted are active again. One transaction, ≤ 10 queries; many new items are a copy
/// and one statement.
pub fn upsert_at(conn: &mut PgConnection, items: &[NewItem], now: Timestamp) -> Result<Upserted, StoreError> {
    if items.is_empty() {
        return Ok(Upserted::default());
    }
    let merged = NewItem::merged(items);
    conn.transaction(|conn| {
        let are_embedded = embeddings::hold(conn, merged.iter().map(AsRef::as_ref))?;
        let found = find_all(conn, Names::Items, merged.iter().map(|item| &item.item_id))?;
        let missing = merged.iter().map(AsRef::as_ref).filter(|item| !found.contains_key(&item.item_id));
        // Whole at once where it is worth a table of its own, else named first and changed with the others.
        let made = match missing.clone().count() {
            MANY.. => loaded_items::insert(conn, missing, now)?,
            _ => HashMap::new(),
        };
        let rest: Vec<&NewItem> =
            merged.iter().map(AsRef::as_ref).filter(|item| !made.contains_key(&item.item_id)).collect();
        let Upserted { items: changed, mut prices, .. } = change(conn, &rest, now)?;
        // What was made whole is stored as it was said: there is nothing to read again.
        let of_made = |item: &NewItem| made.get(&item.item_id).map(|made| made.item(item));
        let whole: Vec<Item> = merged.iter().filter_map(|item| of_made(item)).collect();
        prices.extend(whole.iter().filter_map(|item| first_price(item, now)));
        let all = changed.into_iter().chain(whole).map(|item| (item.external_id.clone(), item));
        let mut stored: HashMap<ExternalId, Item> = all.collect();
        if are_embedded {
            embeddings::check(conn)?;
        }
        let new = |item: &NewItem| Some((stored.get(&item.item_id)?.id, item.new_direction()?));
        let embeddings = merged.iter().filter_map(|item| new(item)).collect();
        let are_distinct = merged.len() == items.len();
        let answer = |item: &NewItem| match are_distinct {
            true => stored.remove(&item.item_id),
            false => stored.get(&item.item_id).cloned(),
        };
        let items = items.iter().filter_map(answer).collect();
        Ok(Upserted { items, prices, embeddings })
    })
}

fn first_price(item: &Item, now: Timestamp) -> Option<(ItemId, PricePoint)> {
    Some((item.id, PricePoint { since: now, price: item.price?, currency: item.money_currency() }))
}

/// Changes items, which are made where they are missing, and reads them again, in order of id.
fn change(conn: &mut PgConnection, items: &[&NewItem], now: Timestamp) -> Result<Upserted, StoreError> {
    if items.is_empty() {
        return Ok(Upserted::default());
    }
    // No ON CONFLICT in the statement below: it would use up an inner id per known item.
    let ids = resolve_all(conn, Names::Items, items.iter().map(|item| &item.item_id))?;
    let rows: Vec<serde_json::Value> = (items.iter().map(serde_json::to_value))
        .collect::<Result<_, _>>()
        .map_err(|error| DieselError::SerializationError(error.into()))?;
    let rows = serde_json::Value::Array(rows);
    sql::<()>(include_str!("sql/update_items.sql")).bind::<Jsonb, _>(rows).execute(conn)?;
    let inner: Vec<i32> = ids.into_values().collect();
    let prices = item_prices::note_changes(conn, &inner, now)?;
    let inner: Vec<ItemId> = inner.into_iter().map(ItemId::from_sql).collect();
    Ok(Upserted { items: load(conn, &inner)?, prices, ..Upserted::default() })
}

/// The inner id, of a deleted item too; `None` for one that nothing has named yet.
pub fn find(conn: &mut PgConnection, id: &ExternalId) -> Result<Option<ItemId>, StoreError> {
    Ok(find_all(conn, Names::Items, [id])?.get(id).map(|id| ItemId::from_sql(*id)))
}

/// Active items among those asked for, by id.
pub fn load(conn: &mut PgConnection, ids: &[ItemId]) -> Result<Vec<Item>, StoreError> {
    let ids: Vec<i32> = ids.iter().map(|id| id.to_sql()).collect();
    let rows = table::table
        .filter(table::item_id.eq_any(ids).and(table::active))
        .order(table::item_id)
        .select(ItemRow::as_select())
        .load(conn)?;
    rows.into_iter().map(ItemRow::into_item).collect()
}

/// Items that were made, changed or deleted since a moment, by id.
pub fn changed_since(conn: &mut PgConnection, since: Timestamp) -> Result<Vec<ItemId>, StoreError> {
    without_time_limit(conn, |conn| {
        let changed = table::table.filter(table::updated_at.ge(to_pg(since))).order(table::item_id);
        let ids: Vec<i32> = changed.select(table::item_id).load(conn)?;
        Ok(ids.into_iter().map(ItemId::from_sql).collect())
    })
}

/// Returns whether the catalogue has any item that can be shown: one with a title.
pub fn is_any_titled(conn: &mut PgConnection) -> Result<bool, StoreError> {
    Ok(diesel::select(diesel::dsl::exists(table::table.filter(table::title.is_not_null())))
        .get_result(conn)?)
}

/// Every active item by id, those without a title too. For start-up.
pub fn load_all(conn: &mut PgConnection) -> Result<Vec<Item>, StoreError> {
    without_time_limit(conn, |conn| {
        let rows = table::table
            .filter(table::active)
            .order(table::item_id)
            .select(ItemRow::as_select())
            .load(conn)?;
        rows.into_iter().map(ItemRow::into_item).collect()
    })
}

/// The whole catalogue: active items, what they cost of late, and their embeddings. For start-up.
pub fn load_catalogue(conn: &mut PgConnection, now: Timestamp) -> Result<Catalogue, StoreError> {
    let mut catalogue = Catalogue::from_items(load_all(conn)?);
    catalogue.note_prices(&item_prices::load_changes(conn, now)?);
    embeddings::for_each(conn, |item, embedding| {
        if !catalogue.set_embedding(item, Some(embedding)) {
            log::warn!("embedding of another length left out item_id={}", item.0);
        }
    })?;
    Ok(catalogue)
}

/// Deletes from the catalogue: the row stays, for its history, without the embedding. False when there is no such active item.
pub fn deactivate(conn: &mut PgConnection, id: &ExternalId) -> Result<bool, StoreError> {
    let changed = diesel::update(table::table)
        .filter(table::external_id.eq(id.to_string()).and(table::active))
        .set((
            table::active.eq(false),
            table::embedding.eq(None::<Vec<f32>>),
            table::updated_at.eq(diesel::dsl::now),
        ))
        .execute(conn)?;
    Ok(changed > 0)
}
