//! The templates a new server begins with, in English and German.

use super::template::{Template, Text, Variant};

const AND_MORE_EN: &str = "{{ items[0].title }}{% if count > 1 %} and {{ count - 1 }} more{% endif %}";
const AND_MORE_DE: &str = "{{ items[0].title }}{% if count > 1 %} und {{ count - 1 }} mehr{% endif %}";

/// One for each of the default triggers, and the one every other trigger falls back to.
pub fn defaults() -> Vec<Template> {
    [of_lists(), of_items(), of_the_shop()].concat()
}

/// A template of one variant, from title and body in each language.
fn template(name: &str, en: (&str, &str), de: (&str, &str)) -> Template {
    let text = |(title, body): (&str, &str)| Text { title: title.to_owned(), body: body.to_owned() };
    Template {
        name: name.to_owned(),
        variants: vec![Variant {
            name: "a".to_owned(),
            texts: [("en".to_owned(), text(en)), ("de".to_owned(), text(de))].into(),
        }],
    }
}

/// Of recommended lists.
fn of_lists() -> Vec<Template> {
    vec![
        template(
            "login",
            (
                "{% if count %}Picked for you{% else %}Welcome{% endif %}",
                "{% if count %}{{ items[0].title }}{% if count > 1 %} and {{ count - 1 }} more{% endif %}{% else %}There is nothing to recommend yet: the catalogue is empty.{% endif %}",
            ),
            (
                "{% if count %}Für Sie ausgesucht{% else %}Willkommen{% endif %}",
                "{% if count %}{{ items[0].title }}{% if count > 1 %} und {{ count - 1 }} mehr{% endif %}{% else %}Noch gibt es nichts zu empfehlen: Der Katalog ist leer.{% endif %}",
            ),
        ),
        template(
            "view",
            ("More like {{ item.title }}", AND_MORE_EN),
            ("Ähnlich wie {{ item.title }}", AND_MORE_DE),
        ),
        template(
            "cart",
            ("Goes with {{ item.title }}", AND_MORE_EN),
            ("Passt zu {{ item.title }}", AND_MORE_DE),
        ),
        template("retrain", ("New picks for you", AND_MORE_EN), ("Neues für Sie ausgesucht", AND_MORE_DE)),
        template(
            "win_back",
            ("New since your last visit", AND_MORE_EN),
            ("Neu seit Ihrem letzten Besuch", AND_MORE_DE),
        ),
    ]
}

/// Of what happened to one item.
fn of_items() -> Vec<Template> {
    vec![
        template(
            "viewed_often",
            (
                "Still thinking about {{ item.title }}?",
                "{% if item.price %}It costs {{ item.price | money(item.currency) }}.{% else %}It is still here.{% endif %}",
            ),
            (
                "Noch interessiert an {{ item.title }}?",
                "{% if item.price %}Preis: {{ item.price | money(item.currency) }}.{% else %}Es ist noch da.{% endif %}",
            ),
        ),
        template(
            "cart_left",
            (
                "{{ item.title }} is waiting in your cart",
                "{% if item.price %}{{ item.price | money(item.currency) }}{% endif %}",
            ),
            (
                "{{ item.title }} wartet im Warenkorb",
                "{% if item.price %}{{ item.price | money(item.currency) }}{% endif %}",
            ),
        ),
        template(
            "price_drop",
            (
                "{{ item.title }} costs less now",
                "{{ item.price | money(item.currency) }} instead of {{ price_before | money(item.currency) }}",
            ),
            (
                "{{ item.title }} ist günstiger",
                "{{ item.price | money(item.currency) }} statt {{ price_before | money(item.currency) }}",
            ),
        ),
        template(
            "back_in_stock",
            ("{{ item.title }} is back", "It can be bought again."),
            ("{{ item.title }} ist wieder da", "Wieder lieferbar."),
        ),
        template(
            "new_in_category",
            ("New: {{ item.title }}", "New in {{ item.category }}"),
            ("Neu: {{ item.title }}", "Neu in {{ item.category }}"),
        ),
    ]
}

/// Of the digest, and of what the shop says itself.
fn of_the_shop() -> Vec<Template> {
    vec![
        template(
            "digest",
            ("{{ count | plural(one=\"# thing\", other=\"# things\") }} for you", AND_MORE_EN),
            ("{{ count | plural(one=\"# Neuigkeit\", other=\"# Neuigkeiten\") }} für Sie", AND_MORE_DE),
        ),
        template(
            "order_status",
            ("{{ event.title }}", "{{ event.body }}"),
            ("{{ event.title }}", "{{ event.body }}"),
        ),
        template(
            "announcement",
            ("{{ event.title }}", "{{ event.body }}"),
            ("{{ event.title }}", "{{ event.body }}"),
        ),
    ]
}
