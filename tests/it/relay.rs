//! `tidings pull --relay`: webhooks of a real server in a real JetStream.

use crate::helpers::engines::{Nats, free_port};
use crate::helpers::puller::{Puller, block};
use crate::helpers::server::wait_for;
use crate::helpers::shop::shop;
use serde_json::{Value, json};

/// Messages of a stream, by what the server tells of it.
fn stored(nats: &Nats) -> u64 {
    nats.request("$JS.API.STREAM.INFO.TIDINGS", "")["state"]["messages"].as_u64().unwrap()
}

fn last(nats: &Nats, subject: &str) -> Value {
    nats.request("$JS.API.STREAM.MSG.GET.TIDINGS", &json!({"last_by_subj": subject}).to_string())["message"]
        .clone()
}

#[test]
fn webhooks_are_messages_of_a_stream_once_whatever_is_down_when() {
    let (_database, server) = shop(&["--set", "webhooks.allow_private=true"]);
    let port = free_port();
    let endpoint = json!({"url": format!("http://127.0.0.1:{port}/"), "events": ["message.sent"]});
    let made = server.http().post("/v1/webhooks", &endpoint).json();
    let (id, secret) = (made["webhook_id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let nats = Nats::start();
    nats.stream("TIDINGS", &["tidings.>"]);
    let listen = format!("127.0.0.1:{port}");
    let address = format!("nats://127.0.0.1:{}", nats.port);
    let relay = Puller::of(&block("Events out: webhooks into NATS", "toml"))
        .replacing("${TIDINGS_WEBHOOK_SECRET}", secret)
        .replacing("127.0.0.1:9300", &listen)
        .replacing("nats://127.0.0.1:4222", &address);
    let mut child = relay.command(&["--relay"]).spawn().unwrap();
    wait_for("the relay", || std::net::TcpStream::connect(&listen).is_ok());
    let test = || server.http().post(&format!("/v1/webhooks/{id}/test"), &Value::Null);
    assert_eq!(test().status, 202);
    wait_for("the webhook in its stream", || stored(&nats) == 1);
    let message = last(&nats, "tidings.webhook.test");
    assert!(message["data"].is_string(), "{message}");
    // Delivered again, under its id: JetStream has it.
    let delivered = || {
        server.http().get(&format!("/v1/webhooks/{id}/deliveries?state=delivered")).json()["deliveries"][0]
            ["delivery_id"]
            .clone()
    };
    wait_for("the delivery to be noted", || !delivered().is_null());
    let delivery = delivered();
    let replayed =
        server.http().post(&format!("/v1/webhooks/{id}/replay"), &json!({"delivery_id": delivery}));
    assert_eq!(replayed.json()["replayed"], 1, "{}", replayed.body);
    wait_for("the second attempt", || {
        let log = server.http().get(&format!("/v1/webhooks/{id}/deliveries?state=delivered")).json();
        log["deliveries"][0]["requests"].as_array().is_some_and(|requests| requests.len() == 2)
    });
    assert_eq!(stored(&nats), 1);
    // What is not signed is not taken.
    let mut stranger = crate::helpers::http::Http::connect(listen.parse().unwrap());
    assert_eq!(stranger.post("/", &json!({"type": "message.sent"})).status, 401);
    // The relay is away when the next comes.
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(test().status, 202);
    wait_for("a refusal", || {
        server.http().get(&format!("/v1/webhooks/{id}")).json()["failing_since"].is_string()
    });
    let mut child = relay.command(&["--relay"]).spawn().unwrap();
    wait_for("the second webhook", || stored(&nats) == 2);
    // SAFETY: kill(2) on a child that has not been waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    assert!(child.wait().unwrap().success());
}
