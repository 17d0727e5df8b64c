//! Mapping of the columns or JSON fields of a stranger's file: `user_id=customer,item_id=sku,kind=action`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::fields::squeeze;
use tidings_core::base::unknown_field;

/// Meaning of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// The user, by the shop's id.
    UserId,
    /// The item, by the shop's id.
    ItemId,
    /// Kind of the event.
    Kind,
    /// Moment of the event.
    OccurredAt,
    /// Words of a search.
    Query,
    /// Time spent on the item, milliseconds.
    DwellMs,
    /// Pieces.
    Quantity,
    /// Amount of the whole line.
    Value,
    /// Amount of one piece.
    UnitPrice,
    /// ISO 4217 code of an amount.
    Currency,
    /// The shop's key of the event.
    EventId,
    /// The basket: things bought together.
    BasketId,
    /// Title of the item.
    Title,
    /// Category path of the item.
    Category,
    /// Tags of the item.
    Tags,
    /// Price of the item.
    Price,
    /// Pieces of the item in stock.
    Stock,
    /// Page of the item.
    Url,
    /// Picture of the item.
    ImageUrl,
    /// Vector of a text or picture model of the item.
    Embedding,
    /// Purchases a month, as the shop states them of a user.
    PurchasesPerMonth,
    /// Minutes of browsing a month, stated.
    BrowsingMinutesPerMonth,
    /// Searches a month, stated.
    SearchesPerMonth,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 23] = [
        Self::UserId,
        Self::ItemId,
        Self::Kind,
        Self::OccurredAt,
        Self::Query,
        Self::DwellMs,
        Self::Quantity,
        Self::Value,
        Self::UnitPrice,
        Self::Currency,
        Self::EventId,
        Self::BasketId,
        Self::Title,
        Self::Category,
        Self::Tags,
        Self::Price,
        Self::Stock,
        Self::Url,
        Self::ImageUrl,
        Self::Embedding,
        Self::PurchasesPerMonth,
        Self::BrowsingMinutesPerMonth,
        Self::SearchesPerMonth,
    ];

    /// The name on the wire, and the column of that name if the mapping says nothing.
    pub fn name(self) -> &'static str {
        self.names().first().copied().unwrap_or_default()
    }

    /// Names that a column of this meaning goes by when the mapping says nothing, in order of preference; case,
    /// blanks and punctuation don't matter.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::UserId => &["user_id", "user", "customer_id", "customer", "visitor_id"],
            Self::ItemId => &["item_id", "item", "sku", "product_id", "product"],
            Self::Kind => &["kind", "event", "action", "event_type"],
            Self::OccurredAt => &["occurred_at", "timestamp", "ts", "time", "datetime", "date"],
            Self::Query => &["query", "search_term"],
            Self::DwellMs => &["dwell_ms"],
            Self::Quantity => &["quantity", "qty"],
            Self::Value => &["value", "amount", "revenue"],
            Self::UnitPrice => &["unit_price"],
            Self::Currency => &["currency"],
            Self::EventId => &["event_id"],
            Self::BasketId => &["basket_id", "basket", "order_id", "session_id", "invoice", "transaction_id"],
            Self::Title => &["title", "name", "product_name"],
            Self::Category => &["category"],
            Self::Tags => &["tags"],
            Self::Price => &["price"],
            Self::Stock => &["stock"],
            Self::Url => &["url"],
            Self::ImageUrl => &["image_url"],
            Self::Embedding => &["embedding"],
            Self::PurchasesPerMonth => &["purchases_per_month", "purchase_frequency"],
            Self::BrowsingMinutesPerMonth => &["browsing_minutes_per_month", "browsing_duration"],
            Self::SearchesPerMonth => &["searches_per_month", "search_frequency"],
        }
    }

    /// Features that the shop states of users.
    pub const STATED: [Self; 3] =
        [Self::PurchasesPerMonth, Self::BrowsingMinutesPerMonth, Self::SearchesPerMonth];

    /// Names on the wire.
    pub fn wire_names(self) -> &'static [&'static str] {
        match self {
            Self::BasketId => &["basket_id", "session_id", "order_id"],
            field if Self::STATED.contains(&field) => field.names(),
            field => field.names().get(..1).unwrap_or_default(),
        }
    }

    /// Returns whether its values are names of things.
    pub fn is_id(self) -> bool {
        matches!(self, Self::UserId | Self::ItemId | Self::BasketId | Self::EventId)
    }

    /// Returns whether its values are numbers.
    pub fn is_number(self) -> bool {
        matches!(
            self,
            Self::Quantity | Self::Value | Self::UnitPrice | Self::DwellMs | Self::Price | Self::Stock
        )
    }

    /// Returns whether it is about the item rather than about what was done with it.
    pub fn is_of_item(self) -> bool {
        matches!(
            self,
            Self::Title
                | Self::Category
                | Self::Tags
                | Self::Price
                | Self::Stock
                | Self::Url
                | Self::ImageUrl
                | Self::Embedding
        )
    }
}

/// Fault of a mapping, with what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// Not a pair.
    #[error("{0:?} is not of the form field=column, e.g. user_id=customer")]
    NoPair(String),
    /// A name that is none of the fields.
    #[error("{}", unknown_field(.0, Field::ALL.map(Field::name)))]
    UnknownField(String),
    /// Nothing behind the equals sign.
    #[error("{0}= names no column")]
    NoColumn(&'static str),
    /// Two columns for one field.
    #[error("{0} is mapped twice")]
    Twice(&'static str),
    /// Two columns of one name.
    #[error(
        "there are several columns {column:?}, of which one would be {field}: rename those that are not meant"
    )]
    SameName {
        /// The field it would be taken for.
        field: &'static str,
        /// The name.
        column: String,
    },
    /// A column that the file does not have.
    #[error("there is no column {column:?} for {field}; there are {there}")]
    MissingColumn {
        /// The field it was given for.
        field: &'static str,
        /// The name as given.
        column: String,
        /// Columns of the file.
        there: String,
    },
}

/// Column names given by the user, by field; for the rest see [`Field::names`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping(BTreeMap<Field, String>);

impl Mapping {
    /// The name given for a field.
    pub fn get(&self, field: Field) -> Option<&str> {
        self.0.get(&field).map(String::as_str)
    }

    /// Returns whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reason why a column was taken for a field.
    pub fn reason(&self, field: Field, column: &str) -> &'static str {
        if self.0.contains_key(&field) {
            "--map"
        } else if field.wire_names().contains(&column) {
            "its own name"
        } else {
            "another name of it"
        }
    }

    /// The place of each field among `columns`. A name that was given and is not there is an error. Without any given, columns
    /// are taken by the names of [`Field::names`]; beside given ones only by [`Field::wire_names`], exactly as written.
    pub fn locate(&self, columns: &[String]) -> Result<BTreeMap<Field, usize>, MappingError> {
        let position = |name: &str| {
            columns
                .iter()
                .position(|column| column == name)
                .or_else(|| columns.iter().position(|column| squeeze(column) == squeeze(name)))
        };
        let mut places = BTreeMap::new();
        for (field, name) in &self.0 {
            let Some(place) = position(name) else {
                return Err(MappingError::MissingColumn {
                    field: field.name(),
                    column: name.clone(),
                    there: columns.join(", "),
                });
            };
            places.insert(*field, place);
        }
        for field in Field::ALL {
            if places.contains_key(&field) {
                continue;
            }
            // A column that was given another meaning is not taken for this one as well.
            let free = |place: &usize| !places.values().any(|taken| taken == place);
            let exact = |name: &&str| columns.iter().position(|column| column == name);
            let found = match self.0.is_empty() {
                true => field.names().iter().filter_map(|name| position(name)).find(free),
                // Who says of some columns what they mean wants no other guessed.
                false => field.wire_names().iter().filter_map(exact).find(free),
            };
            if let Some(place) = found {
                places.insert(field, place);
            }
        }
        // In orders the name is often the order's own.
        let of_event = [Field::UserId, Field::BasketId].iter().any(|field| places.contains_key(field));
        let is_name = |place: &usize| columns.get(*place).is_some_and(|column| squeeze(column) == "name");
        if of_event && self.get(Field::Title).is_none() && places.get(&Field::Title).is_some_and(is_name) {
            places.remove(&Field::Title);
        }
        for (field, place) in &places {
            let Some(name) = columns.get(*place) else { continue };
            if columns.iter().filter(|column| *column == name).count() > 1 {
                return Err(MappingError::SameName { field: field.name(), column: name.clone() });
            }
        }
        Ok(places)
    }
}

/// `field=column` pairs, separated by commas; the empty text maps nothing.
impl FromStr for Mapping {
    type Err = MappingError;

    fn from_str(text: &str) -> Result<Self, MappingError> {
        let mut mapping = BTreeMap::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let Some((name, column)) = pair.split_once('=') else {
                return Err(MappingError::NoPair(pair.to_owned()));
            };
            let (name, column) = (name.trim(), column.trim());
            let Some(field) = Field::ALL.into_iter().find(|field| field.name() == name) else {
                return Err(MappingError::UnknownField(name.to_owned()));
            };
            if column.is_empty() {
                return Err(MappingError::NoColumn(field.name()));
            }
            if mapping.insert(field, column.to_owned()).is_some() {
                return Err(MappingError::Twice(field.name()));
            }
        }
        Ok(Self(mapping))
    }
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (field, column)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}={column}", field.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &str) -> Vec<String> {
        names.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn a_mapping_is_read_and_written_back() {
        let mapping: Mapping = "user_id=customer, kind=action".parse().unwrap();
        assert_eq!(mapping.get(Field::UserId), Some("customer"));
        assert_eq!(mapping.to_string(), "user_id=customer,kind=action");
        assert_eq!("".parse::<Mapping>().unwrap(), Mapping::default());
    }

    #[test]
    fn a_wrong_mapping_says_what_would_be_right() {
        for (text, says) in [
            ("user_id", "field=column"),
            ("who=customer", "user_id"),
            ("usr_id=customer", "did you mean user_id?"),
            ("user_id=", "names no column"),
            ("user_id=a,user_id=b", "twice"),
        ] {
            let error = text.parse::<Mapping>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        let mapping: Mapping = "user_id=shopper".parse().unwrap();
        let error = mapping.locate(&columns("a,b")).unwrap_err().to_string();
        assert!(error.contains("shopper") && error.contains("a, b"), "{error}");
    }

    #[test]
    fn without_a_mapping_columns_are_known_by_their_usual_names_and_each_has_one_meaning() {
        let places = Mapping::default().locate(&columns("Customer ID,SKU,Price,ts,colour,Name")).unwrap();
        assert_eq!(places.get(&Field::UserId), Some(&0));
        assert_eq!(places.get(&Field::ItemId), Some(&1));
        assert_eq!(places.get(&Field::Price), Some(&2));
        assert_eq!(places.get(&Field::OccurredAt), Some(&3));
        // Where somebody does something, a name may be that of the order.
        assert_eq!(places.len(), 4);
        let places = Mapping::default().locate(&columns("SKU,Name")).unwrap();
        assert_eq!(places.get(&Field::Title), Some(&1));
    }

    #[test]
    fn of_two_columns_of_one_name_none_is_taken() {
        let error = Mapping::default().locate(&columns("user_id,sku,price,price")).unwrap_err();
        assert_eq!(error, MappingError::SameName { field: "price", column: "price".to_owned() });
        let mapping: Mapping = "user_id=id".parse().unwrap();
        assert!(mapping.locate(&columns("id,name,id")).unwrap_err().to_string().contains("\"id\""));
        // What is not used may be there twice.
        assert!(Mapping::default().locate(&columns("user_id,sku,note,note,,")).is_ok());
    }

    #[test]
    fn beside_given_columns_only_exact_names_are_taken() {
        let mapping: Mapping = "user_id=Email,item_id=Lineitem sku,value=Price".parse().unwrap();
        let header = columns("Name,Email,Lineitem sku,Price,Tags,Customer,currency,Currency,order_id");
        let places = mapping.locate(&header).unwrap();
        let expected = [
            (Field::UserId, 1),
            (Field::ItemId, 2),
            (Field::Value, 3),
            (Field::Currency, 6),
            (Field::BasketId, 8),
        ];
        assert_eq!(places, BTreeMap::from(expected));
        assert_eq!(mapping.reason(Field::UserId, "Email"), "--map");
        assert_eq!(mapping.reason(Field::Currency, "currency"), "its own name");
        assert_eq!(mapping.reason(Field::BasketId, "Invoice"), "another name of it");
    }
}
