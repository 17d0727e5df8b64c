//! Off-policy estimates from the command line, on the Open Bandit sample against figures computed independently.

use serde_json::Value;

use crate::models_data;

fn off_policy(log: &str, target: &str) -> Option<Value> {
    let log_path = models_data::path(log)?;
    let target = if target.ends_with(".csv") {
        models_data::path(target)?.display().to_string()
    } else {
        target.to_owned()
    };
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["off-policy", "--json", "--log"])
        .arg(log_path)
        .args(["--target", &target])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// IPS, SNIPS, effective sample size; computed with pandas from the same files.
#[test]
fn estimates_on_the_open_bandit_sample_are_those_computed_independently() {
    for (log, target, ips, snips, effective) in [
        ("random/men/men.csv.gz", "pi_bts_men.csv", 0.004_546, 0.004_616, 2_480.0),
        ("random/women/women.csv.gz", "pi_bts_women.csv", 0.006_809, 0.006_805, 1_962.0),
        ("bts/men/men.csv.gz", "uniform", 0.003_009, 0.003_189, 656.0),
    ] {
        let target = if target == "uniform" { target.to_owned() } else { format!("open-bandit/{target}") };
        let Some(report) = off_policy(&format!("open-bandit/{log}"), &target) else {
            return models_data::absent("open-bandit");
        };
        println!("{log}: {report}");
        let value = |name: &str| report["estimates"][name]["value"].as_f64().unwrap();
        assert!((value("ips") - ips).abs() < 1e-6, "{report}");
        assert!((value("snips") - snips).abs() < 1e-6, "{report}");
        assert!((report["effective_sample_size"].as_f64().unwrap() - effective).abs() < 0.5, "{report}");
        assert!(report["estimates"]["dr"]["standard_error"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn a_log_that_cannot_carry_the_answer_gets_a_refusal_and_no_number() {
    let Some(report) = off_policy("open-bandit/bts/women/women.csv.gz", "uniform") else {
        return models_data::absent("open-bandit");
    };
    assert!(report["estimates"].is_null(), "{report}");
    assert_eq!(report["refusal"]["reason"], "effective_sample");
    assert!((report["effective_sample_size"].as_f64().unwrap() - 2.08).abs() < 0.01, "{report}");
}
