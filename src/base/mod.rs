//! The vocabulary every other module speaks: ids, time, scores, seeded randomness. Imports nothing of ours.

pub mod ids;
pub mod random;
pub mod score;
pub mod time;

pub use ids::{
    ConnectionId, EventKey, ExternalId, ExternalIdError, ItemId, ModelVersion, NotificationId, UserId,
};
pub use score::Score;
pub use time::{Millis, Timestamp};
