//! Items in bulk: a binary COPY into a temporary table, from which those that are missing are inserted whole and those that are
//! there are changed where they differ.

use std::collections::{BTreeMap, HashMap};

use diesel::connection::SimpleConnection;
use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text, Timestamptz};

use super::embeddings;
use super::external_ids::{Names, find_all};
use super::item_prices;
use crate::postgres::StoreError;
use crate::postgres::convert::{external_id, from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{ExternalId, ItemId, Timestamp};
use tidings_core::catalogue::{Item, NewItem};

diesel::table! {
    /// Lives for one transaction. Null = the item says nothing of it.
    loaded_items (item_id) {
        /// The shop's id.
        item_id -> Text,
        /// Human title.
        title -> Nullable<Text>,
        /// Path from general to special.
        category -> Nullable<Array<Text>>,
        /// Free tags.
        tags -> Nullable<Array<Text>>,
        /// Major units.
        price -> Nullable<Float8>,
        /// ISO 4217.
        currency -> Nullable<Text>,
        /// Units on hand.
        stock -> Nullable<Int4>,
        /// Product page.
        url -> Nullable<Text>,
        /// Picture.
        image_url -> Nullable<Text>,
        /// Text by name.
        attributes -> Nullable<Jsonb>,
        /// Bought again and again.
        consumable -> Nullable<Bool>,
        /// Vector of a model.
        embedding -> Nullable<Array<Float4>>,
        /// Words by language.
        translations -> Nullable<Jsonb>,
        /// Prices by currency.
        prices -> Nullable<Jsonb>,
    }
}

#[derive(Insertable)]
#[diesel(table_name = loaded_items, treat_none_as_default_value = false)]
struct LoadedItem<'a> {
    item_id: String,
    title: Option<&'a str>,
    category: Option<&'a [String]>,
    tags: Option<&'a [String]>,
    price: Option<f64>,
    currency: Option<&'a str>,
    stock: Option<i32>,
    url: Option<&'a str>,
    image_url: Option<&'a str>,
    attributes: Option<serde_json::Value>,
    consumable: Option<bool>,
    embedding: Option<&'a [f32]>,
    translations: Option<serde_json::Value>,
    prices: Option<serde_json::Value>,
}

impl<'a> From<&'a NewItem> for LoadedItem<'a> {
    fn from(item: &'a NewItem) -> Self {
        let text = |(name, value): (&String, &String)| (name.clone(), value.as_str().into());
        let object = |attributes: &BTreeMap<String, String>| {
            serde_json::Value::Object(attributes.iter().map(text).collect())
        };
        Self {
            item_id: item.item_id.to_string(),
            title: item.title.as_deref(),
            category: item.category.as_deref(),
            tags: item.tags.as_deref(),
            price: item.price,
            currency: item.currency.as_deref(),
            stock: item.stock,
            url: item.url.as_deref(),
            image_url: item.image_url.as_deref(),
            attributes: item.attributes.as_ref().map(object),
            consumable: item.consumable,
            embedding: item.embedding.as_deref(),
            // Objects of texts and finite numbers.
            translations: item.translations.as_ref().and_then(|words| serde_json::to_value(words).ok()),
            prices: item.prices.as_ref().and_then(|prices| serde_json::to_value(prices).ok()),
        }
    }
}

/// Treatment of embeddings that have another length than those that are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lengths {
    /// They stay, and nothing is written.
    #[default]
    Keep,
    /// They are erased.
    Replace,
}

/// Inner ids of what was written.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Items that were not there.
    pub(super) made: HashMap<ExternalId, i32>,
    /// Items that were.
    pub(super) known: HashMap<ExternalId, i32>,
    /// Those of them that are different now.
    pub(super) changed: Vec<i32>,
}

/// Adds those that are missing, and lets `statement` change those that are there from the rows of `loaded_items`. Of one id given
/// twice the later values count. Notes prices. In the caller's transaction.
pub(super) fn write(
    conn: &mut PgConnection,
    items: &[NewItem],
    statement: &'static str,
    lengths: Lengths,
) -> Result<Written, StoreError> {
    let items = NewItem::merged(items);
    let are_embedded = embeddings::hold(conn, items.iter().map(AsRef::as_ref))?;
    let length = items.iter().find_map(|item| item.embedding.as_ref().map(Vec::len));
    if let (Lengths::Replace, Some(length)) = (lengths, length) {
        embeddings::erase_others(conn, length)?;
    }
    let owned =
        |ids: HashMap<&ExternalId, i32>| ids.into_iter().map(|(id, inner)| (id.clone(), inner)).collect();
    let mut written = Written {
        known: owned(find_all(conn, Names::Items, items.iter().map(|item| &item.item_id))?),
        ..Written::default()
    };
    let missing = items.iter().map(AsRef::as_ref).filter(|item| !written.known.contains_key(&item.item_id));
    let now = Timestamp::now();
    let made = insert(conn, missing, now)?;
    written.made = made.into_iter().map(|(id, made)| (id, made.inner)).collect();
    // Among them those that another connection has made in between.
    let there: Vec<&NewItem> =
        items.iter().map(AsRef::as_ref).filter(|item| !written.made.contains_key(&item.item_id)).collect();
    if !there.is_empty() {
        copy(conn, there.iter().copied())?;
        written.changed = sql::<Integer>(statement).load::<i32>(conn)?;
        let contested = there.iter().map(|item| &item.item_id).filter(|id| !written.known.contains_key(*id));
        let contested = find_all(conn, Names::Items, contested.collect::<Vec<_>>())?;
        let contested: HashMap<ExternalId, i32> = owned(contested);
        written.known.extend(contested);
    }
    if are_embedded {
        embeddings::check(conn)?;
    }
    item_prices::note_changes(conn, &written.changed, now)?;
    Ok(written)
}

/// An item that the database has made, as it tells of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) inner: i32,
    created_at: Timestamp,
}

impl Made {
    /// The item as it is stored.
    pub(super) fn item(self, said: &NewItem) -> Item {
        Item::made(ItemId::from_sql(self.inner), said, self.created_at)
    }
}

/// Adds items that are not there, in order of the text of their ids so that two batches that overlap can't deadlock, with the prices
/// that hold from `now` on, and returns those that nobody else has made in the meantime. In the caller's transaction.
pub(super) fn insert<'a>(
    conn: &mut PgConnection,
    missing: impl Iterator<Item = &'a NewItem>,
    now: Timestamp,
) -> Result<HashMap<ExternalId, Made>, StoreError> {
    let mut missing: Vec<&NewItem> = missing.collect();
    if missing.is_empty() {
        return Ok(HashMap::new());
    }
    missing.sort_by_cached_key(|item| item.item_id.to_string());
    copy(conn, missing)?;
    let rows: Vec<(String, i32, PgTimestamp)> =
        sql::<(Text, Integer, Timestamptz)>(include_str!("sql/insert_items.sql"))
            .bind::<Timestamptz, _>(to_pg(now))
            .load(conn)?;
    let made = |(id, inner, at): (String, i32, PgTimestamp)| {
        Ok((external_id("items", &id)?, Made { inner, created_at: from_pg(at) }))
    };
    rows.into_iter().map(made).collect()
}

/// Fills `loaded_items` anew.
fn copy<'a>(conn: &mut PgConnection, items: impl IntoIterator<Item = &'a NewItem>) -> Result<(), StoreError> {
    conn.batch_execute(
        "DROP TABLE IF EXISTS pg_temp.loaded_items; CREATE TEMPORARY TABLE loaded_items (item_id text, title text, \
         category text[], tags text[], price double precision, currency text, stock integer, url text, image_url text, \
         attributes jsonb, consumable boolean, embedding real[], translations jsonb, prices jsonb) ON COMMIT DROP",
    )?;
    let rows: Vec<LoadedItem<'_>> = items.into_iter().map(LoadedItem::from).collect();
    diesel::copy_from(loaded_items::table).from_insertable(rows).execute(conn)?;
    Ok(())
}
