//! Messages of the recommender.

use actix::Message;
use tokio::sync::oneshot;
use uuid::Uuid;

use tidings_core::base::ModelVersion;
use tidings_decision::privacy::audit::AuditEntry;
use tidings_store::{Along, StoreError};

/// Receiver of that answer.
pub type Reply = oneshot::Sender<Result<Asked, StoreError>>;

/// Answer to whoever asked for a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The job that was started, or the one that runs.
    pub job: Uuid,
    /// True if it was started for this request.
    pub is_new: bool,
}

/// From request handlers.
#[derive(Message)]
#[rtype(result = "()")]
pub enum ModelCommand {
    /// Starts a training, unless one runs. Somebody's request is stored with the job before it starts, as its entry in the audit log.
    Retrain(Option<AuditEntry>, Reply),
    /// Lets this version serve. The reply is false when there is no such version.
    Activate(ModelVersion, Along<ModelVersion>, oneshot::Sender<Result<bool, String>>),
}
