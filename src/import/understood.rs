//! Understanding of a file, for people: which column was taken for what and why, and the forms of their values.

use std::fmt;

use super::text::printable;
use tidings_intake::Forms;

/// Rows looked at at least, where there are as many; more only while a form is open.
pub const SURVEYED_ROWS: u64 = 10_000;
/// Result of a look at one file.
#[derive(Clone, Debug, Default)]
pub struct Understanding {
    /// Forms of its columns.
    pub forms: Forms,
    /// In words.
    pub understood: Understood,
}

/// Columns named as not used; the others are counted.
const MAX_UNUSED: usize = 30;

/// A column that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedColumn {
    /// Its name in the file.
    pub column: String,
    /// The field it was taken for.
    pub field: &'static str,
    /// Reason for the choice, and the form of its values.
    pub reason: String,
}

/// Understanding of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Understood {
    /// Name of the file.
    pub file: String,
    /// Encoding, delimiter, layout.
    pub layout: String,
    /// Columns that are used.
    pub used: Vec<UsedColumn>,
    /// Columns that are not.
    pub unused: Vec<String>,
    /// Other decisions.
    pub notes: Vec<String>,
}

/// A block of aligned lines, each ended.
impl fmt::Display for Understood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", printable(&self.file), self.layout)?;
        let column = |used: &UsedColumn| printable(&used.column);
        let width = self.used.iter().map(|used| column(used).chars().count()).max().unwrap_or(0).max(6);
        for used in &self.used {
            writeln!(f, "  {:<width$}  {:<11}  {}", column(used), used.field, used.reason)?;
        }
        if !self.unused.is_empty() {
            let names: Vec<String> =
                self.unused.iter().take(MAX_UNUSED).map(|name| printable(name)).collect();
            let more = self.unused.len().saturating_sub(MAX_UNUSED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            writeln!(f, "  not used: {}{more}", names.join(", "))?;
        }
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_no_control_character_is_shown() {
        let used = |column: &str, field, reason: &str| UsedColumn {
            column: column.into(),
            field,
            reason: reason.into(),
        };
        let understood = Understood {
            file: "a\u{1b}.csv".into(),
            layout: "UTF-8 (all of it is valid), comma between columns".into(),
            used: vec![
                used("when", "occurred_at", "--map; times as 2026-11-01 10:00:00"),
                used("Customer ID", "user_id", "another name of it"),
            ],
            unused: vec!["Name".into(), "Tags".into()],
            notes: vec!["kind: purchase for all rows".into()],
        };
        assert_eq!(
            understood.to_string(),
            "a\\u{1b}.csv: UTF-8 (all of it is valid), comma between columns\n\
             \u{20} when         occurred_at  --map; times as 2026-11-01 10:00:00\n\
             \u{20} Customer ID  user_id      another name of it\n\
             \u{20} not used: Name, Tags\n\
             \u{20} kind: purchase for all rows\n"
        );
    }
}
