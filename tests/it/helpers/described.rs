//! Frames held against the AsyncAPI document: every one that a test receives, by whichever transport.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;
use tidings::http::asyncapi;

use super::json_schema::Schemas;

/// The document.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(asyncapi::document()).unwrap());

/// Fault of a frame of a side; `None` where it is as the document says.
pub fn fault(side: &str, frame: &Value) -> Option<String> {
    let kind = frame["type"].as_str().unwrap_or("?");
    let message = &DOCUMENT["components"]["messages"][format!("{side}.{kind}")];
    if message.is_null() {
        return Some(format!("{side}.{kind} is not described"));
    }
    Schemas(&DOCUMENT).fault(&message["payload"], frame)
}

/// Refuses a frame of the server that the document does not describe.
pub fn check(frame: &Value) {
    assert_eq!(fault("server", frame), None, "{frame}");
}

/// Types of frames of a side.
pub fn kinds(side: &str) -> BTreeSet<String> {
    let messages = DOCUMENT["components"]["messages"].as_object().unwrap();
    messages.keys().filter_map(|name| name.strip_prefix(side)?.strip_prefix('.').map(str::to_owned)).collect()
}
