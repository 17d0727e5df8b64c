//! Encryption at rest: what the database holds is noise without the master key, what the API shows is as ever, and what is erased is gone
//! from backups too.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use tidings::base::{EventKey, ExternalId, Timestamp};
use tidings::event::{EventKind, NewEvent};
use tidings::privacy::encryption::MasterKeys;
use tidings::store::bulk::Loader;
use tidings::store::{StoreError, events, in_transaction};
use uuid::Uuid;
use zip::ZipArchive;

use super::merges::merge;
use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::server::{Server, wait_for};

/// Words that only what is tested here has.
pub(super) const WORDS: &str = "zaubertrankwort";
pub(super) const TITLE: &str = "geheimer-titel";

/// A file with master keys.
pub(super) struct KeyFile {
    directory: tempfile::TempDir,
}

impl KeyFile {
    pub(super) fn new(text: &str) -> Self {
        let file = Self { directory: tempfile::tempdir().unwrap() };
        file.write(text, 0o600);
        file
    }

    fn write(&self, text: &str, mode: u32) {
        fs::write(self.path(), text).unwrap();
        fs::set_permissions(self.path(), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("master-key")
    }

    pub(super) fn setting(&self) -> String {
        format!("encryption.master_key_file={}", self.path().display())
    }

    pub(super) fn start(&self, database: &TestDatabase) -> Server {
        Server::start(&database.url, &["--set", &self.setting()])
    }

    /// Runs a command beside the server; whether it did well, and all that it said.
    pub(super) fn run(&self, database: &TestDatabase, arguments: &[&str]) -> (bool, String) {
        tidings(database, &[arguments, &["--set", &self.setting()]].concat())
    }
}

pub(super) fn tidings(database: &TestDatabase, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(arguments)
        .env("DATABASE_URL", &database.url)
        .env("TIDINGS_LOG", "error")
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

pub(super) fn new_key() -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tidings")).args(["encryption", "new-key"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

pub(super) fn search(http: &mut Http, user: &Value, words: &str) {
    let answer = http.post("/v1/events", &json!({"kind": "search", "user_id": user, "query": words}));
    assert_eq!(answer.status, 202, "{}", answer.body);
}

fn send(http: &mut Http, user: &Value, title: &str) {
    let message = json!({"user_id": user, "title": title, "body": "und mehr", "kind": "news"});
    let answer = http.post("/v1/notifications", &message);
    assert_eq!(answer.status, 202, "{}", answer.body);
}

pub(super) fn inbox(http: &mut Http, user: &str) -> Value {
    http.get(&format!("/v1/users/{user}/inbox")).json()["messages"].clone()
}

pub(super) fn titles(messages: &Value) -> Vec<&str> {
    messages.as_array().unwrap().iter().map(|message| message["title"].as_str().unwrap()).collect()
}

/// Rows of one kind of data as the user is handed them out.
pub(super) fn handed_out(http: &mut Http, user: &str, kind: &str) -> Value {
    let answer = http.get(&format!("/v1/users/{user}/export"));
    let mut archive = ZipArchive::new(Cursor::new(answer.bytes)).unwrap();
    let mut text = String::new();
    archive.by_name(&format!("{kind}.json")).unwrap().read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

pub(super) fn count(database: &TestDatabase, of: &str) -> i64 {
    database.count(&format!("SELECT count(*) AS n FROM {of}"))
}

/// No word is in any table; a key for each user, and a nonce for each field.
fn four_searches_and_messages_are_noise(database: &TestDatabase) {
    assert_eq!(count(database, "events WHERE query IS NOT NULL"), 4);
    assert_eq!(count(database, "events WHERE query NOT LIKE 'enc1:%'"), 0);
    assert_eq!(count(database, "notifications WHERE frame NOT LIKE 'enc1:%'"), 0);
    for (table, word) in
        [("events", WORDS), ("notifications", TITLE), ("decisions", TITLE), ("webhook_deliveries", TITLE)]
    {
        assert_eq!(
            count(database, &format!("{table} t WHERE position('{word}' IN t::text) > 0")),
            0,
            "{table}"
        );
    }
    assert_eq!(count(database, "data_keys JOIN users USING (user_id)"), 3);
    assert_eq!(count(database, "(SELECT DISTINCT query FROM events WHERE query IS NOT NULL) q"), 4);
}

#[test]
fn words_of_searches_and_messages_are_noise_in_the_database_and_as_ever_for_who_may_read_them() {
    let (database, key) = (TestDatabase::new(), KeyFile::new(&new_key()));
    let mut server = key.start(&database);
    let mut http = server.http();
    // Of a user who is not known yet, of one who is, and of several at once.
    search(&mut http, &json!(1), &format!("{WORDS} one"));
    search(&mut http, &json!(1), &format!("{WORDS} two"));
    let batch = json!([
        {"kind": "search", "user_id": 2, "query": format!("{WORDS} three")},
        {"kind": "search", "user_id": 3, "query": format!("{WORDS} four")},
    ]);
    assert_eq!(http.post("/v1/events", &batch).status, 202);
    send(&mut http, &json!(1), TITLE);
    wait_for("the message", || count(&database, "notifications WHERE trigger <> 'login'") == 1);
    let (mut client, _) = server.login(1);
    client.send(&json!({"type": "ping"}));
    drop(client);
    four_searches_and_messages_are_noise(&database);

    server.kill();
    let server = key.start(&database);
    let mut http = server.http();
    assert_eq!(titles(&inbox(&mut http, "1")), [TITLE]);
    let timeline = http.get("/admin/users/1/timeline").body;
    assert!(timeline.contains(TITLE), "{timeline}");
    let words: Vec<Value> = handed_out(&mut http, "1", "events")
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["query"].clone())
        .collect();
    assert_eq!(words, [json!(format!("{WORDS} one")), json!(format!("{WORDS} two"))]);
    assert!(handed_out(&mut http, "1", "messages").to_string().contains(TITLE));
    let (done, exported) = key.run(&database, &["export", "events"]);
    assert!(done, "{exported}");
    for nth in ["one", "two", "three", "four"] {
        assert!(exported.contains(&format!("{WORDS} {nth}")), "{exported}");
    }
    assert!(!exported.contains("enc1:") && !exported.lines().next().unwrap().contains("owner"), "{exported}");
    // What was not acknowledged before comes again.
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "login", "user_id": 1, "device": "other"}));
    loop {
        let frame = client.next().unwrap();
        if frame["title"] == TITLE {
            assert_eq!(frame["body"], "und mehr");
            break;
        }
    }
}

#[test]
fn what_was_erased_is_noise_in_backups_as_well() {
    let (database, key) = (TestDatabase::new(), KeyFile::new(&new_key()));
    let server = key.start(&database);
    let mut http = server.http();
    search(&mut http, &json!("anna"), WORDS);
    search(&mut http, &json!("bert"), "something else");
    send(&mut http, &json!("anna"), TITLE);
    wait_for("the message", || count(&database, "notifications") > 0);
    // A backup of the rows; the master key lies elsewhere.
    database.execute("CREATE TABLE backup AS SELECT * FROM events WHERE query IS NOT NULL").unwrap();
    let receipt = http.delete("/v1/users/anna").json()["erasure_id"].as_str().unwrap().to_owned();
    let mut told = Value::Null;
    wait_for("the erasure", || {
        told = http.get(&format!("/v1/erasures/{receipt}")).json();
        !told["erased_at"].is_null()
    });
    assert_eq!(told["removed"]["data_keys"], 1, "{told}");
    database
        .execute("INSERT INTO events SELECT b.* FROM backup b WHERE NOT EXISTS (SELECT FROM events e WHERE e.event_key = b.event_key)")
        .unwrap();
    let (done, exported) = key.run(&database, &["export", "events"]);
    assert!(done, "{exported}");
    assert!(exported.contains("something else"), "{exported}");
    assert!(!exported.contains(WORDS), "{exported}");
    assert!(exported.contains("its key is gone"), "the reason is told: {exported}");
}

#[test]
fn a_ciphertext_that_was_moved_or_damaged_is_shown_as_such_and_never_as_noise() {
    let (database, key) = (TestDatabase::new(), KeyFile::new(&new_key()));
    let mut server = key.start(&database);
    let mut http = server.http();
    for user in [1, 2] {
        send(&mut http, &json!(user), &format!("{TITLE} {user}"));
    }
    wait_for("the messages", || count(&database, "notifications") == 2);
    server.kill();
    // Whoever can write to the database, and has no master key, shows one user the other's message.
    let of = |user: u32| format!("(SELECT user_id FROM users WHERE external_id = '{user}')");
    database
        .execute(&format!(
            "UPDATE notifications SET frame = (SELECT frame FROM notifications WHERE user_id = {}) WHERE user_id = {}",
            of(1),
            of(2)
        ))
        .unwrap();
    database
        .execute(&format!(
            "UPDATE notifications SET frame = left(frame, -4) || 'AAAA' WHERE user_id = {}",
            of(1)
        ))
        .unwrap();
    let server = key.start(&database);
    let mut http = server.http();
    for user in ["1", "2"] {
        let messages = inbox(&mut http, user);
        assert_eq!(titles(&messages), ["This message can't be shown"], "{messages}");
        assert_eq!(messages[0]["unavailable"], "damaged, or moved here from elsewhere");
        let shown = handed_out(&mut http, user, "messages");
        assert!(shown[0]["message"].is_null(), "{shown}");
        assert!(shown[0]["message_unavailable"].is_string(), "{shown}");
        assert!(!http.get(&format!("/admin/users/{user}/timeline")).body.contains("enc1:"));
    }
}

#[test]
fn a_missing_or_wrong_master_key_is_refused_with_the_fix() {
    let (database, key) = (TestDatabase::new(), KeyFile::new(&new_key()));
    let server = key.start(&database);
    search(&mut server.http(), &json!(1), WORDS);
    drop(server);
    let (done, text) = tidings(&database, &["encryption", "status"]);
    assert!(!done && text.contains("no master key is set; set encryption.master_key_file"), "{text}");
    let other = KeyFile::new(&new_key());
    let (done, text) = other.run(&database, &["encryption", "status"]);
    assert!(
        !done && text.contains("which is not among those given") && text.contains("Add it behind"),
        "{text}"
    );
    let (done, text) = key.run(&database, &["encryption", "status"]);
    assert!(done && text.contains(" data keys  current"), "{text}");
    // The file itself.
    let secret = fs::read_to_string(key.path()).unwrap();
    key.write(&secret, 0o644);
    let (done, text) = key.run(&database, &["encryption", "status"]);
    assert!(!done && text.contains("chmod 600"), "{text}");
    key.write("hunter2", 0o600);
    let (done, text) = key.run(&database, &["encryption", "status"]);
    assert!(!done && text.contains("new-key") && !text.contains("hunter2"), "{text}");
    // From elsewhere.
    let secret = secret.trim();
    let by_command = format!("encryption.command=[\"printf\", \"{secret}\"]");
    let (done, text) = tidings(&database, &["encryption", "status", "--set", &by_command]);
    assert!(done, "{text}");
    let slow =
        ["--set", "encryption.command=[\"sleep\", \"60\"]", "--set", "encryption.command_timeout_ms=200"];
    let (done, text) = tidings(&database, &[&["encryption", "status"][..], &slow].concat());
    assert!(!done && text.contains("took longer"), "{text}");
    let (done, text) = tidings(&database, &["encryption", "status", "--set", "encryption.command=false"]);
    assert!(!done && text.contains("ended with"), "{text}");
    let by_environment = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["encryption", "status"])
        .env("DATABASE_URL", &database.url)
        .env("TIDINGS_ENCRYPTION_MASTER_KEY", secret)
        .output()
        .unwrap();
    assert!(by_environment.status.success());
    let shown = tidings(&database, &["config", "--set", &format!("encryption.master_key={secret}")]).1;
    assert!(!shown.contains(secret), "the key is masked");
}

#[test]
fn a_master_key_is_replaced_while_servers_run() {
    let (database, old) = (TestDatabase::new(), new_key());
    let key = KeyFile::new(&old);
    let server = key.start(&database);
    let mut http = server.http();
    for user in 1..=30 {
        search(&mut http, &json!(user), WORDS);
    }
    send(&mut http, &json!(1), TITLE);
    wait_for("the message", || count(&database, "notifications") == 1);
    drop(server);
    // First both, the new one first: what is new is under it, what is old is read.
    let new = new_key();
    key.write(&format!("{new}{old}"), 0o600);
    let server = key.start(&database);
    let mut http = server.http();
    assert_eq!(titles(&inbox(&mut http, "1")), [TITLE]);
    search(&mut http, &json!(31), WORDS);
    assert_eq!(count(&database, "(SELECT DISTINCT master_key FROM data_keys) m"), 2);
    let before = count(&database, "data_keys");
    let (done, text) = key.run(&database, &["encryption", "rotate"]);
    assert!(done && text.contains("data keys are wrapped") && !text.starts_with("0 "), "{text}");
    assert_eq!(count(&database, "(SELECT DISTINCT master_key FROM data_keys) m"), 1);
    assert_eq!(count(&database, "data_keys"), before, "fields stay under their keys");
    let (_, text) = key.run(&database, &["encryption", "rotate"]);
    assert!(text.contains("0 data keys are wrapped"), "{text}");
    let (_, text) = key.run(&database, &["encryption", "status"]);
    assert!(text.contains("0 data keys  not needed any more"), "{text}");
    // The server did not notice; then the old one can go.
    assert_eq!(titles(&inbox(&mut http, "1")), [TITLE]);
    drop(server);
    key.write(&new, 0o600);
    let server = key.start(&database);
    let mut http = server.http();
    assert_eq!(titles(&inbox(&mut http, "1")), [TITLE]);
    assert_eq!(handed_out(&mut http, "30", "events")[0]["query"], WORDS);
}

#[test]
fn rows_from_before_are_encrypted_and_read_meanwhile() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let mut http = server.http();
    for user in 1..=3 {
        search(&mut http, &json!(user), &format!("{WORDS} {user}"));
        send(&mut http, &json!(user), &format!("{TITLE} {user}"));
    }
    wait_for("the messages", || count(&database, "notifications") == 3);
    drop(server);
    let key = KeyFile::new(&new_key());
    let (done, text) = tidings(&database, &["encryption", "encrypt-existing"]);
    assert!(!done && text.contains("encryption is off"), "{text}");
    let server = key.start(&database);
    let mut http = server.http();
    assert_eq!(titles(&inbox(&mut http, "2")), [format!("{TITLE} 2")], "read as it is");
    let (done, text) = key.run(&database, &["encryption", "encrypt-existing"]);
    assert!(done && text.contains("events.query  3 encrypted"), "{text}");
    assert!(text.contains("notifications.frame  3 encrypted"), "{text}");
    assert_eq!(count(&database, "events WHERE query NOT LIKE 'enc1:%'"), 0);
    assert_eq!(count(&database, "notifications WHERE frame NOT LIKE 'enc1:%'"), 0);
    let (_, text) = key.run(&database, &["encryption", "encrypt-existing"]);
    assert!(text.contains("events.query  0 encrypted"), "{text}");
    assert_eq!(titles(&inbox(&mut http, "2")), [format!("{TITLE} 2")]);
    assert_eq!(handed_out(&mut http, "3", "events")[0]["query"], format!("{WORDS} 3"));
}

#[test]
fn what_a_visitor_left_stays_readable_after_the_login() {
    let (database, key) = (TestDatabase::new(), KeyFile::new(&new_key()));
    let mut server = key.start(&database);
    let mut http = server.http();
    search(&mut http, &json!("visitor-1"), &format!("{WORDS} before"));
    send(&mut http, &json!("visitor-1"), &format!("{TITLE} before"));
    search(&mut http, &json!("17"), &format!("{WORDS} own"));
    wait_for("the message", || count(&database, "notifications") == 1);
    // In memory as well, while the keys are those of a visitor.
    assert_eq!(titles(&inbox(&mut http, "visitor-1")), [format!("{TITLE} before")]);
    let merged = merge(&mut http, "17", "visitor-1");
    assert_eq!(merged.status, 200, "{}", merged.body);
    send(&mut http, &json!("17"), &format!("{TITLE} after"));
    wait_for("the other message", || count(&database, "notifications") == 2);
    for restarted in [false, true] {
        if restarted {
            server.kill();
            server = key.start(&database);
            http = server.http();
        }
        assert_eq!(titles(&inbox(&mut http, "17")), [format!("{TITLE} after"), format!("{TITLE} before")]);
        let words = handed_out(&mut http, "17", "events").to_string();
        assert!(words.contains("before") && words.contains("own") && !words.contains("enc1:"), "{words}");
        let (_, exported) = key.run(&database, &["export", "events"]);
        assert!(exported.contains(&format!("{WORDS} before")), "{exported}");
    }
}

fn event(key: u128, user: &str, words: &str) -> NewEvent {
    NewEvent {
        key: EventKey(Uuid::from_u128(key)),
        deduplicate: true,
        user: Some(ExternalId::parse(user).unwrap()),
        item: None,
        kind: EventKind::Search,
        occurred_at: Timestamp::from_seconds(1_796_000_000),
        dwell_ms: None,
        query: Some(words.into()),
        quantity: 1.0,
        value: None,
        currency: None,
        basket: None,
        list: None,
    }
}

#[test]
fn keys_of_a_batch_are_made_together_and_outlive_a_transaction_that_fails() {
    let database = TestDatabase::new();
    let store = &database.store;
    store.encrypt(MasterKeys::parse(&new_key()).unwrap(), BTreeSet::new());
    let fields = Arc::clone(store.fields());
    let batch: Vec<NewEvent> = (0..500).map(|n| event(n, &format!("user {}", n % 100), WORDS)).collect();
    store
        .run_blocking(|conn| events::ensure_partitions(conn, [Timestamp::from_seconds(1_796_000_000)]))
        .unwrap();
    let failed = store.run_blocking(|conn| {
        in_transaction(conn, |conn| {
            events::append(conn, &fields, &batch)?;
            Err::<(), _>(StoreError::Interrupted)
        })
    });
    assert!(failed.is_err());
    assert_eq!(count(&database, "events"), 0);
    // Of users who were not stored either; nothing names them.
    assert_eq!(count(&database, "data_keys"), 100, "one a user, committed");
    let appended = store.run_blocking(|conn| events::append(conn, &fields, &batch)).unwrap();
    assert_eq!(appended.len(), 500);
    let loaded: Vec<NewEvent> =
        (1_000..1_300).map(|n| event(n, &format!("user {}", n % 150), WORDS)).collect();
    store.run_blocking(|conn| Loader::new(&fields).events(conn, &loaded)).unwrap();
    assert_eq!(count(&database, "events WHERE query LIKE 'enc1:%'"), 800);
    assert_eq!(count(&database, "data_keys JOIN users USING (user_id)"), 150, "one a user");
    // Every field is under a key that is there.
    let key = "encode(substring(decode(rpad(translate(substr(query, 6, 24), '-_', '+/'), 24, '='), 'base64') FROM 1 FOR 16), 'hex')::uuid";
    assert_eq!(count(&database, &format!("events WHERE {key} NOT IN (SELECT key_id FROM data_keys)")), 0);
}
