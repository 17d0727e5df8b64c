//! The surroundings that change while a history runs: definitions, catalogue, models, users and where the clock begins. All of
//! it is made once a process and shared by all histories.

use std::sync::{Arc, LazyLock};

use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tidings::base::{ExternalId, ItemId, ModelVersion, Timestamp};
use tidings::catalogue::{Catalogue, Item};
use tidings::config::{self, Cap, Config};
use tidings::decide::definitions::{DefinitionKind, DefinitionState, StoredDefinition, overlay};
use tidings::decide::{Definitions, ExperimentModels};
use tidings::feedback::experiments::{Slice, Slices};
use tidings::profile::Attributes;
use tidings::recommend::ModelSet;
use tidings::response::Corrections;

/// Items of the catalogue.
pub const ITEMS: u32 = 10;
/// Model versions that may serve.
pub const MODELS: usize = 3;
/// Sets of definitions that may be active.
pub const DEFINITIONS: usize = 7;
/// Time zones of devices.
pub const ZONES: [&str; 6] =
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC", "America/Sao_Paulo"];
/// Categories of the shop's messages.
pub const CATEGORIES: [&str; 3] = ["news", "promo", "orders"];

/// The policy that holds for one user, as the checks read it.
#[derive(Clone, Debug)]
pub struct PolicyFacts {
    pub caps: Vec<Cap>,
    /// Quiet minutes of the day: from, to.
    pub quiet: (u16, u16),
    pub zone: TimeZone,
    pub profiling_by_default: bool,
}

/// One set of definitions with the policy it stands for.
pub struct Active {
    pub definitions: Definitions,
    policy: config::Policy,
    /// Policy of each arm of the one experiment, where the arm changes it.
    arms: Vec<Option<config::Policy>>,
}

/// Everything made once.
pub struct Setting {
    pub config: Config,
    pub active: Vec<Active>,
    pub catalogue: Arc<Catalogue>,
    pub models: Vec<Arc<ModelSet>>,
    pub experiment_models: ExperimentModels,
    pub corrections: Corrections,
}

pub static SETTING: LazyLock<Setting> = LazyLock::new(Setting::new);

fn facts(policy: &config::Policy) -> PolicyFacts {
    let minute = |text: &str| config::minute_of_day(text).unwrap();
    PolicyFacts {
        caps: policy.caps.clone(),
        quiet: (minute(&policy.quiet_from), minute(&policy.quiet_to)),
        zone: TimeZone::get(&policy.time_zone).unwrap(),
        profiling_by_default: policy.profiling_by_default,
    }
}

impl Active {
    /// The policy that holds for a user: that of the arm, for those in an experiment.
    pub fn facts(&self, user: &ExternalId) -> PolicyFacts {
        let name = user.to_string();
        let slice = Slices::of_shares(self.policy.holdout, self.policy.random).of(&name);
        let arm = self.definitions.experiments.first().filter(|_| slice == Slice::Learned);
        let arm =
            arm.and_then(|running| running.arm_of(&name, &Attributes::default())).map(|(place, _)| place);
        facts(arm.and_then(|place| self.arms[place].as_ref()).unwrap_or(&self.policy))
    }
}

fn row(version: i64, kind: DefinitionKind, name: &str, body: Value) -> StoredDefinition {
    StoredDefinition {
        id: version,
        kind,
        name: name.into(),
        version: 1,
        state: DefinitionState::Active,
        repeats: None,
        body,
    }
}

/// Definitions of one version: a policy, and what else is stored.
fn active(
    version: usize,
    configured: &config::Policy,
    policy: Value,
    more: &[(DefinitionKind, &str, Value)],
) -> Active {
    let version = version as i64 + 1;
    let mut rows = vec![row(version, DefinitionKind::Policy, "default", policy.clone())];
    rows.extend(more.iter().map(|(kind, name, body)| row(version, *kind, name, body.clone())));
    let (mut definitions, problems) = Definitions::new(&rows, configured);
    assert!(problems.is_empty(), "{problems:?}");
    definitions.serve_where(|_| true);
    let policy = overlay(configured, &policy).unwrap();
    let of_arm = |arm: &tidings::feedback::experiments::Arm| {
        (!arm.policy.is_empty()).then(|| overlay(&policy, &Value::Object(arm.policy.clone())).unwrap())
    };
    let arms = definitions.experiments.first().map(|one| one.experiment.arms.iter().map(of_arm).collect());
    Active { arms: arms.unwrap_or_default(), definitions, policy }
}

fn sets(configured: &config::Policy) -> Vec<Active> {
    use DefinitionKind::{Experiment, Template, Trigger};
    let cap = |category: &str, window_min: u64, max: usize| json!({"category": category, "window_min": window_min, "max": max});
    let push = json!({"category": "*", "channel": "push", "window_min": 90, "max": 1});
    let tight = json!([cap("*", 30, 3), cap("news", 15, 1), push]);
    let loose = json!([cap("*", 60, 12), cap("promo", 240, 2)]);
    let night = json!({"caps": loose, "quiet_from": "22:00", "quiet_to": "07:00", "min_new_items": 1});
    let collapsing = json!({"name": "announcement", "when": {"kind": "api"}, "category": "announcements",
        "template": "announcement", "collapse_key": "said", "expires_after_min": 240});
    let urgent = json!({"name": "announcement", "when": {"kind": "api"}, "category": "news",
        "template": "announcement", "priority": "high", "expires_after_min": 90});
    let wordings = json!({"name": "announcement", "variants": [
        {"name": "a", "texts": {"en": {"title": "{{ event.title }}", "body": "{{ event.body }}"}}},
        {"name": "b", "texts": {"en": {"title": "{{ event.title }}", "body": "Read: {{ event.body }}"}}}]});
    let arms = json!({"name": "nights", "arms": [{"name": "control", "share": 5000},
        {"name": "early", "share": 5000, "policy": {"quiet_from": "19:00", "quiet_to": "09:30", "caps": [cap("*", 45, 2)]}}]});
    type Variant = (Value, Vec<(DefinitionKind, &'static str, Value)>);
    let variants: [Variant; DEFINITIONS] = [
        (json!({"caps": tight, "min_new_items": 1}), vec![]),
        (night.clone(), vec![(Trigger, "announcement", collapsing)]),
        (
            json!({"caps": tight, "quiet_from": "01:30", "quiet_to": "03:15", "time_zone": "Europe/Berlin",
            "holdout": 0.2, "random": 0.3, "release_spread_s": 0, "digest_at": "02:30"}),
            vec![(Template, "announcement", wordings)],
        ),
        (night, vec![(Experiment, "nights", arms)]),
        (
            json!({"caps": loose, "budget_per_hour": 2, "profiling_by_default": false, "min_new_items": 1}),
            vec![],
        ),
        (
            json!({"caps": [cap("*", 1440, 6)], "quiet_from": "12:00", "quiet_to": "13:00", "expires_after_h": 3}),
            vec![(Trigger, "announcement", urgent)],
        ),
        (
            json!({"caps": [cap("announcements", 20, 1), cap("*", 10, 2)], "expires_after_h": 1, "repeat_window_min": 0}),
            vec![],
        ),
    ];
    let sets = variants.into_iter().enumerate();
    sets.map(|(version, (policy, more))| active(version, configured, policy, &more)).collect()
}

/// One item as it is at the start.
pub fn item(id: u32) -> Item {
    let category = ["Watches", "Bags", "Shoes"][id as usize % 3];
    Item {
        id: ItemId(id),
        external_id: ExternalId::Integer(i64::from(id) + 100),
        title: Some(format!("item {id}")),
        category: vec![category.to_owned()],
        tags: vec![format!("tag{}", id % 4)],
        price: Some(100.0),
        currency: Some("EUR".to_owned()),
        stock: None,
        url: None,
        image_url: None,
        attributes: [("brand".to_owned(), format!("brand{}", id % 2))].into(),
        consumable: id == 0,
        local: None,
        created_at: Timestamp(0),
    }
}

impl Setting {
    fn new() -> Self {
        let config = Config::default();
        let catalogue = Catalogue::from_items((0..ITEMS).map(item));
        let model = |version: usize| {
            let mut model = ModelSet::empty();
            model.version = ModelVersion(version as i32);
            // Versions know different items by their content, so that their lists differ.
            let known: Vec<ItemId> =
                (0..ITEMS).map(ItemId).filter(|id| id.0 as usize % (version + 1) != 1).collect();
            model.note_items(&catalogue, &known);
            Arc::new(model)
        };
        let models = (0..MODELS).map(model).collect();
        Self {
            active: sets(&config.policy),
            config,
            catalogue: Arc::new(catalogue),
            models,
            experiment_models: ExperimentModels::default(),
            corrections: Corrections::default(),
        }
    }
}

/// Moments near changes of daylight saving, and one that is far from any.
pub fn begin(choice: u64) -> Timestamp {
    const BEGINNINGS: [&str; 6] = [
        "2026-03-28T16:00:00Z", // Berlin goes forward at 01:00Z
        "2026-10-24T16:00:00Z", // Berlin goes back at 01:00Z
        "2026-03-07T22:00:00Z", // New York goes forward at 07:00Z
        "2026-10-31T22:00:00Z", // New York goes back at 06:00Z
        "2026-04-04T08:00:00Z", // Lord Howe goes back half an hour at 15:00Z
        "2026-06-10T09:00:00Z",
    ];
    Timestamp::parse(BEGINNINGS[choice as usize % BEGINNINGS.len()]).unwrap()
}
