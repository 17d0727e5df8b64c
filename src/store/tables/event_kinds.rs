//! Table `event_kinds`: kinds of events of the shop's own. A name keeps its code for good, so that events stay what they are.

use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Float, Text};

use crate::postgres::StoreError;
use crate::postgres::columns::column;
use crate::postgres::sql::sql;
use tidings_core::config::{KindSetting, Kinds};
use tidings_core::event::{FIRST_OWN_CODE, OwnKind, OwnKinds};
use tidings_schema::event_kinds as table;

/// Notes the kinds of a configuration with their weights, and reads all: those of the configuration are accepted, the others
/// only read.
pub fn sync(conn: &mut PgConnection, configured: &Kinds) -> Result<OwnKinds, StoreError> {
    if configured.is_empty() {
        return load(conn);
    }
    let wanted: Vec<(&String, &KindSetting)> = configured.iter().collect();
    conn.transaction(|conn| {
        // Two that start together would give one code to two names.
        sql::<()>("SELECT pg_advisory_xact_lock(hashtext('event_kinds'))").execute(conn)?;
        sql::<()>(include_str!("sql/sync_event_kinds.sql"))
            .bind::<Array<Text>, _>(column(&wanted, |(name, _)| (*name).clone()))
            .bind::<Array<Float>, _>(column(&wanted, |(_, kind)| kind.weight()))
            .bind::<Array<Bool>, _>(column(&wanted, |(_, kind)| kind.needs_item()))
            .execute(conn)?;
        all(conn, configured)
    })
}

/// The kinds of a configuration under codes of no database, for what is read and not stored.
pub fn unsaved(configured: &Kinds) -> OwnKinds {
    let mut kinds = OwnKinds::default();
    for (code, (name, kind)) in (FIRST_OWN_CODE..).zip(configured) {
        kinds.add(name, OwnKind::new(code, kind.weight(), kind.needs_item()), true);
    }
    kinds
}

/// All kinds of the shop's own, to be read.
pub fn load(conn: &mut PgConnection) -> Result<OwnKinds, StoreError> {
    all(conn, &Kinds::new())
}

fn all(conn: &mut PgConnection, accepted: &Kinds) -> Result<OwnKinds, StoreError> {
    let rows = table::table
        .select((table::code, table::name, table::weight, table::needs_item))
        .order(table::code)
        .load::<(i16, String, f32, bool)>(conn)?;
    let mut kinds = OwnKinds::default();
    for (code, name, weight, needs_item) in rows {
        kinds.add(&name, OwnKind::new(code, weight, needs_item), accepted.contains_key(&name));
    }
    Ok(kinds)
}
