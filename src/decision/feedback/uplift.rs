//! Uplift of messages: a T-learner (Künzel et al., PNAS 2019), one model of the messaged, one of the held out, their
//! difference by stratum (a segment, an activity class).
//!
//! The models are stratum means shrunk to the arm's mean (m as for as many users as `PRIOR_USERS`), by which strata are ordered;
//! beside them stands the unshrunk difference with its interval, where there are enough users to tell it.

use serde::Serialize;

use super::outcomes::{Share, too_few};
use super::statistics::Estimate;

/// Users the arm's mean counts for beside the stratum's own.
const PRIOR_USERS: f64 = 50.0;

/// One user: where, told or held out, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// 0…strata − 1.
    pub stratum: usize,
    /// True if the user may get messages; otherwise held out.
    pub messaged: bool,
    /// Bought.
    pub converted: bool,
}

/// Effect of messages on a stratum.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StratumUplift {
    /// Its number.
    pub stratum: usize,
    /// Users messaged.
    pub messaged: u64,
    /// Users held out.
    pub held_out: u64,
    /// Expected share of buyers among the messaged less that among the held out, shrunk.
    pub uplift: f64,
    /// The plain difference with its 95 % interval (Newcombe); `None` while it can't be told.
    pub difference: Option<Estimate>,
    /// Reason why it can't be told; `None` when it can.
    pub too_few: Option<String>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Buyers {
    users: u64,
    buyers: u64,
}

impl Buyers {
    fn add(&mut self, bought: bool) {
        self.users += 1;
        self.buyers += u64::from(bought);
    }

    fn mean(self) -> f64 {
        Share::of(self.buyers, self.users).map_or(0.0, |share| share.value)
    }

    fn shrunk(self, prior: f64) -> f64 {
        (self.buyers as f64 + PRIOR_USERS * prior) / (self.users as f64 + PRIOR_USERS)
    }
}

/// Every stratum, the greatest uplift first. Users of other strata are left out.
pub fn by_stratum(users: impl IntoIterator<Item = Told>, n_strata: usize) -> Vec<StratumUplift> {
    let mut strata = vec![[Buyers::default(); 2]; n_strata];
    let mut whole = [Buyers::default(); 2];
    for user in users {
        let Some(stratum) = strata.get_mut(user.stratum) else { continue };
        for buyers in [stratum, &mut whole] {
            let [held_out, messaged] = buyers;
            (if user.messaged { messaged } else { held_out }).add(user.converted);
        }
    }
    let [whole_held_out, whole_messaged] = whole.map(Buyers::mean);
    let mut uplifts: Vec<StratumUplift> = strata
        .into_iter()
        .enumerate()
        .map(|(stratum, [held_out, messaged])| {
            let too_few = too_few((messaged.buyers, messaged.users), (held_out.buyers, held_out.users));
            let share = |buyers: Buyers| Share::of(buyers.buyers, buyers.users);
            let difference = share(messaged).zip(share(held_out)).map(|(a, b)| a.minus(b));
            StratumUplift {
                stratum,
                messaged: messaged.users,
                held_out: held_out.users,
                uplift: messaged.shrunk(whole_messaged) - held_out.shrunk(whole_held_out),
                difference: difference.filter(|_| too_few.is_none()),
                too_few,
            }
        })
        .collect();
    uplifts.sort_by(|a, b| b.uplift.total_cmp(&a.uplift).then(a.stratum.cmp(&b.stratum)));
    uplifts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uplift_is_the_difference_of_two_shrunk_means_best_first() {
        let mut users = Vec::new();
        for user in 0..200 {
            let told = |stratum, messaged, converted| Told { stratum, messaged, converted };
            users.push(told(0, true, user % 10 < 2));
            users.push(told(0, false, user % 10 < 2));
            users.push(told(1, true, user % 10 < 4));
            users.push(told(1, false, user % 10 < 2));
        }
        let uplifts = by_stratum(users, 3);
        assert_eq!(uplifts.iter().map(|uplift| uplift.stratum).collect::<Vec<_>>(), [1, 2, 0]);
        // Messaged (80 + 50 · 0.3) / 250, held out (40 + 50 · 0.2) / 250.
        assert!((uplifts[0].uplift - (95.0 - 50.0) / 250.0).abs() < 1e-12);
        let difference = uplifts[0].difference.unwrap();
        assert!(difference.excludes_zero() && (difference.value - 0.2).abs() < 1e-12);
        // An empty stratum is expected to be as the whole, and says so.
        assert_eq!((uplifts[1].messaged, uplifts[1].difference), (0, None));
        assert!((uplifts[1].uplift - 0.1).abs() < 1e-12);
    }

    #[test]
    fn a_stratum_of_which_few_were_held_out_tells_nothing_yet() {
        let user = |place| Told { stratum: 0, messaged: place >= 6, converted: (6..55).contains(&place) };
        let uplifts = by_stratum((0..168).map(user), 1);
        assert_eq!((uplifts[0].messaged, uplifts[0].held_out, uplifts[0].difference), (162, 6, None));
        assert!(uplifts[0].too_few.as_ref().unwrap().starts_with("too few to tell"));
    }

    #[test]
    fn users_of_no_stratum_are_left_out() {
        let strange = [Told { stratum: 9, messaged: true, converted: true }];
        assert_eq!(by_stratum(strange, 1)[0].messaged, 0);
    }
}
