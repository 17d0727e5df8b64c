//! Tables of users with stated features: a row a user, no events.

use std::collections::BTreeMap;

use super::sink::Sink;
use super::table::Table;
use tidings_intake::{Field, Row, stated};

/// Returns whether a table with these columns is one.
pub fn is_table(places: &BTreeMap<Field, usize>) -> bool {
    stated::states_features(|field| places.contains_key(&field))
}

/// Reads the rows of one. A row that lacks one of the features the table has is refused: a blank is not 0.
pub fn read(table: &mut Table, places: &BTreeMap<Field, usize>, sink: &mut Sink) -> anyhow::Result<()> {
    while let Some(line) = table.next_row()? {
        let read = {
            let fields = places.iter().map(|(field, place)| (*field, table.field(*place).trim()));
            let row: Row = fields.filter(|(_, text)| !text.is_empty()).collect();
            match places.keys().find(|field| Field::STATED.contains(field) && !row.contains_key(field)) {
                Some(missing) => Err(format!("{} is missing", missing.name())),
                None => stated::user(&row),
            }
        };
        match read {
            Ok(user) => sink.user(user)?,
            Err(reason) => sink.reject(line, reason, &table.raw())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::collect;
    use crate::table::source;
    use tidings_intake::Mapping;

    #[test]
    fn users_are_read_and_a_blank_is_no_zero() {
        let text =
            "user_id,purchase_frequency,browsing_duration,search_frequency\n1,2,30.5,4\n2,,1,1\n3,1,x,1\n";
        let batch = collect(|sink| {
            let mut table = Table::open(source(text), b',')?;
            let places = Mapping::default().locate(table.header())?;
            assert!(is_table(&places));
            read(&mut table, &places, sink)
        })
        .unwrap();
        assert_eq!((batch.users.len(), batch.rejects.len(), batch.rows), (1, 2, 3));
        assert_eq!(batch.users[0].features.browsing_minutes_per_month, 30.5);
        assert_eq!(batch.rejects[0].reason, "purchases_per_month is missing");
        assert_eq!(batch.rejects[1].line, 4);
    }
}
