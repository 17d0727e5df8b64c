use jiff::tz::TimeZone;
use serde_json::json;

use super::locale::{Locale, fallbacks};
use super::*;
use crate::base::Timestamp;

fn one(title: &str) -> Template {
    let text = Text { title: title.to_owned(), body: "b".to_owned() };
    Template {
        name: "t".to_owned(),
        variants: vec![Variant { name: "a".to_owned(), texts: [("en".to_owned(), text)].into() }],
    }
}

fn title(source: &str, locale: &str, words: &Words) -> String {
    let mut words = words.clone();
    words["locale"] = json!(locale);
    let templates = Templates::new([&one(source)]).unwrap();
    templates.render("t", 0, locale, &words).unwrap().unwrap().content.title
}

#[test]
fn long_names_are_cut_at_a_word_and_control_characters_go() {
    assert_eq!(shorten("white hanging heart", 12), "white…");
    assert_eq!(shorten("short", 12), "short");
    assert_eq!(shorten("abcdefghijklmnop", 5), "abcd…");
    assert_eq!(shorten("a\nb\u{0}c  d", 12), "a b c d");
    assert!(shorten(&"ü ".repeat(100), 80).chars().count() <= 80);
}

#[test]
fn the_defaults_compile_and_an_empty_shop_is_said_in_words() {
    let templates = Templates::new(&defaults()).unwrap();
    let words = json!({"count": 0, "items": []});
    let rendered = templates.render("login", 0, "de-AT", &words).unwrap().unwrap();
    assert_eq!(rendered.language, "de");
    assert!(rendered.content.body.contains("leer"));
    assert!(templates.render("login", 7, "", &words).unwrap().unwrap().content.body.contains("empty"));
    assert!(templates.render("nothing", 0, "en", &words).is_none());
}

#[test]
fn locales_fall_back_from_narrow_to_wide_to_english() {
    assert_eq!(fallbacks("de-AT"), ["de-at", "de", "en"]);
    assert_eq!(fallbacks("en_GB"), ["en-gb", "en"]);
    assert_eq!(fallbacks(""), ["en"]);
    assert_eq!(fallbacks("a-b-c-d-e-f").len(), 4);
}

#[test]
fn money_numbers_dates_and_times_go_by_language_and_zone() {
    let at = |locale: &str| Locale::of(locale);
    assert_eq!(at("en").money(1_234.5, "EUR"), "€1,234.50");
    assert_eq!(at("de-AT").money(1_234.5, "EUR"), "1.234,50\u{a0}€");
    assert_eq!(at("fr").number(1_234_567.0, 0), "1\u{202f}234\u{202f}567");
    assert_eq!(at("en").money(-3.0, "XTS"), "XTS\u{a0}-3.00");
    assert_eq!(at("ja").money(1_500.0, "JPY"), "¥1,500");
    assert_eq!(at("en").number(f64::NAN, 2), "–");
    let moment = Timestamp::parse("2026-03-01T23:30:00Z").unwrap();
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    assert_eq!(at("de").date(moment, &berlin), "2.3.2026");
    assert_eq!(at("en").date(moment, &TimeZone::UTC), "March 1, 2026");
    let later = Timestamp::parse("2026-03-02T01:30:00Z").unwrap();
    assert_eq!(at("de").relative(moment, later), "vor 2 Stunden");
    assert_eq!(at("en").relative(later, moment), "in 2 hours");
    assert_eq!(at("en").relative(moment, moment), "just now");
}

#[test]
fn plurals_follow_cldr() {
    let forms = |locale: &str| [0, 1, 2, 5, 11, 21, 22, 112].map(|n| Locale::of(locale).plural(n));
    assert_eq!(forms("en"), ["other", "one", "other", "other", "other", "other", "other", "other"]);
    assert_eq!(forms("fr")[..2], ["one", "one"]);
    assert_eq!(forms("pl"), ["many", "one", "few", "many", "many", "many", "few", "many"]);
    assert_eq!(forms("ru"), ["many", "one", "few", "many", "many", "one", "few", "many"]);
    assert_eq!(forms("cs"), ["other", "one", "few", "other", "other", "other", "other", "other"]);
    assert_eq!(forms("ja"), ["other"; 8]);
    let source = "{{ n | plural(one='# rzecz', few='# rzeczy', many='# rzeczy', other='# rzeczy') }}";
    assert_eq!(title(source, "pl", &json!({"n": 1})), "1 rzecz");
}

#[test]
fn filters_read_language_zone_and_now_from_the_context() {
    let words = json!({"item": {"price": 9.5, "currency": "EUR"}, "event": {"at": "2026-01-01T00:00:00Z"},
                       "now": "2026-01-03T00:00:00Z", "time_zone": "America/New_York"});
    assert_eq!(title("{{ item.price | money(item.currency) }}", "de", &words), "9,50\u{a0}€");
    assert_eq!(title("{{ event.at | date }}", "en", &words), "December 31, 2025");
    assert_eq!(title("{{ event.at | relative }}", "en", &words), "2 days ago");
    assert_eq!(title("[{{ item.colour.name }}]", "en", &words), "[]", "what is missing is empty");
}

#[test]
fn a_template_can_neither_run_on_nor_reach_out() {
    let words = json!({"items": [1, 2, 3]});
    let endless = "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}";
    let nested = "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}";
    for source in
        [endless, nested, "{% include '/etc/passwd' %}", "{% import 'x' as x %}", "{{ 'a' * 999999999 }}"]
    {
        let failed = match Templates::new([&one(source)]) {
            Err(_) => true,
            Ok(templates) => templates.render("t", 0, "en", &words).unwrap().is_err(),
        };
        assert!(failed, "{source}");
    }
}

#[test]
fn what_is_wrong_with_a_template_is_said_with_its_place() {
    let place = |change: fn(&mut Template)| {
        let mut template = one("fine");
        change(&mut template);
        Templates::new([&template]).unwrap_err().place
    };
    assert_eq!(place(|template| template.name = "no spaces".into()), "name");
    assert_eq!(place(|template| template.variants.clear()), "variants");
    assert_eq!(place(|template| template.variants[0].texts.clear()), "variant a");
    let broken = |template: &mut Template| {
        template.variants[0].texts.get_mut("en").unwrap().title = "{{ oops".into();
    };
    assert_eq!(place(broken), "variant a, en, title");
    let long = |template: &mut Template| {
        template.variants[0].texts.get_mut("en").unwrap().body = "x".repeat(3_000);
    };
    assert_eq!(place(long), "variant a, en, body");
}

#[test]
fn variants_are_chosen_by_number() {
    let mut template = one("first");
    let mut second = template.variants[0].clone();
    second.name = "b".into();
    second.texts.get_mut("en").unwrap().title = "second".into();
    template.variants.push(second);
    let templates = Templates::new([&template]).unwrap();
    assert_eq!(templates.variants("t"), ["a", "b"]);
    let said = |n| templates.render("t", n, "en", &json!({})).unwrap().unwrap();
    assert_eq!(
        (said(0).content.title, said(1).variant, said(2).variant),
        ("first".into(), "b".into(), "a".into())
    );
}
