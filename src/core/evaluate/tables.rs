//! A training and a test table with dense ids in order of first appearance: what [`super::files`] measures on. Reading
//! and unpacking the files is the caller's; rows are taken one by one, so that no text is held twice.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::base::{ItemId, UserId};
use crate::recommend::ensemble::{Act, TARGET};
use crate::recommend::models::interactions::{Entry, Matrix};

use super::kind_table::KindTable;
use super::split::Case;

const SECONDS_A_DAY: f64 = 86_400.0;

/// One line of a table: the ids as they stand there, and Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// External id of the user.
    pub user: &'a str,
    /// External id of the item.
    pub item: &'a str,
    /// Time of the interaction, Unix seconds, fractions count.
    pub ts: f64,
}

/// Both tables.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    users: Ids,
    items: Ids,
    /// Items below this occur in training.
    n_known: usize,
    /// Rows of the training table, an item of a user once a row.
    n_rows: usize,
    /// By user: training items by (ts, position in the file), oldest first; of a repeated item the newest row. Of tables with
    /// kinds those of the target kind.
    histories: Vec<Vec<(u32, f64)>>,
    /// Rows that users are known by instead, for those who have any.
    known: Vec<Vec<(u32, f64)>>,
    /// Of tables with kinds: all rows.
    kinds: Option<KindTable>,
    /// In order of user.
    cases: Vec<Case>,
    /// The part of training to hold out while tuning.
    valid: Vec<(u32, u32)>,
    /// Test rows, and how many of them are no older than any training row of their user.
    n_test: usize,
    n_later: usize,
}

impl Tables {
    /// From rows in file order. A row of the test table counts if its user has a training row; one of the validation
    /// table, a part of training to hold out while tuning, if it is a training row too. O(rows log history).
    pub fn new<'a>(train: &[Row<'a>], valid: &[Row<'a>], test: &[Row<'a>]) -> Self {
        let mut tables = Self::default();
        train.iter().for_each(|row| tables.add_train(row, ""));
        tables.finish_train();
        valid.iter().for_each(|row| tables.add_valid(row));
        test.iter().for_each(|row| tables.add_test(row));
        tables.finish_test();
        tables
    }

    /// Without rows, of which those of the kind `target` are to be found: each row comes with its kind.
    pub fn with_target(target: &str) -> Self {
        Self { kinds: Some(KindTable::new(target)), ..Self::default() }
    }

    /// Takes one training row. All of them first, then [`Tables::finish_train`]. `kind` counts where the tables have kinds.
    pub fn add_train(&mut self, row: &Row<'_>, kind: &str) {
        let user = self.users.id(row.user) as usize;
        self.n_rows += 1;
        let item = self.items.id(row.item);
        match &mut self.kinds {
            Some(kinds) => {
                let kind = kinds.kind(kind);
                push(&mut kinds.acts, user, Act { item, kind, day: row.ts / SECONDS_A_DAY });
            }
            None => push(&mut self.histories, user, (item, row.ts)),
        }
    }

    /// Puts histories in order.
    pub fn finish_train(&mut self) {
        self.n_known = self.items.names.len();
        if let Some(kinds) = &mut self.kinds {
            kinds.sort();
        }
        self.take_targets();
        self.histories.iter_mut().for_each(in_order);
    }

    /// Takes one row of what users are known by when lists are made; models are not fitted on it. A user without such rows is known
    /// by the training rows. After [`Tables::finish_train`], and all of them before [`Tables::finish_history`]. Unknown items are
    /// left out.
    pub fn add_history(&mut self, row: &Row<'_>, kind: &str) {
        let Some(item) = self.items.ids.get(row.item).copied() else { return };
        let user = self.users.id(row.user) as usize;
        match &mut self.kinds {
            Some(kinds) => {
                let kind = kinds.kind(kind);
                push(&mut kinds.known, user, Act { item, kind, day: row.ts / SECONDS_A_DAY });
            }
            None => push(&mut self.known, user, (item, row.ts)),
        }
    }

    /// Puts what users are known by in order.
    pub fn finish_history(&mut self) {
        if let Some(kinds) = &mut self.kinds {
            kinds.sort();
            self.known = kinds.known.iter().map(|acts| targets(acts)).collect();
        }
        self.known.iter_mut().for_each(in_order);
    }

    /// Says what stays out of lists: items of these kinds that a user had to do with. Without it those of the target kind. `None` for
    /// a name that no row has.
    pub fn leave_out(&mut self, names: &[String]) -> Option<()> {
        let kinds = self.kinds.as_mut()?;
        let masked: Vec<bool> = kinds.names.iter().map(|name| names.contains(name)).collect();
        let all_known = names.iter().all(|name| kinds.names.contains(name));
        kinds.masked = masked;
        all_known.then_some(())
    }

    /// Names of the kinds, the target first; empty for tables without kinds.
    pub fn kind_names(&self) -> &[String] {
        self.kinds.as_ref().map_or(&[], |kinds| kinds.names.as_slice())
    }

    /// By kind, the target first: whether its items stay out of lists.
    pub fn masked(&self) -> &[bool] {
        self.kinds.as_ref().map_or(&[], |kinds| kinds.masked.as_slice())
    }

    /// By user: training rows of all kinds, oldest first; `None` for tables without kinds.
    pub fn acts(&self) -> Option<&[Vec<Act>]> {
        self.kinds.as_ref().map(|kinds| kinds.acts.as_slice())
    }

    /// Rows of all kinds that a user is known by, oldest first; empty for tables without kinds.
    pub fn known_acts(&self, user: UserId) -> &[Act] {
        self.kinds.as_ref().map_or(&[], |kinds| kinds.known(user.index()))
    }

    /// Rows that a user is known by, oldest first; of tables with kinds the rows of the target kind.
    pub fn known_history(&self, user: UserId) -> &[(u32, f64)] {
        let is_apart = match &self.kinds {
            Some(kinds) => kinds.known.get(user.index()).is_some_and(|acts| !acts.is_empty()),
            None => self.known.get(user.index()).is_some_and(|rows| !rows.is_empty()),
        };
        let histories = if is_apart { &self.known } else { &self.histories };
        histories.get(user.index()).map_or(&[][..], Vec::as_slice)
    }

    fn take_targets(&mut self) {
        if let Some(kinds) = &self.kinds {
            self.histories = kinds.acts.iter().map(|acts| targets(acts)).collect();
        }
    }

    /// Returns whether anything is known of a user.
    fn is_known(&self, user: u32) -> bool {
        !self.known_history(UserId(user)).is_empty() || !self.known_acts(UserId(user)).is_empty()
    }

    /// Takes one validation row.
    pub fn add_valid(&mut self, row: &Row<'_>) {
        if let (Some(user), Some(item)) = (self.users.ids.get(row.user), self.items.ids.get(row.item)) {
            self.valid.push((*user, *item));
        }
    }

    /// Takes one test row, then at last [`Tables::finish_test`].
    pub fn add_test(&mut self, row: &Row<'_>) {
        let Some(user) = self.users.ids.get(row.user).copied().filter(|user| self.is_known(*user)) else {
            return;
        };
        // Cases come in order of the file here, one a run of rows; put together at the end.
        let item = self.items.id(row.item);
        let newest = self.histories.get(user as usize).and_then(|history| history.last());
        self.n_test += 1;
        self.n_later += usize::from(newest.is_some_and(|(_, ts)| *ts <= row.ts));
        match self.cases.last_mut() {
            Some(case) if case.user.0 == user => {
                case.relevant.insert(item);
            }
            _ => self.cases.push(Case {
                user: UserId(user),
                relevant: HashSet::from([item]),
                again: HashSet::new(),
                seen: HashSet::new(),
            }),
        }
    }

    /// Puts cases in order.
    pub fn finish_test(&mut self) {
        let runs = std::mem::take(&mut self.cases);
        self.cases = self.cases_of(
            runs.into_iter().flat_map(|case| case.relevant.into_iter().map(move |item| (case.user.0, item))),
        );
    }

    /// The tables on which to tune: training without the validation rows, which are what is to be found. Ids stay.
    /// Without validation rows tables with kinds hold out the newest row of the target kind of each user, others have no cases.
    pub fn tuning(&self) -> Self {
        let mut tables = Self { valid: Vec::new(), known: Vec::new(), ..self.clone() };
        let mut valid = self.valid.clone();
        if let Some(kinds) = &mut tables.kinds {
            kinds.known.clear();
            if valid.is_empty() {
                valid = kinds.newest_targets();
            }
            kinds.hide(&valid.iter().copied().collect());
        }
        if tables.kinds.is_some() {
            tables.take_targets();
            tables.histories.iter_mut().for_each(in_order);
        } else {
            let held_out: HashSet<(u32, u32)> = valid.iter().copied().collect();
            for (user, history) in (0u32..).zip(&mut tables.histories) {
                history.retain(|(item, _)| !held_out.contains(&(user, *item)));
            }
        }
        tables.cases = tables.cases_of(valid.into_iter().filter(|(user, _)| tables.is_known(*user)));
        tables
    }

    fn cases_of(&self, rows: impl Iterator<Item = (u32, u32)>) -> Vec<Case> {
        let mut cases: BTreeMap<u32, Case> = BTreeMap::new();
        for (user, item) in rows {
            let seen = || match &self.kinds {
                Some(kinds) => kinds.seen(user as usize),
                None => self.known_history(UserId(user)).iter().map(|(item, _)| *item).collect(),
            };
            let case = cases.entry(user).or_insert_with(|| Case {
                user: UserId(user),
                relevant: HashSet::new(),
                again: HashSet::new(),
                seen: seen(),
            });
            case.relevant.insert(item);
        }
        cases.into_values().collect()
    }

    /// A matrix of ones with the age of each cell, counted from the newest training row. Rows are users, columns
    /// the items of training.
    pub fn matrix(&self) -> Matrix {
        let newest = self.histories.iter().flatten().map(|(_, ts)| *ts).fold(f64::MIN, f64::max);
        let entry = |(item, ts): &(u32, f64)| Entry {
            item: *item,
            weight: 1.0,
            age_days: ((newest - ts) / SECONDS_A_DAY) as f32,
            bought: true,
        };
        Matrix::from_entries(self.histories.iter().map(|row| row.iter().map(entry).collect()), self.n_known)
    }

    /// Rows that a user is known by, newest first, each weighing `decay` of the next newer one; empty for an unknown user.
    pub fn history(&self, user: UserId, decay: f32) -> Vec<(ItemId, f32)> {
        let mut weight = 1.0f32;
        let rows = self.known_history(user).iter().rev();
        rows.map(|(item, _)| {
            let own = weight;
            weight *= decay;
            (ItemId(*item), own)
        })
        .collect()
    }

    /// By user: training items with their Unix seconds, oldest first, none twice.
    pub fn histories(&self) -> &[Vec<(u32, f64)>] {
        &self.histories
    }

    /// Test cases, in order of user.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// The (user, item) pairs of training to hold out while tuning.
    pub fn valid(&self) -> &[(u32, u32)] {
        &self.valid
    }

    /// Returns whether most test rows are no older than any training row of their user, and training rows have an order in time.
    pub fn test_is_later(&self) -> bool {
        let spans = |history: &Vec<(u32, f64)>| match (history.first(), history.last()) {
            (Some((_, first)), Some((_, last))) => first < last,
            _ => false,
        };
        2 * self.n_later > self.n_test && self.histories.iter().any(spans)
    }

    /// Number of training rows, repetitions counted.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of items that occur in training; they come first.
    pub fn n_known(&self) -> usize {
        self.n_known
    }

    /// By item of training: the share of users with training rows who have it, 0…1.
    pub fn shares(&self) -> Vec<f64> {
        let mut shares = vec![0f64; self.n_known];
        for (item, _) in self.histories.iter().flatten() {
            if let Some(share) = shares.get_mut(*item as usize) {
                *share += 1.0;
            }
        }
        let users = self.histories.iter().filter(|history| !history.is_empty()).count().max(1) as f64;
        shares.iter_mut().for_each(|share| *share /= users);
        shares
    }

    /// A user's id as it stands in the file; empty for an unknown one.
    pub fn user_name(&self, user: UserId) -> &str {
        self.users.names.get(user.index()).map_or("", String::as_str)
    }

    /// An item's id as it stands in the file; empty for an unknown one.
    pub fn item_name(&self, item: u32) -> &str {
        self.items.names.get(item as usize).map_or("", String::as_str)
    }
}

fn push<T: Clone>(rows: &mut Vec<Vec<T>>, row: usize, value: T) {
    rows.resize(rows.len().max(row + 1), Vec::new());
    if let Some(row) = rows.get_mut(row) {
        row.push(value);
    }
}

/// Items of the target kind with their Unix seconds.
fn targets(acts: &[Act]) -> Vec<(u32, f64)> {
    let target = acts.iter().filter(|act| act.kind == TARGET);
    target.map(|act| (act.item, act.day * SECONDS_A_DAY)).collect()
}

/// By (ts, position), of a repeated item the newest row.
fn in_order(history: &mut Vec<(u32, f64)>) {
    history.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let mut seen = HashSet::new();
    history.reverse();
    history.retain(|(item, _)| seen.insert(*item));
    history.reverse();
    history.shrink_to_fit();
}

#[derive(Clone, Debug, Default)]
struct Ids {
    ids: HashMap<String, u32>,
    names: Vec<String>,
}

impl Ids {
    fn id(&mut self, name: &str) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.ids.insert(name.to_owned(), id);
        self.names.push(name.to_owned());
        id
    }
}

#[cfg(test)]
#[path = "tables_tests.rs"]
mod tests;
