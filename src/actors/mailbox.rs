//! Mailboxes of actors that must live. Neither `Supervisor` nor `SyncArbiter` survives a panic in a handler (measured), but an
//! actor that ends, by panic or stop alike, drops its fields: a [`DropGuard`] kept in it signals that, and the actor is
//! started again. Senders keep the mailbox, typed by the message, and never see the actor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::dev::ToEnvelope;
use actix::{Actor, ArbiterHandle, Context, Handler, Message, Recipient};
use arc_swap::ArcSwapOption;
use tokio::sync::oneshot;

use super::send::{Offer, offer};

/// A field of every supervised actor, whose drop signals the actor's end.
pub struct DropGuard {
    _dropped: oneshot::Sender<()>,
}

/// The mailbox of a supervised actor: one kept recipient, replaced when the actor is started again. Shared, never cloned per
/// message, so that its bound holds.
pub struct Mailbox<M: Message<Result = ()> + Send + 'static> {
    name: &'static str,
    recipient: ArcSwapOption<Recipient<M>>,
    stopping: AtomicBool,
}

impl<M: Message<Result = ()> + Send + 'static> Mailbox<M> {
    /// Creates the mailbox of an actor that is not started yet.
    pub fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, recipient: ArcSwapOption::empty(), stopping: AtomicBool::new(false) })
    }

    /// Starts the actor on an arbiter and starts it again whenever it ends. The receiver resolves when the actor can first be
    /// reached.
    pub fn supervise<A>(
        self: &Arc<Self>,
        arbiter: &ArbiterHandle,
        make: impl Fn(DropGuard) -> A + Send + 'static,
    ) -> oneshot::Receiver<()>
    where
        A: Actor<Context = Context<A>> + Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let mailbox = Arc::clone(self);
        let (reachable, can_be_reached) = oneshot::channel();
        let mut reachable = Some(reachable);
        arbiter.spawn(async move {
            loop {
                let (guard, gone) = oneshot::channel();
                let address = make(DropGuard { _dropped: guard }).start();
                mailbox.recipient.store(Some(Arc::new(address.recipient())));
                if let Some(reachable) = reachable.take() {
                    let _ = reachable.send(());
                }
                // An error is the signal: the sender was dropped with the actor.
                let _ = gone.await;
                if mailbox.stopping.load(Ordering::Acquire) {
                    return;
                }
                log::error!("actor ended unexpectedly and is started anew actor={}", mailbox.name);
            }
        });
        can_be_reached
    }

    /// Lets the actor end for good: the server is going down.
    pub fn stop_supervising(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Offers a message; before the first start it counts as closed.
    pub fn offer(&self, message: M) -> Offer<M> {
        match &*self.recipient.load() {
            Some(recipient) => offer(recipient, message),
            None => Offer::Closed(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix::{Arbiter, AsyncContext};
    use tokio::sync::mpsc;

    struct Fragile {
        _guard: DropGuard,
        heard: mpsc::UnboundedSender<u32>,
    }
    impl Actor for Fragile {
        type Context = Context<Self>;
        fn started(&mut self, context: &mut Self::Context) {
            context.set_mailbox_capacity(4);
            let _ = self.heard.send(0);
            let _ = context.address();
        }
    }
    #[derive(Message)]
    #[rtype(result = "()")]
    struct Say(u32);
    impl Handler<Say> for Fragile {
        type Result = ();
        fn handle(&mut self, say: Say, _: &mut Self::Context) {
            assert_ne!(say.0, 13, "this panic is part of the test");
            let _ = self.heard.send(say.0);
        }
    }

    #[actix::test]
    async fn an_actor_that_panics_is_started_anew() {
        let (heard, mut hear) = mpsc::unbounded_channel();
        let mailbox = Mailbox::new("fragile");
        mailbox.supervise(&Arbiter::current(), move |guard| Fragile { _guard: guard, heard: heard.clone() });
        assert_eq!(hear.recv().await, Some(0));
        assert!(mailbox.offer(Say(1)).is_queued());
        assert_eq!(hear.recv().await, Some(1));
        assert!(mailbox.offer(Say(13)).is_queued());
        assert_eq!(hear.recv().await, Some(0), "started again");
        // The new recipient is stored right after the start; yield until it is.
        while !mailbox.offer(Say(2)).is_queued() {
            tokio::task::yield_now().await;
        }
        assert_eq!(hear.recv().await, Some(2));
    }

    #[actix::test]
    async fn a_full_mailbox_is_reported() {
        let (heard, mut hear) = mpsc::unbounded_channel();
        let mailbox = Mailbox::new("fragile");
        mailbox.supervise(&Arbiter::current(), move |guard| Fragile { _guard: guard, heard: heard.clone() });
        assert_eq!(hear.recv().await, Some(0));
        let full = (0..1_000).any(|_| matches!(mailbox.offer(Say(1)), Offer::Full(_)));
        assert!(full);
    }
}
