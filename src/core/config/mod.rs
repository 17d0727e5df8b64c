//! One struct per area: every field documented with its unit and bounds, validated once, at start.
//! Layers: defaults < file (TOML) < environment (`TIDINGS_<AREA>_<FIELD>`) < flags. `tidings config` prints the result.

mod admission;
mod auth;
mod base_path;
mod bounds;
mod encryption;
mod error;
mod event;
mod layers;
mod limits;
mod money;
mod network;
mod oidc;
mod people;
mod policy;
mod privacy;
mod recommend;
mod retention;
mod settings;
mod tls;
pub mod toml_fault;
mod validate;
mod webhooks;

pub use admission::{CatalogueRules, EventRules, FromEvents};
pub use auth::{Auth, AuthMode, ClaimNames, JwksSetting, KeySetting, PLACEHOLDER_SECRETS, ROLES};
pub use base_path::BasePath;
pub use encryption::{Encryption, MasterKeySource};
pub use error::ConfigError;
#[cfg(test)]
pub(crate) use event::BUILT_IN as BUILT_IN_KINDS;
pub use event::{KindSetting, Kinds};
pub use layers::{Layer, Layered, Setting};
pub use limits::Limits;
pub use network::Network;
pub use oidc::Oidc;
pub use people::People;
pub use policy::{Cap, Policy, WorthBy, minute_of_day};
pub use privacy::Privacy;
pub use recommend::Recommend;
pub use retention::Retention;
pub use settings::{Backend, Config, Database, Ingest, Server, Socket, Training, Webpush};
pub use tls::Tls;
pub use validate::listen_address;
pub use webhooks::Webhooks;
