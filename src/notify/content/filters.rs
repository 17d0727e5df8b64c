//! What templates can call: `money`, `number`, `date`, `relative` and `plural`. The language and time zone come with the
//! context, so a template never names them.

use jiff::tz::TimeZone;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind, State};

use super::locale::Locale;
use crate::base::Timestamp;

pub(super) fn add(environment: &mut Environment<'_>) {
    environment.add_filter("money", money);
    environment.add_filter("number", number);
    environment.add_filter("date", date);
    environment.add_filter("relative", relative);
    environment.add_filter("plural", plural);
}

fn text(state: &State<'_, '_>, name: &str) -> String {
    state.lookup(name).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn locale(state: &State<'_, '_>) -> &'static Locale {
    Locale::of(&text(state, "locale"))
}

fn float(value: &Value) -> Result<f64, Error> {
    f64::try_from(value.clone()).map_err(|_| Error::new(ErrorKind::InvalidOperation, "not a number"))
}

fn moment(value: &Value) -> Result<Timestamp, Error> {
    let parsed = Timestamp::parse(&value.to_string());
    parsed.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "not an RFC 3339 time"))
}

/// `{{ item.price | money(item.currency) }}`
fn money(state: &State<'_, '_>, value: &Value, currency: Option<&str>) -> Result<String, Error> {
    Ok(locale(state).money(float(value)?, currency.unwrap_or_default()))
}

/// `{{ 1234.5 | number(1) }}`
fn number(state: &State<'_, '_>, value: &Value, decimals: Option<usize>) -> Result<String, Error> {
    Ok(locale(state).number(float(value)?, decimals.unwrap_or(0).min(6)))
}

/// `{{ event.at | date }}`
fn date(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let zone = TimeZone::get(&text(state, "time_zone")).unwrap_or(TimeZone::UTC);
    Ok(locale(state).date(moment(value)?, &zone))
}

/// `{{ event.at | relative }}`
fn relative(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let now = moment(&state.lookup("now").unwrap_or_default())?;
    Ok(locale(state).relative(moment(value)?, now))
}

/// `{{ count | plural(one="# item", few="…", many="…", other="# items") }}`: `#` is the number.
fn plural(state: &State<'_, '_>, value: &Value, forms: Kwargs) -> Result<String, Error> {
    let n = u64::try_from(value.clone())
        .map_err(|_| Error::new(ErrorKind::InvalidOperation, "plural needs a whole number"))?;
    let locale = locale(state);
    let other: String = forms.get("other")?;
    let form: Option<String> = match locale.plural(n) {
        "one" => forms.get("one")?,
        "few" => forms.get("few")?,
        "many" => forms.get("many")?,
        _ => None,
    };
    for known in ["one", "few", "many"] {
        let _: Option<String> = forms.get(known)?;
    }
    forms.assert_all_used()?;
    Ok(form.unwrap_or(other).replace('#', &locale.number(n as f64, 0)))
}
