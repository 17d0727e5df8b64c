//! Conditions on the records that are taken: `status=paid`, `country=DE|AT`, `status!=cancelled`, `coupon=`.

use std::str::FromStr;

/// A column and the values that a record may, or may not, have there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The column, as the file names it.
    pub column: String,
    /// Any of them; the empty text is a missing value.
    values: Vec<String>,
    /// Records with one of the values are left out.
    negated: bool,
}

/// A text that is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not of the form column=value, column=value|value or column!=value")]
pub struct ConditionError(String);

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let (column, values) = text.split_once('=').ok_or_else(|| ConditionError(text.to_owned()))?;
        let (column, negated) = column.strip_suffix('!').map_or((column, false), |column| (column, true));
        let column = column.trim().to_owned();
        if column.is_empty() {
            return Err(ConditionError(text.to_owned()));
        }
        let values = values.split('|').map(|value| value.trim().to_owned()).collect();
        Ok(Self { column, values, negated })
    }
}

impl Condition {
    /// Returns whether a record with this value there is taken.
    pub fn holds(&self, value: &str) -> bool {
        let value = value.trim();
        self.values.iter().any(|wanted| wanted == value) != self.negated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_names_values_or_excludes_them() {
        let condition = |text: &str| text.parse::<Condition>().unwrap();
        assert!(condition("status=paid").holds(" paid ") && !condition("status=paid").holds("open"));
        assert!(condition("country=DE|AT").holds("AT") && !condition("country=DE|AT").holds("CH"));
        assert!(
            !condition("status!=cancelled").holds("cancelled") && condition("status!=cancelled").holds("")
        );
        assert!(condition("coupon=").holds("") && !condition("coupon=").holds("x"));
        assert_eq!(condition("Lineitem sku = A").column, "Lineitem sku");
        for wrong in ["status", "=x", ""] {
            assert!(wrong.parse::<Condition>().is_err(), "{wrong}");
        }
    }
}
