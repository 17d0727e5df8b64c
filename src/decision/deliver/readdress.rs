//! A stored frame for another place: the addressee and the offset in its head are replaced, everything else stays as it was sent.

use serde::de::IgnoredAny;

use tidings_core::base::ExternalId;

/// The frame with another addressee and offset; `None` for a text whose head is no frame's. O(length).
pub fn readdressed(frame: &str, user: &ExternalId, offset: i64) -> Option<String> {
    let addressed = with_value(frame, "\"user_id\":", &serde_json::to_string(user).ok()?)?;
    with_value(&addressed, "\"offset\":", &offset.to_string())
}

/// The text with the first value of a key replaced. Heads come first and hold no objects; inside of strings quotes are escaped.
fn with_value(text: &str, key: &str, value: &str) -> Option<String> {
    let start = text.find(key)? + key.len();
    let (head, rest) = (text.get(..start)?, text.get(start..)?);
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    let tail = rest.get(values.byte_offset()..)?;
    Some(format!("{head}{value}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_gets_another_addressee_and_place_and_the_rest_stays() {
        let frame = r#"{"type":"notification","user_id":"anon \"user_id\":7","notification_id":"x","epoch":"e","offset":12,"title":"\"offset\":3","data":{"offset":5,"user_id":"me"}}"#;
        let expected = r#"{"type":"notification","user_id":17,"notification_id":"x","epoch":"e","offset":-4,"title":"\"offset\":3","data":{"offset":5,"user_id":"me"}}"#;
        assert_eq!(readdressed(frame, &ExternalId::Integer(17), -4).as_deref(), Some(expected));
        assert_eq!(readdressed("{}", &ExternalId::Integer(17), 1), None);
    }
}
