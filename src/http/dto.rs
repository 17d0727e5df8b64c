//! JSON forms that several routes share.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use tidings_core::base::{ExternalId, ItemId, Millis, NotificationId, Timestamp, UserId};
use tidings_core::catalogue::{Catalogue, Item, LocalPrices, Translation, Translations};
use tidings_core::event::OwnKinds;
use tidings_core::profile::{Profile, SegmentId};
use tidings_decision::decide::World;
use tidings_decision::decide::record::{RobotFlag, TraceStep};
use tidings_store::decisions::DecisionRow;
use tidings_store::jobs::JobRow;

/// An item as the catalogue has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Item)]
pub struct ItemView<'a> {
    item_id: &'a ExternalId,
    title: Option<&'a str>,
    /// Path, general to special.
    category: &'a [String],
    tags: &'a [String],
    /// Major units of `currency`.
    price: Option<f64>,
    /// ISO 4217.
    currency: Option<&'a str>,
    /// Units on hand; null = not tracked.
    stock: Option<i32>,
    url: Option<&'a str>,
    image_url: Option<&'a str>,
    attributes: &'a BTreeMap<String, String>,
    /// Bought again and again.
    consumable: bool,
    /// Numbers of its embedding; null = it has none.
    embedding_length: Option<usize>,
    /// Words in other languages, by BCP 47 tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, Translation>>)]
    translations: Option<&'a Translations>,
    /// Prices in other currencies, by ISO 4217 code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, f64>>)]
    prices: Option<&'a LocalPrices>,
}

/// View of an item.
pub fn item<'a>(item: &'a Item, catalogue: &Catalogue) -> ItemView<'a> {
    let embeddings = catalogue.embeddings();
    ItemView {
        item_id: &item.external_id,
        title: item.title.as_deref(),
        category: &item.category,
        tags: &item.tags,
        price: item.price,
        currency: item.currency.as_deref(),
        stock: item.stock,
        url: item.url.as_deref(),
        image_url: item.image_url.as_deref(),
        attributes: &item.attributes,
        consumable: item.consumable,
        embedding_length: embeddings.dimensions().filter(|_| embeddings.has(item.id)),
        translations: item.local.as_ref().map(|local| &local.translations),
        prices: item.local.as_ref().map(|local| &local.prices),
    }
}

/// An item in a list: id and name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ItemName {
    /// Id; null for an item that has left the catalogue.
    pub item_id: Option<ExternalId>,
    /// Title, or the id.
    pub title: String,
}

/// Id and name of an item of the catalogue.
pub fn item_name(id: ItemId, catalogue: &Catalogue) -> Option<ItemName> {
    let item = catalogue.get(id)?;
    Some(ItemName { item_id: Some(item.external_id.clone()), title: item.name() })
}

/// Segment letter, or null.
pub fn segment(segment: Option<u8>) -> Option<String> {
    segment.map(|segment| SegmentId(segment).to_string())
}

/// Reason and moment for which a user is taken for a robot.
#[derive(Serialize, ToSchema)]
pub struct Robot {
    since: Timestamp,
    /// End, if nothing more comes; null = until lifted by hand.
    until: Option<Timestamp>,
    reason: String,
}

/// View of a robot's flag.
pub fn robot(flag: &RobotFlag, rest_h: u64) -> Robot {
    let until = (rest_h > 0).then(|| flag.since + Millis::hours(rest_h));
    Robot { since: flag.since, until, reason: flag.reason.clone() }
}

/// Features of a user, until the newest event of the data.
#[derive(Serialize, ToSchema)]
struct ProfileFeatures {
    purchases_per_month: f64,
    browsing_minutes_per_month: f64,
    searches_per_month: f64,
    /// Days since the last purchase; null without one.
    recency_days: Option<f64>,
    /// Purchases less returns, in the shop's currency.
    monetary: f64,
}

/// Rates by which segments compare users.
#[derive(Serialize, ToSchema)]
struct SegmentRates {
    purchases_per_month: f64,
    browsing_minutes_per_month: f64,
    searches_per_month: f64,
}

/// Money in one currency.
#[derive(Serialize, ToSchema)]
struct CurrencyAmount {
    /// ISO 4217; null where neither purchase nor shop names one.
    currency: Option<String>,
    amount: f64,
}

/// Share of a category in a user's interest.
#[derive(Serialize, ToSchema)]
struct Affinity {
    category: String,
    share: f32,
}

/// An item that a user dealt with lately.
#[derive(Serialize, ToSchema)]
struct RecentItem {
    item_id: ExternalId,
    title: String,
    /// Kind of the event.
    kind: String,
    at: Timestamp,
}

/// A user's live profile.
#[derive(Serialize, ToSchema)]
pub struct ProfileFacts {
    features: ProfileFeatures,
    /// Events by kinds of the shop's own.
    own_kinds: BTreeMap<String, u32>,
    money: Vec<CurrencyAmount>,
    /// Null while no model has segments.
    segment_rates: Option<SegmentRates>,
    affinities: Vec<Affinity>,
    recent: Vec<RecentItem>,
    /// Number of items ever bought.
    bought: usize,
    events: u32,
    first_seen: Option<Timestamp>,
    last_seen: Option<Timestamp>,
}

/// View of a profile.
pub fn profile(profile: &Profile, kinds: &OwnKinds, world: &World<'_>) -> ProfileFacts {
    let (catalogue, models, clock) = (world.catalogue, world.models, world.feature_context());
    let features = profile.features(clock);
    let rates = models.segmentation.as_ref().map(|segmentation| segmentation.rates(&features));
    let base = catalogue.money().base();
    let money = profile.money().iter().map(|(currency, amount)| CurrencyAmount {
        currency: currency.or(base).map(|currency| currency.to_string()),
        amount,
    });
    let affinity =
        |(category, share)| Some(Affinity { category: catalogue.category_name(category)?.to_owned(), share });
    let recent = profile.recent().iter().filter_map(|recent| {
        let item = catalogue.get(recent.item)?;
        let kind = kinds.name_of(recent.kind).to_owned();
        Some(RecentItem { item_id: item.external_id.clone(), title: item.name(), kind, at: recent.at })
    });
    ProfileFacts {
        features: ProfileFeatures {
            purchases_per_month: features.purchases_per_month,
            browsing_minutes_per_month: features.browsing_minutes_per_month,
            searches_per_month: features.searches_per_month,
            recency_days: features.recency_days,
            monetary: features.monetary,
        },
        own_kinds: profile
            .own_counts()
            .map(|(kind, count)| (kinds.name_of(kind).to_owned(), count))
            .collect(),
        money: money.collect(),
        segment_rates: rates.map(|[purchases_per_month, browsing_minutes_per_month, searches_per_month]| {
            SegmentRates { purchases_per_month, browsing_minutes_per_month, searches_per_month }
        }),
        affinities: profile.affinities(clock.now()).into_iter().filter_map(affinity).collect(),
        recent: recent.collect(),
        bought: profile.bought().len(),
        events: profile.events(),
        first_seen: profile.first_seen(),
        last_seen: profile.last_seen(),
    }
}

/// A job.
#[derive(Serialize, ToSchema)]
pub struct Job {
    job: Uuid,
    /// `train`, `import`, …
    kind: String,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    state: String,
    stage: String,
    /// 0…1.
    progress: f32,
    /// Outcome in words.
    message: Option<String>,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
}

/// View of a job.
pub fn job(job: &JobRow) -> Job {
    let JobRow { job_id, kind, state, stage, progress, message, created_at, finished_at } = job.clone();
    Job { job: job_id, kind, state, stage, progress, message, created_at, finished_at }
}

/// A decision about a candidate message, sent or not.
#[derive(Serialize, ToSchema)]
pub struct Decision<'a> {
    decision_id: Uuid,
    decided_at: Timestamp,
    user_id: Option<&'a ExternalId>,
    trigger: &'a str,
    category: &'a str,
    /// `send`, `defer`, `digest`, `inbox_only` or `drop`.
    outcome: &'a str,
    /// Steps that decided something, in words.
    reasons: &'a [String],
    notification_id: Option<NotificationId>,
    /// 0 = none.
    model_version: i32,
    segment: Option<String>,
    items: Vec<ItemName>,
    until: Option<Timestamp>,
    /// Of the outcome, in (0, 1].
    propensity: f32,
    channel: &'a str,
    campaign: &'a str,
    /// 0 = the configuration.
    policy_version: i32,
    holdout: bool,
    /// Variants that could have been chosen, the chosen one first.
    alternatives: &'a [String],
    steps: &'a [TraceStep],
    /// `ordinary`, `holdout` or `random`.
    slice: &'a str,
    variant: Option<&'a str>,
    variant_propensity: Option<f32>,
    /// Arm by experiment.
    arms: &'a BTreeMap<String, String>,
    p_click: Option<f32>,
    p_purchase: Option<f32>,
    p_mute: Option<f32>,
}

/// View of a decision; `users` names the users.
pub fn decision<'a>(
    row: &'a DecisionRow,
    users: &'a HashMap<UserId, ExternalId>,
    catalogue: &Catalogue,
) -> Decision<'a> {
    let trace = &row.trace;
    Decision {
        decision_id: row.decision_id,
        decided_at: row.decided_at,
        user_id: users.get(&row.user),
        trigger: &row.trigger,
        category: &row.category,
        outcome: &row.outcome,
        reasons: &row.reasons,
        notification_id: row.notification_id,
        model_version: row.model_version.0,
        segment: segment(row.segment),
        items: row.items.iter().filter_map(|id| item_name(*id, catalogue)).collect(),
        until: row.until,
        propensity: row.propensity,
        channel: &trace.channel,
        campaign: &trace.campaign,
        policy_version: trace.policy_version,
        holdout: trace.holdout,
        alternatives: &trace.alternatives,
        steps: &trace.steps,
        slice: &trace.slice,
        variant: trace.variant.as_deref(),
        variant_propensity: trace.variant_propensity,
        arms: &trace.arms,
        p_click: row.expected.map(|expected| expected.click),
        p_purchase: row.expected.map(|expected| expected.purchase),
        p_mute: row.expected.map(|expected| expected.mute),
    }
}
