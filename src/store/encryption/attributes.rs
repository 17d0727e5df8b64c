//! Attributes of a user that are encrypted, by their names: `{"sealed": "enc1:…"}` stands in the stored object in place of the value,
//! whose JSON is encrypted. No value of the shop has that form.

use serde_json::{Value, json};

use super::{Fields, Opener, Sealer};
use crate::postgres::error::StoreError;
use tidings_decision::privacy::encryption::{Field, Owner, Unavailable};

/// Name of the only member of an encrypted value.
const SEALED: &str = "sealed";

/// The ciphertext of an encrypted value.
fn ciphertext(value: &Value) -> Option<&str> {
    value.as_object().filter(|members| members.len() == 1)?.get(SEALED)?.as_str()
}

/// Ciphertexts of stored attributes.
pub fn sealed_attributes(stored: &Value) -> impl Iterator<Item = &str> {
    stored.as_object().into_iter().flatten().filter_map(|(_, value)| ciphertext(value))
}

/// Stored attributes with those decrypted that are encrypted; what can't be is taken out and comes back by name.
pub fn open_attributes(opener: &Opener, owner: Owner, stored: &mut Value) -> Vec<(String, Unavailable)> {
    let Some(members) = stored.as_object_mut() else { return Vec::new() };
    let mut unavailable = Vec::new();
    members.retain(|name, value| {
        let Some(text) = ciphertext(value).map(str::to_owned) else { return true };
        let opened = opener.open(owner, Field::Attribute, text);
        match opened.and_then(|text| serde_json::from_str(&text).map_err(|_| Unavailable::Damaged)) {
            Ok(opened) => *value = opened,
            Err(reason) => {
                unavailable.push((name.clone(), reason));
                return false;
            }
        }
        true
    });
    unavailable
}

impl Fields {
    /// Returns true if some of these attributes are to be encrypted and are not.
    pub fn has_unsealed(&self, stored: &Value) -> bool {
        let Some(on) = self.on.get() else { return false };
        let mut members = stored.as_object().into_iter().flatten();
        members.any(|(name, value)| on.attributes.contains(name.as_str()) && ciphertext(value).is_none())
    }

    /// Returns whether an attribute of this name is encrypted.
    pub fn is_sealed(&self, name: &str) -> bool {
        self.on.get().is_some_and(|on| on.attributes.contains(name))
    }

    /// Names of the attributes that are encrypted.
    pub(super) fn sealed_names(&self) -> impl Iterator<Item = &str> {
        self.on.get().into_iter().flat_map(|on| on.attributes.iter().map(AsRef::as_ref))
    }

    /// Encrypts those of the attributes that are marked so.
    pub fn seal_attributes(
        &self,
        sealer: &Sealer,
        owner: Owner,
        stored: &mut Value,
    ) -> Result<(), StoreError> {
        let Some(on) = self.on.get() else { return Ok(()) };
        for (name, value) in stored.as_object_mut().into_iter().flatten() {
            if on.attributes.contains(name.as_str()) && ciphertext(value).is_none() {
                let text = value.to_string();
                *value = json!({ SEALED: sealer.seal(owner, Field::Attribute, &text)? });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_of_a_ciphertext_is_one() {
        let stored = json!({"a": {"sealed": "enc1:x"}, "b": "enc1:y", "c": {"date": "2030-01-31"},
                            "d": {"sealed": "enc1:z", "more": 1}, "e": {"sealed": 1}});
        assert_eq!(sealed_attributes(&stored).collect::<Vec<_>>(), ["enc1:x"]);
    }
}
