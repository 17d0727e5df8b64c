//! Bodies and answers of the HTTP API are types: none is built as JSON by hand.

use super::{code, each_source};

#[test]
fn http_builds_no_json_by_hand() {
    let mut wrong = Vec::new();
    each_source(|_, path, text| {
        if path.starts_with("http/") && !path.ends_with("/tests.rs") && code(text).contains("json!") {
            wrong.push(path.to_owned());
        }
    });
    assert!(wrong.is_empty(), "a body or an answer is a type with a schema: {wrong:?}");
}
