//! `tidings export recommendations`: the list that each user would be given now, made by the code of the server from the same
//! tables, a group of users at a time.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::sheet::Sheet;
use crate::app::server;
use crate::base::{ExternalId, Timestamp, UserId};
use crate::config::Config;
use crate::decide::{Loaded, UserState};
use crate::deliver::frames;
use crate::state::AppState;
use crate::store::export::{Column, Holds, Receiver, Row};
use crate::store::{Store, users};

/// Users read at a time, as at a login.
const GROUP: i64 = 256;

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
    let mut after = None;
    loop {
        let group = state.store.run_blocking(|connection| users::after(connection, after, GROUP))?;
        let Some((last, _)) = group.last() else { return Ok(()) };
        after = Some(*last);
        if lists(&state, &group, n, sheet)?.is_break() {
            return Ok(());
        }
    }
}

fn lists(
    state: &Arc<AppState>,
    group: &[(UserId, ExternalId)],
    n: usize,
    sheet: &mut Sheet,
) -> anyhow::Result<ControlFlow<()>> {
    let ids: Vec<UserId> = group.iter().map(|(user, _)| *user).collect();
    let stored =
        state.store.run_blocking(|connection| users::load_states(connection, &ids, Timestamp::now()))?;
    let snapshot = state.snapshot();
    let catalogue = state.catalogue.load();
    let mut row = Row::default();
    let names: BTreeMap<UserId, &ExternalId> = group.iter().map(|(user, name)| (*user, name)).collect();
    for stored in stored {
        let Some(name) = names.get(&stored.user) else { continue };
        let world = snapshot.world(Some(stored.user), state);
        let loaded = Loaded::fold(stored, &catalogue);
        let listed = UserState::new(name, loaded, &state.epoch, &world).recommend(None, n, &world);
        let user = name.to_string();
        for (place, item) in frames::recommended_items(&listed.items, &catalogue).iter().enumerate() {
            row.clear();
            row.push(Some(&user));
            row.push(Some(&(place + 1).to_string()));
            row.push(Some(&item.item_id.to_string()));
            row.push(Some(&item.score.get().to_string()));
            row.push(Some(&item.title));
            row.push(Some(&item.reason));
            row.push(Some(&listed.model.0.to_string()));
            if sheet.row(&row).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}
