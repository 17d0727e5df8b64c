//! Association rules "A + B → C" from baskets, with support, confidence and lift. Agrawal & Srikant 1994; lift: Brin et
//! al. 1997; leverage, by which the best are kept: Piatetsky-Shapiro 1991; rules that say no more than a shorter one are
//! left out: Bayardo, Agrawal & Gunopulos 1999.
//!
//! Goes in: [`Itemsets`]. Comes out: [`AssociationRules`], at most `max_rules` of them, about 100 bytes each.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::base::ItemId;

use super::frequent_itemsets::Itemsets;

/// "Baskets with the antecedent hold the consequent too."
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// If, by item; not empty.
    pub antecedent: Box<[ItemId]>,
    /// Then, by item; not empty, nothing of the antecedent.
    pub consequent: Box<[ItemId]>,
    /// Baskets with all of both.
    pub count: u32,
    /// Share of all baskets with all of both, 0…1.
    pub support: f64,
    /// Share of the antecedent's baskets that hold the consequent, 0…1.
    pub confidence: f64,
    /// Factor by which both occur more often than if the two had nothing to do with each other; 1 = chance.
    pub lift: f64,
}

impl Rule {
    /// Share of all baskets with both, less what chance would give.
    fn leverage(&self) -> f64 {
        self.support * (1.0 - 1.0 / self.lift)
    }
}

/// Parameters that select the rules that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleParameters {
    /// Least confidence, 0…1.
    pub confidence: f64,
    /// Least lift; 0 = any, just above 1 = only what goes together more often than by chance.
    pub lift: f64,
    /// Most items on the right.
    pub max_consequent: usize,
    /// Leave out a rule when one with the same right side and a part of its left side is as confident.
    pub prune: bool,
    /// Most rules; of more, those with the greatest leverage stay.
    pub max_rules: usize,
    /// Most divisions of sets that are looked at, small sets first: a set of k items has 2^k − 2.
    pub max_divisions: u64,
}

impl Default for RuleParameters {
    fn default() -> Self {
        Self {
            confidence: 0.05,
            lift: 1.1,
            max_consequent: 1,
            prune: true,
            max_rules: 20_000,
            max_divisions: 20_000_000,
        }
    }
}

/// Rules, most surprising first: by lift, then confidence, then support, then items.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AssociationRules {
    rules: Vec<Rule>,
    /// Indices of the rules by each item of the left side: sorted by item, then best first.
    by_antecedent: Vec<(ItemId, u32)>,
    /// Number of baskets.
    pub n_baskets: u64,
    /// A set counted as frequent from this many baskets on.
    pub least_count: u32,
    /// Notes for a person on what was left out, with the reasons; empty = nothing.
    pub notes: Vec<String>,
}

impl AssociationRules {
    /// From sets that hold every subset of their sets, as [`super::frequent_itemsets::mine`] makes them. No sets, no
    /// rules. O(Σ over sets of 2^size), at most `max_divisions`; memory of at most twice `max_rules` rules.
    pub fn new(itemsets: &Itemsets, parameters: &RuleParameters) -> Self {
        let counts: HashMap<&[u32], u32> = itemsets.iter().collect();
        let mut best = Best { rules: Vec::new(), max: parameters.max_rules, found: 0 };
        let (mut divisions, mut not_divided, mut smallest) = (0u64, 0usize, 0);
        for (set, count) in itemsets.iter().filter(|(set, _)| set.len() > 1) {
            divisions = divisions.saturating_add(1 << set.len().min(32));
            if divisions > parameters.max_divisions {
                // They come by size: what is left is as large or larger.
                smallest = if not_divided == 0 { set.len() } else { smallest };
                not_divided += 1;
                continue;
            }
            rules_of(set, count, itemsets.n_baskets, &counts, parameters, &mut best);
        }
        let mut notes = itemsets.notes.clone();
        if itemsets.left_out > 0 {
            notes.push(format!("{} baskets were too long and are left out", itemsets.left_out));
        }
        if not_divided > 0 {
            notes.push(format!(
                "{not_divided} of {} sets, of {smallest} and more items, give no rules: there are more than {} ways to \
                 divide them",
                itemsets.len(),
                parameters.max_divisions
            ));
        }
        let n = best.found;
        if n > best.max {
            notes.push(format!("of {n} rules the {} with the greatest leverage are kept", best.max));
        }
        let mut made = Self::from_rules(best.into_rules());
        made.n_baskets = itemsets.n_baskets as u64;
        made.least_count = itemsets.least_count;
        made.notes = notes;
        made
    }

    /// From rules in any order.
    fn from_rules(mut rules: Vec<Rule>) -> Self {
        rules.sort_by(|a, b| {
            (b.lift.total_cmp(&a.lift))
                .then(b.confidence.total_cmp(&a.confidence))
                .then(b.count.cmp(&a.count))
                .then_with(|| by_items(a, b))
        });
        let mut by_antecedent: Vec<(ItemId, u32)> = (0u32..)
            .zip(&rules)
            .flat_map(|(index, rule)| rule.antecedent.iter().map(move |item| (*item, index)))
            .collect();
        by_antecedent.sort_unstable();
        Self { rules, by_antecedent, ..Self::default() }
    }

    /// All, best first.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Rules with this item on the left, best first; empty for an unknown item. O(log rules).
    pub fn with(&self, item: ItemId) -> impl Iterator<Item = &Rule> {
        let from = self.by_antecedent.partition_point(|(known, _)| *known < item);
        let known = self.by_antecedent.get(from..).unwrap_or_default();
        known
            .iter()
            .take_while(move |(known, _)| *known == item)
            .filter_map(|(_, index)| self.rules.get(*index as usize))
    }

    /// Rules that hold for a basket with `seed` in it: the seed and everything else on the left is there (`holds` tells
    /// of the others), one item on the right that is not the seed. Best first.
    pub fn applying<'a>(
        &'a self,
        seed: ItemId,
        holds: impl Fn(ItemId) -> bool + 'a,
    ) -> impl Iterator<Item = (ItemId, &'a Rule)> {
        self.with(seed).filter_map(move |rule| {
            let [item] = *rule.consequent else { return None };
            let applies = rule.antecedent.iter().all(|other| *other == seed || holds(*other));
            applies.then_some((item, rule))
        })
    }

    /// The highest confidence of the rules that apply to each item, by item: the probability that a basket like this one holds it.
    /// O(rules of the seed).
    pub fn scores(&self, seed: ItemId, holds: impl Fn(ItemId) -> bool) -> Vec<(ItemId, f32)> {
        let mut best: BTreeMap<ItemId, f32> = BTreeMap::new();
        for (item, rule) in self.applying(seed, holds) {
            let known = best.entry(item).or_default();
            *known = known.max(rule.confidence as f32);
        }
        best.into_iter().collect()
    }

    /// Returns whether every index is in range and every figure a number. Checked after loading.
    pub(crate) fn is_sound(&self) -> bool {
        self.by_antecedent.is_sorted()
            && self.by_antecedent.iter().all(|(_, index)| (*index as usize) < self.rules.len())
            && self.rules.iter().all(|rule| {
                let figures = [rule.support, rule.confidence, rule.lift];
                figures.iter().all(|figure| figure.is_finite()) && !rule.antecedent.is_empty()
            })
    }
}

/// The best rules of any number: more than twice as many as are wanted are never held.
struct Best {
    rules: Vec<Rule>,
    max: usize,
    /// Rules that came.
    found: usize,
}

impl Best {
    fn push(&mut self, rule: Rule) {
        self.found += 1;
        self.rules.push(rule);
        if self.rules.len() > self.max.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.rules.len() > self.max {
            let order =
                |a: &Rule, b: &Rule| b.leverage().total_cmp(&a.leverage()).then_with(|| by_items(a, b));
            self.rules.select_nth_unstable_by(self.max, order);
            self.rules.truncate(self.max);
        }
    }

    fn into_rules(mut self) -> Vec<Rule> {
        self.cut();
        self.rules
    }
}

fn by_items(a: &Rule, b: &Rule) -> std::cmp::Ordering {
    (a.antecedent.len().cmp(&b.antecedent.len()))
        .then_with(|| a.antecedent.cmp(&b.antecedent))
        .then_with(|| a.consequent.cmp(&b.consequent))
}

/// Every division of a set into two sides that is confident enough.
fn rules_of(
    set: &[u32],
    count: u32,
    n_baskets: usize,
    counts: &HashMap<&[u32], u32>,
    parameters: &RuleParameters,
    rules: &mut Best,
) {
    let n = n_baskets as f64;
    let full = (1u32 << set.len()) - 1;
    for left in 1..full {
        if (full & !left).count_ones() as usize > parameters.max_consequent {
            continue;
        }
        let antecedent = part(set, left);
        let consequent = part(set, full & !left);
        let (Some(with_left), Some(with_right)) =
            (counts.get(antecedent.as_slice()), counts.get(consequent.as_slice()))
        else {
            continue;
        };
        let confidence = f64::from(count) / f64::from(*with_left);
        let lift = confidence / (f64::from(*with_right) / n);
        if confidence < parameters.confidence || lift < parameters.lift {
            continue;
        }
        if parameters.prune
            && shorter_says_as_much(&antecedent, &consequent, confidence, counts, *with_right, n)
        {
            continue;
        }
        let ids = |items: Vec<u32>| items.into_iter().map(ItemId).collect();
        rules.push(Rule {
            antecedent: ids(antecedent),
            consequent: ids(consequent),
            count,
            support: f64::from(count) / n,
            confidence,
            lift,
        });
    }
}

/// The items of a set whose bits are set; still ascending.
fn part(set: &[u32], bits: u32) -> Vec<u32> {
    set.iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1).map(|(_, item)| *item).collect()
}

/// Returns whether a rule with a part of the left side, or with nothing there at all, is as confident.
fn shorter_says_as_much(
    antecedent: &[u32],
    consequent: &[u32],
    confidence: f64,
    counts: &HashMap<&[u32], u32>,
    with_right: u32,
    n: f64,
) -> bool {
    if f64::from(with_right) / n >= confidence {
        return true;
    }
    let full = (1u32 << antecedent.len()) - 1;
    (1..full).any(|bits| {
        let shorter = part(antecedent, bits);
        let mut both = [shorter.as_slice(), consequent].concat();
        both.sort_unstable();
        match (counts.get(shorter.as_slice()), counts.get(both.as_slice())) {
            (Some(left), Some(both)) => f64::from(*both) / f64::from(*left) >= confidence,
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::ml::threads::Threads;
    use crate::recommend::models::frequent_itemsets::{Baskets, ItemsetParameters, mine};

    const ALL: RuleParameters = RuleParameters {
        confidence: 0.0,
        lift: 0.0,
        max_consequent: 12,
        prune: false,
        max_rules: 1_000,
        max_divisions: 1_000_000,
    };

    fn rules(rows: &[&[u32]], support: f64, parameters: &RuleParameters) -> AssociationRules {
        let mut baskets = Baskets::default();
        rows.iter().for_each(|row| baskets.push(&mut row.to_vec()));
        let itemsets = ItemsetParameters { support, least_count: 1, max_items: 12, ..Default::default() };
        let threads = Threads::new(1).unwrap();
        let found = mine(&baskets, &itemsets, &threads, |_| ControlFlow::Continue(())).unwrap();
        AssociationRules::new(&found, parameters)
    }

    fn find<'a>(rules: &'a AssociationRules, left: &[u32], right: &[u32]) -> Option<&'a Rule> {
        let ids = |items: &[u32]| items.iter().map(|item| ItemId(*item)).collect::<Box<[ItemId]>>();
        rules.rules().iter().find(|rule| rule.antecedent == ids(left) && rule.consequent == ids(right))
    }

    /// Bread 0, butter 1, jam 2: five baskets.
    const BREAKFAST: [&[u32]; 5] = [&[0, 1, 2], &[0, 1], &[0, 1, 2], &[0], &[2]];

    #[test]
    fn support_confidence_and_lift_agree_with_values_computed_by_hand() {
        let rules = rules(&BREAKFAST, 0.4, &ALL);
        // Sets: {0} 4, {1} 3, {2} 3, {0,1} 3, {0,2} 2, {1,2} 2, {0,1,2} 2: 2 · 3 pairs and 6 divisions of the triple.
        assert_eq!(rules.rules().len(), 12);
        let butter = find(&rules, &[1], &[0]).unwrap();
        assert_eq!((butter.count, butter.support, butter.confidence), (3, 0.6, 1.0));
        assert!((butter.lift - 1.0 / 0.8).abs() < 1e-12);
        let both = find(&rules, &[0, 1], &[2]).unwrap();
        assert!((both.confidence - 2.0 / 3.0).abs() < 1e-12);
        assert!((both.lift - (2.0 / 3.0) / 0.6).abs() < 1e-12);
        let jam = find(&rules, &[2], &[0, 1]).unwrap();
        assert!((jam.confidence - 2.0 / 3.0).abs() < 1e-12);
        assert!(rules.rules().is_sorted_by(|a, b| a.lift >= b.lift));
        assert!(rules.is_sound());
    }

    #[test]
    fn bounds_are_kept_and_told() {
        let few = rules(&BREAKFAST, 0.4, &RuleParameters { max_rules: 2, ..ALL });
        assert_eq!(few.rules().len(), 2);
        assert!(few.notes[0].contains("of 12 rules the 2"), "{:?}", few.notes);
        let all = rules(&BREAKFAST, 0.4, &ALL);
        let mut best = all.rules().to_vec();
        best.sort_by(|a, b| b.leverage().total_cmp(&a.leverage()).then_with(|| by_items(a, b)));
        assert!(best[..2].iter().all(|rule| few.rules().contains(rule)));
        // Room for the three pairs and not for the triple.
        let pairs = rules(&BREAKFAST, 0.4, &RuleParameters { max_divisions: 12, ..ALL });
        assert_eq!(pairs.rules().len(), 6);
        assert!(pairs.notes[0].contains("1 of 7 sets, of 3 and more items"), "{:?}", pairs.notes);
        let single = rules(&BREAKFAST, 0.4, &RuleParameters { max_consequent: 1, confidence: 0.6, ..ALL });
        assert!(single.rules().iter().all(|rule| rule.consequent.len() == 1 && rule.confidence >= 0.6));
    }

    /// Forty items that go together in nearly every basket: 2^40 sets, of which as many are taken as there is room for.
    #[test]
    fn a_table_in_which_everything_goes_together_is_bounded_and_says_so() {
        let rows: Vec<Vec<u32>> =
            (0..300).map(|row| (0..40).filter(|item| (row * 7 + item * 3) % 11 != 0).collect()).collect();
        let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        let bounded = rules(&rows, 0.0034, &ALL);
        assert!(bounded.rules().len() <= 1_000);
        assert!(
            bounded.notes.iter().any(|note| note.starts_with("sets of more than 3 items")),
            "{:?}",
            bounded.notes
        );
        assert!(
            bounded.notes.iter().any(|note| note.contains("with the greatest leverage")),
            "{:?}",
            bounded.notes
        );
    }

    #[test]
    fn a_longer_rule_that_says_no_more_is_left_out() {
        let pruned = rules(&BREAKFAST, 0.4, &RuleParameters { prune: true, ..ALL });
        // Butter alone already means bread with certainty; jam adds nothing to it.
        assert!(find(&pruned, &[1], &[0]).is_some());
        assert!(find(&pruned, &[1, 2], &[0]).is_none());
        // Bread with jam: 2 of 3 baskets of jam, as many as bread has anyway? No: fewer (0.67 against 0.8).
        assert!(find(&pruned, &[2], &[0]).is_none());
        assert!(find(&pruned, &[0, 2], &[1]).is_some(), "1.0 is more than 0.75 (bread) and 0.67 (jam)");
    }

    #[test]
    fn rules_apply_when_everything_on_the_left_is_there() {
        let rules = rules(&BREAKFAST, 0.4, &ALL);
        let scores = rules.scores(ItemId(0), |_| false);
        assert_eq!(scores, [(ItemId(1), 0.75), (ItemId(2), 0.5)]);
        let scores = rules.scores(ItemId(0), |item| item == ItemId(1));
        assert!(scores.iter().any(|(item, score)| *item == ItemId(2) && (score - 2.0 / 3.0).abs() < 1e-6));
        assert_eq!(rules.with(ItemId(9)).count(), 0);
        assert!(rules.with(ItemId(1)).all(|rule| rule.antecedent.contains(&ItemId(1))));
    }

    #[test]
    fn nothing_in_nothing_out() {
        let none = rules(&[], 0.1, &ALL);
        assert!(none.rules().is_empty() && none.is_sound());
        assert!(rules(&[&[1]], 0.1, &ALL).rules().is_empty());
    }
}
