//! Report of cleaning, step by step, for the terminal and the dashboard.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One step and what it did. Rows, not fields: a row changed in two fields counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CleaningStep {
    /// Stable name, snake_case.
    pub step: String,
    /// Description of the step, with its thresholds, for a person.
    pub description: String,
    /// Rows taken out.
    pub dropped: u64,
    /// Rows kept but altered or flagged.
    pub changed: u64,
}

/// All steps over one source, in the order they were applied: `rows_read − Σ dropped = rows_kept`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleaningReport {
    /// Format and file name.
    pub source: String,
    /// Rows that said they were events, malformed ones included.
    pub rows_read: u64,
    /// Rows that were left.
    pub rows_kept: u64,
    /// In order.
    pub steps: Vec<CleaningStep>,
}

impl CleaningReport {
    /// Adds a step at the end and takes its dropped rows off those kept.
    pub fn push(&mut self, step: CleaningStep) {
        self.rows_kept = self.rows_kept.saturating_sub(step.dropped);
        self.steps.push(step);
    }

    /// The step with a name.
    pub fn step(&self, name: &str) -> Option<&CleaningStep> {
        self.steps.iter().find(|step| step.step == name)
    }
}

/// An aligned table, ending in a newline.
impl fmt::Display for CleaningReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.steps.iter().map(|step| step.step.chars().count()).max().unwrap_or(0).max(12);
        let count = |n: u64| if n == 0 { "–".to_owned() } else { grouped(n) };
        writeln!(f, "cleaning of {}", self.source)?;
        writeln!(f, "  {:<width$}  {:>12}  {:>12}  what it does", "step", "dropped", "changed")?;
        writeln!(f, "  {:<width$}  {:>12}  {:>12}", "rows read", "", grouped(self.rows_read))?;
        for step in &self.steps {
            writeln!(
                f,
                "  {:<width$}  {:>12}  {:>12}  {}",
                step.step,
                count(step.dropped),
                count(step.changed),
                step.description
            )?;
        }
        writeln!(f, "  {:<width$}  {:>12}  {:>12}", "rows kept", "", grouped(self.rows_kept))
    }
}

/// 541909 → "541,909".
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_aligned_and_adds_up() {
        let mut report = CleaningReport {
            source: "csv a.csv".into(),
            rows_read: 1_234_567,
            rows_kept: 1_234_567,
            steps: Vec::new(),
        };
        report.push(CleaningStep {
            step: "duplicates".into(),
            description: "the same row again".into(),
            dropped: 1_000,
            changed: 0,
        });
        assert_eq!(report.rows_kept, 1_233_567);
        assert_eq!(
            report.to_string(),
            "cleaning of csv a.csv\n\
             \u{20} step               dropped       changed  what it does\n\
             \u{20} rows read                      1,234,567\n\
             \u{20} duplicates           1,000             –  the same row again\n\
             \u{20} rows kept                      1,233,567\n"
        );
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<CleaningReport>(&json).unwrap(), report);
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_000_000, "1,000,000")] {
            assert_eq!(grouped(number), text);
        }
    }
}
