//! Messages that skip the outbox: each to one user, now, without a key and without an entry of the audit log. The message's own place in the stream makes it
//! durable, so the request is answered when all of them have theirs; one commit instead of two. What can't be placed at once
//! (quiet hours, a full mailbox, an actor that ended) goes through the outbox like any other, and then counts as accepted.

use super::ledger::Batch;
use super::messages::Submit;
use super::request::Direct;
use tidings_core::base::Timestamp;
use tidings_decision::notify::message::Audience;
use tidings_store::outbox::{OutboxRow, Submission};

/// Returns whether these messages may skip the outbox. `is_alone`: nothing else is stored by the transaction that accepts them, neither an
/// answer under a key nor an entry of the audit log.
pub fn may_skip(submissions: &[Submission], is_alone: bool, now: Timestamp) -> bool {
    let may = |s: &Submission| {
        let one = matches!(&s.audience, Audience::Users(users) if users.len() == 1);
        one && s.due_at <= now && s.call.is_none() && s.receipt.is_none() && s.user_receipts.is_empty()
    };
    is_alone && submissions.iter().all(may)
}

/// The messages of a request; one that can't be read is left out, and the request refused.
pub fn batches(submit: Submit) -> Vec<Batch> {
    let n_messages = submit.submissions.len();
    let request = Direct::new(n_messages, submit.reply);
    let batch = |submission: Submission| {
        let broadcast = submission.broadcast();
        let Audience::Users(users) = submission.audience else { return None };
        let row = OutboxRow {
            outbox_id: 0,
            batch: submission.batch,
            due_at: submission.due_at,
            users,
            message: submission.message,
            broadcast,
            is_to_many: false,
            is_held: false,
        };
        Batch::direct(row, request.clone())
    };
    let batches: Vec<Batch> = submit.submissions.into_iter().filter_map(batch).collect();
    if batches.len() < n_messages {
        request.fail();
    }
    batches
}
