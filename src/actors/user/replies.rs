//! Receiver of the answers to a frame: its connection, or the request that brought it.

use tokio::sync::oneshot;

use tidings_core::base::ConnectionId;
use tidings_decision::deliver::Frame;

/// Receiver of the answers to one frame.
pub(super) enum Replies {
    /// The connection it came on.
    Connection(ConnectionId),
    /// The request it came in, which is answered once.
    Request(oneshot::Sender<Vec<Frame>>, Vec<Frame>),
}

impl Replies {
    /// Nothing more is answered to the frame.
    pub fn finish(self) {
        if let Self::Request(answers, replies) = self {
            let _ = answers.send(replies);
        }
    }
}
