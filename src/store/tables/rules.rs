//! Table `association_rules`: what is bought together, a row for each rule of each model version.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Double, Integer};

use crate::postgres::sql::sql;
use crate::postgres::{StoreError, without_time_limit};
use tidings_core::base::{ItemId, ModelVersion};
use tidings_schema::association_rules as table;

/// A stored rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleRow {
    /// From 0, by lift, the greatest first.
    pub place: i32,
    /// If.
    pub antecedent: Vec<ItemId>,
    /// Then.
    pub consequent: Vec<ItemId>,
    /// Baskets with all of both.
    pub count: u32,
    /// Share of all baskets with all of both, 0…1.
    pub support: f64,
    /// Share of the antecedent's baskets that hold the consequent, 0…1.
    pub confidence: f64,
    /// Factor by which it is more frequent than by chance.
    pub lift: f64,
}

/// A page of a version's rules.
#[derive(Clone, Copy, Debug)]
pub struct RuleFilter {
    /// Of which model.
    pub version: ModelVersion,
    /// Only rules with this item on either side.
    pub item: Option<ItemId>,
    /// Only places after this one; −1 = from the first.
    pub after: i32,
    /// At most this many.
    pub limit: i64,
}

#[derive(Insertable)]
#[diesel(table_name = table, treat_none_as_default_value = false)]
struct NewRow {
    model_version: i32,
    place: i32,
    antecedent: Vec<i32>,
    consequent: Vec<i32>,
    count: i32,
    support: f64,
    confidence: f64,
    lift: f64,
}

/// Stores the rules of a version that has a row in `models`, by COPY. Empty is nothing.
pub fn insert(conn: &mut PgConnection, version: ModelVersion, rules: &[RuleRow]) -> Result<(), StoreError> {
    if rules.is_empty() {
        return Ok(());
    }
    let ids = |items: &[ItemId]| items.iter().map(|item| item.to_sql()).collect();
    let rows: Vec<NewRow> = rules
        .iter()
        .map(|rule| NewRow {
            model_version: version.0,
            place: rule.place,
            antecedent: ids(&rule.antecedent),
            consequent: ids(&rule.consequent),
            count: i32::try_from(rule.count).unwrap_or(i32::MAX),
            support: rule.support,
            confidence: rule.confidence,
            lift: rule.lift,
        })
        .collect();
    without_time_limit(conn, |conn| {
        diesel::copy_from(table::table).from_insertable(rows).execute(conn)?;
        Ok(())
    })
}

/// In order of place; with an item a scan of the version's rules, a few milliseconds for the twenty thousand there
/// can be.
pub fn list(conn: &mut PgConnection, filter: &RuleFilter) -> Result<Vec<RuleRow>, StoreError> {
    type Columns = (i32, Vec<i32>, Vec<i32>, i32, f64, f64, f64);
    type Types = (Integer, Array<Integer>, Array<Integer>, Integer, Double, Double, Double);
    let item = filter.item.map(|item| vec![item.to_sql()]).unwrap_or_default();
    let rows = sql::<Types>(
        "SELECT place, antecedent, consequent, count, support, confidence, lift FROM association_rules \
         WHERE model_version = ? AND place > ? AND antecedent || consequent @> ? ORDER BY place LIMIT ?",
    )
    .bind::<Integer, _>(filter.version.0)
    .bind::<Integer, _>(filter.after)
    .bind::<Array<Integer>, _>(item)
    .bind::<BigInt, _>(filter.limit.max(0))
    .load::<Columns>(conn)?;
    let ids = |items: Vec<i32>| items.into_iter().map(ItemId::from_sql).collect();
    Ok(rows
        .into_iter()
        .map(|(place, antecedent, consequent, count, support, confidence, lift)| RuleRow {
            place,
            antecedent: ids(antecedent),
            consequent: ids(consequent),
            count: u32::try_from(count).unwrap_or(0),
            support,
            confidence,
            lift,
        })
        .collect())
}

/// Number of rules of a version, with this item if one is given.
pub fn count(
    conn: &mut PgConnection,
    version: ModelVersion,
    item: Option<ItemId>,
) -> Result<i64, StoreError> {
    Ok(sql::<BigInt>(
        "SELECT count(*) FROM association_rules WHERE model_version = ? AND antecedent || consequent @> ?",
    )
    .bind::<Integer, _>(version.0)
    .bind::<Array<Integer>, _>(item.map(|item| vec![item.to_sql()]).unwrap_or_default())
    .get_result(conn)?)
}
