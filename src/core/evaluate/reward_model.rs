//! Expected reward of an action in a stratum: cell means shrunk to the action's mean, that one to the whole.
//! It need not be right: doubly robust estimation only gets narrower by it.

use super::logged_choice::LoggedChoice;

/// A mean counts as much as the rows it is taken from; what it is shrunk to, as much as so many.
const PRIOR_ROWS: f64 = 20.0;

/// Sums and counts, strata × actions.
#[derive(Clone, Debug)]
pub struct RewardModel {
    n_actions: usize,
    /// One per cell, in units of the reward.
    means: Vec<f64>,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    rows: f64,
    reward: f64,
}

impl Sum {
    fn add(&mut self, reward: f64) {
        self.rows += 1.0;
        self.reward += reward;
    }

    fn shrunk_to(self, prior: f64) -> f64 {
        (self.reward + PRIOR_ROWS * prior) / (self.rows + PRIOR_ROWS)
    }
}

impl RewardModel {
    /// Rows outside the shape are left out. O(rows + strata × actions).
    pub fn fit<'a>(rows: impl Iterator<Item = &'a LoggedChoice>, n_strata: usize, n_actions: usize) -> Self {
        let mut cells = vec![Sum::default(); n_strata * n_actions];
        let mut actions = vec![Sum::default(); n_actions];
        let mut all = Sum::default();
        for row in rows.filter(|row| row.action < n_actions) {
            let Some(cell) = cells.get_mut(row.stratum * n_actions + row.action) else { continue };
            cell.add(row.reward);
            if let Some(action) = actions.get_mut(row.action) {
                action.add(row.reward);
            }
            all.add(row.reward);
        }
        let whole = if all.rows > 0.0 { all.reward / all.rows } else { 0.0 };
        let actions: Vec<f64> = actions.into_iter().map(|action| action.shrunk_to(whole)).collect();
        let means = cells.into_iter().zip(actions.iter().cycle()).map(|(cell, mean)| cell.shrunk_to(*mean));
        Self { n_actions, means: means.collect() }
    }

    /// 0 outside the shape.
    pub fn predict(&self, stratum: usize, action: usize) -> f64 {
        self.means.get(stratum * self.n_actions + action).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_its_mean_shrunk_to_the_actions_and_that_one_to_the_whole() {
        let row = |stratum, action, reward| LoggedChoice { stratum, action, reward, propensity: 0.5 };
        let rows = [row(0, 0, 1.0), row(0, 0, 1.0), row(0, 1, 0.0), row(1, 1, 0.0)];
        let model = RewardModel::fit(rows.iter(), 2, 2);
        // whole 0.5; action 0: (2 + 10) / 22; cell (0, 0): (2 + 20 · 12/22) / 22.
        assert!((model.predict(0, 0) - (2.0 + 20.0 * 12.0 / 22.0) / 22.0).abs() < 1e-12);
        assert!((model.predict(1, 0) - 12.0 / 22.0).abs() < 1e-12);
        assert_eq!(model.predict(7, 0), 0.0);
    }

    #[test]
    fn without_rows_nothing_is_expected() {
        assert_eq!(RewardModel::fit([].iter(), 1, 1).predict(0, 0), 0.0);
    }
}
