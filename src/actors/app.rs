//! Assembly of the actors: which state and which mailboxes each is given.

use std::sync::Arc;

use actix::ArbiterHandle;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::RecvError;

use super::erasures::Erasures;
use super::ingest::IngestActor;
use super::ingest::messages::Ingest;
use super::journal::JournalActor;
use super::journal::messages::Record;
use super::loader::LoaderActor;
use super::loader::messages::Load;
use super::mailbox::Mailbox;
use super::merges::UserMerges;
use super::notifier::NotifierActor;
use super::notifier::messages::NotifierMessage;
use super::recommender::RecommenderActor;
use super::recommender::messages::ModelCommand;
use super::registry::Registry;
use super::user::UserMailboxes;
use super::user::launcher::UserLauncher;
use super::web_push::WebPushActor;
use super::web_push::messages::Wake;
use super::webhooks::WebhookActor;
use super::webhooks::messages::LookNow;
use tidings_state::AppState;

/// One server: its state, its users' actors and the mailboxes of its single actors. What request handlers are given.
pub struct App {
    /// Application state.
    pub state: Arc<AppState>,
    /// User → actor.
    pub registry: Arc<Registry>,
    /// Starts actors of users.
    pub launcher: Arc<UserLauncher>,
    /// Merges users.
    pub merges: Arc<UserMerges>,
    /// Erases users.
    pub erasures: Arc<Erasures>,
    /// Commits events.
    pub ingest: Arc<Mailbox<Ingest>>,
    /// Commits decisions and messages.
    pub journal: Arc<Mailbox<Record>>,
    /// Reads users.
    pub loader: Arc<Mailbox<Load>>,
    /// Takes messages of the shop.
    pub notifier: Arc<Mailbox<NotifierMessage>>,
    /// Trains.
    pub recommender: Arc<Mailbox<ModelCommand>>,
    /// Sends Web Push.
    pub web_push: Arc<Mailbox<Wake>>,
    /// Delivers webhooks.
    pub webhooks: Arc<Mailbox<LookNow>>,
}

impl App {
    /// Creates the mailboxes; no actor runs yet.
    pub fn new(state: Arc<AppState>) -> Arc<Self> {
        let registry = Arc::new(Registry::default());
        let (ingest, journal, loader) =
            (Mailbox::new("ingest"), Mailbox::new("journal"), Mailbox::new("loader"));
        let mailboxes = UserMailboxes {
            journal: Arc::clone(&journal),
            ingest: Arc::clone(&ingest),
            loader: Arc::clone(&loader),
        };
        let launcher = UserLauncher::new(Arc::clone(&state), mailboxes, Arc::clone(&registry));
        let merges = UserMerges::new(
            Arc::clone(&state),
            Arc::clone(&registry),
            Arc::clone(&launcher),
            Arc::clone(&journal),
        );
        let recommender = Mailbox::new("recommender");
        let erasures = Erasures::new(
            Arc::clone(&state),
            Arc::clone(&registry),
            Arc::clone(&journal),
            Arc::clone(&recommender),
        );
        Arc::new(Self {
            launcher,
            merges,
            erasures,
            state,
            registry,
            ingest,
            journal,
            loader,
            notifier: Mailbox::new("notifier"),
            recommender,
            web_push: Mailbox::new("web_push"),
            webhooks: Mailbox::new("webhooks"),
        })
    }

    /// Starts the actors of `core` and waits until each can be reached: from then on every request is answered.
    pub async fn start(self: &Arc<Self>, core: &ArbiterHandle) -> Result<(), RecvError> {
        let app = || Arc::clone(self);
        let (ingest, journal, loader, recommender, notifier) = (app(), app(), app(), app(), app());
        let started = [
            self.ingest.supervise(core, move |guard| {
                IngestActor::new(Arc::clone(&ingest.state), Arc::clone(&ingest.registry), guard)
            }),
            self.journal.supervise(core, move |guard| {
                JournalActor::new(Arc::clone(&journal.state), Arc::clone(&journal.web_push), guard)
            }),
            self.loader.supervise(core, move |guard| LoaderActor::new(Arc::clone(&loader.state), guard)),
            self.recommender.supervise(core, move |guard| {
                RecommenderActor::new(
                    Arc::clone(&recommender.state),
                    Arc::clone(&recommender.registry),
                    guard,
                )
            }),
            // Last: what it finds in the outbox goes to users at once.
            self.notifier.supervise(core, move |guard| {
                let (state, registry) = (Arc::clone(&notifier.state), Arc::clone(&notifier.registry));
                NotifierActor::new(state, Arc::clone(&notifier.launcher), registry, guard)
            }),
        ];
        for reachable in started {
            reachable.await?;
        }
        Ok(())
    }

    /// Starts the actor that sends Web Push; `None` when Web Push is off.
    pub fn start_web_push(self: &Arc<Self>, arbiter: &ArbiterHandle) -> Option<oneshot::Receiver<()>> {
        self.state.push.keys()?;
        let app = Arc::clone(self);
        Some(self.web_push.supervise(arbiter, move |guard| {
            let (state, registry) = (Arc::clone(&app.state), Arc::clone(&app.registry));
            WebPushActor::new(state, registry, Arc::clone(&app.journal), guard)
        }))
    }

    /// Starts the actor that delivers webhooks; when they are off it only keeps the outbox small.
    pub fn start_webhooks(self: &Arc<Self>, arbiter: &ArbiterHandle) -> oneshot::Receiver<()> {
        let state = Arc::clone(&self.state);
        self.webhooks.supervise(arbiter, move |guard| WebhookActor::new(Arc::clone(&state), guard))
    }

    /// Lets the actors end for good: the server is going down.
    pub fn stop_supervising(&self) {
        self.ingest.stop_supervising();
        self.journal.stop_supervising();
        self.loader.stop_supervising();
        self.recommender.stop_supervising();
        self.notifier.stop_supervising();
        self.web_push.stop_supervising();
        self.webhooks.stop_supervising();
    }
}
