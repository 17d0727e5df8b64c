//! The lists of all users as a stream of lines, a group of users at a time: the next group is read when the client has taken the
//! one before, so memory is bounded whatever the number of users.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;

use super::asked::{Asked, Resolved, pairs};
use super::{List, answer};
use crate::error::ApiError;
use crate::permit::{ReadUsers, With};
use tidings_actors::App;
use tidings_core::base::{ExternalId, UserId};
use tidings_state::AppState;
use tidings_state::user_lists;
use tidings_store::{Connection, StoreError, lists, users};

/// Users of a group.
const GROUP: usize = 64;

/// Place in the stream.
pub struct Cursor {
    after: Option<UserId>,
    left: usize,
}

impl Cursor {
    /// Behind a user, or at the beginning; for so many users.
    pub fn new(after: Option<UserId>, limit: usize) -> Self {
        Self { after, left: limit }
    }
}

/// Lists of all users but robots, one JSON object a line, in a fixed order of users. `after` goes on behind a user, `limit` ends
/// earlier.
pub async fn all(
    request: HttpRequest,
    app: web::Data<App>,
    _caller: With<ReadUsers>,
) -> Result<HttpResponse, ApiError> {
    let (own, asked): (Vec<_>, Vec<_>) =
        pairs(request.query_string())?.into_iter().partition(|(name, _)| name == "after" || name == "limit");
    let resolved =
        Asked::of_pairs(asked)?.resolve(&app.state.catalogue.load(), &app.state.definitions.load())?;
    let (mut after, mut limit) = (None, usize::MAX);
    for (name, text) in own {
        if name == "after" {
            let user = ExternalId::parse(&text)?;
            let found = app.state.store.run(move |connection| users::find(connection, &user)).await?;
            let unknown = || ApiError::invalid("bad_list", Some("after"), format!("there is no user {text}"));
            after = Some(found.ok_or_else(unknown)?);
        } else {
            let bad = || ApiError::invalid("bad_list", Some("limit"), "limit must be a whole number from 1");
            limit = text.parse().ok().filter(|limit| *limit > 0).ok_or_else(bad)?;
        }
    }
    if app.state.store.hangs() {
        return Err(ApiError::database_hangs());
    }
    let mut response = HttpResponse::Ok();
    response.content_type("application/x-ndjson");
    if request.method() == Method::HEAD {
        return Ok(response.streaming(stream::empty::<Result<web::Bytes, StoreError>>()));
    }
    let (state, resolved) = (Arc::clone(&app.state), Arc::new(resolved));
    let lines = stream::try_unfold(Cursor::new(after, limit), move |cursor| {
        let (state, resolved) = (Arc::clone(&state), Arc::clone(&resolved));
        let store = state.store.clone();
        async move {
            let read = store.run_patiently(move |connection| group(connection, &state, &resolved, cursor));
            tokio::select! {
                read = read => read,
                // The stream ends without its last chunk: its client sees that it is not whole.
                () = store.until_it_hangs() => {
                    Err(StoreError::Connect("it does not answer".to_owned()))
                }
            }
        }
    });
    Ok(response.streaming(Box::pin(lines)))
}

/// The lines of the next users, whose lists are stored where they name a placement; `None` at the end.
pub fn group(
    connection: &mut Connection,
    state: &AppState,
    resolved: &Resolved,
    mut cursor: Cursor,
) -> Result<Option<(web::Bytes, Cursor)>, StoreError> {
    let group =
        user_lists::of_group(connection, state, &resolved.list, cursor.after, GROUP.min(cursor.left))?;
    let Some(group) = group else { return Ok(None) };
    cursor.after = Some(group.last);
    cursor.left -= group.n.min(cursor.left);
    let catalogue = state.catalogue.load();
    let (mut lines, mut answered) = (Vec::new(), Vec::new());
    for (user, listed) in group.lists {
        let line = List { user_id: Some(Some(&user)), ..answer(&listed, resolved, &catalogue) };
        answered.extend(line.answered(&listed, Some(&user)));
        lines.extend(serde_json::to_vec(&line).unwrap_or_default());
        lines.push(b'\n');
    }
    if state.config.retention.lists_days > 0 {
        lists::insert(connection, &answered)?;
    }
    Ok(Some((lines.into(), cursor)))
}
