//! Masking of personal data in answers to people who work with figures and not with persons: the permission `personal_data` decides.

use hmac::{Hmac, Mac};
use serde_json::{Map, Value};
use sha2_10::Sha256;

use super::access::Access;
use super::permission::Permission;

/// Random key of masks, made anew when the server starts: a mask tells users apart in one run and means nothing in another.
pub type MaskKey = [u8; 32];

/// Begin of a masked id.
pub const PREFIX: &str = "user-";
/// Characters behind it: 48 bits.
const HEX_CHARS: usize = 12;
/// Stands for a value that is not shown.
const MASKED: &str = "***";
/// Fields that hold the id of a user, or several.
const IDS: [&str; 4] = ["user_id", "user_ids", "anonymous_id", "subscriber_id"];
/// Fields that mark an object as one about a user.
const ABOUT_USER: [&str; 3] = ["user_id", "notification_id", "anonymous_id"];
/// Fields of such an object that hold words to or from the user.
const TEXTS: [&str; 7] = ["title", "body", "data", "url", "image_url", "text", "variables"];
/// Fields that hold words that somebody looked for, wherever they stand.
const SEARCHES: [&str; 3] = ["query", "search", "search_text"];

/// Returns true if answers to this caller are masked: people, and API keys with permissions of their own, without the permission. Users see their
/// own, and services what they work on.
pub fn applies(access: &Access) -> bool {
    (access.role.is_of_people() || access.permissions.is_some()) && !access.may(Permission::PersonalData)
}

/// Masks ids, attributes, words and searches of users in an answer.
pub fn mask(value: &mut Value, key: &MaskKey) {
    match value {
        Value::Object(fields) => object(fields, key),
        Value::Array(values) => values.iter_mut().for_each(|value| mask(value, key)),
        _ => {}
    }
}

fn object(fields: &mut Map<String, Value>, key: &MaskKey) {
    let is_about_user = ABOUT_USER.iter().any(|name| fields.contains_key(*name));
    let audience = fields.get("audience");
    let has_audience = audience.is_some();
    let is_to_users =
        audience.is_some_and(|audience| audience.get("users").is_some_and(|users| !users.is_null()));
    if let Some(Value::Object(words)) = fields.get_mut("message").filter(|_| is_to_users) {
        words
            .iter_mut()
            .filter(|(name, _)| TEXTS.contains(&name.as_str()))
            .for_each(|(_, words)| hide(words));
    }
    // What set a trigger off is about its users, however many these are.
    if let Some(event) = fields.get_mut("message").and_then(|message| message.get_mut("event"))
        && has_audience
    {
        hide(event);
    }
    for (name, value) in fields.iter_mut() {
        match name.as_str() {
            "audience" => conditions(value),
            name if IDS.contains(&name) => ids(value, key),
            name if SEARCHES.contains(&name) => hide(value),
            "attributes" if is_about_user => names_only(value),
            name if is_about_user && TEXTS.contains(&name) => hide(value),
            _ => mask(value, key),
        }
    }
}

/// Masks the values of conditions on attributes, by which an audience is chosen.
fn conditions(audience: &mut Value) {
    let conditions = audience.get_mut("attributes").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten().filter_map(Value::as_object_mut) {
        condition
            .iter_mut()
            .filter(|(name, _)| !matches!(name.as_str(), "name" | "exists"))
            .for_each(|(_, value)| hide(value));
    }
}

/// Masks one id or a list of them.
fn ids(value: &mut Value, key: &MaskKey) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| ids(value, key)),
        Value::String(text) => *value = id(text, key).into(),
        Value::Number(number) => *value = id(&number.to_string(), key).into(),
        _ => {}
    }
}

/// Mask of an id: the same for the same id, from which the id can't be told without the key.
pub fn id(text: &str, key: &MaskKey) -> String {
    // A key of any length is taken.
    let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(key) else { return PREFIX.to_owned() };
    hmac.update(text.as_bytes());
    let hex: String = hmac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{}", hex.get(..HEX_CHARS).unwrap_or_default())
}

fn hide(value: &mut Value) {
    if !value.is_null() {
        *value = MASKED.into();
    }
}

fn names_only(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(hide),
        value => hide(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::Role;
    use serde_json::json;

    const KEY: MaskKey = [7; 32];

    #[test]
    fn the_permission_decides_for_people_and_nobody_else_is_masked() {
        let masked = |role| applies(&Access { role, ..Access::open() });
        let all: Vec<Role> = Role::ALL.into_iter().filter(|role| masked(*role)).collect();
        assert_eq!(all, [Role::Viewer, Role::Marketer, Role::Operator]);
    }

    #[test]
    fn ids_attributes_words_and_searches_of_users_are_masked_and_items_are_not() {
        let mut value = json!({
            "users": [{"user_id": 17, "segment": "A"}, {"user_id": "erika"}],
            "message": {"notification_id": "n", "title": "Dear Erika", "body": null, "kind": "sale"},
            "profile": {"user_id": 17, "attributes": {"city": "Bonn", "left": null},
                "recent": [{"item_id": 5, "title": "Lamp", "attributes": {"colour": "red"}}]},
            "user_ids": [17, "erika"], "query": "divorce lawyer", "n": 3,
            "calls": [
                {"audience": {"users": 1}, "message": {"title": "Dear Erika", "kind": "note", "variables": {"name": "Erika"}}},
                {"audience": {"everyone": true}, "message": {"title": "Sale"}},
                {"audience": {"users": 2}, "message": {"trigger": "order_status", "event": {"title": "Dear Erika"}}},
                {"audience": {"attributes": [{"name": "city", "one_of": ["Bonn"]}, {"name": "age", "at_least": 41},
                    {"name": "plan", "exists": true}]}, "message": {"title": "Sale"}},
            ],
        });
        mask(&mut value, &KEY);
        let (first, erika) = (id("17", &KEY), id("erika", &KEY));
        assert_eq!(
            value,
            json!({
                "users": [{"user_id": first, "segment": "A"}, {"user_id": erika}],
                "message": {"notification_id": "n", "title": "***", "body": null, "kind": "sale"},
                "profile": {"user_id": first, "attributes": {"city": "***", "left": null},
                    "recent": [{"item_id": 5, "title": "Lamp", "attributes": {"colour": "red"}}]},
                "user_ids": [first, erika], "query": "***", "n": 3,
                "calls": [
                    {"audience": {"users": 1}, "message": {"title": "***", "kind": "note", "variables": "***"}},
                    {"audience": {"everyone": true}, "message": {"title": "Sale"}},
                    {"audience": {"users": 2}, "message": {"trigger": "order_status", "event": "***"}},
                    {"audience": {"attributes": [{"name": "city", "one_of": "***"}, {"name": "age", "at_least": "***"},
                        {"name": "plan", "exists": true}]}, "message": {"title": "Sale"}},
                ],
            })
        );
        assert!(first.len() == 17 && first != id("17", &[8; 32]) && first != erika);
    }
}
