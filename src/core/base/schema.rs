//! Schemas of ids, times and scores, as JSON carries them.

use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::ids::{MAX_ID_BYTES, MAX_INTEGER_ID};
use super::{ExternalId, NotificationId, Score, Timestamp};

fn of(kind: Type, format: KnownFormat) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind).format(Some(SchemaFormat::KnownFormat(format)))
}

impl PartialSchema for ExternalId {
    fn schema() -> RefOr<Schema> {
        let integer = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(-MAX_INTEGER_ID))
            .maximum(Some(MAX_INTEGER_ID));
        let text =
            ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(MAX_ID_BYTES));
        OneOfBuilder::new()
            .item(integer)
            .item(text)
            .description(Some(
                "Id of the shop's own: an integer, or a text of 1…128 bytes without control characters.",
            ))
            .into()
    }
}

impl ToSchema for ExternalId {}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        of(Type::String, KnownFormat::DateTime).description(Some("Moment, RFC 3339 with a zone.")).into()
    }
}

impl ToSchema for Timestamp {}

impl PartialSchema for NotificationId {
    fn schema() -> RefOr<Schema> {
        of(Type::String, KnownFormat::Uuid).description(Some("Id of one message to one user.")).into()
    }
}

impl ToSchema for NotificationId {}

impl PartialSchema for Score {
    fn schema() -> RefOr<Schema> {
        of(Type::Number, KnownFormat::Float).minimum(Some(0)).maximum(Some(1)).into()
    }
}

impl ToSchema for Score {}
