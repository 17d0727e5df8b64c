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
