use super::*;
use crate::base::{EventKey, Timestamp};

const NOW: i64 = 1_700_000_000;

fn purchase(n: i64, quantity: f32, value: f64) -> NewEvent {
    NewEvent {
        key: EventKey::from_parts(&[b"test", &n.to_le_bytes()]),
        deduplicate: true,
        user: Some(ExternalId::Integer(n % 7)),
        item: Some(ExternalId::Integer(n % 11)),
        kind: EventKind::Purchase,
        occurred_at: Timestamp::from_seconds(1_600_000_000 + n * 100),
        dwell_ms: None,
        query: None,
        quantity,
        value: Some(value),
        currency: Some("GBP".into()),
        basket: Some(n),
        list: None,
    }
}

fn view(n: i64, user: i64, at: i64, dwell_ms: Option<u32>) -> NewEvent {
    NewEvent {
        key: EventKey::from_parts(&[b"view", &n.to_le_bytes()]),
        user: Some(ExternalId::Integer(user)),
        kind: EventKind::View,
        occurred_at: Timestamp::from_seconds(at),
        dwell_ms,
        value: None,
        currency: None,
        basket: None,
        ..purchase(n, 1.0, 1.0)
    }
}

fn clean(rows: Vec<(NewEvent, bool)>, parameters: CleaningParameters) -> (Vec<NewEvent>, Cleaned) {
    let aside = SetAside { step: "not_products".into(), description: "postage".into() };
    let limits = EventLimits::at(Timestamp::from_seconds(NOW));
    let mut cleaner = Cleaner::new("test", limits, parameters, Some(aside));
    let mut out = Vec::new();
    for (event, aside) in rows {
        cleaner.push(event, aside, &mut out);
    }
    cleaner.note_malformed(2);
    let cleaned = cleaner.finish(&mut out);
    (out, cleaned)
}

fn counts(report: &CleaningReport) -> Vec<(&str, u64, u64)> {
    report.steps.iter().map(|step| (step.step.as_str(), step.dropped, step.changed)).collect()
}

#[test]
fn every_step_counts_what_a_person_counts() {
    let mut rows: Vec<(NewEvent, bool)> = (0..2_000).map(|n| (purchase(n, 1.0, 2.0), false)).collect();
    rows.push((purchase(0, 1.0, 2.0), false)); // twice
    rows.push((purchase(0, 1.0, 2.0), true)); // a third time: a duplicate before it is anything else
    rows.push((purchase(3_000, 1.0, 2.0), true)); // postage
    for (n, quantity, value) in
        [(3_001, 0.0, 1.0), (3_002, -1.0, 1.0), (3_003, 1.0, 0.0), (3_004, 1.0, -2.0), (3_005, 1.0, f64::NAN)]
    {
        rows.push((purchase(n, quantity, value), false));
    }
    let mut future = purchase(3_006, 1.0, 1.0);
    future.occurred_at = Timestamp::from_seconds(NOW + 301);
    let mut ancient = purchase(3_007, 1.0, 1.0);
    ancient.occurred_at = Timestamp::from_seconds(700_000_000);
    rows.extend([(future, false), (ancient, false)]);
    rows.push((purchase(3_008, 80_995.0, 77_183.6), false)); // one outlier, in two fields
    let mut bare = purchase(3_009, 1.0, 2.0);
    bare.currency = None;
    rows.push((bare, false));
    rows.push((view(1, 50, NOW - 100, Some(4_000)), false));
    rows.push((view(2, 51, NOW - 90, None), false));
    for n in 0..61 {
        rows.push((view(100 + n, 99, 1_600_000_020, Some(1)), false)); // a robot
    }
    let (kept, cleaned) = clean(rows, CleaningParameters::default());
    assert_eq!(
        counts(&cleaned.report),
        [
            ("malformed", 2, 0),
            ("duplicates", 2, 0),
            ("not_products", 1, 0),
            ("impossible", 7, 0),
            ("robots", 0, 61),
            ("missing", 0, 2),
            ("outliers", 0, 1),
        ]
    );
    assert_eq!(cleaned.report.rows_read, 2_000 + 2 + 1 + 7 + 1 + 1 + 2 + 61 + 2);
    assert_eq!(cleaned.report.rows_kept, kept.len() as u64);
    assert_eq!(cleaned.robots, [ExternalId::Integer(99)]);
    assert!(kept.iter().all(|event| event.quantity == 1.0));
    // The robot's dwell of a millisecond did not become everyone's median.
    let filled = kept.iter().find(|event| event.user == Some(ExternalId::Integer(51))).unwrap();
    assert_eq!(filled.dwell_ms, Some(4_000));
}

#[test]
fn rows_are_held_until_the_bounds_are_learnt_and_flow_after() {
    let parameters = CleaningParameters { learn_from: 10, winsorise_at: 0.9, ..Default::default() };
    let limits = EventLimits::at(Timestamp::from_seconds(NOW));
    let mut cleaner = Cleaner::new("test", limits, parameters, None);
    let mut out = Vec::new();
    for n in 1..=9 {
        cleaner.push(purchase(n, n as f32, 1.0), false, &mut out);
        assert_eq!(out.len(), 0);
    }
    cleaner.push(purchase(10, 10.0, 1.0), false, &mut out);
    assert_eq!(out.len(), 10);
    cleaner.push(purchase(11, 500.0, 1.0), false, &mut out);
    assert_eq!(out.last().unwrap().quantity, 9.0);
    let cleaned = cleaner.finish(&mut out);
    assert_eq!(out.len(), 11);
    // 10 → 9 among those learnt from, 500 → 9 after.
    assert_eq!(cleaned.report.step("outliers").unwrap().changed, 2);
}

#[test]
fn nothing_in_nothing_out() {
    let (kept, cleaned) = clean(Vec::new(), CleaningParameters::default());
    assert!(kept.is_empty() && cleaned.robots.is_empty());
    assert_eq!((cleaned.report.rows_read, cleaned.report.rows_kept), (2, 0));
}

#[test]
fn the_order_of_steps_makes_a_duplicate_of_an_impossible_row_a_duplicate() {
    let row = purchase(1, 0.0, 1.0);
    let (kept, cleaned) = clean(vec![(row.clone(), false), (row, false)], CleaningParameters::default());
    assert!(kept.is_empty());
    assert_eq!(cleaned.report.step("duplicates").unwrap().dropped, 1);
    assert_eq!(cleaned.report.step("impossible").unwrap().dropped, 1);
}
