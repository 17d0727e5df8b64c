//! Lists of users without their actors, from what is stored of them: of one user, and of all users a group at a time.

use std::collections::HashMap;

use super::AppState;
use tidings_core::base::{ExternalId, Timestamp, UserId};
use tidings_decision::decide::{ListRequest, Loaded, Recommendations, UserState};
use tidings_store::{Connection, StoreError, users};

/// Lists of a group of users.
pub struct Group {
    /// The last user of the group: the next group comes after it.
    pub last: UserId,
    /// Users of the group.
    pub n: usize,
    /// Each user with the list, in the order of users.
    pub lists: Vec<(ExternalId, Recommendations)>,
}

/// The list of a user without an actor.
pub fn made(state: &AppState, user: &ExternalId, loaded: Loaded, list: &ListRequest) -> Recommendations {
    let snapshot = state.snapshot();
    let world = snapshot.world(Some(loaded.user), state);
    UserState::new(user, loaded, &state.epoch, &world).list(list, &world)
}

/// Lists of at most `n` users but robots, those that came next `after` a user; `None` behind the last. Two queries.
pub fn of_group(
    connection: &mut Connection,
    state: &AppState,
    list: &ListRequest,
    after: Option<UserId>,
    n: usize,
) -> Result<Option<Group>, StoreError> {
    let named = users::after(connection, after, i64::try_from(n).unwrap_or(i64::MAX))?;
    let Some((last, _)) = named.last() else { return Ok(None) };
    let ids: Vec<UserId> = named.iter().map(|(user, _)| *user).collect();
    let (last, n) = (*last, ids.len());
    let fields = state.store.fields();
    let mut stored: HashMap<UserId, _> = users::load_states(connection, fields, &ids, Timestamp::now())?
        .into_iter()
        .map(|stored| (stored.user, stored))
        .collect();
    let catalogue = state.catalogue.load();
    let list_of = |(id, user): (UserId, ExternalId)| {
        let listed = made(state, &user, Loaded::fold(stored.remove(&id)?, &catalogue), list);
        Some((user, listed))
    };
    Ok(Some(Group { last, n, lists: named.into_iter().filter_map(list_of).collect() }))
}
