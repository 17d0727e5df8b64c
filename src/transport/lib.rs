//! The wires. A pipe decodes frames into [`Inbound`], writes [`Frame`]s, and knows nothing else.

mod conduct;
mod ending;
mod frame_header;
pub mod framing;
pub mod jwks;
mod outbound;
pub mod pipe;
pub mod posts;
pub mod sse;
pub mod tcp;
pub mod tls;
pub mod webhooks;
pub mod webpush;
pub mod ws;

pub use pipe::{Gateway, Opened, Outbound, PipeEnd, PipeHandle, Posted, Received, ReceivedKind, WeakPipe};

#[cfg(doc)]
use tidings_decision::deliver::{Frame, Inbound};
