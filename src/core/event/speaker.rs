//! Reporters of events: the shop, which asserts, or a client, which speaks of its own user only.

/// Source of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Speaker {
    /// A user's page or app: what that user did lately, with things that exist. Its purchases and returns are claims.
    #[default]
    Client,
    /// The shop's backend, an import, or anybody where authentication is off: history, payments, items.
    Shop,
}
