//! A merge that is committed and of which no answer comes: the line to PostgreSQL ends in between.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::helpers::database::TestDatabase;
use crate::helpers::server::Server;

/// A line to a cluster that ends in place of the answer to the COMMIT of a merge.
struct LostAnswers {
    _directory: tempfile::TempDir,
    /// Address to connect to.
    url: String,
    /// Answers that were lost.
    lost: Arc<AtomicUsize>,
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

impl LostAnswers {
    fn to(database: &TestDatabase) -> Self {
        let value = |name: &str| {
            let (_, rest) = database.url.split_once(&format!("{name}=")).expect("a cluster of one's own");
            rest.split('&').next().unwrap().to_owned()
        };
        let (host, socket) = (value("host"), format!(".s.PGSQL.{}", value("port")));
        let upstream = PathBuf::from(host.replace("%2F", "/")).join(&socket);
        assert!(upstream.exists(), "{}", upstream.display());
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join(&socket)).unwrap();
        let own = directory.path().to_str().unwrap().replace('/', "%2F");
        let url = database.url.replace(&format!("host={host}"), &format!("host={own}"));
        let lost = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&lost);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = UnixStream::connect(&upstream).unwrap();
                pass(client, server, &counter);
            }
        });
        Self { _directory: directory, url, lost }
    }
}

fn pass(mut client: UnixStream, mut server: UnixStream, lost: &Arc<AtomicUsize>) {
    let is_ending = Arc::new(AtomicBool::new(false));
    let (mut to_client, mut from_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (ends, lost) = (Arc::clone(&is_ending), Arc::clone(lost));
    thread::spawn(move || {
        let mut bytes = [0; 16_384];
        while let Ok(n @ 1..) = from_server.read(&mut bytes) {
            if ends.load(Ordering::SeqCst) {
                lost.fetch_add(1, Ordering::SeqCst);
                break;
            }
            if to_client.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        drop(to_client.shutdown(Shutdown::Both));
    });
    thread::spawn(move || {
        let (mut bytes, mut merges) = ([0; 16_384], false);
        while let Ok(n @ 1..) = client.read(&mut bytes) {
            merges |= contains(&bytes[..n], "SET merged_into");
            if merges && contains(&bytes[..n], "COMMIT") {
                is_ending.store(true, Ordering::SeqCst);
            }
            if server.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        drop(server.shutdown(Shutdown::Both));
    });
}

#[test]
fn a_merge_whose_answer_is_lost_is_looked_up_and_not_forgotten() {
    let database = TestDatabase::new();
    let line = LostAnswers::to(&database);
    let server = Server::start(&line.url, &[]);
    let mut http = server.http();
    for user in ["anon-1", "17"] {
        let event = json!({"kind": "view", "user_id": user, "item_id": 101});
        assert_eq!(http.post("/v1/events", &event).status, 202);
    }
    let answer = http.post("/v1/users/17/merge", &json!({"anonymous_id": "anon-1"}));
    assert_eq!(line.lost.load(Ordering::SeqCst), 1, "the answer did not come through");
    assert_eq!((answer.status, &answer.json()["user_id"]), (200, &json!(17)), "{}", answer.body);
    assert_eq!(http.get("/v1/users/anon-1/profile").json()["user_id"], 17);
    let again = http.post("/v1/users/17/merge", &json!({"anonymous_id": "anon-1"}));
    assert_eq!(again.json()["merged"], false);
    let of_user = "SELECT count(*) AS n FROM events JOIN users USING (user_id) WHERE external_id = '17'";
    assert_eq!(database.count(of_user), 2);
}
