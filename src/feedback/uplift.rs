//! Who gains from being told: a T-learner (Künzel et al., PNAS 2019), one model of the messaged, one of the held out, their
//! difference by stratum (a segment, an activity class).
//!
//! The models are stratum means shrunk to the arm's mean (m as for as many users as `PRIOR_USERS`); the interval is that of the
//! unshrunk difference, so that a small stratum shows how little is known about it.

use serde::Serialize;

use super::statistics::Z_95;

/// Users the arm's mean counts for beside the stratum's own.
const PRIOR_USERS: f64 = 50.0;

/// One user: where, told or held out, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// 0…strata − 1.
    pub stratum: usize,
    /// May get messages; otherwise held out.
    pub messaged: bool,
    /// Converted 0 or 1, or revenue. Finite.
    pub outcome: f64,
}

/// What messages do to a stratum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StratumUplift {
    /// Its number.
    pub stratum: usize,
    /// Users messaged.
    pub messaged: u64,
    /// Users held out.
    pub held_out: u64,
    /// Expected outcome of the messaged less that of the held out, shrunk.
    pub uplift: f64,
    /// 95 % interval of the plain difference; `None` below two users on either side.
    pub interval: Option<[f64; 2]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    n: f64,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, outcome: f64) {
        self.n += 1.0;
        self.sum += outcome;
        self.squares += outcome * outcome;
    }

    fn mean(self) -> f64 {
        if self.n > 0.0 { self.sum / self.n } else { 0.0 }
    }

    fn shrunk(self, prior: f64) -> f64 {
        (self.sum + PRIOR_USERS * prior) / (self.n + PRIOR_USERS)
    }

    /// Of the mean; `None` below two.
    fn variance(self) -> Option<f64> {
        (self.n >= 2.0)
            .then(|| (self.squares - self.n * self.mean() * self.mean()).max(0.0) / (self.n - 1.0) / self.n)
    }
}

/// Every stratum, the greatest uplift first. Users of other strata or without a finite outcome are left out.
pub fn by_stratum(users: impl IntoIterator<Item = Told>, n_strata: usize) -> Vec<StratumUplift> {
    let mut strata = vec![[Sums::default(); 2]; n_strata];
    let mut whole = [Sums::default(); 2];
    for user in users.into_iter().filter(|user| user.outcome.is_finite()) {
        let Some(stratum) = strata.get_mut(user.stratum) else { continue };
        for sums in [stratum, &mut whole] {
            let [held_out, messaged] = sums;
            (if user.messaged { messaged } else { held_out }).add(user.outcome);
        }
    }
    let [whole_held_out, whole_messaged] = whole.map(Sums::mean);
    let mut uplifts: Vec<StratumUplift> = strata
        .into_iter()
        .enumerate()
        .map(|(stratum, [held_out, messaged])| StratumUplift {
            stratum,
            messaged: messaged.n as u64,
            held_out: held_out.n as u64,
            uplift: messaged.shrunk(whole_messaged) - held_out.shrunk(whole_held_out),
            interval: messaged.variance().zip(held_out.variance()).map(|(a, b)| {
                let difference = messaged.mean() - held_out.mean();
                let error = Z_95 * (a + b).sqrt();
                [difference - error, difference + error]
            }),
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
            let told =
                |stratum, messaged, buys| Told { stratum, messaged, outcome: f64::from(u8::from(buys)) };
            users.push(told(0, true, user % 10 < 2));
            users.push(told(0, false, user % 10 < 2));
            users.push(told(1, true, user % 10 < 4));
            users.push(told(1, false, user % 10 < 2));
        }
        let uplifts = by_stratum(users, 3);
        assert_eq!(uplifts.iter().map(|uplift| uplift.stratum).collect::<Vec<_>>(), [1, 2, 0]);
        // Messaged (80 + 50 · 0.3) / 250, held out (40 + 50 · 0.2) / 250.
        assert!((uplifts[0].uplift - (95.0 - 50.0) / 250.0).abs() < 1e-12);
        let [low, high] = uplifts[0].interval.unwrap();
        assert!(low > 0.0 && (low + high) / 2.0 - 0.2 < 1e-12);
        // An empty stratum is expected to be as the whole, and says so.
        assert_eq!((uplifts[1].messaged, uplifts[1].interval), (0, None));
        assert!((uplifts[1].uplift - 0.1).abs() < 1e-12);
    }

    #[test]
    fn strange_users_are_left_out() {
        let strange = [
            Told { stratum: 9, messaged: true, outcome: 1.0 },
            Told { stratum: 0, messaged: true, outcome: f64::NAN },
        ];
        assert_eq!(by_stratum(strange, 1)[0].messaged, 0);
    }
}
