//! Open connections with whose they are, so that they can be ended together.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use uuid::Uuid;

use tidings_core::base::Timestamp;
use tidings_decision::deliver::CloseCode;
use tidings_decision::privacy::Role;
use tidings_transport::WeakPipe;

/// Connections that are kept before ended ones are looked for.
const FIRST_SWEEP: usize = 1_024;

/// A connection that has logged in.
pub struct Session {
    /// User it serves.
    pub user: String,
    /// Subject of its token; empty with authentication off.
    pub subject: String,
    /// Id of its token.
    pub token_id: Option<String>,
    /// API key in place of a token.
    pub api_key: Option<Uuid>,
    /// Session of a person who is signed in, in place of a token.
    pub sign_in: Option<Uuid>,
    /// Role at the login.
    pub role: Role,
    /// Moment at which its token was issued.
    pub issued_at: Option<Timestamp>,
    /// Moment of the login.
    pub opened_at: Timestamp,
    /// Way to it.
    pub pipe: WeakPipe,
}

/// All of them. Ended ones are taken out when they may be half of all.
#[derive(Default)]
pub struct Sessions(Mutex<(Vec<Session>, usize)>);

impl Sessions {
    /// Adds a connection.
    pub fn enter(&self, session: Session) {
        let (all, sweep_at) = &mut *self.0.lock();
        if all.len() >= (*sweep_at).max(FIRST_SWEEP) {
            all.retain(|session| session.pipe.is_open());
            *sweep_at = 2 * all.len();
        }
        all.push(session);
    }

    /// Users with an open connection, in the order of their ids.
    pub fn users(&self) -> Vec<String> {
        let (all, _) = &*self.0.lock();
        let open = all.iter().filter(|session| session.pipe.is_open()).map(|session| session.user.as_str());
        open.collect::<BTreeSet<&str>>().into_iter().map(str::to_owned).collect()
    }

    /// Ends the connections that `is_over` names, as signed out; how many.
    pub fn close(&self, is_over: impl Fn(&Session) -> bool) -> usize {
        let (all, _) = &mut *self.0.lock();
        let mut closed = 0;
        all.retain(|session| {
            let ends = is_over(session);
            closed += usize::from(ends && session.pipe.close(CloseCode::SignedOut));
            !ends
        });
        closed
    }
}
