//! The currency of sums, and the rates of others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bounds::{invalid, within};
use super::error::ConfigError;

/// Most rates: there are some 180 currencies.
const MAX_RATES: usize = 300;

/// Amounts in several currencies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Money {
    /// Currency that money is summed in, ISO 4217; empty = that of most items.
    pub base: String,
    /// Units of the base for one unit of a currency. Amounts of a currency without a rate are kept apart.
    pub rates: BTreeMap<String, f64>,
}

impl Money {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let is_code = |text: &str| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        if !self.base.is_empty() && !is_code(&self.base) {
            return invalid(
                "money.base",
                format!("must be an ISO 4217 code such as EUR, is \"{}\"", self.base),
            );
        }
        within("money.rates", self.rates.len(), 0, MAX_RATES)?;
        if self.base.is_empty() && !self.rates.is_empty() {
            return invalid("money.rates", "are rates to money.base, which is not set");
        }
        for (code, rate) in &self.rates {
            if !is_code(code) {
                return invalid(
                    "money.rates",
                    format!("names are ISO 4217 codes such as USD, one is \"{code}\""),
                );
            }
            if !(rate.is_finite() && *rate > 0.0 && *rate <= 1e9) {
                return invalid(
                    "money.rates",
                    format!("the rate of {code} must be above 0 and at most 1e9, is {rate}"),
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(base: &str, rates: &[(&str, f64)]) -> Money {
        let rates = rates.iter().map(|(code, rate)| ((*code).to_owned(), *rate)).collect();
        Money { base: base.to_owned(), rates }
    }

    #[test]
    fn rates_are_above_0_and_lead_to_a_base() {
        assert_eq!(Money::default().validate(), Ok(()));
        assert_eq!(money("EUR", &[("JPY", 0.006)]).validate(), Ok(()));
        for (bad, says) in [
            (money("euro", &[]), "money.base"),
            (money("", &[("JPY", 0.006)]), "money.base, which is not set"),
            (money("EUR", &[("yen", 0.006)]), "\"yen\""),
            (money("EUR", &[("JPY", 0.0)]), "the rate of JPY"),
            (money("EUR", &[("JPY", f64::NAN)]), "the rate of JPY"),
        ] {
            let error = bad.validate().unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
