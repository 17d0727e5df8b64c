//! Actors that must live. Neither `Supervisor` nor `SyncArbiter` survives a panic in a handler (measured), but an
//! actor that ends, by panic or stop alike, drops its fields: a [`Lifeline`] kept in it tells, and it is started anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::dev::{MessageResponse, ToEnvelope};
use actix::{Actor, Addr, ArbiterHandle, Context, Handler, Message};
use arc_swap::ArcSwapOption;
use tokio::sync::oneshot;

use super::send::{Offer, offer};

/// Kept as a field by a watched actor; its drop is the signal.
pub struct Lifeline {
    _dropped: oneshot::Sender<()>,
}

/// The current address of a watched actor. Shared, never cloned per message, so that mailbox bounds hold.
pub struct Kept<A: Actor<Context = Context<A>>> {
    name: &'static str,
    address: ArcSwapOption<Addr<A>>,
    stopping: AtomicBool,
}

impl<A: Actor<Context = Context<A>>> Kept<A> {
    /// Not started yet.
    pub fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, address: ArcSwapOption::empty(), stopping: AtomicBool::new(false) })
    }

    /// Starts the actor on an arbiter and starts it anew whenever it ends. What comes back resolves when it can first
    /// be reached.
    pub fn start(
        self: &Arc<Self>,
        arbiter: &ArbiterHandle,
        make: impl Fn(Lifeline) -> A + Send + 'static,
    ) -> oneshot::Receiver<()> {
        let kept = Arc::clone(self);
        let (reachable, can_be_reached) = oneshot::channel();
        let mut reachable = Some(reachable);
        arbiter.spawn(async move {
            loop {
                let (lifeline, gone) = oneshot::channel();
                let address = make(Lifeline { _dropped: lifeline }).start();
                kept.address.store(Some(Arc::new(address)));
                if let Some(reachable) = reachable.take() {
                    let _ = reachable.send(());
                }
                // An error is the signal: the sender was dropped with the actor.
                let _ = gone.await;
                if kept.stopping.load(Ordering::Acquire) {
                    return;
                }
                log::error!("actor ended unexpectedly and is started anew actor={}", kept.name);
            }
        });
        can_be_reached
    }

    /// Do not start it again: the server is going down.
    pub fn let_go(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Offers a message; before the first start it counts as closed.
    pub fn offer<M>(&self, message: M) -> Offer<M>
    where
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message + Send + 'static,
        M::Result: MessageResponse<A, M> + Send,
    {
        match &*self.address.load() {
            Some(address) => offer(address, message),
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
        _lifeline: Lifeline,
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
        let kept = Kept::<Fragile>::new("fragile");
        kept.start(&Arbiter::current(), move |lifeline| Fragile {
            _lifeline: lifeline,
            heard: heard.clone(),
        });
        assert_eq!(hear.recv().await, Some(0));
        assert!(kept.offer(Say(1)).is_queued());
        assert_eq!(hear.recv().await, Some(1));
        assert!(kept.offer(Say(13)).is_queued());
        assert_eq!(hear.recv().await, Some(0), "started again");
        // The new address is stored right after the start; yield until it is.
        while !kept.offer(Say(2)).is_queued() {
            tokio::task::yield_now().await;
        }
        assert_eq!(hear.recv().await, Some(2));
    }

    #[actix::test]
    async fn a_full_mailbox_is_reported() {
        let (heard, mut hear) = mpsc::unbounded_channel();
        let kept = Kept::<Fragile>::new("fragile");
        kept.start(&Arbiter::current(), move |lifeline| Fragile {
            _lifeline: lifeline,
            heard: heard.clone(),
        });
        assert_eq!(hear.recv().await, Some(0));
        let full = (0..1_000).any(|_| matches!(kept.offer(Say(1)), Offer::Full(_)));
        assert!(full);
    }
}
