//! All settings, a struct per area, with their defaults.

use serde::{Deserialize, Serialize};

use super::admission::{CatalogueRules, EventRules};
use super::auth::Auth;
use super::base_path::BasePath;
use super::encryption::Encryption;
use super::limits::Limits;
use super::money::Money;
use super::network::Network;
use super::oidc::Oidc;
use super::people::People;
use super::policy::Policy;
use super::privacy::Privacy;
use super::recommend::Recommend;
use super::retention::Retention;
use super::tls::Tls;
use super::webhooks::Webhooks;

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Listening, limits, shutdown.
    pub server: Server,
    /// TLS on the server's own address.
    pub tls: Tls,
    /// PostgreSQL.
    pub database: Database,
    /// Authentication and authorisation.
    pub auth: Auth,
    /// People who sign in to the dashboard.
    pub people: People,
    /// Sign-in of people with an identity provider.
    pub oidc: Oidc,
    /// Rates of requests.
    pub limits: Limits,
    /// WebSocket connections.
    pub socket: Socket,
    /// Settings of what the catalogue takes from elsewhere.
    pub catalogue: CatalogueRules,
    /// Events as clients send them, and kinds of the shop's own.
    pub event: EventRules,
    /// Taking events.
    pub ingest: Ingest,
    /// Amounts in several currencies.
    pub money: Money,
    /// Training models.
    pub training: Training,
    /// Steps after ranking.
    pub recommend: Recommend,
    /// Deciding what is sent.
    pub policy: Policy,
    /// Telling users who are not looking.
    pub webpush: Webpush,
    /// Telling systems of the shop what happens.
    pub webhooks: Webhooks,
    /// Personal data.
    pub privacy: Privacy,
    /// Encryption at rest.
    pub encryption: Encryption,
    /// Days for which data is kept.
    pub retention: Retention,
}

/// Listening, limits, shutdown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port. Anything but loopback needs `auth.mode = "token"`.
    pub listen: String,
    /// Data directory of the private PostgreSQL; empty = the user's data home.
    pub data_dir: String,
    /// Worker threads; 0 = one per core.
    pub workers: usize,
    /// Most open connections over all workers.
    pub max_connections: usize,
    /// Origins (`scheme://host:port`) that browsers may connect from, besides the server's own.
    pub allowed_origins: Vec<String>,
    /// Addresses and networks of proxies whose `Forwarded` and `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// Path below which everything is served as well, such as `/tidings`; empty = none.
    pub base_path: BasePath,
    /// Longest idle time of a kept HTTP connection, seconds, above that of the proxy in front; 0 = none is kept.
    pub keep_alive_s: u64,
    /// Longest wait for the head of a connection's first request, milliseconds.
    pub header_timeout_ms: u64,
    /// Longest wait for the whole body of a request, milliseconds.
    pub body_timeout_ms: u64,
    /// Largest request body, bytes.
    pub max_body_bytes: usize,
    /// A peer that acknowledges no TCP data for this long is cut off, milliseconds (RFC 5482).
    pub tcp_user_timeout_ms: u32,
    /// Longest wait for open requests at shutdown, seconds.
    pub shutdown_grace_s: u64,
}

/// PostgreSQL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `postgres://…`; empty = a private cluster in `server.data_dir`. `DATABASE_URL` sets it too.
    pub url: String,
    /// Connections kept open.
    pub pool_size: u32,
    /// Refuse to start where the connection to PostgreSQL is neither encrypted nor on this machine.
    pub require_tls: bool,
}

/// WebSocket connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Socket {
    /// Implementation that reads and writes WebSockets.
    pub backend: Backend,
    /// Between two pings, milliseconds.
    pub ping_ms: u64,
    /// Longest wait for a pong, milliseconds.
    pub pong_ms: u64,
    /// Longest wait for a client's login, milliseconds.
    pub login_deadline_ms: u64,
    /// Largest inbound message, in one frame or several, bytes; refused at the header of the frame that exceeds it.
    pub max_frame_bytes: usize,
    /// Most frames a second from one connection, averaged over ten seconds.
    pub max_frames_per_s: u32,
    /// Most open connections of one user.
    pub max_connections_per_user: usize,
    /// Most outbound bytes waiting for one connection before it is closed as too slow. What it missed while it was away (128
    /// messages at most) comes on top.
    pub max_outbound_bytes: usize,
    /// Lifetime of a user's actor after its last connection closes, milliseconds.
    pub linger_ms: u64,
}

/// Implementation that reads and writes WebSockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// An actor that owns its TCP socket.
    #[default]
    Direct,
    /// An actor of actix-web-actors in the response of an HTTP request: 11 KB more a connection.
    ActixWebActors,
}

/// Taking events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ingest {
    /// Most events in one request or frame.
    pub max_batch: usize,
    /// Most events in one commit.
    pub max_commit: usize,
    /// Most events waiting for a commit before requests are told to come back later.
    pub max_waiting: usize,
    /// A user who acts more often than this in a minute is taken for a robot.
    pub robot_events_per_minute: u32,
    /// A user who acts more often than this in a day (UTC) is taken for a robot.
    pub robot_events_per_day: u32,
    /// Hours without such a rate after which a robot is taken for a person again; 0 = only by hand.
    pub robot_rest_h: u64,
}

/// Training models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// Between two trainings, seconds; 0 = only when asked.
    pub interval_s: u64,
    /// Number of segments, 1…26.
    pub segments: usize,
    /// Seed of everything random in training.
    pub seed: u64,
    /// Threads training may use; 0 = all cores but one, at least one.
    pub threads: usize,
    /// A new model may be this much worse in NDCG@10 than the current and still pass, 0…1.
    pub gate_tolerance: f64,
    /// Model versions whose artefact is kept.
    pub keep_versions: u32,
    /// Most multiplications, in thousand millions, that one dense model may take to train: EASE^R n³ of its items (at most
    /// 4,500), else 40 · items · k² of as many nearest k as it allows, 32 at least; implicit ALS iterations · 4 · (cells · factors +
    /// (users + items) · factors²). A costlier one is left out, and none is tried; 0 = none.
    pub dense_work: u32,
    /// Most multiplications, in thousand millions, that a training may spend on trying other parameters of EASE^R than those that
    /// serve, as many again on implicit ALS and on the shrinkage of similarities; what it finds the next training begins with. 0 = never any others.
    pub tuning_work: u32,
    /// Niceness of training, so that it stands back for serving (nice(2)), 0…19: at 15 it gets a thirtieth of a core that both
    /// want, at 0 as much as serving does. Above 0 it also stands still for 25 of 35 ms while the server uses over a tenth of all
    /// cores. Lower it where other programs keep all cores busy and a training does not come to its end.
    pub niceness: i32,
}

/// Telling users who are not looking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webpush {
    /// True if messages are pushed to browsers.
    pub enabled: bool,
    /// `mailto:` or `https:` address that push services may turn to; some refuse messages without it.
    pub contact: String,
    /// VAPID private key, base64url, secret; empty = made at first start and kept in the database.
    pub private_key: String,
    /// Triggers whose messages are for someone who is looking: never pushed.
    pub not_for: Vec<String>,
    /// A message given to a page that closed without acknowledging it is pushed after this long, milliseconds.
    pub grace_ms: u64,
    /// Most subscriptions (browsers) of one user; the one that worked least recently goes first.
    pub max_subscriptions_per_user: u32,
    /// Most requests to all push services at the same time.
    pub max_concurrent: u32,
    /// Most requests to one push service at the same time.
    pub max_concurrent_per_service: u32,
    /// A subscription that its push service refused so many times in a row has ended.
    pub max_refusals: u32,
    /// Longest wait for a push service, milliseconds.
    pub timeout_ms: u64,
    /// Allow push services on loopback and without TLS: tests and development.
    pub allow_loopback: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            data_dir: String::new(),
            workers: 0,
            max_connections: 100_000,
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            base_path: BasePath::default(),
            keep_alive_s: 75,
            header_timeout_ms: 5_000,
            body_timeout_ms: 30_000,
            max_body_bytes: 4 << 20,
            tcp_user_timeout_ms: 20_000,
            shutdown_grace_s: 10,
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { url: String::new(), pool_size: 8, require_tls: false }
    }
}

impl Default for Socket {
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            ping_ms: 25_000,
            pong_ms: 8_000,
            login_deadline_ms: 10_000,
            max_frame_bytes: 64 << 10,
            max_frames_per_s: 50,
            max_connections_per_user: 16,
            max_outbound_bytes: 256 << 10,
            linger_ms: 30_000,
        }
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            max_batch: 10_000,
            max_commit: 5_000,
            max_waiting: 200_000,
            robot_events_per_minute: 120,
            robot_events_per_day: 5_000,
            robot_rest_h: 24,
        }
    }
}

impl Default for Training {
    fn default() -> Self {
        Self {
            interval_s: 3_600,
            segments: 5,
            seed: 42,
            threads: 0,
            gate_tolerance: 0.1,
            keep_versions: 10,
            dense_work: 100,
            tuning_work: 4,
            niceness: 15,
        }
    }
}

impl Default for Webpush {
    fn default() -> Self {
        Self {
            enabled: true,
            contact: String::new(),
            private_key: String::new(),
            not_for: vec!["login".into(), "view".into(), "cart".into()],
            grace_ms: 10_000,
            max_subscriptions_per_user: 20,
            max_concurrent: 256,
            max_concurrent_per_service: 64,
            max_refusals: 5,
            timeout_ms: 10_000,
            allow_loopback: false,
        }
    }
}
