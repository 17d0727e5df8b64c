//! Messages of the loader.

use actix::Message;
use tokio::sync::oneshot;

use crate::mailbox::Mailbox;
use tidings_core::base::ExternalId;
use tidings_decision::decide::Loaded;

/// Sent by user actors and request handlers.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Load {
    /// User to load.
    pub user: ExternalId,
    /// Unknown users are made known (a login) or answered with `None` (a question).
    pub create: bool,
    /// Receiver of the answer.
    pub reply: oneshot::Sender<Result<Option<Box<Loaded>>, LoadError>>,
}

/// The database did not answer.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the database is not available, try again in a moment")]
pub struct LoadError;

impl Mailbox<Load> {
    /// Reads one user; `None` = unknown and not to be created.
    pub async fn load(&self, user: &ExternalId, create: bool) -> Result<Option<Box<Loaded>>, LoadError> {
        let (reply, answer) = oneshot::channel();
        if !self.offer(Load { user: user.clone(), create, reply }).is_queued() {
            return Err(LoadError);
        }
        answer.await.unwrap_or(Err(LoadError))
    }
}
