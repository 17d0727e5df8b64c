//! One round of claims: due rows of every push service that may be sent to now, in one transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidings_core::base::{Millis, Timestamp};
use tidings_decision::deliver::push_services::Allowance;
use tidings_store::push_outbox::{self, DuePush, Turn};
use tidings_store::{Connection, Fields, StoreError, in_transaction};

/// Services looked at in a round; of more the next ones in the next round.
const SERVICES: i64 = 256;
/// Services that answer are looked at in every round, this many.
const PROVEN_SERVICES: usize = 64;
/// Expired rows removed in a round.
const EXPIRED: i64 = 1_000;

/// Work of one round.
pub(super) struct Plan {
    /// Messages that may be claimed of each service.
    pub allowance: Allowance,
    /// Services after this one come first.
    pub after: String,
    /// Nobody else gets the rows for so long.
    pub lease: Millis,
    /// Frees all claims of an earlier life.
    pub releases: bool,
    /// Removes what has expired.
    pub tidies: bool,
    /// Decrypts messages.
    pub fields: Arc<Fields>,
}

/// Outcome of a round.
pub(super) struct Round {
    /// Claimed rows.
    pub due: Vec<DuePush>,
    /// A service may have more than was claimed for it.
    pub has_more: bool,
    /// Service after which the next round goes on.
    pub after: String,
    /// Expired rows that were removed.
    pub expired: usize,
}

impl Plan {
    /// Claims.
    pub fn run(self, connection: &mut Connection, now: Timestamp) -> Result<Round, StoreError> {
        let Self { mut allowance, after, lease, releases, tidies, fields } = self;
        if releases {
            push_outbox::release(connection)?;
        }
        let mut expired = 0;
        if tidies {
            push_outbox::free_expired_claims(connection, now)?;
            expired = push_outbox::expire(connection, now, EXPIRED)?;
        }
        in_transaction(connection, |connection| {
            let found = push_outbox::services(connection, &after, SERVICES)?;
            let is_all = after.is_empty() && (found.len() as i64) < SERVICES;
            let next = if (found.len() as i64) < SERVICES { None } else { found.last().cloned() };
            let mut round =
                Round { due: Vec::new(), has_more: false, after: next.unwrap_or_default(), expired };
            for service in in_order(&allowance, found, is_all) {
                let limit = allowance.of(&service);
                if limit == 0 {
                    continue;
                }
                let limit_rows = i64::try_from(limit).unwrap_or(i64::MAX);
                let after = allowance.turn_after(&service);
                let turn = Turn { service: &service, after, limit: limit_rows, lease };
                let due = push_outbox::claim(connection, &fields, turn, now)?;
                allowance.spend(&service, due.len());
                round.has_more |= due.len() >= limit;
                round.due.extend(due);
            }
            Ok(round)
        })
    }
}

/// Services that answer first. `is_all`: only `found` has anything waiting.
fn in_order(allowance: &Allowance, found: Vec<String>, is_all: bool) -> Vec<String> {
    let there: BTreeSet<&String> = found.iter().collect();
    let proven = allowance.proven().filter(|service| !is_all || there.contains(&(*service).to_owned()));
    let mut order: Vec<String> = proven.take(PROVEN_SERVICES).map(str::to_owned).collect();
    let first: BTreeSet<String> = order.iter().cloned().collect();
    order.extend(found.into_iter().filter(|service| !first.contains(service)));
    order
}
