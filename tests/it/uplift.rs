//! Uplift from the command line, on a generated log of a known effect.

use std::fmt::Write;
use std::process::Output;

use serde_json::Value;

/// A trial of 1,200 users: men buy more often by `effect` in a hundred when they are sent a message, women do not; every other user
/// is sent one.
fn trial(effect: usize) -> String {
    let mut text = String::from("user_id,day,sex,age,sent,p,bought\n");
    for user in 0..1_200usize {
        let (sent, is_man) = (user % 2, user / 2 % 2 == 0);
        let chance = 30 + if sent == 1 && is_man { effect } else { 0 };
        // Every hundredth once, in no order.
        let bought = u8::from(user / 4 * 37 % 100 < chance);
        let sex = if is_man { "m" } else { "w" };
        writeln!(text, "u{user},{},{sex},{},{sent},0.5,{bought}", user % 28, 20 + user * 7 % 50).unwrap();
    }
    text
}

fn run(text: &str, more: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trial.csv");
    std::fs::write(&path, text).unwrap();
    std::process::Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["uplift", "--treatment", "sent", "--outcome", "bought", "--log"])
        .arg(&path)
        .args(["--propensity", "p", "--user", "user_id", "--features", "sex,age", "--folds", "3"])
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn whom_a_message_helps_is_found_in_a_log_and_the_same_again() {
    let output = run(&trial(40), &["--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["rows"], &report["users"], &report["refusal"]),
        (&1_200.into(), &1_200.into(), &Value::Null)
    );
    let effect = report["effect"]["value"].as_f64().unwrap();
    assert!((effect - 0.2).abs() < 0.02, "{effect}");
    for learner in report["learners"].as_array().unwrap() {
        // Half of the users gain 0.4: at best 0.4 · ½ · ½ · ½.
        let qini = learner["qini"]["value"].as_f64().unwrap();
        assert!((0.035..0.055).contains(&qini), "{learner}");
        assert!(learner["policy"]["over_all"]["low"].as_f64().unwrap() > -0.05, "{learner}");
        assert_eq!(learner["curve"].as_array().unwrap().len(), 21);
        let best = &learner["deciles"][0]["effect"]["value"];
        assert!(best.as_f64().unwrap() > 0.2, "{learner}");
    }
    assert_eq!(run(&trial(40), &["--json"]).stdout, output.stdout);
    let text = String::from_utf8(run(&trial(40), &["--learner", "dr"]).stdout).unwrap();
    for part in ["average effect", "treat none", "DR  Qini", "tenths of the rows", "DR, Qini curve"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_message_that_does_nothing_helps_nobody_and_a_log_of_one_arm_is_refused() {
    let text = String::from_utf8(run(&trial(0), &[]).stdout).unwrap();
    assert!(text.contains("can't tell whether it helps on average"), "{text}");
    assert!(text.contains("can't tell whom it helps more") && !text.contains("tenths"), "{text}");
    let one_arm = trial(40).replace(",0,0.5,", ",1,0.5,");
    let text = String::from_utf8(run(&one_arm, &[]).stdout).unwrap();
    assert!(text.contains("no estimate: 1200 rows treated and 0 not"), "{text}");
    let wrong = run(&trial(40), &["--learner", "s"]);
    assert_eq!(wrong.status.code(), Some(2));
}
