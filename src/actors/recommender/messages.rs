//! Messages of the recommender.

use actix::Message;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::base::ModelVersion;
use crate::store::Along;

/// From request handlers.
#[derive(Message)]
#[rtype(result = "()")]
pub enum ModelCommand {
    /// Starts a training, unless one runs. The reply names the job: the new one, or the one that runs.
    Retrain(oneshot::Sender<Uuid>),
    /// Lets this version serve. The reply is false when there is no such version.
    Activate(ModelVersion, Along<ModelVersion>, oneshot::Sender<Result<bool, String>>),
}
