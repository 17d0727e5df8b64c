//! Words: language, variants, and what is said when a template fails.

use serde_json::json;

use super::fixture::{Fixture, Shop};
use crate::decide::definitions::DefinitionKind;
use crate::decide::{Counter, Effect};
use crate::deliver::Login;

/// A template that compiles and fails when it is carried out.
const FAILING: &str = "{{ item.price | money(\"no currency\", 1, 2, 3) }}";

fn failed(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Count(Counter::TemplateFailed { .. })))
}

fn with_words(name: &str, title: &str, body: &str) -> Fixture {
    let mut shop = Shop::new();
    shop.template(name, title, body);
    Fixture::connected_to(shop)
}

#[test]
fn a_message_is_in_the_reader_s_language_or_english() {
    for (locale, title) in [("de-AT", "Ähnlich wie Watch 105"), ("fr", "More like Watch 105")] {
        let mut user = Fixture::new();
        user.connect(1, Login { locale: Some(locale.to_owned()), ..Login::default() });
        assert_eq!(user.view(105).shown(1), [title]);
    }
}

#[test]
fn a_template_reads_the_item_the_list_and_the_reader() {
    let mut user = with_words(
        "view",
        "{{ item.title }}: {{ count }} for {{ user.user_id }}",
        "{{ items[0].category }} {{ item.brand }} {{ item.price | money(item.currency) }}",
    );
    let told = user.view(105);
    assert_eq!(told.shown(1), ["Watch 105: 5 for 7"]);
    assert_eq!(told.frames(1)[0]["body"], "Watches Acme €10.00");
}

#[test]
fn a_template_reads_what_the_shop_said() {
    let mut user = with_words("order_status", "Order {{ event.order_id }}", "{{ item.title }}");
    let told = user.fire("order_status", Some(105), json!({"order_id": 17}));
    assert_eq!(
        (told.shown(1), told.frames(1)[0]["body"].as_str()),
        (vec!["Order 17".into()], Some("Watch 105"))
    );
}

#[test]
fn a_message_whose_template_fails_names_its_item_and_is_counted() {
    let mut user = with_words("price_drop", FAILING, "");
    user.view(105);
    let told = user.price(105, 5.0);
    assert_eq!(told.shown(1), ["Watch 105"]);
    assert!(failed(&told));
}

#[test]
fn a_message_whose_template_fails_is_told_in_the_shop_s_own_words() {
    let mut user = with_words("announcement", FAILING, "");
    let told = user.fire("announcement", None, json!({"title": "Opening hours", "body": "from nine"}));
    assert_eq!(told.shown(1), ["Opening hours"]);
    assert!(failed(&told));
}

#[test]
fn a_message_with_nothing_to_read_is_dropped_with_a_stored_decision() {
    let mut user = with_words("announcement", "{{ event.titel }}", "");
    let dropped = user.fire("announcement", None, json!({"order": 17}));
    assert_eq!(
        (dropped.outcomes(), dropped.reason("announcement")),
        (vec!["announcement drop".to_owned()], "unrenderable")
    );
    assert_eq!(user.stored.deferred, []);
}

#[test]
fn an_answer_to_a_login_has_a_title_whatever_its_template() {
    let mut shop = Shop::new();
    shop.template("login", "{{ nothing }}", "");
    shop.catalogue = Default::default();
    let answer = Fixture::of(7, shop).login(1);
    assert_eq!(answer.shown(1), ["For you"]);
}

#[test]
fn a_long_title_is_cut_at_a_word() {
    let mut user = with_words("announcement", "{{ event.title }}", "");
    let told = user.fire("announcement", None, json!({"title": "word ".repeat(40)}));
    let title = told.shown(1)[0].clone();
    assert!(title.chars().count() <= 80 && title.ends_with("word…"), "{title}");
}

fn with_variants(languages: [&str; 3]) -> Fixture {
    let mut shop = Shop::new();
    let variant = |(name, language): (&str, &str)| {
        let text = |word: &str| json!({"title": format!("{word} {name}"), "body": "b"});
        let mut texts = json!({"en": text("en")});
        texts[language] = text(language);
        json!({"name": name, "texts": texts})
    };
    let variants: Vec<_> = ["a", "b", "c"].into_iter().zip(languages).map(variant).collect();
    shop.define(DefinitionKind::Template, json!({"name": "view", "variants": variants}));
    shop.policy(json!({"repeat_window_min": 0, "caps": []}));
    Fixture::of(7, shop)
}

#[test]
fn a_decision_names_the_variant_its_alternatives_and_its_probability() {
    let mut user = with_variants(["en"; 3]);
    user.login(1);
    let told = user.view(105);
    let trace = &told.decision("view").trace;
    let used = trace.variant.clone().unwrap();
    assert_eq!(told.shown(1), [format!("en {used}")]);
    assert_eq!((trace.alternatives.len(), &trace.alternatives[0]), (3, &used));
    assert!(trace.variant_propensity.is_some_and(|propensity| propensity > 0.0 && propensity < 1.0));
}

#[test]
fn a_variant_in_another_language_than_the_reader_s_is_not_offered() {
    let mut user = with_variants(["de", "en", "en"]);
    user.connect(1, Login { locale: Some("de".to_owned()), ..Login::default() });
    for of in 105..112 {
        let told = user.view(of);
        assert_eq!(
            (told.shown(1), told.decision("view").trace.variant_propensity),
            (vec!["de a".into()], None)
        );
    }
}

#[test]
fn a_single_variant_is_no_choice() {
    let told = Fixture::connected().view(105);
    let trace = &told.decision("view").trace;
    assert_eq!((trace.variant.as_deref(), trace.variant_propensity), (None, None));
    assert_eq!(trace.alternatives, ["a"]);
}

#[test]
fn an_item_says_why_it_is_told() {
    let mut user = Fixture::connected();
    user.view(105);
    assert_eq!(user.price(105, 5.0).frames(1)[0]["items"][0]["reason"], "it costs less than before");
}
