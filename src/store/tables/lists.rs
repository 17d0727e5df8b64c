//! Table `lists`: lists of placements as they were answered, so that an event that names one is counted for its placement.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::postgres::StoreError;
use crate::postgres::columns::Batch;
use crate::postgres::convert::{join_items, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{ExternalId, ItemId, Timestamp};

/// List of a placement that was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct AnsweredList {
    /// As answered.
    pub list: Uuid,
    /// User of the list; `None` = nobody in particular.
    pub user: Option<ExternalId>,
    /// Name of the placement.
    pub placement: String,
    /// Items in their order.
    pub items: Vec<ItemId>,
    /// Moment of the answer.
    pub made_at: Timestamp,
}

/// Stores lists; one that is there stays as it is. The list of a user who is not known becomes one of nobody in particular.
pub fn insert(conn: &mut PgConnection, lists: &[AnsweredList]) -> Result<(), StoreError> {
    if lists.is_empty() {
        return Ok(());
    }
    let of_user =
        "(SELECT coalesce(u.merged_into, u.user_id) FROM users u WHERE u.external_id = sent.user_id)";
    let columns = Batch::of(lists)
        .column::<SqlUuid, _>("list_id", |list| list.list)
        .column_as::<Nullable<Text>, _>("user_id", of_user, |list| {
            list.user.as_ref().map(ToString::to_string)
        })
        .column::<Text, _>("placement", |list| list.placement.as_str())
        .column_as::<Text, _>("items", "string_to_array(items, ',')::integer[]", |list| {
            join_items(&list.items)
        })
        .column::<Timestamptz, _>("made_at", |list| to_pg(list.made_at));
    let text = format!("{} ON CONFLICT DO NOTHING", columns.insert_into("lists"));
    sql::<()>(text).binds(columns.into_binds()).execute(conn)?;
    Ok(())
}

/// Removes at most `limit` lists that were answered before a moment; how many.
pub fn prune(conn: &mut PgConnection, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let statement = "DELETE FROM lists WHERE list_id IN \
                     (SELECT list_id FROM lists WHERE made_at < ? ORDER BY made_at LIMIT ?)";
    let removed =
        sql::<()>(statement).bind::<Timestamptz, _>(to_pg(before)).bind::<BigInt, _>(limit).execute(conn)?;
    Ok(removed)
}
