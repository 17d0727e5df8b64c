//! `tidings simulate`: the very policy code a server runs, against shoppers whose tastes, hours and patience it does not
//! know, faster than time. How a change of policy is judged before it ships.
//!
//! What shoppers do is of another form than what the policy assumes of them ([`shopper`]), so that it wins by learning, not
//! by construction. The same seed gives the same shoppers and the same occasions to every policy.

mod oracle;
mod shopper;
mod strategy;
mod tally;
mod world;

pub use oracle::oracle;
pub use strategy::{Hours, Strategy, Volume, Words};
pub use tally::Tally;
pub use world::{World, run};

#[cfg(test)]
mod tests {
    use super::*;

    const WORLD: World = World { users: 400, days: 14, warm_up_days: 0, seed: 1 };

    #[test]
    fn the_same_seed_gives_the_same_and_every_policy_meets_the_same_occasions() {
        let tally = |strategy: &Strategy| run(&WORLD, strategy);
        let policy = Strategy::named("default").unwrap();
        assert_eq!(tally(&policy), tally(&policy));
        let everything = tally(&Strategy::named("everything").unwrap());
        assert_eq!(everything.sent, everything.occasions, "it sends all of them");
        let none = Strategy::named("nothing").unwrap();
        assert_eq!(tally(&none), Tally { users: 400, occasions: tally(&none).occasions, ..Tally::default() });
    }

    /// As measured before occasions had categories: the shipped policy and its figures are what they were.
    #[test]
    fn the_shipped_policy_keeps_its_figures() {
        let world = World { warm_up_days: 7, ..WORLD };
        let policy = Strategy::named("default").unwrap();
        let of = |occasions, sent, clicks, purchases, dismissed, opt_outs| Tally {
            users: 400,
            occasions,
            sent,
            clicks,
            purchases,
            dismissed,
            opt_outs,
        };
        assert_eq!(run(&world, &policy), of(11_662, 1_870, 95, 14, 221, 0));
        let learned = Strategy { hours: Hours::Learned, ..policy };
        assert_eq!(run(&world, &learned), of(12_023, 2_049, 154, 13, 222, 1));
    }

    fn with(body: serde_json::Value) -> anyhow::Result<Strategy> {
        Strategy::of_body("file.json", &body)
    }

    #[test]
    fn every_setting_changes_the_row_or_is_refused_with_the_reason() {
        let default = run(&WORLD, &Strategy::named("default").unwrap());
        let caps =
            |category: &str| serde_json::json!([{"category": category, "window_min": 1_440, "max": 1}]);
        let quiet =
            |zone: &str| serde_json::json!({"quiet_from": "20:00", "quiet_to": "08:00", "time_zone": zone});
        let mut tallies = vec![default];
        for body in [
            serde_json::json!({"caps": caps("similar_items")}),
            serde_json::json!({"caps": caps("goes_with")}),
            serde_json::json!({"caps": caps("for_you")}),
            serde_json::json!({"caps": [{"category": "*", "window_min": 1_440, "max": 2, "campaign": "cart"}]}),
            serde_json::json!({"holdout": 0.4}),
            serde_json::json!({"random": 0.4}),
            quiet("UTC"),
            quiet("Asia/Tokyo"),
            serde_json::json!({"quiet_from": "20:00", "quiet_to": "08:00", "expires_after_h": 2}),
            serde_json::json!({"cost_mute": 100.0}),
            serde_json::json!({"profiling_by_default": false}),
        ] {
            let tally = run(&WORLD, &with(body.clone()).unwrap());
            assert!(!tallies.contains(&tally), "{body} {tally:?}");
            tallies.push(tally);
        }
        for (body, said) in [
            (serde_json::json!({"time_zone": "Asia/Tokyo"}), "time_zone: without quiet_from"),
            (serde_json::json!({"digest_at": "07:00"}), "digest_at: no simulated shopper asks for a digest"),
            (serde_json::json!({"digest_items": 3, "items": 9}), "items: every simulated occasion"),
            (
                serde_json::json!({"caps": caps("price_drop")}),
                "caps: no simulated occasion is of category price_drop, only of",
            ),
            (
                serde_json::json!({"budget_per_hour": 5}),
                "budget_per_hour: simulated shoppers live one after the other",
            ),
        ] {
            let error = with(body).unwrap_err().to_string();
            assert!(error.contains("file.json") && error.contains(said), "{error}");
        }
        assert_eq!(run(&WORLD, &with(serde_json::json!({"items": 5})).unwrap()), default, "as shipped");
    }

    #[test]
    fn who_is_held_out_gets_nothing_and_who_is_left_to_a_coin_half() {
        let [none, held_out, random] = ["x", "holdout", "random"].map(|slice| {
            let policy = match slice {
                "x" => serde_json::json!({}),
                slice => serde_json::json!({ slice: 0.5 }),
            };
            run(&WORLD, &Strategy { words: Words::Even, ..with(policy).unwrap() })
        });
        assert!(held_out.sent < none.sent * 2 / 3, "{held_out:?} {none:?}");
        assert!(random.sent > none.sent / 2, "{random:?} {none:?}");
    }

    #[test]
    fn who_is_told_everything_leaves_sooner() {
        let world = World { days: 28, ..WORLD };
        let rules = Strategy::named("default").unwrap().rules;
        let everything = run(&world, &Strategy::named("everything").unwrap());
        let policy = run(&world, &Strategy::named("default").unwrap());
        assert!(policy.opt_outs < everything.opt_outs, "{policy:?} {everything:?}");
        let best = oracle(&world, &rules);
        assert!(best.utility(&rules) > policy.utility(&rules), "{best:?} {policy:?}");
    }
}
