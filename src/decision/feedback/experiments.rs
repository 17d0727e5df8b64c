//! Assigns users: deterministic buckets, the holdout, the uniformly random slice, arms of experiments; and checks that
//! the arms have the sizes they should have.
//!
//! A bucket is hash(salt, user) mod 10,000 (Tang et al., Overlapping Experiment Infrastructure, KDD 2010): the same user
//! is always in the same one, other salts shuffle anew. The check is a sequential multinomial test over arms, valid however often
//! it is looked at ([`multinomial_p`]); below p = 0.001 nothing may be read from the experiment (Fabijan et al., Diagnosing Sample
//! Ratio Mismatch, KDD 2019).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::statistics::multinomial_p;
use tidings_core::base::ModelVersion;
use tidings_core::profile::AttributeCondition;
use tidings_core::profile::attributes::MAX_CONDITIONS;

/// Buckets; a share is told in them: 200 = 2 %.
pub const BUCKETS: u16 = 10_000;
/// Below this the sizes of the arms are no accident.
pub const SAMPLE_RATIO_P: f64 = 0.001;
/// Most arms of an experiment.
pub const MAX_ARMS: usize = 20;
/// Shares that add up to no more than this may be percents or thousandths.
const MAX_OTHER_UNIT: u64 = 1_000;
/// Longest name or salt, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// 0…9,999, evenly; the first 64 bits of SHA-256 over the length-prefixed salt and the user's external id.
pub fn bucket(salt: &str, user: &str) -> u16 {
    let mut hash = Sha256::new();
    for part in [salt, user] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let number = digest.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    (number % u64::from(BUCKETS)) as u16
}

/// Slice of the users, by the part of the policy that holds for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slice {
    /// Gets nothing but what was asked for and what must be told: the measure of what messages do at all.
    Holdout,
    /// A coin decides whether to send: the log that other policies can be judged by. Words are drawn evenly.
    Uniform,
    /// The learned policy.
    Learned,
}

impl Slice {
    /// As stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holdout => "holdout",
            Self::Uniform => "random",
            Self::Learned => "ordinary",
        }
    }
}

/// Sizes of the slices, in buckets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slices {
    /// Changing it shuffles everybody anew.
    pub salt: String,
    /// In holdout.
    pub holdout: u16,
    /// In the uniformly random slice.
    pub uniform: u16,
}

impl Default for Slices {
    /// 2 % and 5 %. By this salt users 1…116 are in neither: who tries the server gets what nearly everybody gets.
    fn default() -> Self {
        Self { salt: "slices-803".into(), holdout: 200, uniform: 500 }
    }
}

impl Slices {
    /// Shares of 0…1, to the nearest bucket.
    pub fn of_shares(holdout: f64, uniform: f64) -> Self {
        let buckets = |share: f64| (share.clamp(0.0, 1.0) * f64::from(BUCKETS)).round() as u16;
        Self { holdout: buckets(holdout), uniform: buckets(uniform), ..Self::default() }
    }

    /// The slice of a user, by external id; the slices never overlap.
    pub fn of(&self, user: &str) -> Slice {
        let bucket = bucket(&self.salt, user);
        if bucket < self.holdout {
            Slice::Holdout
        } else if bucket < self.holdout.saturating_add(self.uniform) {
            Slice::Uniform
        } else {
            Slice::Learned
        }
    }
}

/// A model that an arm names: `7` or `"popularity"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum ArmModel {
    /// A trained version.
    Version(ModelVersion),
    /// The baseline: popular items only, the same for everybody but for what they have.
    Popularity,
}

impl TryFrom<Value> for ArmModel {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let version = value.as_i64().and_then(|version| i32::try_from(version).ok());
        match version.filter(|version| *version > 0) {
            Some(version) => Ok(Self::Version(ModelVersion(version))),
            None if value == "popularity" => Ok(Self::Popularity),
            None => Err(format!("model is the number of a version or \"popularity\", not {value}")),
        }
    }
}

impl From<ArmModel> for Value {
    fn from(model: ArmModel) -> Self {
        match model {
            ArmModel::Version(version) => version.0.into(),
            ArmModel::Popularity => "popularity".into(),
        }
    }
}

/// A way of doing things under test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Unique within the experiment; the first arm is the control.
    pub name: String,
    /// Buckets.
    pub share: u16,
    /// Settings of the policy that differ in it; empty = none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub policy: Map<String, Value>,
    /// Model that ranks for the arm's users; `None` = the one that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ArmModel>,
    /// Template → the one variant that is used in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, String>,
}

/// An experiment over templates, policies and models: what its arms change, everything else is the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Also the salt, with the phase: two experiments are independent of one another, and so are two phases of one.
    pub name: String,
    /// Control first.
    pub arms: Vec<Arm>,
    /// Buckets outside: with the shares of the arms all [`BUCKETS`]. `None` = what the arms leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<u16>,
    /// Users who take part: those who meet all of these conditions about attributes; empty = everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<AttributeCondition>,
    /// Times that the arms were changed. The server counts: a new phase draws everybody's arm anew, so that each arm holds the
    /// same mix of what earlier arms did to users, and its reading begins with it.
    #[serde(default, skip_serializing_if = "is_first")]
    pub phase: u32,
}

fn is_first(phase: &u32) -> bool {
    *phase == 0
}

/// Phase of an experiment that is about to have these arms, after the phases and arms it had, the latest first: the latest phase
/// while its arms stay as they are, else one more than there ever was. 0 without a past.
pub fn next_phase(arms: &[Arm], past: &[(u32, Vec<Arm>)]) -> u32 {
    match past.first() {
        None => 0,
        Some((phase, before)) if before == arms => *phase,
        Some(_) => past.iter().map(|(phase, _)| phase + 1).max().unwrap_or(0),
    }
}

/// Validation error of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExperimentError {
    /// Of the experiment or an arm.
    #[error("a name has 1…{MAX_NAME_BYTES} bytes and no control characters; \"{0}\" has not")]
    Name(String),
    /// Condition about an attribute.
    #[error("only: {0}")]
    Only(String),
    /// One arm compares nothing.
    #[error("an experiment has 2…{MAX_ARMS} arms, this one has {0}")]
    Arms(usize),
    /// Two arms of one name.
    #[error("two arms are named \"{0}\"")]
    Twice(String),
    /// Empty arms, or more than everybody.
    #[error("each arm needs a share above 0 and all together at most {BUCKETS} buckets; these have {0}")]
    Shares(u64),
    /// Hardly anybody takes part, without a word that this is meant: the unit was probably another one.
    #[error(
        "the shares are counted in buckets of {BUCKETS} and add up to {sum} here, so that hardly anybody would take part: \
         write 5000 for half of the users, or say \"outside\": {} if so few are meant",
        u64::from(BUCKETS).saturating_sub(*sum)
    )]
    Few {
        /// Of the arms.
        sum: u64,
    },
    /// Arms and outside are not everybody.
    #[error("the shares add up to {sum} and outside is {outside}: together they must be {BUCKETS}")]
    Outside {
        /// Of the arms.
        sum: u64,
        /// As given.
        outside: u16,
    },
}

impl Experiment {
    /// Checks names and shares.
    pub fn validate(&self) -> Result<(), ExperimentError> {
        if self.only.len() > MAX_CONDITIONS {
            return Err(ExperimentError::Only(format!("at most {MAX_CONDITIONS} conditions")));
        }
        self.only.iter().try_for_each(AttributeCondition::validate).map_err(ExperimentError::Only)?;
        let names = std::iter::once(&self.name).chain(self.arms.iter().map(|arm| &arm.name));
        for name in names {
            if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
                return Err(ExperimentError::Name(name.chars().take(MAX_NAME_BYTES).collect()));
            }
        }
        if !(2..=MAX_ARMS).contains(&self.arms.len()) {
            return Err(ExperimentError::Arms(self.arms.len()));
        }
        for (index, arm) in self.arms.iter().enumerate() {
            if self.arms.iter().take(index).any(|other| other.name == arm.name) {
                return Err(ExperimentError::Twice(arm.name.clone()));
            }
        }
        let sum = self.sum();
        if sum > u64::from(BUCKETS) || self.arms.iter().any(|arm| arm.share == 0) {
            return Err(ExperimentError::Shares(sum));
        }
        Ok(())
    }

    fn sum(&self) -> u64 {
        self.arms.iter().map(|arm| u64::from(arm.share)).sum()
    }

    /// Buckets of users in no arm.
    pub fn outside(&self) -> u64 {
        u64::from(BUCKETS).saturating_sub(self.sum())
    }

    /// Checks that the shares are meant as buckets: together with `outside` they are all, and without it at least a tenth.
    pub fn validate_unit(&self) -> Result<(), ExperimentError> {
        let sum = self.sum();
        match self.outside {
            Some(outside) if u64::from(outside) != self.outside() => {
                Err(ExperimentError::Outside { sum, outside })
            }
            None if sum <= MAX_OTHER_UNIT => Err(ExperimentError::Few { sum }),
            _ => Ok(()),
        }
    }

    /// The arm of a user, by external id; `None` outside the experiment.
    pub fn arm_of(&self, user: &str) -> Option<usize> {
        let bucket = match self.phase {
            0 => bucket(&self.name, user),
            phase => bucket(&format!("{}\u{1f}{phase}", self.name), user),
        };
        let mut end = 0u16;
        self.arms.iter().position(|arm| {
            end = end.saturating_add(arm.share);
            bucket < end
        })
    }
}

/// Check of the arms' sizes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SampleRatio {
    /// Anytime-valid p-value of sizes as far from the shares, or farther.
    pub p: f64,
    /// Nothing may be read: users got lost on one side.
    pub blocked: bool,
}

/// Compares users observed in each arm with the arms' shares (any unit). Not blocked while there are too few to tell.
pub fn sample_ratio(observed: &[u64], shares: &[f64]) -> SampleRatio {
    let p = multinomial_p(observed, shares);
    SampleRatio { p, blocked: p < SAMPLE_RATIO_P }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(name: &str, share: u16) -> Arm {
        Arm { name: name.into(), share, ..Arm::default() }
    }

    #[test]
    fn buckets_are_even_repeatable_and_shuffled_by_the_salt() {
        assert_eq!(bucket("a", "17"), bucket("a", "17"));
        assert_ne!(bucket("ab", "c"), bucket("a", "bc"));
        let mut tenths = [0u64; 10];
        let mut same = 0;
        for user in 0..20_000 {
            let user = user.to_string();
            tenths[usize::from(bucket("x", &user) / 1_000)] += 1;
            same += usize::from(bucket("x", &user) / 1_000 == bucket("y", &user) / 1_000);
        }
        assert!(!sample_ratio(&tenths, &[1.0; 10]).blocked, "{tenths:?}");
        assert!((1_800..2_200).contains(&same), "{same}");
    }

    #[test]
    fn two_percent_are_held_out_and_five_get_random_choices() {
        let slices = Slices::default();
        let mut counts = [0u64; 3];
        for user in 0..50_000 {
            counts[slices.of(&user.to_string()) as usize] += 1;
        }
        assert!(!sample_ratio(&counts, &[2.0, 5.0, 93.0]).blocked, "{counts:?}");
    }

    #[test]
    fn arms_get_their_shares_and_the_rest_stays_outside() {
        let experiment = Experiment {
            name: "words".into(),
            arms: vec![arm("control", 1_000), arm("b", 2_000)],
            ..Experiment::default()
        };
        experiment.validate().unwrap();
        let mut counts = [0u64; 3];
        for user in 0..30_000 {
            counts[experiment.arm_of(&user.to_string()).unwrap_or(2)] += 1;
        }
        assert!(!sample_ratio(&counts, &[1.0, 2.0, 7.0]).blocked, "{counts:?}");
    }

    #[test]
    fn a_phase_lasts_while_the_arms_stay_as_they_are() {
        let [even, uneven] = [5_000, 9_000].map(|share| vec![arm("a", share), arm("b", 10_000 - share)]);
        assert_eq!(next_phase(&even, &[]), 0);
        assert_eq!(next_phase(&even, &[(0, even.clone())]), 0);
        assert_eq!(next_phase(&uneven, &[(0, even.clone())]), 1);
        // Back to the first shares: not the first phase again, whose users have had both since.
        assert_eq!(next_phase(&even, &[(1, uneven.clone()), (0, even.clone())]), 2);
        let other_words =
            vec![Arm { variants: [("view".into(), "b".into())].into(), ..even[0].clone() }, even[1].clone()];
        assert_eq!(next_phase(&other_words, &[(3, even)]), 4);
    }

    #[test]
    fn a_new_phase_mixes_the_arms_of_the_one_before_evenly() {
        let in_phase = |phase, share| Experiment {
            name: "words".into(),
            arms: vec![arm("a", share), arm("b", 10_000 - share)],
            phase,
            ..Experiment::default()
        };
        let (before, after) = (in_phase(0, 5_000), in_phase(1, 9_000));
        let mut cells = [[0u64; 2]; 2];
        for user in (0..20_000).map(|user| user.to_string()) {
            let [old, new] = [&before, &after].map(|experiment| experiment.arm_of(&user).unwrap());
            cells[new][old] += 1;
        }
        for (new, share) in [(0, 0.9), (1, 0.1)] {
            assert!(!sample_ratio(&cells[new], &[0.5, 0.5]).blocked, "{cells:?}");
            let users: u64 = cells[new].iter().sum();
            assert!((users as f64 / 20_000.0 - share).abs() < 0.01, "{cells:?}");
        }
        let text = serde_json::to_value(&before).unwrap();
        assert!(text.get("phase").is_none(), "as stored before there were phases");
    }

    #[test]
    fn an_arm_names_a_version_or_popularity_and_nothing_else() {
        let read = |model: Value| {
            serde_json::from_value::<Arm>(serde_json::json!({"name": "a", "share": 1, "model": model}))
        };
        let seven = read(7.into()).unwrap();
        assert_eq!(seven.model, Some(ArmModel::Version(ModelVersion(7))));
        assert_eq!(serde_json::to_value(&seven).unwrap()["model"], 7);
        assert_eq!(read("popularity".into()).unwrap().model, Some(ArmModel::Popularity));
        for wrong in
            [Value::from(0), Value::from(-1), Value::from("best"), Value::from(1.5), Value::from(1i64 << 40)]
        {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains("the number of a version or \"popularity\""), "{error}");
        }
        assert!(serde_json::to_value(arm("a", 1)).unwrap().get("model").is_none());
    }

    #[test]
    fn a_lopsided_split_blocks_the_reading_and_a_few_users_do_not() {
        for (observed, blocked) in
            [([5_100, 4_900], false), ([5_250, 4_750], true), ([0, 0], false), ([12, 0], false)]
        {
            let check = sample_ratio(&observed, &[0.5, 0.5]);
            assert_eq!(check.blocked, blocked, "{observed:?} {check:?}");
        }
        // 3 of 168 should be held out: 6 are an accident.
        let check = sample_ratio(&[6, 144, 18], &[200.0, 9_300.0, 500.0]);
        assert!(!check.blocked && check.p > 0.05, "{check:?}");
    }

    #[test]
    fn an_experiment_that_cannot_work_is_refused() {
        let check = |arms| Experiment { name: "x".into(), arms, ..Experiment::default() }.validate();
        assert_eq!(check(vec![arm("a", 5_000)]), Err(ExperimentError::Arms(1)));
        assert_eq!(check(vec![arm("a", 1), arm("a", 1)]), Err(ExperimentError::Twice("a".into())));
        assert_eq!(check(vec![arm("a", 6_000), arm("b", 6_000)]), Err(ExperimentError::Shares(12_000)));
        assert_eq!(check(vec![arm("a", 0), arm("b", 1)]), Err(ExperimentError::Shares(1)));
        assert_eq!(check(vec![arm("", 1), arm("b", 1)]), Err(ExperimentError::Name(String::new())));
    }

    #[test]
    fn shares_in_percent_are_refused_unless_so_few_users_are_meant() {
        let check = |a, b, outside| {
            let arms = vec![arm("a", a), arm("b", b)];
            Experiment { name: "x".into(), arms, outside, ..Experiment::default() }.validate_unit()
        };
        let error = check(50, 50, None).unwrap_err();
        assert_eq!(error, ExperimentError::Few { sum: 100 });
        assert!(error.to_string().contains("add up to 100 here"), "{error}");
        assert!(error.to_string().contains("\"outside\": 9900"), "{error}");
        assert_eq!(check(50, 50, Some(9_900)), Ok(()));
        assert_eq!(check(50, 50, Some(9_000)), Err(ExperimentError::Outside { sum: 100, outside: 9_000 }));
        assert_eq!(check(1, 1, None), Err(ExperimentError::Few { sum: 2 }));
        assert_eq!((check(5_000, 5_000, None), check(5_000, 5_000, Some(0))), (Ok(()), Ok(())));
        assert_eq!((check(4_000, 4_000, None), check(1_000, 1_000, Some(8_000))), (Ok(()), Ok(())));
    }
}
