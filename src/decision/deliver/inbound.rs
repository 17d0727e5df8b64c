//! Frames from a client: JSON objects with a `type`; one in a WebSocket message, one or an array in the body of a request.

use serde::de::IgnoredAny;

use super::client_frame::{ClientFrame, OfTopic};
pub use super::client_frame::{MuteOf, MuteWish};
use super::login::Login;
use super::standing::Change;
use crate::feedback::FeedbackOutcome;
use crate::notify::message::topic_name;
use tidings_core::base::{ExternalId, JsonShape, NotificationId, has_escaped_nul, json, suggest_nearest};
use tidings_core::event::RawEvent;

/// One frame of a client.
#[derive(Clone, Debug)]
pub enum Inbound {
    /// Must be the first.
    Login(Box<Login>),
    /// Events of the user.
    Events(Vec<RawEvent>),
    /// Everything up to this offset was received.
    Ack(i64),
    /// Outcome of a message.
    Feedback {
        /// Id of the message.
        notification_id: NotificationId,
        /// Outcome of the message.
        outcome: FeedbackOutcome,
        /// The item clicked.
        item_id: Option<ExternalId>,
    },
    /// A person is looking, or no longer.
    Presence(bool),
    /// No more of something.
    Mute(Box<MuteWish>),
    /// The user changes the standing of a message.
    Change(NotificationId, Change),
    /// The user follows a topic, or no longer.
    Follow {
        /// Name of the topic.
        topic: Box<str>,
        /// From now on, or no longer.
        follows: bool,
    },
    /// Everything up to this offset was opened; `None` = all there is.
    ReadAll(Option<i64>),
    /// A list with everything up to this offset was looked at.
    Seen(i64),
    /// Asks for a pong.
    Ping,
}

/// A frame of so many bytes is parsed whatever it is.
const SIMPLE_BYTES: usize = 4 << 10;
/// Largest tree of a frame that takes more than twice its text, bytes: some hundred events in the largest frame.
const MAX_TREE_BYTES: usize = 4 << 20;
/// Fault of a frame: stable code and text for a person.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct InboundError {
    /// Stable, snake_case.
    pub code: &'static str,
    /// For a person.
    pub message: String,
}

impl Inbound {
    /// Parses one text frame; at most `max_events` events in it.
    pub fn parse(text: &str, max_events: usize) -> Result<Self, InboundError> {
        let is_simple = text.len() <= SIMPLE_BYTES
            || JsonShape::of(text.as_bytes()).fits(text.as_bytes(), MAX_TREE_BYTES);
        if !is_simple {
            let message = "the frame has too many values for its size, or nests too deeply".to_owned();
            return Err(InboundError { code: "bad_frame", message });
        }
        // A reader of tags takes an array, the tag first, as well.
        if text.trim_ascii_start().starts_with('[') {
            let message = "a frame is one object".to_owned();
            return Err(InboundError { code: "bad_frame", message });
        }
        let wire: ClientFrame = json::from_str(text).map_err(|error| InboundError {
            code: "bad_frame",
            message: plain(&suggest_nearest(&error.to_string())),
        })?;
        // Each event names its own.
        let is_of_events = matches!(wire, ClientFrame::Event(_) | ClientFrame::Events { .. });
        if !is_of_events && has_escaped_nul(text.as_bytes()) {
            let message = "no text of a frame may contain NUL (U+0000)".to_owned();
            return Err(InboundError { code: "bad_text", message });
        }
        Ok(match wire {
            ClientFrame::Login(login) => Self::Login(login),
            ClientFrame::Event(event) => Self::Events(vec![*event]),
            ClientFrame::Events { events } if events.len() > max_events => {
                return Err(InboundError {
                    code: "too_many_events",
                    message: format!("at most {max_events} events in a frame, this one has {}", events.len()),
                });
            }
            ClientFrame::Events { events } => Self::Events(events),
            ClientFrame::Ack { offset } => Self::Ack(offset),
            ClientFrame::Feedback { notification_id, outcome, item_id } => {
                Self::Feedback { notification_id, outcome, item_id }
            }
            ClientFrame::Presence { visible } => Self::Presence(visible),
            ClientFrame::Mute(wish) => Self::Mute(wish),
            ClientFrame::Read { notification_id, all, up_to } => Self::read(notification_id, all, up_to)?,
            ClientFrame::Unread(of) => Self::Change(of.notification_id, Change::Unread),
            ClientFrame::Archive(of) => Self::Change(of.notification_id, Change::Archive),
            ClientFrame::Unarchive(of) => Self::Change(of.notification_id, Change::Unarchive),
            ClientFrame::Delete(of) => Self::Change(of.notification_id, Change::Delete),
            ClientFrame::Snooze { notification_id, until } => {
                Self::Change(notification_id, Change::Snooze(until))
            }
            ClientFrame::Seen { up_to } => Self::Seen(up_to),
            ClientFrame::Subscribe(of) => Self::follow(&of, true)?,
            ClientFrame::Unsubscribe(of) => Self::follow(&of, false)?,
            ClientFrame::Ping => Self::Ping,
        })
    }

    fn follow(of: &OfTopic, follows: bool) -> Result<Self, InboundError> {
        match topic_name(&of.topic) {
            Ok(topic) => Ok(Self::Follow { topic, follows }),
            Err(error) => Err(InboundError { code: error.code, message: error.message }),
        }
    }

    fn read(id: Option<NotificationId>, all: bool, up_to: Option<i64>) -> Result<Self, InboundError> {
        match (id, all) {
            (_, true) => Ok(Self::ReadAll(up_to)),
            (Some(id), false) if up_to.is_none() => Ok(Self::Change(id, Change::Read)),
            _ => {
                let message = "read needs notification_id or all: true; up_to goes with all";
                Err(InboundError { code: "missing_field", message: message.to_owned() })
            }
        }
    }
}

/// Splits the body of a request, one frame or an array of at most `max_frames`, into the texts of its frames. Refuses what is no
/// JSON, and JSON that is neither an object nor an array. O(length).
pub fn split(body: &str, max_frames: usize) -> Result<Vec<&str>, InboundError> {
    let body = body.trim_ascii();
    serde_json::from_str::<IgnoredAny>(body)
        .map_err(|error| InboundError { code: "bad_json", message: plain(&error.to_string()) })?;
    let Some(mut rest) = body.strip_prefix('[').map(str::trim_ascii_start) else {
        let is_object = body.starts_with('{');
        let message = "one frame, an object, or an array of frames".to_owned();
        return is_object.then(|| vec![body]).ok_or(InboundError { code: "bad_json", message });
    };
    let mut frames = Vec::new();
    // The whole is JSON: each element is followed by a comma or the end.
    loop {
        let mut elements = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        if !matches!(elements.next(), Some(Ok(_))) {
            return Ok(frames);
        }
        if frames.len() == max_frames {
            let message = format!("at most {max_frames} frames in a request");
            return Err(InboundError { code: "too_many_frames", message });
        }
        let (frame, after) = rest.split_at(elements.byte_offset());
        frames.push(frame.trim_ascii());
        rest = after.trim_ascii_start().trim_start_matches(',');
    }
}

/// serde_json's message, without the frame's content beyond a field name.
fn plain(message: &str) -> String {
    message.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::login::Resume;

    fn parse(text: &str) -> Result<Inbound, InboundError> {
        Inbound::parse(text, 2)
    }

    #[test]
    fn the_minimal_login_is_understood() {
        let Ok(Inbound::Login(login)) = parse(r#"{"type":"login","user_id":1}"#) else { panic!() };
        assert_eq!(login.user_id, Some(ExternalId::Integer(1)));
        assert!(login.is_bare());
        let Ok(Inbound::Login(login)) =
            parse(r#"{"user_id":"7","resume":{"epoch":"e","offset":3},"type":"login"}"#)
        else {
            panic!()
        };
        assert!(!login.is_bare());
        assert_eq!(login.resume, Some(Resume { epoch: "e".into(), offset: 3 }));
    }

    #[test]
    fn every_type_parses() {
        for text in [
            r#"{"type":"event","kind":"view","item_id":1,"event_id":"a"}"#,
            r#"{"type":"events","events":[{"kind":"view","item_id":1},{"kind":"search","query":"x"}]}"#,
            r#"{"type":"ack","offset":3}"#,
            r#"{"type":"feedback","notification_id":"0190a5c8-0000-7000-8000-000000000000","outcome":"clicked"}"#,
            r#"{"type":"presence","visible":false}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"mute","of":"item","name":"7"}"#,
            r#"{"type":"mute","of":"brand","notification_id":"0190a5c8-0000-7000-8000-000000000000"}"#,
            r#"{"type":"read","notification_id":"0190a5c8-0000-7000-8000-000000000000"}"#,
            r#"{"type":"read","all":true}"#,
            r#"{"type":"read","all":true,"up_to":7}"#,
            r#"{"type":"unread","notification_id":"0190a5c8-0000-7000-8000-000000000000"}"#,
            r#"{"type":"archive","notification_id":"0190a5c8-0000-7000-8000-000000000000"}"#,
            r#"{"type":"unarchive","notification_id":"0190a5c8-0000-7000-8000-000000000000"}"#,
            r#"{"type":"delete","notification_id":"0190a5c8-0000-7000-8000-000000000000"}"#,
            r#"{"type":"snooze","notification_id":"0190a5c8-0000-7000-8000-000000000000","until":"2030-01-31T08:00:00Z"}"#,
            r#"{"type":"seen","up_to":3}"#,
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_body_of_a_request_is_one_frame_or_several() {
        let ack = r#"{"type":"ack","offset":3}"#;
        assert_eq!(split(ack, 2).unwrap(), [ack]);
        assert_eq!(split(&format!(" [ {ack} , 1,\"],[\" ]\n"), 3).unwrap(), [ack, "1", "\"],[\""]);
        assert_eq!(split("[[1,2],{\"a\":[3]}]", 2).unwrap(), ["[1,2]", "{\"a\":[3]}"]);
        assert_eq!(split("[ ]", 2).unwrap(), [""; 0]);
        for (body, code) in [
            ("", "bad_json"),
            ("nonsense", "bad_json"),
            ("7", "bad_json"),
            ("[1,]", "bad_json"),
            ("[1] 2", "bad_json"),
            ("[{}", "bad_json"),
            ("[1,2,3]", "too_many_frames"),
        ] {
            assert_eq!(split(body, 2).unwrap_err().code, code, "{body}");
        }
    }

    #[test]
    fn an_unknown_field_is_answered_with_the_nearest_one() {
        for (text, near) in [
            (r#"{"type":"presence","visible":true,"visable":false}"#, "`visible`"),
            (r#"{"type":"read","notification_ids":[]}"#, "`notification_id`"),
            (r#"{"type":"mute","of":"item","nam":"7"}"#, "`name`"),
            (r#"{"type":"events","events":[],"evnts":[]}"#, "`events`"),
            (
                r#"{"type":"archive","notification_id":"0190a5c8-0000-7000-8000-000000000000","until":1}"#,
                "`until`",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.code == "bad_frame" && error.message.contains(near), "{text}: {error}");
        }
        // An older server takes the login of a newer client.
        assert!(parse(r#"{"type":"login","user_id":1,"theme":"dark"}"#).is_ok());
        // Faults of an event are that event's.
        assert!(parse(r#"{"type":"event","kind":"view","item_id":1,"dwell":1}"#).is_ok());
        assert_eq!(parse(r#"{"type":"mute","of":"item","name":"\u0000"}"#).unwrap_err().code, "bad_frame");
        let resume = r#"{"type":"login","user_id":1,"device":"\u0000"}"#;
        assert_eq!(parse(resume).unwrap_err().code, "bad_text");
    }

    #[test]
    fn a_frame_that_would_fill_memory_is_not_parsed() {
        let events = |one: &str, n: usize| format!(r#"{{"type":"events","events":[{}{{}}]}}"#, one.repeat(n));
        for frame in [events("{},", 20_000), events(r#"{"":0},"#, 9_000), "[".repeat(60_000)] {
            let error = parse(&frame).unwrap_err();
            assert!(error.code == "bad_frame" && error.message.contains("too many values"), "{error}");
        }
        let event = r#"{"kind":"view","item_id":1,"event_id":"0190a5c8-0000-7000-8000"},"#;
        assert_eq!(parse(&events(event, 900)).unwrap_err().code, "too_many_events");
    }

    #[test]
    fn an_unknown_type_is_answered_with_the_nearest_one() {
        let message = parse(r#"{"type":"archve"}"#).unwrap_err().message;
        assert_eq!(message, "unknown variant `archve`; did you mean `archive`?");
    }

    #[test]
    fn bad_frames_are_refused_with_a_code() {
        for (text, code) in [
            ("", "bad_frame"),
            ("[]", "bad_frame"),
            (r#" ["ping"]"#, "bad_frame"),
            (r#"["ack",3]"#, "bad_frame"),
            (r#"{"type":"dance"}"#, "bad_frame"),
            (r#"{"type":"login","user_id":1.5}"#, "bad_frame"),
            (r#"{"type":"ack","offset":"x"}"#, "bad_frame"),
            (r#"{"type":"mute","of":"weather","name":"rain"}"#, "bad_frame"),
            (r#"{"type":"read"}"#, "missing_field"),
            (r#"{"type":"read","up_to":3}"#, "missing_field"),
            (r#"{"type":"archive"}"#, "bad_frame"),
            (
                r#"{"type":"snooze","notification_id":"0190a5c8-0000-7000-8000-000000000000","until":"later"}"#,
                "bad_frame",
            ),
            (r#"{"type":"events","events":[{},{},{}]}"#, "too_many_events"),
        ] {
            assert_eq!(parse(text).unwrap_err().code, code, "{text}");
        }
    }
}
