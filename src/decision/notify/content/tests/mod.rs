mod bounds;
mod refusals;

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::locale::Locale;
use super::*;
use crate::notify::triggers::{self, Condition, Definition};
use tidings_core::base::Timestamp;

fn one(title: &str) -> Template {
    let text = Text { title: title.to_owned(), body: "b".to_owned() };
    Template {
        name: "t".to_owned(),
        variants: vec![Variant { name: "a".to_owned(), texts: [("en".to_owned(), text)].into() }],
    }
}

fn title(source: &str, locale: &str, words: &Value) -> String {
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
fn a_reader_gets_the_closest_language_of_the_template() {
    let mut template = one("english");
    let texts = &mut template.variants[0].texts;
    for language in ["de", "de-at", "zh-hant", "pt-pt", "nb"] {
        texts.insert(language.into(), Text { title: language.into(), body: String::new() });
    }
    let templates = Templates::new([&template]).unwrap();
    let language = |locale| templates.render("t", 0, locale, &json!({})).unwrap().unwrap().language;
    for (locale, expected) in [
        ("zh-TW", "zh-hant"),
        ("de-AT-u-co-phonebk", "de-at"),
        ("de-CH", "de"),
        ("pt-BR", "pt-pt"),
        ("no", "nb"),
        ("en_GB", "en"),
        ("ja", "en"),
        ("", "en"),
        ("no language at all", "en"),
    ] {
        assert_eq!(language(locale), expected, "{locale}");
        assert_eq!(templates.on_offer("t", locale), [0]);
    }
    // Of two variants, only the one that has the closest language is on offer.
    let mut other = template.variants[0].clone();
    other.name = "b".into();
    other.texts.retain(|language, _| language == "en");
    template.variants.push(other);
    let templates = Templates::new([&template]).unwrap();
    assert_eq!(templates.on_offer("t", "zh-TW"), [0]);
    assert_eq!(templates.on_offer("t", "ja"), [0, 1]);
}

#[test]
fn money_numbers_dates_and_times_go_by_language_and_zone() {
    let at = |locale: &str| Locale::of(locale);
    assert_eq!(at("en").money(1_234.5, "EUR"), "€1,234.50");
    assert_eq!(at("de").money(1_234.5, "EUR"), "1.234,50\u{a0}€");
    assert_eq!(at("de-AT").money(1_234.5, "EUR"), "€\u{a0}1.234,50");
    assert_eq!(at("de-CH").money(1_234.5, "CHF"), "CHF\u{a0}1'234.50");
    assert_eq!(at("en").money(1.255, "KWD"), "KWD\u{a0}1.255");
    assert_eq!(at("ko").money(1_000.0, "KRW"), "₩1,000");
    assert_eq!(at("en-IN").money(1_234_567.0, "INR"), "₹12,34,567.00");
    assert_eq!(at("hi").money(1_234_567.0, "INR"), "₹12,34,567.00");
    assert_eq!(at("en").money(1.005, "eur"), "€1.01", "as its writer expects");
    assert_eq!(at("en").money(-0.001, "EUR"), "€0.00");
    assert_eq!(at("en").money(1_234.0, "HUF"), "HUF\u{a0}1,234");
    assert_eq!(at("en").money(1_234.5, "HUF"), "HUF\u{a0}1,234.50", "nothing is rounded away");
    assert_eq!(at("de").money(2.0, "Punkte"), "2,00\u{a0}PUNKTE");
    assert_eq!(at("de").money(2.0, ""), "2,00");
    assert_eq!(at("fr").number(1_234_567.0, 0), "1\u{202f}234\u{202f}567");
    assert_eq!(at("en").money(-3.0, "XTS"), "-XTS\u{a0}3.00");
    assert_eq!(at("ja").money(1_500.0, "JPY"), "￥1,500");
    assert_eq!(at("en").number(f64::NAN, 2), "–");
    let moment = Timestamp::parse("2026-03-01T23:30:00Z").unwrap();
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    assert_eq!(at("de").date(moment, &berlin), "2. März 2026");
    assert_eq!(at("en").date(moment, &TimeZone::UTC), "March 1, 2026");
    let later = Timestamp::parse("2026-03-02T01:30:00Z").unwrap();
    assert_eq!(at("de").relative(moment, later), "vor 2 Stunden");
    assert_eq!(at("pl").relative(moment, later), "2 godziny temu");
    assert_eq!(at("tlh").relative(later, moment), "in 2 hours", "no data: English");
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
    assert_eq!(forms("ar"), ["zero", "one", "two", "few", "many", "many", "many", "many"]);
    assert_eq!(forms("cy")[..3], ["zero", "one", "two"]);
    assert_eq!(forms("lv")[..2], ["zero", "one"]);
    assert_eq!(forms("sl")[..3], ["other", "one", "two"]);
    let half = |locale: &str| Locale::of(locale).plural(1.5);
    assert_eq!(["en", "fr", "lt", "ru", "cs"].map(half), ["other", "one", "many", "other", "many"]);
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
fn what_was_stored_goes_on_being_used_as_far_as_it_renders() {
    let words = json!({"item": {"title": "Watch"}, "items": [{"title": "Watch"}], "count": 1});
    for (source, expected) in [
        ("{{ itm.title }}Hello", "Hello"),
        ("{% if count > 5 %}{{ count | rund }}{% endif %}{{ item.title }}", "Watch"),
        ("{% set n = item.title ~ '!' %}{{ n }}", "Watch!"),
        ("{% for i in items %}{{ i.title }}{% if not loop.last %}, {% endif %}{% endfor %}", "Watch"),
        ("{{ item.brand }}{{ item.title }}", "Watch"),
        ("{% filter upper %}{{ item.title }}{% endfilter %}", "WATCH"),
    ] {
        assert_eq!(title(source, "en", &words), expected, "{source}");
    }
}

#[test]
fn a_blank_title_gives_way_to_the_body() {
    let mut template = one("{{ event.title }}");
    template.variants[0].texts.get_mut("en").unwrap().body = "{{ event.body }}".into();
    let templates = Templates::new([&template]).unwrap();
    let render = |event: Value| templates.render("t", 0, "en", &json!({ "event": event })).unwrap();
    let content = render(json!({"body": "It is on its way"})).unwrap().content;
    assert_eq!((content.title.as_str(), content.body.as_str()), ("It is on its way", ""));
    let without = templates.render("t", 0, "en", &json!({"event": {"title": "T"}})).unwrap().unwrap();
    assert_eq!((without.content.title.as_str(), without.problem), ("T", None));
    assert!(render(json!({})).unwrap_err().message.contains("blank"));
    assert_eq!(render(json!({"title": "T", "body": null})).unwrap().content.body, "", "null is nothing");
}

fn trigger(name: &str, when: Condition) -> Arc<Definition> {
    Arc::new(Definition { name: name.into(), template: "t".into(), ..Definition::plain(when) })
}

#[test]
fn the_defaults_pass_for_their_triggers() {
    let templates = Templates::new(&defaults()).unwrap();
    for definition in triggers::defaults() {
        let template = defaults().into_iter().find(|one| one.name == definition.template).unwrap();
        templates.fits(&definition.template, &definition).unwrap();
        validate(&template, []).unwrap();
        validate(&template, [&Arc::new(definition)]).unwrap();
    }
}

#[test]
fn a_template_is_tried_for_every_trigger_that_uses_it_and_else_for_some_kind() {
    let drop = trigger("steal", Condition::PriceDrop { percent: 40.0 });
    let said = trigger("news", Condition::Api);
    let template =
        one("{{ item.price | money(item.currency) }} instead of {{ price_before | money(item.currency) }}");
    validate(&template, [&drop]).unwrap();
    validate(&template, []).unwrap();
    let error = validate(&template, [&drop, &said]).unwrap_err();
    assert!(error.message.contains("trigger \"news\": an event with title and body"), "{error}");
    let compiled = Templates::new([&template]).unwrap();
    assert!(compiled.fits("t", &drop).is_ok() && compiled.fits("t", &said).is_err());
    let event = one("{{ event.headline }}");
    let error = validate(&event, []).unwrap_err();
    assert!(error.message.contains("of kind api") && error.message.contains("event.title"), "{error}");
    validate(&one("{{ event.headline or event.title }}"), [&said]).unwrap();
    // Fields of an event are known by their use; a title can't count on them, a body can.
    let uses = "{{ event.sum | money(event.currency) }} {{ event.at | date }} {{ event.n * 2 }}
                {% for line in event.lines %}{{ line.price | money }} {{ line.name | upper }}{% endfor %}";
    let mut template = one("{{ event.title }}");
    template.variants[0].texts.get_mut("en").unwrap().body = uses.into();
    validate(&template, [&said]).unwrap();
    let error = validate(&one(uses), [&said]).unwrap_err();
    assert!(error.message.contains("there is nothing"), "{error}");
    template.variants[0].texts.get_mut("en").unwrap().body = "{{ event.title | money }}".into();
    assert!(validate(&template, [&said]).unwrap_err().message.contains("\"Sample title\" is a text"));
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
