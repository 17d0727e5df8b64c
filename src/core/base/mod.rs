//! The vocabulary every other module speaks: ids, time, scores, seeded randomness. Imports nothing of ours.

pub mod field_error;
pub mod follows;
pub mod ids;
pub mod json;
pub mod json_shape;
pub mod nearest;
pub mod nul;
pub mod plain_words;
pub mod random;
pub mod rate;
#[cfg(feature = "schema")]
mod schema;
pub mod score;
pub mod time;
pub mod unknown_name;
pub mod zoned_moment;

pub use field_error::FieldError;
pub use follows::Follows;
pub use ids::{
    ConnectionId, EventKey, ExternalId, ExternalIdError, ItemId, ModelVersion, NotificationId, UserId,
};
pub use json_shape::JsonShape;
pub use nearest::nearest;
pub use nul::has_escaped_nul;
pub use plain_words::plain_words;
pub use score::Score;
pub use time::{Millis, Timestamp};
pub use unknown_name::{suggest_nearest, unknown_field};
pub use zoned_moment::ZonedMoment;
