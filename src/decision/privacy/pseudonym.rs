//! Pseudonyms of erased users: a keyed hash stands for the id of one in what is kept.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::audit::{AuditEntry, Hash, hex};
use tidings_core::base::ids::MAX_ID_BYTES;

/// Characters of a pseudonym that are of the hash: 128 bits.
const HASH_CHARACTERS: usize = 32;
/// Shortest id that is looked for inside of longer texts; shorter ones stand there by chance.
const LEAST_INNER_BYTES: usize = 5;
/// Values deeper than this are not looked at; none of the audit log is.
const MAX_DEPTH: usize = 32;
/// Fields of JSON values that name users, alone or in a list. Numbers are ids there only.
const NAMING_FIELDS: [&str; 9] =
    ["user_id", "user_ids", "user", "users", "anonymous_id", "subject", "external_id", "unknown", "merged"];

/// Key of the hashes that stand for ids.
#[derive(Clone)]
pub struct PseudonymKey([u8; 32]);

impl PseudonymKey {
    /// The key with these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Hash of an id, as `erased_id_hash` of the database computes it.
    pub fn hash(&self, id: &str) -> Hash {
        let inner = Sha256::new().chain_update(self.0).chain_update(id.as_bytes()).finalize();
        Sha256::new().chain_update(self.0).chain_update(inner).finalize().into()
    }
}

/// Pseudonym of a hash: `erased-` and 32 hexadecimal digits.
pub fn pseudonym(hash: &Hash) -> String {
    let digits = hex(hash);
    format!("erased-{}", digits.get(..HASH_CHARACTERS).unwrap_or(&digits))
}

/// Pseudonym of an id; `None` for the id of a user who was not erased.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The entry with pseudonyms in place of ids; `None` when it names nobody who was erased.
pub fn of_entry(entry: &AuditEntry, lookup: Lookup<'_>) -> Option<AuditEntry> {
    let mut found = false;
    let mut replaced = entry.clone();
    let is_own = entry.role == "user";
    if let Some(name) = entry.actor.as_deref().filter(|_| is_own).and_then(lookup) {
        // The address is of the person as well.
        (replaced.actor, replaced.address) = (Some(name), None);
        found = true;
    }
    if let Some(path) = of_path(&entry.object, lookup) {
        replaced.object = path;
        found = true;
    }
    for (value, old) in [(&mut replaced.before, &entry.before), (&mut replaced.after, &entry.after)] {
        if let Some(text) = old.as_deref().and_then(|text| of_json(text, lookup)) {
            *value = Some(text);
            found = true;
        }
    }
    found.then_some(replaced)
}

/// A path whose segment behind `users` is an erased id, or a text that is one.
fn of_path(path: &str, lookup: Lookup<'_>) -> Option<String> {
    if let Some(name) = lookup(path) {
        return Some(name);
    }
    let mut found = false;
    let mut follows = false;
    let segments: Vec<String> = path
        .split('/')
        .map(|segment| {
            let name = Some(segment).filter(|_| follows).and_then(|segment| lookup(&decoded(segment)));
            follows = segment == "users";
            found |= name.is_some();
            name.unwrap_or_else(|| segment.to_owned())
        })
        .collect();
    found.then(|| segments.join("/"))
}

/// Text of JSON with pseudonyms; `None` for one without erased ids, and for what is no JSON.
pub fn of_json(text: &str, lookup: Lookup<'_>) -> Option<String> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    replace(&mut value, false, 0, lookup).then(|| value.to_string())
}

fn replace(value: &mut Value, names: bool, depth: usize, lookup: Lookup<'_>) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    match value {
        Value::Object(fields) => fields.iter_mut().fold(false, |found, (field, value)| {
            replace(value, NAMING_FIELDS.contains(&field.as_str()), depth + 1, lookup) || found
        }),
        // Each of them, found or not.
        Value::Array(values) => {
            values
                .iter_mut()
                .filter_map(|value| replace(value, names, depth + 1, lookup).then_some(()))
                .count()
                > 0
        }
        Value::String(text) => {
            let is_id = text.len() <= MAX_ID_BYTES && (names || !is_number(text));
            set(value, is_id, lookup)
        }
        Value::Number(_) => set(value, names, lookup),
        Value::Null | Value::Bool(_) => false,
    }
}

fn set(value: &mut Value, is_id: bool, lookup: Lookup<'_>) -> bool {
    let text = match &*value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match Some(text).filter(|_| is_id).and_then(|text| lookup(&text)) {
        Some(name) => {
            *value = Value::String(name);
            true
        }
        None => false,
    }
}

/// The text with a pseudonym wherever the id stands in it; unchanged for ids that may stand in a text by chance.
pub fn of_text(text: &str, id: &str, pseudonym: &str) -> String {
    if id.len() < LEAST_INNER_BYTES || is_number(id) {
        return text.to_owned();
    }
    spellings(id).iter().fold(text.to_owned(), |text, spelling| text.replace(spelling.as_str(), pseudonym))
}

/// Spellings of an id in paths and in JSON.
pub fn spellings(id: &str) -> Vec<String> {
    let json = Value::from(id).to_string();
    let mut spellings = vec![id.to_owned(), json.trim_matches('"').to_owned(), encoded(id)];
    spellings.sort_unstable();
    spellings.dedup();
    spellings
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok()
}

/// Bytes of a path's segment that stand for themselves (RFC 3986).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn encoded(segment: &str) -> String {
    segment
        .bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn decoded(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits =
            behind.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(id: &str) -> Option<String> {
        ["17", "anna@shop.example"].contains(&id).then(|| "erased-1".to_owned())
    }

    #[test]
    fn ids_are_replaced_where_they_name_users() {
        let entry = |object: &str, after: &str| AuditEntry {
            actor: Some("17".into()),
            role: "service".into(),
            address: Some("10.0.0.1".into()),
            object: object.into(),
            after: Some(after.into()),
            ..AuditEntry::default()
        };
        let of = |object: &str, after: &str| {
            let replaced = of_entry(&entry(object, after), &lookup)?;
            Some((replaced.object, replaced.after.unwrap_or_default()))
        };
        let both = |object: &str, after: &str| Some((object.to_owned(), after.to_owned()));
        assert_eq!(of("/v1/users/17/profile", "{}"), both("/v1/users/erased-1/profile", "{}"));
        assert_eq!(of("/v1/users/anna%40shop.example", "{}"), both("/v1/users/erased-1", "{}"));
        assert_eq!(of("/v1/items/17", r#"{"price":17,"stock":"17"}"#), None);
        let after = r#"{"n":17,"user_id":17,"users":["16","17"],"who":"anna@shop.example"}"#;
        let replaced = r#"{"n":17,"user_id":"erased-1","users":["16","erased-1"],"who":"erased-1"}"#;
        assert_eq!(of("/x", after), both("/x", replaced));
        assert_eq!(of("/x", "no JSON 17"), None);
        let own = AuditEntry { role: "user".into(), ..entry("/x", "{}") };
        let own = of_entry(&own, &lookup).unwrap();
        assert_eq!((own.actor.as_deref(), own.address), (Some("erased-1"), None));
    }

    #[test]
    fn an_id_is_found_in_a_text_unless_it_may_be_there_by_chance() {
        assert_eq!(of_text("of anna-1, anna-1", "anna-1", "x"), "of x, x");
        assert_eq!(of_text("of a%40b.de", "a@b.de", "x"), "of x");
        assert_eq!(of_text("17 items, 171717", "171717", "x"), "17 items, 171717");
        assert_eq!(decoded("a%40b%4"), "a@b%4");
    }

    #[test]
    fn a_pseudonym_says_nothing_of_the_id_without_the_key() {
        let of = |key: u8, id: &str| pseudonym(&PseudonymKey::new([key; 32]).hash(id));
        assert_eq!(of(1, "17"), of(1, "17"));
        assert!(of(1, "17") != of(2, "17") && of(1, "17") != of(1, "18"));
        assert_eq!(of(1, "17").len(), 39);
    }
}
