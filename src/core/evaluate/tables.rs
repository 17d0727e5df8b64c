//! A training and a test table with dense ids in order of first appearance: what [`super::files`] measures on. Reading
//! and unpacking the files is the caller's; rows are taken one by one, so that no text is held twice.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::base::{ItemId, UserId};
use crate::recommend::models::interactions::{Entry, Matrix};

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
    /// By user: training items by (ts, position in the file), oldest first; of a repeated item the newest row.
    histories: Vec<Vec<(u32, f64)>>,
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
        train.iter().for_each(|row| tables.add_train(row));
        tables.finish_train();
        valid.iter().for_each(|row| tables.add_valid(row));
        test.iter().for_each(|row| tables.add_test(row));
        tables.finish_test();
        tables
    }

    /// Takes one training row. All of them first, then [`Tables::finish_train`].
    pub fn add_train(&mut self, row: &Row<'_>) {
        let user = self.users.id(row.user) as usize;
        self.n_rows += 1;
        self.histories.resize(self.histories.len().max(user + 1), Vec::new());
        let item = self.items.id(row.item);
        if let Some(history) = self.histories.get_mut(user) {
            history.push((item, row.ts));
        }
    }

    /// Puts histories in order.
    pub fn finish_train(&mut self) {
        self.n_known = self.items.names.len();
        let mut seen = HashSet::new();
        for history in &mut self.histories {
            history.sort_by(|(_, a), (_, b)| a.total_cmp(b));
            seen.clear();
            history.reverse();
            history.retain(|(item, _)| seen.insert(*item));
            history.reverse();
            history.shrink_to_fit();
        }
    }

    /// Takes one validation row.
    pub fn add_valid(&mut self, row: &Row<'_>) {
        if let (Some(user), Some(item)) = (self.users.ids.get(row.user), self.items.ids.get(row.item)) {
            self.valid.push((*user, *item));
        }
    }

    /// Takes one test row, then at last [`Tables::finish_test`].
    pub fn add_test(&mut self, row: &Row<'_>) {
        let Some(user) = self.users.ids.get(row.user).copied() else { return };
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
    /// No cases without validation rows.
    pub fn tuning(&self) -> Self {
        let held_out: HashSet<(u32, u32)> = self.valid.iter().copied().collect();
        let mut tables = self.clone();
        for (user, history) in (0u32..).zip(&mut tables.histories) {
            history.retain(|(item, _)| !held_out.contains(&(user, *item)));
        }
        tables.valid.clear();
        let known = |user: &u32| tables.histories.get(*user as usize).is_some_and(|rows| !rows.is_empty());
        tables.cases = tables.cases_of(self.valid.iter().copied().filter(|(user, _)| known(user)));
        tables
    }

    fn cases_of(&self, rows: impl Iterator<Item = (u32, u32)>) -> Vec<Case> {
        let mut cases: BTreeMap<u32, Case> = BTreeMap::new();
        for (user, item) in rows {
            let history = self.histories.get(user as usize).map_or(&[][..], Vec::as_slice);
            let case = cases.entry(user).or_insert_with(|| Case {
                user: UserId(user),
                relevant: HashSet::new(),
                seen: history.iter().map(|(item, _)| *item).collect(),
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

    /// A user's training items, newest first, each weighing `decay` of the next newer one; empty for an unknown user.
    pub fn history(&self, user: UserId, decay: f32) -> Vec<(ItemId, f32)> {
        let mut weight = 1.0f32;
        let rows = self.histories.get(user.index()).into_iter().flatten().rev();
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

    /// Whether most test rows are no older than any training row of their user, and training rows have an order in time.
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
mod tests {
    use super::*;

    fn row<'a>(user: &'a str, item: &'a str, ts: f64) -> Row<'a> {
        Row { user, item, ts }
    }

    #[test]
    fn histories_go_by_time_then_file_and_a_repeated_item_counts_where_it_is_newest() {
        let train = [
            row("u", "a", 2.5),
            row("u", "b", 2.25),
            row("u", "c", 2.25),
            row("u", "b", 9.0),
            row("v", "c", 1.0),
        ];
        let tables = Tables::new(&train, &[], &[]);
        let items: Vec<&str> =
            tables.histories()[0].iter().map(|(item, _)| tables.item_name(*item)).collect();
        assert_eq!(items, ["c", "a", "b"]);
        assert_eq!((tables.n_rows(), tables.n_known()), (5, 3));
        assert_eq!(tables.history(UserId(0), 0.5), [(ItemId(1), 1.0), (ItemId(0), 0.5), (ItemId(2), 0.25)]);
        assert_eq!(tables.shares(), [0.5, 0.5, 1.0]);
        let matrix = tables.matrix();
        assert_eq!((matrix.n_rows(), matrix.n_entries()), (2, 4));
        assert!((matrix.row(1)[0].age_days - 8.0 / 86_400.0).abs() < 1e-9);
    }

    #[test]
    fn cases_are_of_known_users_and_come_together() {
        let train = [row("u", "a", 1.0), row("v", "b", 1.0)];
        let test = [row("v", "a", 2.0), row("u", "x", 2.0), row("w", "a", 2.0), row("v", "b", 3.0)];
        let tables = Tables::new(&train, &[], &test);
        let [first, second] = tables.cases() else { panic!("{:?}", tables.cases()) };
        assert_eq!((first.user, second.user), (UserId(0), UserId(1)));
        assert_eq!(second.relevant, HashSet::from([0, 1]));
        assert_eq!(second.seen, HashSet::from([1]));
        assert_eq!(tables.item_name(*first.relevant.iter().next().unwrap()), "x");
    }

    #[test]
    fn tuning_tables_hide_the_validation_rows_and_ask_for_them() {
        let train = [row("u", "a", 1.0), row("u", "b", 2.0), row("v", "b", 1.0)];
        let valid = [row("u", "b", 2.0), row("v", "b", 1.0), row("u", "z", 1.0)];
        let tuning = Tables::new(&train, &valid, &[row("u", "c", 3.0)]).tuning();
        assert_eq!(tuning.histories()[0].len(), 1);
        // v has nothing left to go by.
        let [case] = tuning.cases() else { panic!("{:?}", tuning.cases()) };
        assert_eq!(
            (case.user, &case.relevant, &case.seen),
            (UserId(0), &HashSet::from([1]), &HashSet::from([0]))
        );
        assert!(Tables::default().tuning().cases().is_empty());
    }
}
