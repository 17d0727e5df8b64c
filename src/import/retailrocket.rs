//! Retailrocket: a shop's clicks and the history of its items' properties,
//! <https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset>.
//!
//! `events.csv` (`timestamp,visitorid,event,itemid,transactionid`; views, carts, transactions), `item_properties_part*.csv`
//! (`timestamp,itemid,property,value`) and `category_tree.csv` (`categoryid,parentid`), told by their headers, in any order.
//! Of the properties two are in the clear: `categoryid` and `available`; the newest value of each counts. Categories
//! have numbers only, so they are called "Category 1016". Items have no title, no price, and `available` becomes a
//! stock of 1 or 0.

use std::collections::HashMap;

use anyhow::bail;

use super::input::Source;
use super::sink::Sink;
use super::table::Table;
use tidings_core::base::{EventKey, ExternalId, Timestamp};
use tidings_core::catalogue::NewItem;
use tidings_core::event::wire::hash_id;
use tidings_core::event::{EventKind, NewEvent};
use tidings_intake::fields::{id, kind, number};

/// Deepest path followed; the tree has 6 levels, and a cycle in a broken one must end.
const MAX_DEPTH: usize = 16;

/// Newest known properties of an item, with the time of each.
#[derive(Clone, Copy, Debug, Default)]
struct Properties {
    category: Option<(i64, u32)>,
    available: Option<(i64, bool)>,
}

/// Items and tree as gathered so far, over all files.
#[derive(Default)]
pub struct Catalogue {
    items: HashMap<u32, Properties>,
    parents: HashMap<u32, u32>,
}

/// Reads one file of the three sorts.
pub fn read(source: Source, name: &str, catalogue: &mut Catalogue, sink: &mut Sink) -> anyhow::Result<()> {
    let mut table = Table::open(source, b',')?;
    let column = |wanted: &str| table.column(&[wanted]);
    if let (Some(time), Some(visitor), Some(event), Some(item)) =
        (column("timestamp"), column("visitorid"), column("event"), column("itemid"))
    {
        let transaction = column("transactionid");
        while let Some(line) = table.next_row()? {
            let basket = transaction.map_or("", |column| table.field(column));
            let fields =
                [table.field(time), table.field(visitor), table.field(event), table.field(item), basket];
            match click(fields) {
                Ok(event) => sink.event(event, false)?,
                Err(reason) => sink.reject(line, reason, &table.raw())?,
            }
        }
    } else if let (Some(time), Some(item), Some(property), Some(value)) =
        (column("timestamp"), column("itemid"), column("property"), column("value"))
    {
        while let Some(line) = table.next_row()? {
            let fields = [table.field(time), table.field(item), table.field(property), table.field(value)];
            match catalogue.note(fields) {
                Ok(()) => sink.other_row()?,
                Err(reason) => sink.reject(line, reason, &table.raw())?,
            }
        }
    } else if let (Some(category), Some(parent)) = (column("categoryid"), column("parentid")) {
        while let Some(line) = table.next_row()? {
            let (category, parent) = (table.field(category).trim(), table.field(parent).trim());
            match (category.parse(), parent.parse()) {
                (Ok(category), Ok(parent)) => {
                    catalogue.parents.insert(category, parent);
                    sink.other_row()?;
                }
                (Ok(_), Err(_)) if parent.is_empty() => sink.other_row()?,
                _ => sink.reject(line, "categoryid or parentid is not a number", &table.raw())?,
            }
        }
    } else {
        bail!(
            "{name} is not Retailrocket: expected the header of events.csv (timestamp,visitorid,event,itemid,\
             transactionid), item_properties_part*.csv (timestamp,itemid,property,value) or category_tree.csv \
             (categoryid,parentid), but found\n  {}",
            table.columns()
        );
    }
    Ok(())
}

fn moment(millis: &str) -> Result<Timestamp, String> {
    let millis = number(millis, "timestamp")?;
    Ok(Timestamp::from_millis(millis as i64))
}

fn click([time, visitor, event, item, transaction]: [&str; 5]) -> Result<NewEvent, String> {
    let occurred_at = moment(time)?;
    let kind = kind(event)
        .filter(|kind| matches!(kind, EventKind::View | EventKind::AddToCart | EventKind::Purchase))
        .ok_or_else(|| format!("event is not view, addtocart or transaction: {event:?}"))?;
    let user = id(visitor, "visitorid")?;
    let item = id(item, "itemid")?;
    let transaction = transaction.trim();
    let transaction = transaction.strip_suffix(".0").unwrap_or(transaction);
    let basket =
        if transaction.is_empty() { None } else { Some(hash_id(&id(transaction, "transactionid")?)) };
    let key = EventKey::from_parts(&[
        b"retailrocket",
        &occurred_at.0.to_le_bytes(),
        user.to_string().as_bytes(),
        kind.name().as_bytes(),
        item.to_string().as_bytes(),
        transaction.as_bytes(),
    ]);
    Ok(NewEvent {
        key,
        deduplicate: true,
        user: Some(user),
        item: Some(item),
        kind,
        occurred_at,
        dwell_ms: None,
        query: None,
        quantity: 1.0,
        value: None,
        currency: None,
        basket,
        list: None,
    })
}

impl Catalogue {
    fn note(&mut self, [time, item, property, value]: [&str; 4]) -> Result<(), String> {
        let item = item.trim().parse::<u32>().map_err(|_| format!("itemid is not a number: {item:?}"))?;
        let at = moment(time)?.0;
        let known = self.items.entry(item).or_default();
        match property {
            "categoryid" => {
                let category =
                    value.trim().parse().map_err(|_| format!("categoryid is not a number: {value:?}"))?;
                if known.category.is_none_or(|(before, _)| before <= at) {
                    known.category = Some((at, category));
                }
            }
            "available" if known.available.is_none_or(|(before, _)| before <= at) => {
                known.available = Some((at, value.trim() == "1"));
            }
            // Older, or hashed by the publisher: they say nothing to anyone.
            _ => {}
        }
        Ok(())
    }

    fn path(&self, category: u32) -> Vec<String> {
        let mut path = vec![category];
        let mut at = category;
        while let Some(parent) = self.parents.get(&at) {
            if path.len() >= MAX_DEPTH || path.contains(parent) {
                break;
            }
            path.push(*parent);
            at = *parent;
        }
        path.iter().rev().map(|category| format!("Category {category}")).collect()
    }

    /// Hands over every item that the property files named.
    pub fn finish(self, sink: &mut Sink) -> anyhow::Result<()> {
        let mut items: Vec<(u32, Properties)> =
            self.items.iter().map(|(item, properties)| (*item, *properties)).collect();
        items.sort_unstable_by_key(|(item, _)| *item);
        for (item, properties) in items {
            sink.item(NewItem {
                category: properties.category.map(|(_, category)| self.path(category)),
                stock: properties.available.map(|(_, available)| i32::from(available)),
                ..NewItem::new(ExternalId::Integer(i64::from(item)))
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{Batch, collect};
    use crate::table::source;

    fn read_all(files: &[&str]) -> anyhow::Result<Batch> {
        collect(|sink| {
            let mut catalogue = Catalogue::default();
            for file in files {
                read(source(file), "file", &mut catalogue, sink)?;
            }
            catalogue.finish(sink)
        })
    }

    #[test]
    fn clicks_carts_and_transactions() {
        let batch = read_all(&["timestamp,visitorid,event,itemid,transactionid\n\
             1433221332117,257597,view,355908,\n1433221332118,257597,addtocart,355908,\n\
             1433221332119,257597,transaction,355908,4000\n1433221332120,1,dance,2,\n"])
        .unwrap();
        let kinds: Vec<EventKind> = batch.events.iter().map(|(event, _)| event.kind).collect();
        assert_eq!(kinds, [EventKind::View, EventKind::AddToCart, EventKind::Purchase]);
        assert_eq!(batch.events[0].0.occurred_at, Timestamp::from_millis(1_433_221_332_117));
        assert_eq!(batch.events[0].0.basket, None);
        assert_eq!(batch.events[2].0.basket, Some(hash_id(&ExternalId::Integer(4000))));
        assert_eq!((batch.rejects.len(), batch.rejects[0].line), (1, 5));
    }

    #[test]
    fn the_newest_property_counts_and_the_tree_gives_the_path() {
        let batch = read_all(&[
            "timestamp,itemid,property,value\n1435460400000,1,categoryid,1338\n1431831600000,1,categoryid,1\n\
             1435460400000,1,available,1\n1439000000000,1,available,0\n1435460400000,1,790,n277.200\n\
             1435460400000,2,888,n5\n",
            "categoryid,parentid\n1338,1278\n1278,140\n140,\n1,2\n2,1\n",
        ])
        .unwrap();
        assert_eq!(batch.items.len(), 2);
        let path = batch.items[0].category.as_ref().unwrap();
        assert_eq!(path, &["Category 140", "Category 1278", "Category 1338"]);
        assert_eq!(batch.items[0].stock, Some(0));
        assert_eq!(batch.items[1], NewItem::new(ExternalId::Integer(2)));
        assert_eq!((batch.rows, batch.other_rows, batch.rejects.len()), (11, 11, 0));
    }

    #[test]
    fn a_tree_that_bites_its_tail_ends() {
        let batch = read_all(&[
            "categoryid,parentid\n1,2\n2,1\n",
            "timestamp,itemid,property,value\n1435460400000,1,categoryid,1\n",
        ])
        .unwrap();
        assert_eq!(batch.items[0].category.as_ref().unwrap(), &["Category 2", "Category 1"]);
    }

    #[test]
    fn another_file_is_refused() {
        let error = read_all(&["user,item,ts\n1,2,3\n"]).err().unwrap().to_string();
        assert!(error.contains("visitorid") && error.contains("user, item, ts"), "{error}");
    }
}
