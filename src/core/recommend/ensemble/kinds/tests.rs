use std::collections::HashSet;
use std::ops::ControlFlow;

use super::*;
use crate::base::ItemId;
use crate::ml::threads::Threads;
use crate::recommend::ensemble::parameters::EnsembleParameters;
use crate::recommend::models::ridge::RidgeParameters;

const CART: u8 = 1;

fn act(item: u32, kind: u8, day: f64) -> Act {
    Act { item, kind, day }
}

/// Items 0…3: 0 and 1 carted by all, 1 bought by half of them; the last user has only carts.
fn acts() -> Vec<Vec<Act>> {
    let mut rows: Vec<Vec<Act>> = (0..10)
        .map(|user| {
            let mut row = vec![act(0, CART, 1.0), act(1, CART, 1.5), act(2, TARGET, 2.0)];
            if user % 2 == 0 {
                row.push(act(1, TARGET, 3.0));
            }
            row
        })
        .collect();
    rows.push(vec![act(0, CART, 5.0), act(1, CART, 5.5), act(1, CART, 6.0)]);
    rows
}

fn fit(masked: &[bool]) -> KindModels {
    let parameters = EnsembleParameters::default();
    let threads = Threads::new(1).unwrap();
    let go_on = |_| ControlFlow::Continue(());
    let inputs = KindInputs { acts: &acts(), n_items: 4, masked, needed: None };
    KindModels::fit(&inputs, Some(RidgeParameters::plain(1.0)), &parameters, &threads, go_on).unwrap()
}

fn column(models: &KindModels, acts: &[Act], kind: u8, of: KindFeature) -> Vec<f32> {
    let place = models.columns().iter().position(|column| *column == KindColumn { kind, of }).unwrap();
    let of_user = models.columns_of(acts);
    let of_all = of_user.beside.len() / 4;
    if place < of_all {
        return of_user.beside.chunks(4).nth(place).unwrap().to_vec();
    }
    let mut column = vec![0.0; 4];
    let rows = of_user.values.chunks(models.columns().len() - of_all);
    for (item, row) in of_user.begun.iter().zip(rows) {
        column[item.index()] = row[place - of_all];
    }
    column
}

#[test]
fn carts_are_begun_and_what_was_bought_is_not() {
    let models = fit(&[true, false]);
    let known = &acts()[0];
    assert_eq!(models.begun(known), [ItemId(0)]);
    assert_eq!(models.seen(known), HashSet::from([1, 2]));
    let last = &acts()[10];
    assert_eq!(models.begun(last), [ItemId(1), ItemId(0)]);
    assert_eq!(column(&models, last, CART, KindFeature::Touched), [1.0, 1.0, 0.0, 0.0]);
    let repeated = column(&models, last, CART, KindFeature::Repeated);
    assert_eq!(repeated, [1.0 / 3.0, 2.0 / 3.0, 0.0, 0.0]);
    assert_eq!(column(&models, last, CART, KindFeature::Recency), [0.5, 1.0, 0.0, 0.0]);
    assert_eq!(column(&models, last, CART, KindFeature::Age), [1.0 / 25.0, 1.0, 0.0, 0.0]);
    assert_eq!(column(&models, last, CART, KindFeature::Dilution), [0.5, 0.5, 0.0, 0.0]);
    // 5 of 11 carts of item 1 were bought, none of item 0, 5 of 22 on the whole.
    let mean = 5.0 / 22.0;
    let shares = column(&models, last, CART, KindFeature::Conversion);
    let expected = [10.0 * mean / 21.0, (5.0 + 10.0 * mean) / 21.0];
    assert!(shares.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{shares:?}");
    // Of the first user only what is still open.
    assert_eq!(column(&models, known, CART, KindFeature::Touched), [1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn each_kind_says_what_is_bought_with_it() {
    let models = fit(&[true, false]);
    let last = &acts()[10];
    let pairs = column(&models, last, CART, KindFeature::Pair { decay: 1.0 });
    assert!(pairs[2] > pairs[1] && pairs[1] > 0.0 && pairs[0] == 0.0, "{pairs:?}");
    let begun = column(&models, last, CART, KindFeature::PairBegun);
    assert_eq!(begun, [0.0, 1.0, 0.0, 0.0]);
    assert_eq!(column(&models, last, TARGET, KindFeature::Pair { decay: 1.0 }), [0.0; 4]);
    assert_eq!(column(&models, last, TARGET, KindFeature::Popularity), [0.0, 5.0, 10.0, 0.0]);
}

#[test]
fn a_masked_kind_has_no_continue_list() {
    let models = fit(&[true, true]);
    assert!(models.begun(&acts()[10]).is_empty());
    assert!(models.columns().iter().all(|column| !column.of.is_of_begun()));
    assert!(models.columns_of(&[]).values.is_empty());
}

#[test]
fn needed_columns_alone_say_what_they_say_among_all() {
    let all = fit(&[true, false]);
    let cart = |of| KindColumn { kind: CART, of };
    let needed = [cart(KindFeature::PairBegun), cart(KindFeature::Conversion)];
    let inputs = KindInputs { acts: &acts(), n_items: 4, masked: &[true, false], needed: Some(&needed) };
    let (parameters, threads) = (EnsembleParameters::default(), Threads::new(1).unwrap());
    let ridge = Some(RidgeParameters::plain(1.0));
    let few = KindModels::fit(&inputs, ridge, &parameters, &threads, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(few.columns(), needed);
    assert!(few.dense().is_empty() && few.is_sound(4));
    let last = &acts()[10];
    for column in needed {
        let values = |models: &KindModels| super::tests::column(models, last, CART, column.of);
        assert_eq!(values(&few), values(&all), "{column}");
    }
    let stopped = KindModels::fit(&inputs, ridge, &parameters, &threads, |_| ControlFlow::Break(()));
    assert!(stopped.is_err());
}
