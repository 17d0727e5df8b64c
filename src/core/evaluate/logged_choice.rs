//! One row of the log of a policy.

/// One logged choice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoggedChoice {
    /// What the choice may depend on, 0…strata − 1.
    pub stratum: usize,
    /// What was chosen, 0…actions − 1.
    pub action: usize,
    /// What came of it: a click 0 or 1, revenue, a utility. Finite.
    pub reward: f64,
    /// Probability of this choice when it was made, in (0, 1].
    pub propensity: f64,
}
