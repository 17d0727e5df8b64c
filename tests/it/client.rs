//! `clients/js` under Node, against the real server. Said and left out where there is no Node.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::helpers::database::TestDatabase;
use crate::helpers::server::Server;

/// Node from 20.10 on (WebSocket behind a flag until 22), or a word about it.
fn node() -> Option<Vec<&'static str>> {
    let version = Command::new("node").arg("--version").output().ok()?;
    let version = String::from_utf8(version.stdout).ok()?;
    let mut parts =
        version.trim().trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    match (parts.next()?, parts.next()?) {
        (22.., _) => Some(vec![]),
        (21, _) | (20, 10..) => Some(vec!["--experimental-websocket"]),
        _ => None,
    }
}

#[test]
fn the_client_works_under_node() {
    let Some(flags) = node() else {
        return println!("no Node ≥ 20.10: the client is tested in the browser only");
    };
    let database = TestDatabase::new();
    let mut arguments = Vec::new();
    for setting in ["policy.caps=[]", "policy.repeat_window_min=0", "policy.min_new_items=0"] {
        arguments.extend(["--set", setting]);
    }
    let server = Server::start(&database.url, &arguments);
    let secret = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";
    let tokens = TestDatabase::new();
    let tokens_only = ["--set", "auth.mode=token", "--set", &format!("auth.secret={secret}")];
    let secured = Server::start(&tokens.url, &tokens_only);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/js/test");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let output = Command::new("node")
        .args(flags)
        .arg("--test")
        .args(files.filter(|path| path.to_string_lossy().ends_with(".test.mjs")))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .env("TIDINGS_URL", format!("ws://{}/ws", server.address))
        .env("TIDINGS_TOKEN_URL", format!("ws://{}/ws", secured.address))
        .env("TIDINGS_SECRET", secret)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // Measured figures, and what was left out because it is not installed.
    for line in text.lines().filter(|line| line.starts_with("# 48 h") || line.contains("# SKIP")) {
        println!("{line}");
    }
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}
