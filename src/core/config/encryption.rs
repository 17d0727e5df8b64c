//! Settings of encryption at rest.

use serde::{Deserialize, Serialize};

use super::bounds::{invalid, within};
use super::error::ConfigError;

/// Encryption of fields that say something about a person. On where there is a master key, from one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Encryption {
    /// Master keys, base64, secret; the first encrypts, all decrypt. `TIDINGS_ENCRYPTION_MASTER_KEY` sets it.
    pub master_key: String,
    /// File with the master keys.
    pub master_key_file: String,
    /// Program and arguments that write the master keys to their standard output; run once, at start.
    pub command: Vec<String>,
    /// Longest wait for that program, milliseconds.
    pub command_timeout_ms: u64,
    /// Names of attributes of users that are encrypted; no audience can be chosen by them.
    pub attributes: Vec<String>,
}

impl Default for Encryption {
    fn default() -> Self {
        Self {
            master_key: String::new(),
            master_key_file: String::new(),
            command: Vec::new(),
            command_timeout_ms: 10_000,
            attributes: Vec::new(),
        }
    }
}

/// Source of the master keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterKeySource<'a> {
    /// Nowhere: nothing is encrypted.
    None,
    /// The settings.
    Text(&'a str),
    /// A file of this path.
    File(&'a str),
    /// A program and its arguments.
    Command(&'a [String]),
}

impl Encryption {
    /// The source of the master keys.
    pub fn source(&self) -> MasterKeySource<'_> {
        match () {
            () if !self.master_key.is_empty() => MasterKeySource::Text(&self.master_key),
            () if !self.master_key_file.is_empty() => MasterKeySource::File(&self.master_key_file),
            () if !self.command.is_empty() => MasterKeySource::Command(&self.command),
            () => MasterKeySource::None,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let sources =
            [!self.master_key.is_empty(), !self.master_key_file.is_empty(), !self.command.is_empty()];
        if sources.into_iter().filter(|is_set| *is_set).count() > 1 {
            return invalid(
                "encryption.master_key",
                "master_key, master_key_file and command exclude each other: one source holds all master keys",
            );
        }
        if !self.attributes.is_empty() && self.source() == MasterKeySource::None {
            return invalid(
                "encryption.attributes",
                "attributes are encrypted under a master key, and there is none: set master_key_file (`tidings encryption new-key` makes one)",
            );
        }
        if self.attributes.iter().any(String::is_empty) {
            return invalid("encryption.attributes", "the name of an attribute is not empty");
        }
        within("encryption.command_timeout_ms", self.command_timeout_ms, 100, 600_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn master_keys_come_from_one_source() {
        let mut encryption = Encryption::default();
        assert_eq!((encryption.validate(), encryption.source()), (Ok(()), MasterKeySource::None));
        encryption.master_key_file = "/etc/tidings/master-key".to_owned();
        assert_eq!(encryption.validate(), Ok(()));
        assert_eq!(encryption.source(), MasterKeySource::File("/etc/tidings/master-key"));
        encryption.command = vec!["vault".to_owned()];
        assert!(encryption.validate().unwrap_err().to_string().contains("exclude each other"));
    }

    #[test]
    fn encrypted_attributes_need_a_master_key() {
        let mut encryption =
            Encryption { attributes: vec!["first_name".to_owned()], ..Encryption::default() };
        assert!(encryption.validate().unwrap_err().to_string().contains("there is none"));
        encryption.master_key_file = "/etc/tidings/master-key".to_owned();
        assert_eq!(encryption.validate(), Ok(()));
        encryption.attributes.push(String::new());
        assert!(encryption.validate().unwrap_err().to_string().contains("is not empty"));
    }
}
