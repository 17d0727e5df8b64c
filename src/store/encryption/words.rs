//! Messages of the shop that wait to be sent: under the key of their user where there is one who is known, so that they go with that key,
//! else under the server's own.

use std::borrow::Cow;
use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Text};
use serde_json::json;

use super::{Fields, Sealer};
use crate::postgres::error::StoreError;
use crate::postgres::sql::sql;
use tidings_core::base::ExternalId;
use tidings_decision::privacy::encryption::{Field, Owner, Unavailable};

/// Keys for words of one batch.
pub struct Words {
    sealer: Sealer,
    owners: HashMap<String, Owner>,
}

impl Fields {
    /// Keys for words to these users, each the only one of a message, and to several. One statement, and those of the keys; none while
    /// encryption is off.
    pub fn words<'u>(
        &self,
        conn: &mut PgConnection,
        users: impl IntoIterator<Item = &'u ExternalId>,
    ) -> Result<Words, StoreError> {
        let mut owners = HashMap::new();
        if self.is_on() {
            let named: Vec<String> = users.into_iter().map(ToString::to_string).collect();
            if !named.is_empty() {
                let rows = sql::<(Text, Integer)>(
                    "SELECT external_id, coalesce(merged_into, user_id) FROM users WHERE external_id = ANY(?)",
                )
                .bind::<Array<Text>, _>(named)
                .load::<(String, i32)>(conn)?;
                owners.extend(rows.into_iter().map(|(name, user)| (name, Owner(user))));
            }
        }
        let sealer = self.sealer(conn, owners.values().copied().chain([Owner::SERVER]))?;
        Ok(Words { sealer, owners })
    }

    /// A key for words in place of others: the one that those are under.
    pub fn words_like(&self, conn: &mut PgConnection, before: &str) -> Result<Reworded, StoreError> {
        let owner = self.opener_of_any(conn, [before])?.owner_of(before);
        Ok(Reworded { sealer: self.sealer(conn, [owner])?, owner })
    }
}

/// Key for words in place of others.
pub struct Reworded {
    sealer: Sealer,
    owner: Owner,
}

impl Reworded {
    /// Words as they are stored.
    pub fn seal<'t>(&self, field: Field, text: &'t str) -> Result<Cow<'t, str>, StoreError> {
        self.sealer.seal(self.owner, field, text)
    }
}

impl Words {
    /// Words as they are stored. `user`: the only one that they are for.
    pub fn seal<'t>(
        &self,
        user: Option<&ExternalId>,
        field: Field,
        text: &'t str,
    ) -> Result<Cow<'t, str>, StoreError> {
        let owner = user.and_then(|user| self.owners.get(&user.to_string())).copied();
        self.sealer.seal(owner.unwrap_or(Owner::SERVER), field, text)
    }
}

/// JSON in place of words that can't be decrypted: no message.
pub fn unavailable_words(reason: Unavailable) -> String {
    json!({ "unavailable": reason.reason() }).to_string()
}
