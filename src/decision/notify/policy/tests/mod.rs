//! Steps of the policy, one by one and in order.

mod preferences;

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::*;
use crate::notify::Priority;
use crate::notify::quiet_hours::QuietHours;
use tidings_core::base::{ExternalId, ItemId, Millis, NotificationId, Timestamp};
use tidings_core::catalogue::Item;
use tidings_core::config::{self, Cap};
use tidings_core::response::{Contact, Probabilities};

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

fn policy() -> config::Policy {
    config::Policy { caps: vec![Cap::on("similar_items", 10, 2)], ..config::Policy::default() }
}

fn rules() -> Rules {
    Rules::new(&policy())
}

fn ids(items: &[u32]) -> Vec<ItemId> {
    items.iter().map(|id| ItemId(*id)).collect()
}

fn candidate(items: &[ItemId]) -> Candidate<'_> {
    Candidate {
        category: "similar_items",
        campaign: "view",
        priority: Priority::Normal,
        items,
        subject: None,
        needs_items: true,
        solicited: false,
        said_by_shop: false,
        from_profile: true,
        is_digest: false,
        truth: Precondition::Holds,
        dedupe_key: None,
        expires_at: NOW + Millis::hours(1_000),
    }
}

fn sent(number: u128, at: Timestamp, items: &[u32]) -> Sent {
    let plain = Sent::plain(NotificationId(Uuid::from_u128(number)), at, "similar_items", Channel::Socket);
    Sent { campaign: "view".into(), items: ids(items).into(), ..plain }
}

fn judge<'a>(
    items: &[u32],
    now: Timestamp,
    state: &PolicyState,
    change: impl FnOnce(&mut Candidate<'a>, &mut Moment<'a>, &mut Rules, &mut Preferences),
) -> Decision {
    let items: &'static [ItemId] = ids(items).leak();
    let (mut candidate, mut moment): (Candidate<'a>, Moment<'a>) = (candidate(items), Moment::at(now));
    let (mut rules, mut preferences) = (rules(), Preferences::default());
    change(&mut candidate, &mut moment, &mut rules, &mut preferences);
    decide(&candidate, &moment, state, &rules, &preferences)
}

fn first(decision: &Decision) -> String {
    decision.reasons().first().cloned().unwrap_or_default()
}

#[test]
fn a_cap_is_a_rolling_window() {
    let mut state = PolicyState::default();
    state.note_sent(sent(1, NOW - Millis::seconds(599), &[1]));
    state.note_sent(sent(2, NOW - Millis::seconds(1), &[2]));
    let at = |state: &PolicyState, now| judge(&[3, 4], now, state, |_, _, _, _| {});
    assert_eq!(at(&state, NOW).outcome, Outcome::Drop);
    assert_eq!(first(&at(&state, NOW)), "cap: similar_items 2 of 2 per 10 min");
    assert_eq!(at(&state, NOW + Millis::seconds(2)).outcome, Outcome::Send);
    state.refund(NotificationId(Uuid::from_u128(2)));
    assert_eq!(at(&state, NOW).outcome, Outcome::Send);
}

#[test]
fn a_cap_counts_what_was_sent_before_the_clock_was_set_back() {
    let mut state = PolicyState::default();
    state.note_sent(sent(1, NOW + Millis::seconds(50), &[1]));
    state.note_sent(sent(2, NOW - Millis::seconds(5), &[2]));
    let at = |after| judge(&[3, 4], NOW + Millis::seconds(after), &state, |_, _, _, _| {}).outcome;
    assert_eq!([at(590), at(596), at(651)], [Outcome::Drop, Outcome::Send, Outcome::Send]);
}

#[test]
fn caps_are_joined_by_and_over_category_channel_and_campaign() {
    let mut state = PolicyState::default();
    state.note_sent(Sent { channel: Channel::Push, campaign: "spring".into(), ..sent(1, NOW, &[1]) });
    let with = |category: &str, channel: &str, campaign: &str| {
        judge(&[3, 4], NOW, &state, |candidate, moment, rules, _| {
            candidate.campaign = "spring";
            moment.channels = Channels { socket: false, push: true };
            let mut cap = Cap::on(category, 60, 1);
            (cap.channel, cap.campaign) = (channel.into(), campaign.into());
            rules.caps = vec![Cap::on("*", 60, 9), cap];
        })
        .outcome
    };
    assert_eq!(with("*", "*", "*"), Outcome::Drop);
    assert_eq!(with("*", "push", "*"), Outcome::Drop);
    assert_eq!(with("similar_items", "push", "spring"), Outcome::Drop);
    assert_eq!(with("*", "socket", "*"), Outcome::Send);
    assert_eq!(with("*", "*", "autumn"), Outcome::Send);
    assert_eq!(with("goes_with", "push", "spring"), Outcome::Send);
}

#[test]
fn a_transactional_message_passes_caps_mutes_and_quiet_hours_and_says_so() {
    let mut state = PolicyState::default();
    (1..5).for_each(|number| state.note_sent(sent(number, NOW, &[1])));
    let decision = judge(&[], NOW, &state, |candidate, _, rules, preferences| {
        candidate.priority = Priority::Transactional;
        candidate.needs_items = false;
        preferences.settings.opted_out = true;
        rules.quiet_hours = QuietHours { from_minute: 0, to_minute: 1439 };
    });
    assert_eq!((decision.outcome, decision.channel), (Outcome::Send, Channel::Socket));
    let reasons = decision.reasons();
    assert_eq!(reasons[0], "opted out: the user wants order updates only, passed: transactional");
    assert_eq!(reasons[1], "cap: similar_items 4 of 2 per 10 min, passed: transactional");
    assert!(
        reasons[2].starts_with("quiet hours: until") && reasons[2].ends_with("transactional"),
        "{reasons:?}"
    );
}

#[test]
fn no_rule_of_marketing_stops_a_transactional_message_and_each_that_gave_way_is_named() {
    fn block(preferences: &mut Preferences) {
        preferences.settings.blocked_channels.entry("*".into()).or_default().insert(Channel::Socket);
    }
    type Change = fn(&mut Moment<'_>, &mut Preferences);
    let changes: [(Change, &str); 9] = [
        (|_, preferences| preferences.settings.opted_out = true, "opted_out"),
        (|_, preferences| preferences.muted.extend(["similar_items".into()]), "muted_category"),
        (|_, preferences| preferences.settings.mute(Mute::Kind("view".into())), "muted_subject"),
        (|_, preferences| preferences.settings.paused_until = Some(NOW + Millis::hours(1)), "paused"),
        (|moment, _| moment.budget_left = Some(0), "budget_spent"),
        (|moment, _| moment.trial = Trial::HeldOut, "exempt"),
        (|moment, _| moment.trial = Trial::Drawn(false), "exempt"),
        (|_, preferences| block(preferences), "by"),
        (|_, preferences| preferences.consent.note(Purpose::Marketing, false), ""),
    ];
    for (change, reason) in changes {
        let decision = judge(&[1, 2], NOW, &PolicyState::default(), |candidate, moment, _, preferences| {
            candidate.priority = Priority::Transactional;
            moment.expected = Some(Probabilities { click: 0.0, purchase: 0.0, mute: 1.0 });
            change(moment, preferences);
        });
        assert_eq!((decision.outcome, decision.propensity()), (Outcome::Send, 1.0), "{reason}: {decision:?}");
        let passed: Vec<_> = decision.steps.iter().filter(|step| step.verdict == Verdict::Override).collect();
        let named: Vec<&str> = passed.iter().map(|step| step.reason.name()).collect();
        assert_eq!(named.concat(), reason);
        assert!(passed.iter().all(|step| step.to_string().ends_with("transactional")), "{passed:?}");
    }
}

#[test]
fn what_the_shop_says_itself_is_no_part_of_holdout_coin_and_worth() {
    let state = PolicyState::default();
    let with = |said_by_shop, trial| {
        judge(&[1, 2], NOW, &state, |candidate, moment, _, _| {
            candidate.said_by_shop = said_by_shop;
            moment.trial = trial;
            moment.expected = Some(Probabilities { click: 0.0, purchase: 0.0, mute: 0.5 });
        })
    };
    for trial in [Trial::None, Trial::HeldOut, Trial::Drawn(false), Trial::Drawn(true)] {
        let decision = with(true, trial);
        // No coin decided, so it is no row of the log that other policies are judged by.
        assert_eq!((decision.outcome, decision.propensity()), (Outcome::Send, 1.0), "{trial:?}");
        assert!(with(false, trial).outcome == Outcome::Drop || trial == Trial::Drawn(true), "{trial:?}");
    }
    let said = with(true, Trial::HeldOut).reasons();
    assert!(said.contains(&"experiment: passed, the shop's own message".to_owned()), "{said:?}");
    // What protects the user holds for it all the same.
    let muted = judge(&[1, 2], NOW, &state, |candidate, _, _, preferences| {
        candidate.said_by_shop = true;
        preferences.muted.insert("similar_items".into());
    });
    assert_eq!(muted.outcome, Outcome::Drop);
}

#[test]
fn an_untrue_or_late_message_is_never_sent_even_if_transactional() {
    let state = PolicyState::default();
    for truth in [
        Precondition::PriceRose,
        Precondition::SoldOut,
        Precondition::AlreadyBought,
        Precondition::LeftCart,
        Precondition::CameBack,
    ] {
        let decision = judge(&[1, 2], NOW, &state, |candidate, _, _, _| {
            candidate.truth = truth;
            candidate.priority = Priority::Transactional;
        });
        assert_eq!(decision.outcome, Outcome::Drop);
        assert!(first(&decision).starts_with("no longer true: "), "{decision:?}");
    }
    let decision = judge(&[1, 2], NOW, &state, |candidate, _, _, _| candidate.expires_at = NOW);
    assert!(first(&decision).starts_with("expired"));
}

#[test]
fn the_same_items_are_not_sent_twice_within_the_window() {
    let mut state = PolicyState::default();
    state.note_sent(sent(1, NOW, &[1, 2, 3]));
    let at = |items: &[u32], now| judge(items, now, &state, |_, _, _, _| {});
    let later = NOW + Millis::seconds(60);
    assert_eq!(first(&at(&[1, 2, 3, 4], later)), "repeat: 1 of 4 items are new in an hour");
    assert_eq!(at(&[1, 2, 4, 5], later).outcome, Outcome::Send);
    assert_eq!(at(&[1, 2, 3], NOW + Millis::hours(2)).outcome, Outcome::Send);
}

#[test]
fn one_occasion_is_told_once() {
    let mut state = PolicyState::default();
    state.note_sent(Sent { dedupe_key: Some(9), ..sent(1, NOW - Millis::hours(30), &[1]) });
    let with = |key| judge(&[1], NOW, &state, |candidate, _, _, _| candidate.dedupe_key = Some(key)).outcome;
    assert_eq!((with(9), with(10)), (Outcome::Drop, Outcome::Send));
}

#[test]
fn quiet_hours_go_by_the_device_then_the_user_then_the_server() {
    let zone = |name: &str| TimeZone::get(name).unwrap();
    let (tokyo, berlin) = (zone("Asia/Tokyo"), zone("Europe/Berlin"));
    fn until(device: Option<&TimeZone>, user: Option<&TimeZone>) -> Outcome {
        let now = Timestamp::parse("2026-01-14T22:30:00Z").unwrap();
        let state = PolicyState::default();
        judge(&[1, 2], now, &state, |_, moment, rules, preferences| {
            rules.quiet_hours = QuietHours { from_minute: 22 * 60, to_minute: 7 * 60 };
            rules.release_spread = Millis(0);
            moment.device_zone = device;
            preferences.time_zone = user.cloned();
        })
        .outcome
    }
    let ends = |text| Outcome::Defer(Timestamp::parse(text).unwrap());
    assert_eq!(until(None, None), ends("2026-01-15T07:00:00Z"));
    assert_eq!(until(None, Some(&berlin)), ends("2026-01-15T06:00:00Z"));
    assert_eq!(until(Some(&tokyo), Some(&berlin)), Outcome::Send, "07:30 in Tokyo");
}

#[test]
fn what_is_held_back_is_let_go_spread_out_never_early() {
    let end = NOW + Millis::hours(1);
    let all: Vec<u64> =
        (0..2_000).map(|seed| super::steps::jitter(seed, end, Millis::seconds(300)).0).collect();
    assert!(all.iter().all(|jitter| *jitter <= 300_000));
    let mean = all.iter().sum::<u64>() as f64 / all.len() as f64;
    assert!((mean - 150_000.0).abs() < 6_000.0, "{mean}");
    assert_eq!(super::steps::jitter(3, end, Millis(0)), Millis(0));
}

#[test]
fn a_spent_budget_puts_off_what_is_not_urgent() {
    let state = PolicyState::default();
    let with = |priority, left| {
        judge(&[1, 2], NOW, &state, |candidate, moment, rules, _| {
            (candidate.priority, moment.budget_left) = (priority, left);
            rules.release_spread = Millis(0);
        })
        .outcome
    };
    assert_eq!(
        with(Priority::Normal, Some(0)),
        Outcome::Defer(Timestamp::parse("2027-01-15T09:00:00Z").unwrap())
    );
    assert_eq!(with(Priority::High, Some(0)), Outcome::Send);
    assert_eq!(with(Priority::Normal, Some(1)), Outcome::Send);
}

#[test]
fn worth_weighs_clicks_and_purchases_against_mutes_once_it_is_known() {
    let state = PolicyState::default();
    let with = |expected| {
        judge(&[1, 2], NOW, &state, |_, moment, rules, _| {
            moment.expected = expected;
            rules.worth =
                Worth { click: 1.0, purchase: 5.0, mute_cost: 10.0, message_cost: 0.01, least: 0.0 };
        })
    };
    let expected = |click, mute| Some(Probabilities { click, purchase: 0.0, mute });
    assert_eq!(with(None).outcome, Outcome::Send);
    assert_eq!(with(expected(0.25, 0.0)).outcome, Outcome::Send);
    // 0.25 − 10 × 0.03125 − 0.01 = −0.0725.
    let decision = with(expected(0.25, 0.03125));
    assert_eq!(first(&decision), "low predicted value: -0.0725, at least 0.0000 is needed");
}

#[test]
fn worth_by_uplift_counts_the_purchases_that_would_not_be_made_and_no_clicks() {
    let state = PolicyState::default();
    let with = |uplift, expected| {
        judge(&[1, 2], NOW, &state, |_, moment, rules, _| {
            (moment.uplift, moment.expected) = (uplift, expected);
            rules.worth =
                Worth { click: 1.0, purchase: 5.0, mute_cost: 10.0, message_cost: 0.01, least: 0.0 };
        })
    };
    let expected = Probabilities { click: 0.9, purchase: 0.5, mute: 0.0 };
    // Buys anyway: −0.01, whatever is clicked.
    let sure = with(Some(0.0), Some(expected));
    assert_eq!(first(&sure), "low predicted value by uplift: -0.0100, at least 0.0000 is needed");
    let helped = with(Some(0.1), Some(Probabilities { mute: 0.03125, ..expected }));
    // 5 × 0.1 − 10 × 0.03125 − 0.01.
    assert!(helped.reasons().contains(&"predicted value by uplift: 0.1775".to_owned()), "{helped:?}");
    assert_eq!(with(Some(0.1), None).outcome, Outcome::Send);
    // Not learned: by the response.
    assert!(with(None, Some(expected)).reasons().contains(&"predicted value: 3.3900".to_owned()));
}

#[test]
fn a_low_message_waits_for_the_better_hour_an_ordinary_one_does_not() {
    let state = PolicyState::default();
    let with = |priority, hours| {
        judge(&[1, 2], NOW, &state, |candidate, moment, rules, _| {
            candidate.priority = priority;
            moment.best_time = Some(NOW + Millis::hours(hours));
            rules.release_spread = Millis(0);
        })
        .outcome
    };
    assert_eq!(with(Priority::Low, 3), Outcome::Defer(NOW + Millis::hours(3)));
    assert_eq!(with(Priority::Low, 30), Outcome::Send);
    assert_eq!(with(Priority::Normal, 3), Outcome::Send);
}

#[test]
fn every_step_that_was_asked_is_in_the_trace_in_order() {
    let decision = judge(&[1, 2], NOW, &PolicyState::default(), |_, _, _, _| {});
    let names: Vec<StepName> = decision.steps.iter().map(|step| step.step).collect();
    assert_eq!(names.len(), 10);
    assert!(names.is_sorted(), "{names:?}");
    assert!(!decision.reasons().is_empty());
}

#[test]
fn an_answer_that_is_waited_for_passes_everything() {
    let decision = judge(&[], NOW, &PolicyState::default(), |candidate, _, _, preferences| {
        candidate.solicited = true;
        preferences.settings.opted_out = true;
    });
    assert_eq!(decision.outcome, Outcome::Send);
}

#[test]
fn settings_are_bounded_and_say_what_is_wrong() {
    let mut settings = Settings::default();
    assert_eq!(settings.validate(&Settings::default()), Ok(()));
    (0..256).for_each(|number| settings.mute(Mute::Brand(format!("brand {number}"))));
    assert_eq!(settings.validate(&Settings::default()), Ok(()));
    let mut more = settings.clone();
    more.mute(Mute::Brand("another".to_owned()));
    assert_eq!(more.validate(&settings).unwrap_err().field, "mutes");
    settings.digest.insert(String::new());
    assert_eq!(settings.validate(&Settings::default()).unwrap_err().field, "digest");
    let json = r#"{"mutes":[{"of":"item","name":"7"}],"paused_until":"2026-01-01T00:00:00Z"}"#;
    assert_eq!(serde_json::from_str::<Settings>(json).unwrap().mutes, [Mute::Item("7".into())]);
}

#[test]
fn contact_counts_what_was_sent_and_what_came_of_it() {
    let mut state = PolicyState::default();
    state.note_sent(sent(1, NOW - Millis::hours(200), &[1]));
    state.note_sent(sent(2, NOW - Millis::hours(30), &[1]));
    state.note_sent(sent(3, NOW - Millis::hours(2), &[1]));
    state.note_sent(sent(4, NOW - Millis::seconds(60), &[1]));
    state.note_clicked(NotificationId(Uuid::from_u128(3)));
    state.note_dismissed(NotificationId(Uuid::from_u128(2)), NOW);
    let expected = Contact {
        last_hour: 1,
        last_day: 2,
        last_week: 3,
        of_category_last_day: 2,
        clicked_last_week: 1,
        dismissed_last_week: 1,
        last: Some(NOW - Millis::seconds(60)),
    };
    assert_eq!(state.contact("similar_items", NOW), expected);
    assert_eq!(state.contact("for_you", NOW), Contact { of_category_last_day: 0, ..expected });
}

#[test]
fn dismissed_items_rest() {
    let mut state = PolicyState::default();
    state.note_sent(sent(1, NOW, &[7, 8]));
    state.note_dismissed(NotificationId(Uuid::from_u128(1)), NOW);
    assert_eq!(state.resting(&rules(), NOW + Millis::hours(1)), [ItemId(7), ItemId(8)]);
    assert_eq!(state.resting(&rules(), NOW + Millis::hours(73)), []);
}

#[test]
fn memory_is_bounded_and_when_it_is_full_nothing_more_is_sent() {
    let mut state = PolicyState::default();
    for number in 0..3_000 {
        state.note_sent(Sent { passes_caps: number % 2 == 0, ..sent(number, NOW, &[1, 2]) });
        state.note_dismissed(NotificationId(Uuid::from_u128(number)), NOW);
    }
    assert!(state.len() <= 1_024, "{}", state.len());
    let decision = judge(&[3, 4], NOW, &state, |_, _, rules, _| {
        rules.caps = vec![Cap::on("other", 60, 1)];
        rules.longest_window = Millis::hours(1);
    });
    assert_eq!(first(&decision), "cap: more messages than can be counted");
}
