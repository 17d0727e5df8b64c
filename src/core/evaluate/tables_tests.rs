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
    let items: Vec<&str> = tables.histories()[0].iter().map(|(item, _)| tables.item_name(*item)).collect();
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

/// A user who carted and bought, and one who only carted.
fn of_kinds() -> Tables {
    let mut tables = Tables::with_target("purchase");
    for (user, item, ts, kind) in [
        ("u", "a", 1.0, "cart"),
        ("u", "b", 2.0, "purchase"),
        ("u", "a", 3.0, "purchase"),
        ("u", "c", 4.0, "cart"),
        ("v", "c", 1.0, "cart"),
    ] {
        tables.add_train(&row(user, item, ts), kind);
    }
    tables.finish_train();
    tables
}

#[test]
fn of_tables_with_kinds_what_was_bought_stays_out_and_what_was_carted_does_not() {
    let mut tables = of_kinds();
    assert_eq!(tables.kind_names(), ["purchase", "cart"]);
    assert_eq!(tables.histories(), [vec![(1, 2.0), (0, 3.0)], vec![]]);
    tables.add_test(&row("u", "c", 9.0));
    tables.add_test(&row("v", "c", 9.0));
    tables.finish_test();
    let seen: Vec<HashSet<u32>> = tables.cases().iter().map(|case| case.seen.clone()).collect();
    assert_eq!(seen, [HashSet::from([0, 1]), HashSet::new()]);
    assert_eq!(tables.leave_out(&["cart".to_owned()]), Some(()));
    assert_eq!(tables.masked(), [false, true]);
    assert_eq!(tables.leave_out(&["crat".to_owned()]), None);
    assert_eq!(Tables::default().leave_out(&[]), None);
}

#[test]
fn tuning_on_kinds_hides_purchases_and_keeps_their_carts() {
    let mut tables = of_kinds();
    tables.add_valid(&row("u", "a", 3.0));
    let tuning = tables.tuning();
    let [case] = tuning.cases() else { panic!("{:?}", tuning.cases()) };
    assert_eq!((&case.relevant, &case.seen), (&HashSet::from([0]), &HashSet::from([1])));
    let left: Vec<u32> = tuning.known_acts(UserId(0)).iter().map(|act| act.item).collect();
    // The later cart was not known then.
    assert_eq!(left, [0, 1]);
    // Without validation rows the newest purchase of whoever has enough rows.
    let mut tables = of_kinds();
    tables.finish_test();
    let [case] = &tables.tuning().cases().to_vec()[..] else { panic!() };
    assert_eq!((case.user, &case.relevant), (UserId(0), &HashSet::from([0])));
}

#[test]
fn a_history_is_what_a_user_is_known_by_and_nothing_is_fitted_on_it() {
    let mut tables = Tables::default();
    for (user, item) in [("u", "a"), ("u", "b"), ("v", "b")] {
        tables.add_train(&row(user, item, 1.0), "");
    }
    tables.finish_train();
    for (user, item) in [("u", "b"), ("w", "a"), ("w", "unknown")] {
        tables.add_history(&row(user, item, 1.0), "");
    }
    tables.finish_history();
    for user in ["u", "v", "w", "x"] {
        tables.add_test(&row(user, "a", 2.0));
    }
    tables.finish_test();
    let seen: Vec<Vec<u32>> = tables.cases().iter().map(|case| case.seen.iter().copied().collect()).collect();
    // u and w by the history, v by training; nobody knows x.
    assert_eq!(seen, [vec![1], vec![1], vec![0]]);
    assert_eq!(tables.history(UserId(2), 1.0), [(ItemId(0), 1.0)]);
    assert_eq!((tables.matrix().n_rows(), tables.matrix().n_entries()), (2, 3));
}
