//! Off-policy estimates from randomised decisions: each wording if it were always taken, and sending or
//! keeping quiet if that were always done. An estimate or, in words, why the log can't carry one.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use tidings_core::base::Millis;
use tidings_core::evaluate::off_policy::{self, LoggedChoice, Report, TargetPolicy};
use tidings_core::response::CoinDecision;
use tidings_store::experiments::VariantChoice;

/// Segments have letters.
pub(super) const MAX_SEGMENTS: usize = 26;
const MILLIS_AN_HOUR: u64 = 3_600_000;
/// Actions that the coin chooses between, in the order of [`LoggedChoice::action`].
const COIN: [&str; 2] = ["hold", "send"];

/// Estimate for always taking one action, or in words why there is none.
#[derive(Serialize, ToSchema)]
struct AlwaysPolicy {
    /// The action.
    always: String,
    /// Absent where the log can't be read at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Report>,
    refused: Option<String>,
}

/// Estimates about the messages of a trigger.
#[derive(Serialize, ToSchema)]
pub struct OffPolicyOf {
    trigger: String,
    /// Quantity counted; absent where that is said above.
    #[serde(skip_serializing_if = "Option::is_none")]
    reward: Option<&'static str>,
    policies: Vec<AlwaysPolicy>,
}

/// Estimates for always sending and never sending.
#[derive(Serialize, ToSchema)]
#[schema(as = SendingEstimates)]
pub struct Sending {
    /// Quantity counted.
    reward: String,
    policies: Vec<AlwaysPolicy>,
    by_trigger: Vec<OffPolicyOf>,
}

/// For each trigger whose template has variants: what each variant would earn if it were always taken.
pub fn wordings(choices: &[VariantChoice]) -> Vec<OffPolicyOf> {
    let mut by_trigger: BTreeMap<&str, Vec<&VariantChoice>> = BTreeMap::new();
    for choice in choices {
        by_trigger.entry(&choice.trigger).or_default().push(choice);
    }
    by_trigger
        .into_iter()
        .map(|(trigger, choices)| {
            let mut variants: Vec<&str> = choices.iter().map(|choice| choice.variant.as_str()).collect();
            variants.sort_unstable();
            variants.dedup();
            let rows: Vec<LoggedChoice> =
                choices.iter().filter_map(|choice| wording(choice, &variants)).collect();
            let policies = policies(&rows, &variants);
            OffPolicyOf { trigger: trigger.to_owned(), reward: Some("clicked"), policies }
        })
        .collect()
}

fn wording(choice: &VariantChoice, variants: &[&str]) -> Option<LoggedChoice> {
    Some(LoggedChoice {
        stratum: stratum(choice.segment),
        action: variants.binary_search(&choice.variant.as_str()).ok()?,
        reward: f64::from(u8::from(choice.clicked)),
        propensity: f64::from(choice.propensity),
    })
}

/// Estimates for always sending and never sending, over all and by trigger: the share of decisions after which the user
/// bought within the window, whether told or not.
pub fn sending(decisions: &[CoinDecision], window: Millis) -> Sending {
    let row = |decision: &CoinDecision| LoggedChoice {
        stratum: stratum(decision.segment),
        action: usize::from(decision.sent),
        reward: f64::from(u8::from(decision.bought)),
        propensity: f64::from(decision.propensity),
    };
    let mut by_trigger: BTreeMap<&str, Vec<LoggedChoice>> = BTreeMap::new();
    for decision in decisions {
        by_trigger.entry(&decision.trigger).or_default().push(row(decision));
    }
    let all: Vec<LoggedChoice> = decisions.iter().map(row).collect();
    let of_trigger = |(trigger, rows): (&str, Vec<LoggedChoice>)| OffPolicyOf {
        trigger: trigger.to_owned(),
        reward: None,
        policies: policies(&rows, &COIN),
    };
    Sending {
        reward: format!("bought within {} h", window.0 / MILLIS_AN_HOUR),
        policies: policies(&all, &COIN),
        by_trigger: by_trigger.into_iter().map(of_trigger).collect(),
    }
}

fn stratum(segment: Option<u8>) -> usize {
    segment.map_or(MAX_SEGMENTS, |segment| usize::from(segment).min(MAX_SEGMENTS))
}

/// One policy an action: always that.
fn policies(rows: &[LoggedChoice], actions: &[&str]) -> Vec<AlwaysPolicy> {
    let always = |chosen: usize| {
        let row = (0..actions.len()).map(|action| f64::from(u8::from(action == chosen)));
        let target: Vec<f64> = row.cycle().take(actions.len() * (MAX_SEGMENTS + 1)).collect();
        TargetPolicy::new(actions.len(), target).and_then(|target| off_policy::estimate(rows, &target))
    };
    actions
        .iter()
        .enumerate()
        .map(|(chosen, action)| {
            let (report, refused) = match always(chosen) {
                Ok(report) => (Some(report), report.refusal.map(|refusal| refusal.to_string())),
                Err(error) => (None, Some(error.to_string())),
            };
            AlwaysPolicy { always: (*action).to_owned(), report, refused }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tidings_core::base::UserId;

    /// So many decisions of a fair coin: of every ten that were told `told` bought, of the others `not`.
    fn decisions(n: usize, told: usize, not: usize) -> Vec<CoinDecision> {
        let decision = |n: usize| CoinDecision {
            user: UserId(n as u32),
            category: String::new(),
            features: Vec::new(),
            trigger: if n % 4 < 2 { "view" } else { "cart" }.to_owned(),
            segment: Some(0),
            sent: n.is_multiple_of(2),
            propensity: 0.5,
            bought: n / 2 % 10 < if n.is_multiple_of(2) { told } else { not },
        };
        (0..n).map(decision).collect()
    }

    #[test]
    fn always_sending_and_never_are_told_with_their_intervals() {
        let answer = json!(sending(&decisions(2_000, 4, 2), Millis::hours(72)));
        assert_eq!(answer["reward"], "bought within 72 h");
        for (place, always, value) in [(0, "hold", 0.2), (1, "send", 0.4)] {
            let policy = &answer["policies"][place];
            let snips = &policy["report"]["estimates"]["snips"];
            assert_eq!((&policy["always"], &policy["refused"]), (&json!(always), &Value::Null));
            assert!((snips["value"].as_f64().unwrap() - value).abs() < 1e-9, "{policy}");
            // A thousand of each: √(p (1 − p) / 1,000), √2 times that by weights of 0 and 2 at most.
            let error = (value * (1.0 - value) / 1_000.0f64).sqrt();
            let told = snips["standard_error"].as_f64().unwrap();
            assert!((error * 0.9..error * 1.5).contains(&told), "{told} {error}");
        }
        assert_eq!(answer["by_trigger"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_log_that_cannot_carry_it_is_refused_in_words() {
        let answer = json!(sending(&decisions(150, 4, 2), Millis::hours(72)));
        let said = answer["policies"][1]["refused"].as_str().unwrap();
        assert!(said.contains("effective sample size 75"), "{said}");
        assert_eq!(answer["policies"][1]["report"]["estimates"], Value::Null);
        let nothing = json!(sending(&[], Millis::hours(72)));
        assert!(
            nothing["policies"][0]["refused"].as_str().unwrap().contains("the log is empty"),
            "{nothing}"
        );
    }
}
