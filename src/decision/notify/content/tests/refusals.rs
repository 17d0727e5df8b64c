//! Templates that would reach readers with holes: refused with the place and a cure.

use super::super::*;
use super::{one, trigger};
use crate::notify::triggers::Condition;

/// Validates a template for the trigger `similar`.
fn check(title: &str, body: &str) -> Result<(), String> {
    let mut template = one(title);
    template.variants[0].texts.get_mut("en").unwrap().body = body.into();
    validate(&template, [&trigger("similar", Condition::View)]).map_err(|error| error.to_string())
}

fn refuses<const N: usize>(wrong: [(&str, &str, &str); N]) {
    for (title, body, expected) in wrong {
        let said = check(title, body).expect_err(&format!("{title} / {body}"));
        assert!(said.contains(expected), "{title} / {body}: {said}");
    }
}

#[test]
fn a_name_that_there_is_not_is_refused_with_the_nearest() {
    refuses([
        (
            "{{ itm.title }}",
            "",
            "variant a, en, title, line 1, column 4: there is no `itm`, did you mean `item`?",
        ),
        ("{{ item.titel }}", "", "an item has no `titel`, did you mean `title`?"),
        (
            "{{ items.title }}",
            "",
            "a list of items has no `title`: write items[0] or {% for item in items %}",
        ),
        ("{{ items[0].naem }}", "", "an item has no `naem`"),
        ("{% for one in items %}{{ one.titl }}{% endfor %}", "", "did you mean `title`?"),
        ("{{ item.title.text }}", "", "a text has no `text` and no fields at all"),
        ("{{ user.name }}", "", "`user` has no `name`"),
        (
            "ok",
            "a
bü {{ item.title | uper }}",
            "body, line 2, column 20: there is no filter `uper`, did you mean `upper`?",
        ),
        ("ok", "{{ item.price | round }}", "there is no filter `round`, did you mean `number`?"),
    ]);
}

#[test]
fn a_value_that_may_be_missing_or_of_another_kind_is_refused_with_a_cure() {
    refuses([
        (
            "ok",
            "{{ item.price | number }}",
            "`number` needs a number, and there is nothing: put it into {% if … %}",
        ),
        ("ok", "{{ item.price | money(item.currency) }}", "(for trigger \"similar\": an item without price"),
        (
            "ok",
            "{{ price_before - item.price }}",
            "variant a, en, body, line 1, column 4: tried to use - operator",
        ),
        ("ok", "{{ item.title | money }}", "`money` needs a number, and \"Sample item"),
        (
            "ok",
            "{{ count | plural(one='#', oter='#') }}",
            "`oter` is no plural category, did you mean `other`?",
        ),
        ("ok", "{{ count | plural(one='#') }}", "needs `other=`"),
        ("ok", "{{ item.title | upper(1, 2) }}", "takes 0 arguments at most"),
        ("ok", "{{ money(item.price) }}", "a template can't call functions: write {{ … | money }}"),
        ("ok", "{% if item.price != none %}x{% endif %}", "write `is defined`"),
        ("ok", "{% if item.price is nonempty %}x{% endif %}", "there is no test `is nonempty`"),
        ("ok", "{% macro m() %}{% endmacro %}", "there is no statement `macro`"),
        ("{{ oops", "", "variant a, en, title, line 1, column"),
        ("", "", "is blank for trigger \"similar\": a list of two items"),
        (" {{ event.title }}", "", "is blank for trigger \"similar\""),
        ("{% if item.brand %}{{ item.title }}{% endif %}", "", "an item without price, brand and category"),
        ("ok", "{{ price_before }}", "is always blank for trigger \"similar\""),
    ]);
}

#[test]
fn a_template_that_renders_whatever_there_is_passes() {
    for (title, body) in [
        ("{{ item.title }}", ""),
        (
            "{{ count | plural(zero='none', one='#', two='both', few='#', many='#', other='#') }}",
            "{{ locale }} {{ now | relative }}",
        ),
        (
            "Hello",
            "{% if item.price is defined %}{{ item.price | money(item.currency) }}{% else %}?{% endif %}",
        ),
        ("Hello", "{{ item.brand | default('our shop') }} {{ (item.price or 0) | number(2) }}"),
        (
            "Hello",
            "{% for one in items[:3] %}{{ loop.index }}. {{ one.title }}{{ ', ' if not loop.last }}{% endfor %}",
        ),
        ("{{ event.anything or item.title }}", "{{ event.a.b[0].c }}"),
        (
            "{% set n = count - 1 %}{{ n }} more",
            "{% with t = item.title | upper %}{{ t ~ '!' }}{% endwith %}",
        ),
    ] {
        check(title, body).unwrap();
    }
}
