//! Models, their rules and the features they were trained with, in the tables.

use serde_json::json;
use tidings::base::{ExternalId, ItemId, ModelVersion, UserId};
use tidings::decide::definition_change::NewVersion;
use tidings::decide::definitions::{DefinitionKind, DefinitionState};
use tidings::store::models::{self, ModelState, NewModel};
use tidings::store::rules::{self, RuleFilter, RuleRow};
use tidings::store::user_features::{self, UserFeaturesRow};
use tidings::store::{definitions, users};

use super::store_learning::now;
use crate::helpers::database::TestDatabase;

fn model(version: ModelVersion, state: ModelState) -> NewModel {
    NewModel {
        version,
        created_at: now(),
        state,
        parameters: json!({"seed": 1}),
        metrics: json!({"ndcg@10": 0.2}),
        gate: json!({"passed": true}),
        events: 10,
        took_ms: 5,
        card: None,
    }
}

#[test]
fn one_model_serves_at_a_time() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    assert_eq!(models::active_version(&mut conn).unwrap(), None);
    let versions: Vec<ModelVersion> = (0..3).map(|_| models::reserve_version(&mut conn).unwrap()).collect();
    assert_eq!(versions, [ModelVersion(1), ModelVersion(2), ModelVersion(3)]);
    for (version, state) in
        versions.iter().zip([ModelState::Active, ModelState::Active, ModelState::Rejected])
    {
        let artefact = version.0.to_be_bytes();
        models::insert(&mut conn, &model(*version, state), artefact.as_slice()).unwrap();
    }
    let states = |conn: &mut diesel::PgConnection| {
        models::list(conn, 10).unwrap().iter().map(|row| (row.version.0, row.state)).collect::<Vec<_>>()
    };
    assert_eq!(
        states(&mut conn),
        [(3, ModelState::Rejected), (2, ModelState::Active), (1, ModelState::Retired)]
    );
    assert_eq!(models::active_version(&mut conn).unwrap(), Some(ModelVersion(2)));
    assert_eq!(models::load(&mut conn, ModelVersion(2)).unwrap(), Some(vec![0, 0, 0, 2]));
    assert!(models::activate(&mut conn, ModelVersion(1)).unwrap());
    assert!(!models::activate(&mut conn, ModelVersion(9)).unwrap());
    assert_eq!(models::active_version(&mut conn).unwrap(), Some(ModelVersion(1)));
    assert_eq!(states(&mut conn)[1], (2, ModelState::Retired));
    assert_eq!(models::load(&mut conn, ModelVersion(3)).unwrap(), Some(vec![0, 0, 0, 3]));
    // At once, too.
    std::thread::scope(|scope| {
        for version in 1..=3 {
            let database = &database;
            scope.spawn(move || {
                assert!(models::activate(&mut database.connection(), ModelVersion(version)).unwrap());
            });
        }
    });
    let active = states(&mut conn).iter().filter(|(_, state)| *state == ModelState::Active).count();
    assert_eq!(active, 1);
}

#[test]
fn rules_go_with_their_model_and_come_a_page_at_a_time() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let rule = |place: i32, left: &[u32], right: u32| RuleRow {
        place,
        antecedent: left.iter().map(|item| ItemId(*item)).collect(),
        consequent: vec![ItemId(right)],
        count: 7,
        support: 0.07,
        confidence: 0.5,
        lift: 3.0 - f64::from(place),
    };
    let all = [rule(0, &[1, 2], 3), rule(1, &[2], 4), rule(2, &[5], 1)];
    let mut versions = Vec::new();
    for _ in 0..2 {
        let version = models::reserve_version(&mut conn).unwrap();
        models::insert(&mut conn, &new_model(version), [1].as_slice()).unwrap();
        rules::insert(&mut conn, version, &all).unwrap();
        rules::insert(&mut conn, version, &[]).unwrap();
        versions.push(version);
    }
    let version = versions[0];
    let mut list = |item: Option<u32>, after, limit| {
        let filter = RuleFilter { version, item: item.map(ItemId), after, limit };
        rules::list(&mut conn, &filter).unwrap()
    };
    assert_eq!(list(None, -1, 2), all[..2]);
    assert_eq!(list(None, 1, 2), all[2..]);
    assert_eq!(list(Some(1), -1, 10), [all[0].clone(), all[2].clone()], "on either side");
    assert_eq!(list(Some(9), -1, 10), []);
    assert_eq!(rules::count(&mut conn, version, None).unwrap(), 3);
    assert_eq!(rules::count(&mut conn, version, Some(ItemId(2))).unwrap(), 2);
    assert_eq!(models::active_version(&mut conn).unwrap(), Some(versions[1]));
    models::prune(&mut conn, 1).unwrap();
    assert_eq!(rules::count(&mut conn, version, None).unwrap(), 0, "gone with the version");
    assert_eq!(rules::count(&mut conn, versions[1], None).unwrap(), 3);
}

#[test]
fn a_model_that_a_running_experiment_names_is_kept_also_beside_a_draft_of_that_experiment() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let versions: Vec<ModelVersion> = (0..3)
        .map(|_| {
            let version = models::reserve_version(&mut conn).unwrap();
            models::insert(&mut conn, &new_model(version), [1].as_slice()).unwrap();
            version
        })
        .collect();
    let naming =
        |model: ModelVersion| json!({"name": "e", "arms": [{"name": "a", "share": 5_000, "model": model.0}]});
    for (state, model) in [(DefinitionState::Active, versions[0]), (DefinitionState::Draft, versions[1])] {
        let new = NewVersion { state, body: naming(model), repeats: None };
        definitions::put(&mut conn, DefinitionKind::Experiment, "e", &new, "admin").unwrap();
    }
    models::prune(&mut conn, 1).unwrap();
    let left: Vec<ModelVersion> =
        models::list(&mut conn, 10).unwrap().iter().map(|row| row.version).collect();
    assert_eq!(left, [versions[2], versions[0]]);
}

fn new_model(version: ModelVersion) -> NewModel {
    NewModel {
        version,
        created_at: now(),
        state: ModelState::Active,
        parameters: json!({}),
        metrics: json!({}),
        gate: json!({}),
        events: 1,
        took_ms: 1,
        card: None,
    }
}

#[test]
fn features_are_replaced_whole_and_sampled_over_all() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let names: Vec<ExternalId> = (0..50).map(ExternalId::Integer).collect();
    let ids = users::resolve(&mut conn, &names).unwrap();
    let row = |user: UserId| UserFeaturesRow {
        user,
        purchases_per_month: 1.5,
        browsing_minutes_per_month: 20.0,
        searches_per_month: 0.0,
        recency_days: user.0.is_multiple_of(2).then_some(3.0),
        monetary: -2.0,
        segment: Some(4),
    };
    user_features::replace(&mut conn, &ids.iter().map(|user| row(*user)).collect::<Vec<_>>()).unwrap();
    let some: Vec<UserFeaturesRow> = ids.iter().skip(10).map(|user| row(*user)).collect();
    user_features::replace(&mut conn, &some).unwrap();
    let sample = user_features::sample(&mut conn, 20).unwrap();
    assert_eq!(sample.len(), 20);
    assert!(sample.iter().all(|one| some.contains(one)));
    let mut everything = user_features::sample(&mut conn, 600).unwrap();
    everything.sort_by_key(|one| one.user);
    assert_eq!(everything, some);
    let found = users::search(&mut conn, "1", 3).unwrap();
    let shown: Vec<_> = found.iter().map(|one| (one.external_id.to_string(), one.segment)).collect();
    assert_eq!(shown, [("10".into(), Some(4)), ("11".into(), Some(4)), ("12".into(), Some(4))]);
}
