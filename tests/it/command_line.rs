//! What the command line refuses: before anything is done, with the nearest name, and with an exit code that scripts can tell.

use std::path::Path;
use std::process::{Command, Output};

use crate::helpers::server::data_dir;

fn tidings(data_dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(arguments)
        .env_remove("DATABASE_URL")
        .env("TIDINGS_SERVER_DATA_DIR", data_dir)
        .output()
        .unwrap()
}

/// Exit code and what was written to standard error.
fn refused(data_dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = tidings(data_dir, arguments);
    assert!(!data_dir.exists(), "{arguments:?} made {}", data_dir.display());
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_file_that_is_not_there_is_told_before_a_database_is_made() {
    let (_directory, data_dir) = data_dir();
    let (code, text) = refused(&data_dir, &["import", "csv", "nofile.csv"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("cannot open nofile.csv"), "{text}");
    let (code, text) = refused(&data_dir, &["import", "csv", "nofile.csv", "--kind", "dance"]);
    assert_eq!(code, Some(2), "{text}");
}

#[test]
fn names_that_are_not_known_are_wrong_usage_and_the_nearest_is_suggested() {
    let (_directory, data_dir) = data_dir();
    for (arguments, says) in [
        (
            &["evaluate", "--algorithm", "banana", "--train", "a", "--test", "b"][..],
            "there is no banana; there are popularity",
        ),
        (&["evaluate", "--algorithm", "esae", "--train", "a", "--test", "b"], "did you mean ease?"),
        (
            &["evaluate", "--algorithm", "skn", "--protocol", "sessions", "--train", "a", "--test", "b"],
            "did you mean sknn?",
        ),
        (&["evaluate", "--algorithm", "ease"], "others need --train and --test"),
        (&["evaluate", "--as", "served", "--train", "a", "--test", "b"], "a choice of --protocol sessions"),
        (&["serve", "--set", "server.listn=x"], "did you mean server.listen?"),
        (&["serve", "--listen", "shop.example:80"], "such as 127.0.0.1:8080 or localhost:8080"),
    ] {
        let (code, text) = refused(&data_dir, arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {text}");
        assert!(text.contains(says), "{arguments:?}: {text}");
    }
}

#[test]
fn what_only_reads_makes_no_database_and_says_what_would() {
    let (_directory, data_dir) = data_dir();
    for arguments in [
        &["segments"][..],
        &["users"],
        &["models", "card", "3"],
        &["rules"],
        &["recommend", "--user", "1"],
        &["export", "events"],
        &["evaluate"],
        &["train"],
        &["audit", "verify"],
        &["privacy", "report"],
        &["keys", "list"],
        &["people", "list"],
        &["encryption", "status"],
    ] {
        let (code, text) = refused(&data_dir, arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {text}");
        assert!(
            text.contains("there is no database in") && text.contains("tidings import"),
            "{arguments:?}: {text}"
        );
    }
}

#[test]
fn arguments_that_make_no_sense_are_wrong_usage_before_anything_is_made() {
    let (_directory, data_dir) = data_dir();
    for (arguments, says) in [
        (&["keys", "create", "shop", "--scope", "evnts:write"][..], "evnts"),
        (&["people", "add", "", "--role", "admin"], "name"),
        (&["simulate", "--seeds", "0"], "--seeds is 1…100, not 0"),
        (&["simulate", "--users", "0"], "--users is 1…1,000,000, not 0"),
        (&["simulate", "--days", "0"], "--days is 1…366, not 0"),
        (&["simulate", "--warm-up", "999"], "--warm-up is 0…366, not 999"),
        (&["simulate", "--policy", "defualt"], "did you mean default?"),
        (&["token", "--role", "admin"], "auth.secret is not set"),
        (&["tls", "check"], "TLS is off"),
        (&["import", "cvs", "a"], "did you mean csv?"),
        (&["import", "csv", "a", "--kind", "purchse"], "did you mean purchase?"),
    ] {
        let (code, text) = refused(&data_dir, arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {text}");
        assert!(text.contains(says), "{arguments:?}: {text}");
    }
}

#[test]
fn a_policy_that_does_not_fit_is_told_in_plain_words() {
    let (directory, data_dir) = data_dir();
    let file = directory.path().join("policy.json");
    for (body, says) in [
        (r#"{"cpas": []}"#, "did you mean `caps`?"),
        (r#"{"caps": 5}"#, "expected a list"),
        (r#"{"caps": [5]}"#, "expected a table"),
        (r#"{"items": "many"}"#, "expected a whole number, 0 or more"),
        (r#"{"holdout": []}"#, "a list, expected a number"),
    ] {
        std::fs::write(&file, body).unwrap();
        let (code, text) = refused(&data_dir, &["simulate", "--policy", file.to_str().unwrap()]);
        assert_eq!(code, Some(2), "{body}: {text}");
        assert!(text.contains(says), "{body}: {text}");
    }
    let (code, text) = refused(&data_dir, &["serve", "--set", "server.workers=-1"]);
    assert!(code == Some(2) && text.contains("whole number"), "{text}");
}

#[test]
fn kinds_that_no_row_has_are_refused_with_the_nearest() {
    let (directory, data_dir) = data_dir();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let train = file("train.csv", "user,item,ts,kind\nu,a,1,add_to_cart\nu,b,2,purchase\nv,a,1,purchase\n");
    let test = file("test.csv", "user,item,ts\nu,a,3\n");
    let plain = file("plain.csv", "user,item,ts\nu,a,1\n");
    for (train, further, says) in [
        (&train, &["--target", "purchse"][..], "--target: there is no purchse, did you mean purchase?"),
        (&train, &["--target", "purchase", "--leave-out", "add_to_crat"], "did you mean add_to_cart?"),
        (&train, &["--leave-out", "purchase"], "--target"),
        (&plain, &["--target", "purchase"], "--target needs the column kind"),
    ] {
        let arguments = [&["evaluate", "--train", train, "--test", &test][..], further].concat();
        let (_, text) = refused(&data_dir, &arguments);
        assert!(text.contains(says), "{arguments:?}: {text}");
    }
}

#[test]
fn a_misspelt_setting_is_told_with_its_file_and_line() {
    let (directory, data_dir) = data_dir();
    let file = directory.path().join("shop.toml");
    std::fs::write(&file, "# ours\n[server]\nworkers = 2\nlistn = \"127.0.0.1:0\"\n").unwrap();
    let path = file.to_str().unwrap();
    let (code, text) = refused(&data_dir, &["serve", "--config", path]);
    assert_eq!(code, Some(2), "{text}");
    let says = format!("{path}: line 4: unknown setting server.listn, did you mean server.listen?");
    assert!(text.contains(&says), "{text}");
}
