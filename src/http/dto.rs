//! JSON forms that several routes share.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::{Value, json};

use crate::base::{ItemId, Millis};
use crate::catalogue::{Catalogue, Item};
use crate::decide::World;
use crate::decide::record::RobotFlag;
use crate::event::OwnKinds;
use crate::profile::{Profile, SegmentId};
use crate::store::decisions::DecisionRow;
use crate::store::jobs::JobRow;

/// An item as the catalogue has it.
pub fn item(item: &Item) -> Value {
    json!({
        "item_id": item.external_id, "title": item.title, "category": item.category, "tags": item.tags,
        "price": item.price, "currency": item.currency, "stock": item.stock, "url": item.url,
        "image_url": item.image_url, "attributes": item.attributes, "consumable": item.consumable,
    })
}

/// An item in a list: id and name.
pub fn item_name(id: ItemId, catalogue: &Catalogue) -> Option<Value> {
    let item = catalogue.get(id)?;
    Some(json!({"item_id": item.external_id, "title": item.name()}))
}

/// Segment letter, or null.
pub fn segment(segment: Option<u8>) -> Option<String> {
    segment.map(|segment| SegmentId(segment).to_string())
}

/// Reason and moment of a robot's flag, and its end if nothing more comes; null `until` = until lifted by hand.
pub fn robot(flag: &RobotFlag, rest_h: u64) -> Value {
    let until = (rest_h > 0).then(|| flag.since + Millis::hours(rest_h));
    json!({"since": flag.since, "until": until, "reason": flag.reason})
}

/// A user's live profile. `segment_rates` are what the segments of this model compare.
pub fn profile(profile: &Profile, kinds: &OwnKinds, world: &World<'_>) -> Value {
    let (catalogue, models, clock) = (world.catalogue, world.models, world.feature_context());
    let features = profile.features(clock);
    let rates = models.segmentation.as_ref().map(|segmentation| segmentation.rates(&features));
    let own_kinds: BTreeMap<&str, u32> =
        profile.own_counts().map(|(kind, count)| (kinds.name_of(kind), count)).collect();
    let money: Vec<Value> = profile
        .money()
        .iter()
        .map(
            |(currency, amount)| json!({"currency": currency.or(catalogue.money().base()), "amount": amount}),
        )
        .collect();
    let affinities: Vec<Value> = profile
        .affinities(clock.now())
        .into_iter()
        .filter_map(|(category, share)| {
            Some(json!({"category": catalogue.category_name(category)?, "share": share}))
        })
        .collect();
    let recent: Vec<Value> = profile
        .recent()
        .iter()
        .filter_map(|recent| {
            let item = catalogue.get(recent.item)?;
            Some(json!({"item_id": item.external_id, "title": item.name(), "kind": kinds.name_of(recent.kind), "at": recent.at}))
        })
        .collect();
    json!({
        "features": {
            "purchases_per_month": features.purchases_per_month,
            "browsing_minutes_per_month": features.browsing_minutes_per_month,
            "searches_per_month": features.searches_per_month,
            "recency_days": features.recency_days,
            "monetary": features.monetary,
        },
        "own_kinds": own_kinds,
        "money": money,
        "segment_rates": rates.map(|[purchases, minutes, searches]| json!({
            "purchases_per_month": purchases, "browsing_minutes_per_month": minutes, "searches_per_month": searches,
        })),
        "affinities": affinities,
        "recent": recent,
        "bought": profile.bought().len(),
        "events": profile.events(),
        "first_seen": profile.first_seen(),
        "last_seen": profile.last_seen(),
    })
}

/// A job.
pub fn job(job: &JobRow) -> Value {
    json!({
        "job": job.job_id, "kind": job.kind, "state": job.state, "stage": job.stage, "progress": job.progress,
        "message": job.message, "created_at": job.created_at, "finished_at": job.finished_at,
    })
}

/// A decision; `users` names the users.
pub fn decision<N: Serialize>(
    row: &DecisionRow,
    users: &HashMap<crate::base::UserId, N>,
    catalogue: &Catalogue,
) -> Value {
    let items: Vec<Value> = row.items.iter().filter_map(|id| item_name(*id, catalogue)).collect();
    json!({
        "decision_id": row.decision_id, "decided_at": row.decided_at, "user_id": users.get(&row.user),
        "trigger": row.trigger, "category": row.category, "outcome": row.outcome, "reasons": row.reasons,
        "notification_id": row.notification_id, "model_version": row.model_version,
        "segment": segment(row.segment), "items": items, "until": row.until, "propensity": row.propensity,
        "channel": row.trace.channel, "campaign": row.trace.campaign, "policy_version": row.trace.policy_version,
        "holdout": row.trace.holdout, "alternatives": row.trace.alternatives, "steps": row.trace.steps,
        "slice": row.trace.slice, "variant": row.trace.variant,
        "variant_propensity": row.trace.variant_propensity, "arms": row.trace.arms,
        "p_click": row.expected.map(|expected| expected.click),
        "p_purchase": row.expected.map(|expected| expected.purchase),
        "p_mute": row.expected.map(|expected| expected.mute),
    })
}
