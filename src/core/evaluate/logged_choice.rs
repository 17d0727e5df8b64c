//! One row of the log of a policy.

/// One logged choice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoggedChoice {
    /// Stratum that the choice may depend on, 0…strata − 1.
    pub stratum: usize,
    /// Chosen action, 0…actions − 1.
    pub action: usize,
    /// Reward of the choice: a click 0 or 1, revenue, a utility. Finite.
    pub reward: f64,
    /// Probability of this choice when it was made, in (0, 1].
    pub propensity: f64,
}
