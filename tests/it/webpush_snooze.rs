//! A snoozed message that comes back is pushed to a user who is not here.

use serde_json::json;
use tidings::base::{Millis, Timestamp};

use super::webpush::{lax, order, subscribe};
use crate::helpers::database::TestDatabase;
use crate::helpers::push_service::PushService;
use crate::helpers::server::wait_for;

#[test]
fn a_snoozed_message_that_comes_back_is_pushed_once_more() {
    let database = TestDatabase::new();
    let (server, service) = (lax(&database), PushService::start());
    let mut http = server.http();
    let keys = subscribe(&mut http, json!(1), &service.endpoint("a"));
    let id = order(&database.store, 1, 1, json!({"title": "Later"}), Millis::hours(2));
    service.wait_for(1);
    let other = order(&database.store, 1, 2, json!({"title": "Read before"}), Millis::hours(2));
    service.wait_for(2);
    let until = Timestamp::now() + Millis(1_500);
    let snooze = json!({"notification_ids": [id.0, other.0], "until": until});
    assert_eq!(http.post("/v1/users/1/inbox/snooze", &snooze).status, 200);
    let archived = http.post("/v1/users/1/inbox/archive", &json!({"notification_ids": [other.0]}));
    assert_eq!(archived.status, 200, "{}", archived.body);
    let again = service.wait_for(3).remove(2);
    let message = keys.read(&again.body);
    assert_eq!((&message["notification_id"], &message["title"]), (&json!(id.0), &json!("Later")));
    assert!(again.at >= until, "not before its time");
    let count = |what: &str| database.count(&format!("SELECT count(*) AS n FROM {what}"));
    wait_for("the outbox to empty", || count("push_outbox") == 0);
    assert_eq!(count("notifications WHERE returned_at >= snoozed_until"), 1, "decided about once");
    assert_eq!(service.pushed().len(), 3);
}
