//! `tidings export recommendations`: the list that each user would be given now, made by the code of the server from the same
//! tables, a group of users at a time.

use std::ops::ControlFlow;

use super::sheet::Sheet;
use crate::app::server;
use tidings_core::base::ExternalId;
use tidings_core::catalogue::Catalogue;
use tidings_core::config::Config;
use tidings_decision::decide::{ListRequest, Recommendations};
use tidings_decision::deliver::frames;
use tidings_decision::notify::content::ItemLanguage;
use tidings_state::user_lists;
use tidings_store::export::{Column, Holds, Receiver, Row};
use tidings_store::{Connection, Store};

/// Users read at a time, as at a login.
const GROUP: usize = 256;

/// Writes the lists of all users but robots, `n` items each at most, in the order in which users came.
pub fn write(config: &Config, store: Store, n: usize, sheet: &mut Sheet) -> anyhow::Result<()> {
    let state = server::load_decisions(config.clone(), store)?;
    let columns = [
        Column::new("user_id", Holds::Id),
        Column::new("rank", Holds::Integer),
        Column::new("item_id", Holds::Id),
        Column::new("score", Holds::Real),
        Column::new("title", Holds::Text),
        Column::new("reason", Holds::Text),
        Column::new("model_version", Holds::Integer),
    ];
    if sheet.columns(&columns).is_break() {
        return Ok(());
    }
    let (list, mut after) = (ListRequest { n, ..ListRequest::default() }, None);
    loop {
        let read =
            |connection: &mut Connection| user_lists::of_group(connection, &state, &list, after, GROUP);
        let Some(group) = state.store.run_blocking(read)? else { return Ok(()) };
        after = Some(group.last);
        let catalogue = state.catalogue.load();
        for (user, listed) in &group.lists {
            if rows(user, listed, &catalogue, sheet).is_break() {
                return Ok(());
            }
        }
    }
}

fn rows(
    user: &ExternalId,
    listed: &Recommendations,
    catalogue: &Catalogue,
    sheet: &mut Sheet,
) -> ControlFlow<()> {
    let (user, mut row) = (user.to_string(), Row::default());
    let language = ItemLanguage::of(listed.locale.as_deref());
    let items = frames::recommended_items(&listed.items, catalogue, &language, None);
    for (place, item) in items.iter().enumerate() {
        row.clear();
        row.push(Some(&user));
        row.push(Some(&(place + 1).to_string()));
        row.push(Some(&item.item_id.to_string()));
        row.push(Some(&item.score.get().to_string()));
        row.push(Some(&item.title));
        row.push(Some(&item.reason));
        row.push(Some(&listed.model.0.to_string()));
        sheet.row(&row)?;
    }
    ControlFlow::Continue(())
}
