//! Amounts of money in several currencies: converted into one by given rates, and kept apart where there is no rate.

use std::collections::BTreeMap;

use super::prices::Currency;

/// The currency that amounts are summed in, and the rates of others. Without a currency amounts are in the base.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Money {
    base: Option<Currency>,
    /// Units of the base for one unit of the currency; by currency.
    rates: Vec<(Currency, f64)>,
}

impl Money {
    /// No base and no rates.
    pub const NONE: &'static Self = &Self { base: None, rates: Vec::new() };

    /// From codes of ISO 4217 and rates above 0; what is neither is left out.
    pub fn new(base: &str, rates: &BTreeMap<String, f64>) -> Self {
        let rates = rates.iter().filter(|(_, rate)| rate.is_finite() && **rate > 0.0);
        Self {
            base: Currency::parse(base),
            rates: rates.filter_map(|(code, rate)| Some((Currency::parse(code)?, *rate))).collect(),
        }
    }

    /// The same with this base where none is given.
    pub fn or_base(&self, base: Option<Currency>) -> Self {
        Self { base: self.base.or(base), rates: self.rates.clone() }
    }

    /// The currency of sums; `None` as long as none is known.
    pub fn base(&self) -> Option<Currency> {
        self.base
    }

    /// An amount in the base; `None` for one of another currency without a rate.
    pub fn in_base(&self, amount: f64, currency: Option<Currency>) -> Option<f64> {
        let Some(currency) = currency.filter(|currency| Some(*currency) != self.base) else {
            return Some(amount);
        };
        // A rate needs something that it is a rate to.
        self.base?;
        self.rates.iter().find(|(known, _)| *known == currency).map(|(_, rate)| amount * rate)
    }
}

/// Money as set, its base completed by the currency of most items.
#[derive(Clone, Debug, Default)]
pub struct CountedMoney {
    set: Money,
    completed: Money,
    /// Items by the currency of their price.
    items: BTreeMap<Currency, usize>,
}

impl CountedMoney {
    /// Sets base and rates.
    pub fn set(&mut self, money: Money) {
        self.completed = money.clone();
        self.set = money;
        self.complete();
    }

    /// Money with its base.
    pub fn get(&self) -> &Money {
        &self.completed
    }

    /// Counts the currency of an item that comes, and of the one that it replaces.
    pub fn count(&mut self, before: Option<Currency>, after: Option<Currency>) {
        if before == after {
            return;
        }
        if let Some(items) = before.and_then(|before| self.items.get_mut(&before)) {
            *items = items.saturating_sub(1);
        }
        if let Some(after) = after {
            *self.items.entry(after).or_default() += 1;
        }
        self.complete();
    }

    fn complete(&mut self) {
        let most = self.items.iter().max_by_key(|(currency, items)| (**items, std::cmp::Reverse(**currency)));
        let main = most.filter(|(_, items)| **items > 0).map(|(currency, _)| *currency);
        // Rates are copied only when they are set: this is called for each item that comes.
        self.completed.base = self.set.base.or(main);
    }
}

/// Sums of amounts by currency; of any order of amounts the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Amounts(Vec<(Option<Currency>, f64)>);

/// Currencies of one user or report; amounts of more are not summed.
const MAX_CURRENCIES: usize = 64;

impl Amounts {
    /// Adds an amount, which may be negative. O(currencies).
    pub fn add(&mut self, amount: f64, currency: Option<Currency>) {
        match self.0.binary_search_by_key(&currency, |(known, _)| *known) {
            Ok(place) => self.0.get_mut(place).into_iter().for_each(|(_, sum)| *sum += amount),
            Err(place) if self.0.len() < MAX_CURRENCIES => {
                self.0.reserve_exact(1);
                self.0.insert(place, (currency, amount));
            }
            Err(_) => {}
        }
    }

    /// The sum of all that can be told in the base. Without a base the largest of the sums: nothing is added up that is not of
    /// one currency.
    pub fn total(&self, money: &Money) -> f64 {
        if money.base.is_none() {
            let sums = self.0.iter().map(|(_, sum)| *sum);
            return sums.max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(0.0);
        }
        // Folded from 0: the sum of no number is −0.
        let told = self.0.iter().filter_map(|(currency, sum)| money.in_base(*sum, *currency));
        told.fold(0.0, |total, amount| total + amount)
    }

    /// Sums by currency, those without one first.
    pub fn iter(&self) -> impl Iterator<Item = (Option<Currency>, f64)> {
        self.0.iter().copied()
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        self.0.capacity() * size_of::<(Option<Currency>, f64)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<Currency> {
        Currency::parse(text)
    }

    fn both() -> Amounts {
        let mut amounts = Amounts::default();
        amounts.add(100.0, code("EUR"));
        amounts.add(20_000.0, code("JPY"));
        amounts.add(5_000.0, code("JPY"));
        amounts
    }

    #[test]
    fn yen_are_not_euros() {
        let rates = BTreeMap::from([("JPY".to_owned(), 0.006)]);
        assert_eq!(both().total(&Money::new("EUR", &rates)), 100.0 + 25_000.0 * 0.006);
        assert_eq!(both().total(&Money::new("EUR", &BTreeMap::new())), 100.0, "kept apart");
        assert_eq!(both().total(&Money::new("JPY", &BTreeMap::new())), 25_000.0);
        assert_eq!(both().total(Money::NONE), 25_000.0, "the largest, and nothing added to it");
        assert_eq!(both().iter().collect::<Vec<_>>(), [(code("EUR"), 100.0), (code("JPY"), 25_000.0)]);
    }

    #[test]
    fn the_sum_of_nothing_has_no_sign() {
        let (none, yen_only) = (Amounts::default(), {
            let mut amounts = Amounts::default();
            amounts.add(5.0, code("JPY"));
            amounts
        });
        for money in [Money::NONE, &Money::new("EUR", &BTreeMap::new())] {
            assert!(none.total(money).is_sign_positive());
        }
        assert!(yen_only.total(&Money::new("EUR", &BTreeMap::new())).is_sign_positive(), "no rate");
    }

    #[test]
    fn the_base_is_the_currency_of_most_items_and_rates_stay() {
        let mut money = CountedMoney::default();
        money.set(Money::new("", &BTreeMap::from([("JPY".to_owned(), 0.006)])));
        assert_eq!(money.get().base(), None);
        money.count(None, code("EUR"));
        assert_eq!(money.get().in_base(1_000.0, code("JPY")), Some(6.0));
        money.count(code("EUR"), None);
        assert_eq!(money.get().base(), None);
        money.count(None, code("EUR"));
        money.set(Money::new("CHF", &BTreeMap::new()));
        assert_eq!(money.get().base(), code("CHF"), "as it is set");
        assert_eq!(money.get().in_base(1.0, code("JPY")), None);
    }

    #[test]
    fn an_amount_without_a_currency_is_in_the_base() {
        let mut amounts = both();
        amounts.add(1.0, None);
        assert_eq!(amounts.total(&Money::new("EUR", &BTreeMap::new())), 101.0);
        assert_eq!(Money::NONE.in_base(3.0, None), Some(3.0));
        assert_eq!(Money::NONE.in_base(3.0, code("EUR")), None);
        assert_eq!(Money::NONE.or_base(code("EUR")).in_base(3.0, code("EUR")), Some(3.0));
        // What is no rate is none.
        let odd =
            BTreeMap::from([("USD".to_owned(), f64::NAN), ("CHF".to_owned(), -1.0), ("x".to_owned(), 1.0)]);
        assert_eq!(Money::new("EUR", &odd), Money::new("EUR", &BTreeMap::new()));
    }
}
