//! A log of treatments: who was treated, with which probability, and what came of it.

/// Most columns of features.
const MAX_COLUMNS: usize = 2_000;
/// Most rows × columns.
const MAX_CELLS: usize = 200_000_000;

/// Treated and untreated rows of one trial.
#[derive(Clone, Debug, Default)]
pub struct TreatmentLog {
    /// n × `width`, row-major, known before the treatment; NaN = missing.
    pub values: Vec<f32>,
    /// Columns.
    pub width: usize,
    /// One entry a row: true if it was treated.
    pub treated: Vec<bool>,
    /// Outcome of each row, in any unit, more is better.
    pub outcomes: Vec<f64>,
    /// Probability of treatment of each row as logged; `None`: to be estimated.
    pub propensities: Option<Vec<f64>>,
    /// User of each row, 0…`n_users` − 1: rows of one user are never learned from and measured on at once.
    pub users: Vec<u32>,
    /// Users.
    pub n_users: usize,
}

/// Fault of a log or of the way it is to be cut.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum UpliftError {
    /// Lengths that do not fit, or too much.
    #[error(
        "a log has 1…{MAX_COLUMNS} columns of features, at most {MAX_CELLS} cells and every column of one length: {0}"
    )]
    Shape(String),
    /// An outcome that is no number.
    #[error("row {row}: the outcome is not a finite number")]
    Outcome {
        /// 0-based.
        row: usize,
    },
    /// A probability that is none.
    #[error(
        "row {row}: propensity {propensity} is not in 0…1; give the probability with which the row was to be treated"
    )]
    Propensity {
        /// 0-based.
        row: usize,
        /// As logged.
        propensity: f64,
    },
    /// A number of folds out of bounds.
    #[error("{0} folds: {MIN_FOLDS}…{MAX_FOLDS}")]
    Folds(usize),
    /// The caller broke it off.
    #[error("cancelled")]
    Cancelled,
}

/// Fewest folds: effects are learned from folds whose own models were fitted on still others.
pub const MIN_FOLDS: usize = 3;
/// Most folds; the work grows with their square.
pub const MAX_FOLDS: usize = 10;

impl TreatmentLog {
    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.outcomes.len()
    }

    /// Features of a row; empty beyond the last.
    pub fn row(&self, row: usize) -> &[f32] {
        self.values.get(row * self.width..(row + 1) * self.width).unwrap_or_default()
    }

    /// Returns whether a row was treated.
    pub(super) fn is_treated(&self, row: usize) -> bool {
        self.treated.get(row).copied().unwrap_or(false)
    }

    /// Outcome of a row.
    pub(super) fn outcome(&self, row: usize) -> f64 {
        self.outcomes.get(row).copied().unwrap_or(0.0)
    }

    /// Lengths, bounds and numbers.
    pub(super) fn check(&self) -> Result<(), UpliftError> {
        let n = self.n_rows();
        let logged = self.propensities.as_ref().map_or(n, Vec::len);
        let lengths = [self.treated.len(), self.users.len(), logged, self.values.len() / self.width.max(1)];
        let whole = self.values.len() == n * self.width && lengths.iter().all(|length| *length == n);
        if !whole || !(1..=MAX_COLUMNS).contains(&self.width) || self.values.len() > MAX_CELLS {
            let message = format!(
                "{} values of {} columns, {n} outcomes, {} treatments, {logged} propensities, {} users",
                self.values.len(),
                self.width,
                self.treated.len(),
                self.users.len()
            );
            return Err(UpliftError::Shape(message));
        }
        if self.users.iter().any(|user| *user as usize >= self.n_users) {
            return Err(UpliftError::Shape(format!("a user beyond the {} named", self.n_users)));
        }
        if let Some(row) = self.outcomes.iter().position(|outcome| !outcome.is_finite()) {
            return Err(UpliftError::Outcome { row });
        }
        let mut logged = self.propensities.iter().flatten().copied().enumerate();
        match logged.find(|(_, propensity)| !(0.0..=1.0).contains(propensity)) {
            Some((row, propensity)) => Err(UpliftError::Propensity { row, propensity }),
            None => Ok(()),
        }
    }
}
