//! Users with features and no events: a record of a user's id and rates a month.

use tidings_core::profile::{StatedFeatures, StatedUser};

use super::fields::{id, number};
use super::mapping::Field;
use super::row::Row;

/// Fields of something done or sold: a record that has one of them is not about a user alone.
const OF_OTHERS: [Field; 4] = [Field::Kind, Field::OccurredAt, Field::ItemId, Field::BasketId];

/// Returns whether a record with these fields states features of a user.
pub fn states_features(has: impl Fn(Field) -> bool) -> bool {
    has(Field::UserId) && Field::STATED.into_iter().any(&has) && !OF_OTHERS.into_iter().any(&has)
}

/// Returns whether the row states features of a user.
pub fn is_user(row: &Row) -> bool {
    states_features(|field| row.contains_key(&field))
}

/// The user with the features of a row. One that is absent counts as 0: the same for everybody, it says nothing.
pub fn user(row: &Row) -> Result<StatedUser, String> {
    let text = |field: Field| row.get(&field).map(|text| text.trim()).filter(|text| !text.is_empty());
    let rate = |field: Field| text(field).map_or(Ok(0.0), |text| number(text, field.name()));
    let user = text(Field::UserId).ok_or("does not say who: user_id is missing")?;
    let features = StatedFeatures {
        purchases_per_month: rate(Field::PurchasesPerMonth)?,
        browsing_minutes_per_month: rate(Field::BrowsingMinutesPerMonth)?,
        searches_per_month: rate(Field::SearchesPerMonth)?,
    };
    features.validate()?;
    Ok(StatedUser { user: id(user, Field::UserId.name())?, features })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_core::base::ExternalId;

    #[test]
    fn a_row_of_rates_is_a_user_and_one_with_a_kind_is_not() {
        let row = Row::from([(Field::UserId, "7"), (Field::PurchasesPerMonth, "2.5")]);
        assert!(is_user(&row));
        let user = user(&row).unwrap();
        assert_eq!(user.user, ExternalId::Integer(7));
        assert_eq!((user.features.purchases_per_month, user.features.searches_per_month), (2.5, 0.0));
        let mut event = row.clone();
        event.insert(Field::Kind, "view");
        assert!(!is_user(&event));
        assert!(!is_user(&Row::from([(Field::UserId, "7")])));
    }

    #[test]
    fn what_is_no_rate_is_named() {
        for (value, says) in
            [("-1", "purchases_per_month"), ("many", "purchases_per_month"), ("inf", "number")]
        {
            let error =
                user(&Row::from([(Field::UserId, "7"), (Field::PurchasesPerMonth, value)])).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
