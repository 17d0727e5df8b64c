//! Items of one snapshot of the catalogue that the mutes of a user silence.
//!
//! Items of a category or a brand are looked for once for each snapshot and mute, and kept with the snapshot. Time: O(items)
//! for mutes that are new to it, in one walk for all of them; O(mutes · items / 64) for known ones. Memory: a bit for each item
//! id and mute, of which [`KEPT`] stay.

use std::collections::HashMap;
use std::sync::Arc;

use super::preferences::{BRAND, Mute, Preferences};
use tidings_core::base::ExternalId;
use tidings_core::catalogue::{Catalogue, Kept, Marks};
use tidings_core::recommend::models::item_set::ItemSet;

/// Mutes whose items are kept with a snapshot, those asked for last.
const KEPT: usize = 256;

/// Items by mute, of one snapshot.
type Silenced = Kept<Mute, ItemSet>;

impl Preferences {
    /// Items of the catalogue that the user never wants to hear of, as [`Preferences::silenced`] says of each; `None` where no
    /// mute names any.
    pub fn silenced_items(&self, catalogue: &Catalogue) -> Option<ItemSet> {
        if self.settings.mutes.iter().all(|mute| matches!(mute, Mute::Kind(_))) {
            return None;
        }
        let mut silenced = ItemSet::new(catalogue.width());
        let kept = catalogue.memo::<Silenced>();
        let mut unknown: Vec<&Mute> = Vec::new();
        for mute in &self.settings.mutes {
            match mute {
                Mute::Kind(_) => {}
                Mute::Item(name) => {
                    let item = ExternalId::parse(name).ok().and_then(|id| catalogue.find(&id));
                    item.into_iter().for_each(|item| _ = silenced.insert(item.id));
                }
                Mute::ItemCategory(_) | Mute::Brand(_) => match kept.find(|known| known == mute) {
                    Some(items) => silenced.insert_all(&items),
                    None if unknown.contains(&mute) => {}
                    None => unknown.push(mute),
                },
            }
        }
        if !unknown.is_empty() {
            for (mute, items) in unknown.iter().zip(found(&unknown, catalogue)) {
                silenced.insert_all(&items);
                kept.keep(Mute::clone(mute), &Arc::new(items), KEPT);
            }
        }
        Some(silenced)
    }
}

/// Items that each of several mutes silences, different ones of categories and brands.
fn found(mutes: &[&Mute], catalogue: &Catalogue) -> Vec<ItemSet> {
    let mut found = vec![ItemSet::new(catalogue.width()); mutes.len()];
    let (mut categories, mut brands) = (HashMap::new(), Vec::new());
    for (place, mute) in mutes.iter().enumerate() {
        match mute {
            Mute::ItemCategory(name) => _ = categories.insert(name.as_str(), place),
            Mute::Brand(name) => brands.push((place, *mute, Marks::attribute(BRAND, name))),
            Mute::Item(_) | Mute::Kind(_) => {}
        }
    }
    let of_levels = |levels: &[String]| -> Vec<usize> {
        levels.iter().filter_map(|level| categories.get(level.as_str()).copied()).collect()
    };
    let by_path: Vec<Vec<usize>> = catalogue.paths().map(of_levels).collect();
    for (id, facts) in catalogue.facts() {
        let mut note = |place: usize| found.get_mut(place).into_iter().for_each(|items| _ = items.insert(id));
        let path = facts.path.and_then(|path| by_path.get(path.0 as usize));
        path.into_iter().flatten().copied().for_each(&mut note);
        let silences = |mute: &Mute| catalogue.get(id).is_some_and(|item| mute.silences(item).is_some());
        let of_brand =
            brands.iter().filter(|(_, mute, marks)| facts.marks.may_have(*marks) && silences(mute));
        of_brand.for_each(|(place, ..)| note(*place));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_core::base::{ExternalId, ItemId, Timestamp};
    use tidings_core::catalogue::Item;

    fn item(id: u32, category: &str) -> Item {
        let named = Item::named(ItemId(id), ExternalId::Integer(i64::from(id)), Timestamp::from_seconds(0));
        Item { category: vec![category.to_owned()], ..named }
    }

    /// 120 items in paths of up to two levels, some of them of one of five brands, one removed.
    fn shop() -> Catalogue {
        let one = |id: u32| {
            let path = [format!("Top {}", id % 3), format!("Sub {}", id % 8)];
            let brand = (id % 4 < 3).then(|| (BRAND.to_owned(), format!("Brand {}", id % 5)));
            let category = path.into_iter().take(id as usize % 3).collect();
            Item { category, attributes: brand.into_iter().collect(), ..item(id, "") }
        };
        let mut catalogue = Catalogue::from_items((0..120).map(one));
        catalogue.remove(ItemId(41));
        catalogue
    }

    fn muting(mutes: &[Mute]) -> Preferences {
        let mut preferences = Preferences::default();
        preferences.settings.mutes = mutes.to_vec();
        preferences
    }

    fn category(name: &str) -> Mute {
        Mute::ItemCategory(name.to_owned())
    }

    fn brand(name: &str) -> Mute {
        Mute::Brand(name.to_owned())
    }

    #[test]
    fn the_items_are_those_of_which_a_mute_says_so_in_every_snapshot() {
        let mut catalogue = shop();
        let id = |name: &str| Mute::Item(name.to_owned());
        let all = [category("Top 1"), brand("Brand 3"), id("7"), id("007"), category("Sub 5"), id("41")];
        let others = [brand("Brand 9"), category("Nothing"), brand("Brand 3"), Mute::Kind("Top 2".into())];
        for round in 0..4u32 {
            for from in 0..all.len() {
                for mutes in [&all[from..], &all[..=from], &others[..]] {
                    let preferences = muting(mutes);
                    let silenced = preferences.silenced_items(&catalogue).unwrap_or_default();
                    let expected = catalogue.iter().filter(|item| preferences.silenced(item).is_some());
                    let expected: Vec<_> = expected.map(|item| item.id).collect();
                    assert_eq!(silenced.iter().collect::<Vec<_>>(), expected, "{round} {mutes:?}");
                }
            }
            let moved = Item { category: vec!["Top 1".into()], ..item(round * 3, "") };
            catalogue.upsert(moved);
            catalogue.upsert(item(130 + round * 70, "Sub 5"));
        }
    }

    #[test]
    fn who_muted_no_item_silences_none() {
        let catalogue = shop();
        assert_eq!(muting(&[]).silenced_items(&catalogue), None);
        assert_eq!(muting(&[Mute::Kind("view".to_owned())]).silenced_items(&catalogue), None);
    }

    #[test]
    fn a_mute_is_looked_for_once_a_snapshot_whoever_has_it() {
        let mut catalogue = shop();
        let of =
            |catalogue: &Catalogue, mute: &Mute| catalogue.memo::<Silenced>().find(|known| known == mute);
        let (tops, brands) = (category("Top 0"), brand("Brand 1"));
        muting(&[tops.clone(), tops.clone()]).silenced_items(&catalogue).unwrap();
        let first = of(&catalogue, &tops).unwrap();
        muting(&[brands.clone(), tops.clone()]).silenced_items(&catalogue).unwrap();
        assert!(Arc::ptr_eq(&first, &of(&catalogue, &tops).unwrap()));
        assert!(of(&catalogue, &brands).is_some_and(|items| !items.is_empty()));
        catalogue.upsert(item(0, "Top 0"));
        assert!(of(&catalogue, &tops).is_none(), "another snapshot");
    }
}
