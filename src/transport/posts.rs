//! Frames for a stream of events, which is one way only: they come in requests that name the stream by its [`ConnectionKey`]. The
//! stream's pipe applies the bounds of a WebSocket to them and passes them to the actor of its user, in their order.

use std::fmt;
use std::str::FromStr;

use actix::dev::SendError;
use actix::{Message, Recipient};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use dashmap::DashMap;
use tokio::sync::oneshot;

use tidings_core::base::ExternalId;
use tidings_core::event::Speaker;
use tidings_decision::deliver::{Frame, Inbound, InboundError};

/// Unguessable name of an open stream: 128 random bits, as text in base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionKey(u128);

impl ConnectionKey {
    /// A key that nobody can know before it is sent.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for ConnectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0.to_be_bytes()))
    }
}

impl FromStr for ConnectionKey {
    type Err = PostError;

    fn from_str(text: &str) -> Result<Self, PostError> {
        let bytes = BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| Self(u128::from_be_bytes(bytes))).ok_or(PostError::Unknown)
    }
}

/// Reason why none of the frames of a request was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The stream has ended, or is one of another server.
    #[error("no stream of this server has that connection_id: open one, its welcome has another")]
    Unknown,
    /// More frames than `socket.max_frames_per_s`; the stream was closed with 3013.
    #[error("too many frames: the stream was closed, open another in a moment")]
    TooMany,
    /// The user's actor has too much to do.
    #[error("too much at once, send it again in a moment")]
    Busy,
    /// The user's actor ended before it answered: some frames may have been taken.
    #[error("not all frames were answered, send them again")]
    Unanswered,
}

/// Answers to one frame.
#[derive(Debug)]
pub enum Answers {
    /// It could not be parsed.
    Refused(Frame),
    /// Messages of the user's actor to it.
    Awaited(oneshot::Receiver<Vec<Frame>>),
}

/// From a request, to the pipe of a stream: frames as they were parsed. The reply has the answers to each, in order; they end with
/// the frame for which the stream was closed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Post {
    /// Source of the events in them.
    pub speaker: Speaker,
    /// In order.
    pub frames: Vec<Result<Inbound, InboundError>>,
    /// Receiver of the outcome.
    pub reply: oneshot::Sender<Result<Vec<Answers>, PostError>>,
}

struct Open {
    user: ExternalId,
    /// Kept here and used by reference, so that its mailbox bound holds.
    pipe: Recipient<Post>,
}

/// Open streams of this server by their keys.
#[derive(Default)]
pub struct Streams {
    open: DashMap<ConnectionKey, Open>,
}

impl Streams {
    /// Adds the stream of a user.
    pub fn enter(&self, key: ConnectionKey, user: ExternalId, pipe: Recipient<Post>) {
        self.open.insert(key, Open { user, pipe });
    }

    /// Removes a stream that has ended.
    pub fn leave(&self, key: ConnectionKey) {
        self.open.remove(&key);
    }

    /// User of a stream.
    pub fn user(&self, key: ConnectionKey) -> Result<ExternalId, PostError> {
        self.open.get(&key).map(|open| open.user.clone()).ok_or(PostError::Unknown)
    }

    /// Passes frames to a stream and waits for what is answered to them: until events are committed.
    pub async fn post(
        &self,
        key: ConnectionKey,
        speaker: Speaker,
        frames: Vec<Result<Inbound, InboundError>>,
    ) -> Result<Vec<Frame>, PostError> {
        let (reply, outcome) = oneshot::channel();
        self.offer(key, Post { speaker, frames, reply })?;
        let mut replies = Vec::new();
        for answers in outcome.await.map_err(|_| PostError::Unknown)?? {
            match answers {
                Answers::Refused(frame) => replies.push(frame),
                Answers::Awaited(frames) => {
                    replies.extend(frames.await.map_err(|_| PostError::Unanswered)?);
                }
            }
        }
        Ok(replies)
    }

    fn offer(&self, key: ConnectionKey, post: Post) -> Result<(), PostError> {
        let open = self.open.get(&key).ok_or(PostError::Unknown)?;
        open.pipe.try_send(post).map_err(|error| match error {
            SendError::Full(_) => PostError::Busy,
            SendError::Closed(_) => PostError::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_text_for_a_url_and_nothing_else_is_one() {
        let key = ConnectionKey::random();
        let text = key.to_string();
        assert_eq!(text.len(), 22);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        assert!(text.parse() == Ok(key) && key != ConnectionKey::random());
        for bad in ["", "7", &text[1..], &format!("{text}A"), "äöü", "AAAAAAAAAAAAAAAAAAAAA="] {
            assert!(bad.parse::<ConnectionKey>().is_err(), "{bad}");
        }
    }
}
