//! Personal data of one user: every kind of it with its purpose, counted and row by row. The table of kinds is the
//! record of processing (GDPR article 30); a test holds it to the columns of the database.

use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Text};
use serde_json::{Map, Value};

use super::export::kinds;
use crate::encryption::attributes::{open_attributes, sealed_attributes};
use crate::encryption::{Fields, Opener, owner};
use crate::postgres::StoreError;
use crate::postgres::sql::sql;
use tidings_core::base::UserId;
use tidings_decision::privacy::encryption::{Field, Owner, key_of};

/// A kind of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Name: of the file in an export, without its ending.
    pub name: &'static str,
    /// Description, for the person.
    pub about: &'static str,
    /// Purpose.
    pub purpose: &'static str,
    /// Source.
    pub source: &'static str,
    /// Table, for operators.
    pub table: &'static str,
    /// Selects `row`, a JSON object, of the user `$`.
    statement: &'static str,
}

const SHOP: &str = "the shop";
const DEVICE: &str = "your device, by the pages of the shop";
const BOTH: &str = "the shop, and your device by the pages of the shop";
const PERSON: &str = "you, by the settings of the shop's pages";
const SERVER: &str = "computed here from what else is held";

/// Every kind, in the order of an export.
pub const HOLDINGS: [Holding; 22] = [
    Holding {
        name: "user",
        about: "your id in the shop, when you were first seen, and whether you were taken for a robot",
        purpose: "to know whom everything else belongs to",
        source: SHOP,
        table: "users",
        statement: "SELECT to_jsonb(t) - '{user_id,merged_into}'::text[] AS row FROM (SELECT $ AS id) p \
                    JOIN users t ON t.user_id = p.id OR t.merged_into = p.id",
    },
    Holding {
        name: "attributes",
        about: "what the shop says of you, for example a first name or a customer group",
        purpose: "to choose and word messages",
        source: SHOP,
        table: "user_attributes",
        statement: "SELECT to_jsonb(t) - 'user_id' AS row FROM user_attributes t WHERE t.user_id = $",
    },
    Holding {
        name: "preferences",
        about: "language, time zone, quiet hours, and what you have muted",
        purpose: "to send what you want, when you want it",
        source: PERSON,
        table: "user_preferences",
        statement: "SELECT to_jsonb(t) - 'user_id' AS row FROM user_preferences t WHERE t.user_id = $",
    },
    Holding {
        name: "opt_outs",
        about: "each time you opted out of all messages",
        purpose: "to send nothing against your will, and to measure how often that is wished",
        source: PERSON,
        table: "opt_outs",
        statement: "SELECT to_jsonb(t) - 'user_id' AS row FROM opt_outs t WHERE t.user_id = $",
    },
    Holding {
        name: "consents",
        about: "what you agreed to or refused, and when",
        purpose: "to show that consent was given (GDPR article 7)",
        source: PERSON,
        table: "consents",
        statement: "SELECT to_jsonb(t) - 'user_id' AS row FROM consents t WHERE t.user_id = $",
    },
    Holding {
        name: "topics",
        about: "topics that you follow",
        purpose: "to send messages about them",
        source: PERSON,
        table: "topic_subscribers",
        statement: "SELECT jsonb_build_object('topic', p.name, 'subscribed_at', t.subscribed_at) AS row \
                    FROM topic_subscribers t JOIN topics p USING (topic_id) WHERE t.user_id = $",
    },
    Holding {
        name: "events",
        about: "what you viewed, searched, put into the cart, bought and returned",
        purpose: "to recommend what may interest you; together with everybody's, to learn which items go together",
        source: BOTH,
        table: "events",
        statement: "SELECT to_jsonb(t) - '{user_id,item_id,kind,event_key}'::text[] \
                    || jsonb_build_object('item_id', i.external_id, 'kind', k.name) AS row \
                    FROM events t LEFT JOIN items i ON i.item_id = t.item_id LEFT JOIN (SELECT * FROM (VALUES {kinds}) AS v \
                    (code, name) UNION ALL SELECT code, name FROM event_kinds) AS k ON k.code = t.kind \
                    WHERE t.user_id = $ ORDER BY t.occurred_at",
    },
    Holding {
        name: "features",
        about: "how often you buy, browse and search, and the group of similar customers that you are in",
        purpose: "to choose messages by the group",
        source: SERVER,
        table: "user_features",
        statement: "SELECT to_jsonb(t) - '{user_id,segment}'::text[] || jsonb_build_object('segment', chr(65 + t.segment)) AS row \
                    FROM user_features t WHERE t.user_id = $",
    },
    Holding {
        name: "stated_features",
        about: "the same, as the shop states it",
        purpose: "to choose messages by the group",
        source: SHOP,
        table: "stated_features",
        statement: "SELECT to_jsonb(t) - 'user_id' AS row FROM stated_features t WHERE t.user_id = $",
    },
    Holding {
        name: "decisions",
        about: "every decision whether to send you a message, with its reasons",
        purpose: "to explain decisions and to make better ones",
        source: SERVER,
        table: "decisions",
        statement: "SELECT to_jsonb(t) - '{user_id,items,segment}'::text[] || jsonb_build_object('segment', chr(65 + t.segment), \
                    'items', (SELECT coalesce(jsonb_agg(i.external_id ORDER BY n.place), '[]') FROM unnest(t.items) \
                    WITH ORDINALITY AS n (item_id, place) JOIN items i USING (item_id))) AS row \
                    FROM decisions t WHERE t.user_id = $ ORDER BY t.decided_at",
    },
    Holding {
        name: "messages",
        about: "messages to you, and when they were given, seen, read, archived or withdrawn",
        purpose: "to deliver them, and to show them in your inbox",
        source: SERVER,
        table: "notifications",
        statement: "SELECT to_jsonb(t) - '{user_id,items,segment,channel,frame}'::text[] || jsonb_build_object( \
                    'segment', chr(65 + t.segment), 'channel', (ARRAY['socket', 'push', 'inbox'])[t.channel + 1], \
                    'message', t.frame, 'items', (SELECT coalesce(jsonb_agg(i.external_id ORDER BY n.place), '[]') \
                    FROM unnest(t.items) WITH ORDINALITY AS n (item_id, place) JOIN items i USING (item_id))) AS row \
                    FROM notifications t WHERE t.user_id = $ ORDER BY t.stream_offset",
    },
    Holding {
        name: "lists",
        about: "lists of recommendations that places of the shop showed you",
        purpose: "to measure which lists are of use",
        source: SERVER,
        table: "lists",
        statement: "SELECT to_jsonb(t) - '{user_id,items}'::text[] || jsonb_build_object('items', (SELECT \
                    coalesce(jsonb_agg(i.external_id ORDER BY n.place), '[]') FROM unnest(t.items) \
                    WITH ORDINALITY AS n (item_id, place) JOIN items i USING (item_id))) AS row \
                    FROM lists t WHERE t.user_id = $ ORDER BY t.made_at",
    },
    Holding {
        name: "data_keys",
        about: "keys that the words of your searches, your messages and some of what the shop says of you are encrypted under; the keys \
                themselves are left out",
        purpose: "to keep them unreadable for whoever sees the database without the shop's master key, and to make them so for good when you \
                  are erased",
        source: SERVER,
        table: "data_keys",
        statement: "SELECT to_jsonb(t) - '{user_id,wrapped}'::text[] AS row FROM (SELECT $ AS id) p JOIN users u \
                    ON u.user_id = p.id OR u.merged_into = p.id JOIN data_keys t ON t.user_id = u.user_id",
    },
    Holding {
        name: "acknowledgements",
        about: "how far your devices have received messages",
        purpose: "to send no message twice",
        source: DEVICE,
        table: "acknowledgements",
        statement: "SELECT to_jsonb(t) - 'user_id' AS row FROM acknowledgements t WHERE t.user_id = $",
    },
    Holding {
        name: "feedback",
        about: "what you did with messages: displayed, clicked, dismissed, converted, muted, liked, disliked",
        purpose: "to send better ones, and fewer",
        source: DEVICE,
        table: "feedback",
        statement: "SELECT to_jsonb(t) - '{user_id,item_id,outcome}'::text[] || jsonb_build_object('item_id', i.external_id, \
                    'outcome', (ARRAY['displayed', 'clicked', 'dismissed', 'converted', 'muted', 'liked', 'disliked'])[t.outcome]) \
                    AS row FROM feedback t LEFT JOIN items i USING (item_id) WHERE t.user_id = $ ORDER BY t.occurred_at",
    },
    Holding {
        name: "deferred",
        about: "messages that wait for a better moment",
        purpose: "to send them then",
        source: SERVER,
        table: "held_messages",
        statement: "SELECT to_jsonb(t) - '{user_id,item_id}'::text[] || jsonb_build_object('item_id', i.external_id) AS row \
                    FROM held_messages t LEFT JOIN items i USING (item_id) WHERE t.user_id = $",
    },
    Holding {
        name: "fired_once",
        about: "occasions that you were written to about and will not be again",
        purpose: "to tell you of an occasion once",
        source: SERVER,
        table: "user_once",
        statement: "SELECT to_jsonb(t) - 'user_id' AS row FROM user_once t WHERE t.user_id = $",
    },
    Holding {
        name: "push_subscriptions",
        about: "browsers that you let show notifications; their keys are left out",
        purpose: "to reach you when no page is open",
        source: DEVICE,
        table: "push_subscriptions",
        statement: "SELECT to_jsonb(t) - '{user_id,p256dh,auth}'::text[] AS row FROM push_subscriptions t WHERE t.user_id = $",
    },
    Holding {
        name: "push_outbox",
        about: "notifications on their way to those browsers",
        purpose: "to deliver them",
        source: SERVER,
        table: "push_outbox",
        statement: "SELECT to_jsonb(t) - 'user_id' AS row FROM push_outbox t WHERE t.user_id = $",
    },
    Holding {
        name: "sign_outs",
        about: "moments before which your sign-ins count no more",
        purpose: "to keep out whoever has an old one",
        source: SHOP,
        table: "revocations",
        statement: "SELECT jsonb_build_object('issued_before', t.issued_before, 'created_at', t.created_at) AS row \
                    FROM revocations t JOIN users u ON u.external_id = t.subject JOIN (SELECT $ AS id) p \
                    ON u.user_id = p.id OR u.merged_into = p.id",
    },
    Holding {
        name: "outbox",
        about: "messages of the shop to you that are not sent yet",
        purpose: "to send them",
        source: SHOP,
        table: "outbox",
        statement: "SELECT jsonb_build_object('due_at', t.due_at, 'message', CASE WHEN t.message LIKE 'enc1:%' THEN to_jsonb(t.message) ELSE t.message::jsonb END) AS row FROM outbox t \
                    WHERE EXISTS (SELECT FROM users u WHERE $ IN (u.user_id, u.merged_into) AND u.external_id = ANY(t.users))",
    },
    Holding {
        name: "planned",
        about: "campaigns of the shop that reach you at your local time",
        purpose: "to send each of them to you once",
        source: SHOP,
        table: "broadcast_recipients",
        statement: "SELECT to_jsonb(t) - 'external_id' AS row FROM broadcast_recipients t \
                    JOIN users u USING (external_id) WHERE $ IN (u.user_id, u.merged_into)",
    },
];

impl Holding {
    /// The member of its rows that may be encrypted, or has encrypted members.
    fn encrypted(&self) -> Option<(&'static str, Field)> {
        match self.table {
            "user_attributes" => Some(("attributes", Field::Attribute)),
            "outbox" => Some(("message", Field::Waiting)),
            "events" => Some(("query", Field::Query)),
            "notifications" => Some(("message", Field::Frame)),
            "held_messages" => Some(("event", Field::Held)),
            _ => None,
        }
    }

    /// The statement with its parameter, which stands in it once.
    fn sql(&self) -> String {
        self.statement.replace('$', "?").replace("{kinds}", &kinds())
    }
}

/// A row whose member `name` is encrypted, with that decrypted, or null and the reason beside it; `None` where it is not encrypted.
fn opened(opener: &Opener, own: Owner, name: &str, field: Field, row: &str) -> Option<String> {
    let mut members: Map<String, Value> = serde_json::from_str(row).ok()?;
    if field == Field::Attribute {
        let attributes = members.get_mut(name)?;
        sealed_attributes(attributes).next()?;
        let unavailable = open_attributes(opener, own, attributes);
        for (name, reason) in unavailable {
            members.insert(format!("{name}_unavailable"), reason.reason().into());
        }
        return serde_json::to_string(&members).ok();
    }
    let text = members.get(name)?.as_str().filter(|text| key_of(text).is_some())?.to_owned();
    let opened = match field {
        Field::Waiting => {
            // As it is sent: JSON.
            let words = opener.open_any(field, text);
            words.map(|words| serde_json::from_str(&words).unwrap_or(Value::String(words)))
        }
        Field::Held => {
            let event = opener.open(own, field, text);
            event.map(|event| serde_json::from_str(&event).unwrap_or(Value::String(event)))
        }
        _ => opener.open(own, field, text).map(Value::String),
    };
    match opened {
        Ok(value) => members.insert(name.to_owned(), value),
        Err(unavailable) => {
            members.insert(name.to_owned(), Value::Null);
            members.insert(format!("{name}_unavailable"), unavailable.reason().into())
        }
    };
    serde_json::to_string(&members).ok()
}

/// Rows of each kind, in the order of [`HOLDINGS`].
pub fn count(conn: &mut PgConnection, user: UserId) -> Result<Vec<(&'static Holding, i64)>, StoreError> {
    let count = |holding: &'static Holding| {
        let n = sql::<BigInt>(format!("SELECT count(*) FROM ({}) s", holding.sql()))
            .bind::<Integer, _>(user.to_sql())
            .get_result::<i64>(conn)?;
        Ok((holding, n))
    };
    HOLDINGS.iter().map(count).collect()
}

/// Rows of each table, in the order of [`HOLDINGS`], of all users.
pub fn count_tables(conn: &mut PgConnection) -> Result<Vec<u64>, StoreError> {
    let count = |holding: &Holding| {
        let n = sql::<BigInt>(format!("SELECT count(*) FROM {}", holding.table)).get_result::<i64>(conn)?;
        Ok(u64::try_from(n).unwrap_or(0))
    };
    HOLDINGS.iter().map(count).collect()
}

/// Hands over each row of a kind as JSON, one at a time; memory does not grow with their number.
pub fn each_row<E: From<StoreError>>(
    conn: &mut PgConnection,
    fields: &Fields,
    user: UserId,
    holding: &Holding,
    mut take: impl FnMut(&str) -> Result<(), E>,
) -> Result<(), E> {
    let encrypted = holding.encrypted();
    let opener = match encrypted {
        Some(_) => Some(fields.opener_of(conn, owner(Some(user)))?),
        None => None,
    };
    let rows = sql::<Text>(format!("SELECT s.row::text FROM ({}) s", holding.sql()))
        .bind::<Integer, _>(user.to_sql())
        .load_iter::<String, PgRowByRowLoadingMode>(conn)
        .map_err(StoreError::from)?;
    for row in rows {
        let row = row.map_err(StoreError::from)?;
        let opened = match (&opener, encrypted) {
            (Some(opener), Some((name, field))) => opened(opener, owner(Some(user)), name, field, &row),
            _ => None,
        };
        take(opened.as_deref().unwrap_or(&row))?;
    }
    Ok(())
}
