//! Orders as Shopify's admin exports them: a line for each line item; what is said of the order as a whole stands in its first
//! line only. A customer is known by e-mail address, else by telephone number; an item by its SKU, else by its name. An order that was
//! refunded was bought and went back; one that is pending, expired or voided was not bought.

use super::translated::{Translated, Translation, known};
use crate::mapping::Field;

/// Columns that such a file has.
pub const COLUMNS: [&str; 5] = ["Name", "Created at", "Lineitem quantity", "Lineitem name", "Lineitem price"];

/// Columns of the order that its other lines leave blank.
const OF_ORDER: [&str; 6] = ["Email", "Phone", "Created at", "Currency", "Financial Status", "Cancelled at"];

/// Reads lines in their order.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// Name of the order at hand, and its columns of [`OF_ORDER`].
    name: String,
    order: [String; OF_ORDER.len()],
}

impl Orders {
    /// Rows of one line, whose fields `get` gives by column.
    pub fn translate<'a>(&mut self, get: impl Fn(&str) -> &'a str) -> Result<Translation, String> {
        let name = known(get("Name")).ok_or("does not say its order: Name is missing")?;
        if name != self.name {
            self.name = name.to_owned();
            self.order = OF_ORDER.map(|column| get(column).trim().to_owned());
        } else {
            for (kept, column) in self.order.iter_mut().zip(OF_ORDER) {
                if kept.is_empty() {
                    *kept = get(column).trim().to_owned();
                }
            }
        }
        let [email, phone, created, currency, status, cancelled] = &self.order;
        let status = status.to_lowercase();
        let is_refunded = status == "refunded";
        if matches!(status.as_str(), "pending" | "expired" | "voided") {
            return Ok(Translation::Unused(format!("{status} order")));
        }
        if !cancelled.is_empty() && !is_refunded {
            return Ok(Translation::Unused("cancelled order".to_owned()));
        }
        let mut row = Translated::default();
        row.set(Field::Kind, "purchase");
        row.set(Field::OccurredAt, moment(created));
        let who = if email.is_empty() { phone.clone() } else { email.to_lowercase() };
        row.set(Field::UserId, who);
        row.set(Field::BasketId, &self.name);
        row.set(Field::Currency, currency);
        row.set(Field::ItemId, known(get("Lineitem sku")).unwrap_or(get("Lineitem name")));
        row.set(Field::Title, get("Lineitem name"));
        row.set(Field::Quantity, get("Lineitem quantity"));
        row.set(Field::UnitPrice, get("Lineitem price"));
        row.attribute("vendor", Some(get("Vendor")));
        if !is_refunded {
            return Ok(Translation::Rows(vec![row]));
        }
        // A file says when an order was cancelled, not when its money went back.
        let mut back = row.clone();
        back.set(Field::Kind, "return");
        back.set(Field::OccurredAt, moment(if cancelled.is_empty() { created } else { cancelled }));
        Ok(Translation::Rows(vec![row, back]))
    }
}

/// `2023-05-01 10:20:30 +0100` as RFC 3339; any other text as it is.
fn moment(text: &str) -> String {
    let read = jiff::fmt::strtime::parse("%Y-%m-%d %H:%M:%S %z", text).and_then(|parts| parts.to_timestamp());
    read.map_or_else(|_| text.to_owned(), |moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refunded_went_back_and_what_was_never_paid_was_not_bought() {
        let rows = |status: &'static str, cancelled: &'static str| {
            let get = |name: &str| match name {
                "Name" => "#1",
                "Email" => "ann@shop.example",
                "Created at" => "2023-05-01 10:20:30 +0100",
                "Financial Status" => status,
                "Cancelled at" => cancelled,
                "Lineitem name" => "Mug",
                "Lineitem quantity" => "1",
                "Lineitem price" => "9.50",
                _ => "",
            };
            Orders::default().translate(get).unwrap()
        };
        for (status, cancelled, returned) in [
            ("refunded", "", "2023-05-01T09:20:30Z"),
            ("Refunded", "2023-05-03 10:20:30 +0100", "2023-05-03T09:20:30Z"),
        ] {
            let Translation::Rows(rows) = rows(status, cancelled) else { panic!() };
            let field = |row: usize, field: Field| rows[row].fields[&field].clone();
            assert_eq!((field(0, Field::Kind), field(1, Field::Kind)), ("purchase".into(), "return".into()));
            assert_eq!(field(0, Field::OccurredAt), "2023-05-01T09:20:30Z");
            assert_eq!(
                (field(1, Field::OccurredAt), field(1, Field::BasketId)),
                (returned.into(), "#1".into())
            );
        }
        for status in ["pending", "expired", "voided"] {
            assert_eq!(rows(status, ""), Translation::Unused(format!("{status} order")));
        }
        assert_eq!(rows("paid", "2023-05-03 10:20:30 +0100"), Translation::Unused("cancelled order".into()));
        for status in ["paid", "partially_refunded", "authorized", ""] {
            assert!(matches!(rows(status, ""), Translation::Rows(rows) if rows.len() == 1), "{status}");
        }
    }

    #[test]
    fn the_lines_of_an_order_share_what_its_first_one_says() {
        let header = [
            "Name",
            "Email",
            "Created at",
            "Currency",
            "Lineitem quantity",
            "Lineitem name",
            "Lineitem price",
            "Lineitem sku",
        ];
        let lines = [
            [
                "#1001",
                "Ann@Shop.example",
                "2023-05-01 10:20:30 +0100",
                "EUR",
                "2",
                "Mug - red",
                "9.50",
                "MUG-R",
            ],
            ["#1001", "", "", "", "1", "Card", "2.00", ""],
            ["#1002", "", "2023-05-02 08:00:00 +0100", "EUR", "1", "Card", "2.00", ""],
        ];
        let mut orders = Orders::default();
        let rows: Vec<Translated> = lines
            .iter()
            .map(|line| {
                let get = |name: &str| {
                    header.iter().position(|column| *column == name).map_or("", |place| line[place])
                };
                match orders.translate(get).unwrap() {
                    Translation::Rows(mut rows) => rows.remove(0),
                    Translation::Unused(name) => panic!("{name}"),
                }
            })
            .collect();
        let field = |row: usize, field: Field| rows[row].fields.get(&field).map(String::as_str);
        assert_eq!(field(1, Field::UserId), Some("ann@shop.example"));
        assert_eq!(field(1, Field::OccurredAt), Some("2023-05-01T09:20:30Z"));
        assert_eq!((field(0, Field::ItemId), field(1, Field::ItemId)), (Some("MUG-R"), Some("Card")));
        assert_eq!((field(2, Field::UserId), field(2, Field::BasketId)), (None, Some("#1002")));
    }
}
