//! The user's stream and session logic without a socket: one input in, effects out. Also the frames themselves.

pub mod channel;
pub mod client_frame;
pub mod close_code;
pub mod frames;
pub mod inbound;
mod inbox;
pub mod lanes;
mod login;
pub mod push_payload;
pub mod push_services;
pub mod readdress;
pub mod session;
pub mod shapes;
pub mod standing;
pub mod stream;
pub mod webhooks;
mod withdrawal;

pub use close_code::CloseCode;
pub use frames::Frame;
pub use inbound::{Inbound, InboundError};
pub use login::{Login, Resume};
pub use session::{Effect, Input, Session};
pub use standing::{Change, Marks, Standing};
pub use stream::{Class, Entry, Stream};
pub use withdrawal::{News, Restoration, Withdrawal};
