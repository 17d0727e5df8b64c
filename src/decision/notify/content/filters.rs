//! Filters and tests for templates. `money`, `number` and `date` go by the reader's locale; `plural` and `relative`
//! put words together and go by the language of the text, which is another where the reader's is not there.

use jiff::tz::TimeZone;
use minijinja::functions::Function;
use minijinja::value::{FunctionArgs, FunctionResult, Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State};

use super::locale::{Locale, decimal};
use super::shapes::PLURAL_CATEGORIES;
use tidings_core::base::Timestamp;

/// Bytes that the filters of one text may read and write, some milliseconds of work.
const MAX_WORK: u64 = 1 << 20;
/// Key of the work that a rendering has spent.
const WORK: &str = "work";

/// Adds all of `shapes::FILTERS` and `shapes::TESTS`.
pub(super) fn add(environment: &mut Environment<'_>) {
    bounded(environment, "upper", minijinja::filters::upper);
    bounded(environment, "lower", minijinja::filters::lower);
    bounded(environment, "title", minijinja::filters::title);
    bounded(environment, "trim", minijinja::filters::trim);
    bounded(environment, "length", minijinja::filters::length);
    bounded(environment, "first", minijinja::filters::first);
    bounded(environment, "join", minijinja::filters::join);
    environment.add_filter("int", minijinja::filters::int);
    environment.add_filter("float", minijinja::filters::float);
    environment.add_filter("default", default);
    environment.add_filter("money", money);
    environment.add_filter("number", number);
    environment.add_filter("date", date);
    environment.add_filter("relative", relative);
    environment.add_filter("plural", plural);
    environment.add_test("defined", minijinja::tests::is_defined);
    environment.add_test("undefined", minijinja::tests::is_undefined);
    environment.set_formatter(|output: &mut Output<'_>, state, value| match value.kind() {
        // `null` in an event is missing as well; the engine would write "none".
        ValueKind::None => Ok(()),
        _ => minijinja::escape_formatter(output, state, value),
    });
}

/// Adds a filter of the engine whose work is limited: one instruction of the engine's fuel may take a text of 64 KiB, or compare each of
/// its characters with each of another. The engine's own stands behind a name that no source can spell.
fn bounded<F, Rv, Args>(environment: &mut Environment<'_>, name: &'static str, filter: F)
where
    F: Function<Rv, Args>,
    Rv: FunctionResult,
    Args: for<'a> FunctionArgs<'a>,
{
    let hidden = format!(" {name}");
    environment.add_filter(hidden.clone(), filter);
    environment.add_filter(name, move |state: &State<'_, '_>, arguments: Rest<Value>| {
        let bytes = |value: &Value| value.as_str().map_or(1, str::len) as u64;
        let given = arguments.iter().map(bytes).fold(1, u64::saturating_mul);
        charge(state, given)?;
        let result = state.apply_filter(&hidden, &arguments)?;
        charge(state, bytes(&result)).map(|()| result)
    });
}

/// Takes work out of what one text may do.
fn charge(state: &State<'_, '_>, work: u64) -> Result<(), Error> {
    let before = state.get_temp(WORK).and_then(|spent| u64::try_from(spent).ok()).unwrap_or(0);
    let spent = before.saturating_add(work);
    state.set_temp(WORK, Value::from(spent));
    if spent > MAX_WORK { Err(ErrorKind::OutOfFuel.into()) } else { Ok(()) }
}

fn is_missing(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Undefined | ValueKind::None)
}

fn variable(state: &State<'_, '_>, name: &str) -> String {
    state.lookup(name).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn reader(state: &State<'_, '_>) -> Locale {
    Locale::of(&variable(state, "locale"))
}

fn text(state: &State<'_, '_>) -> Locale {
    Locale::of(&variable(state, "text_locale"))
}

/// The error of a filter that got something else than it needs.
fn unfit(filter: &str, needs: &str, value: &Value) -> Error {
    let got = match value.kind() {
        ValueKind::Undefined | ValueKind::None => {
            "there is nothing: put it into {% if … %}, or write another text with {% else %}".to_owned()
        }
        ValueKind::String => {
            format!("\"{}\" is a text", super::text::shorten(value.as_str().unwrap_or_default(), 40))
        }
        kind => format!("this is a {kind}"),
    };
    Error::new(ErrorKind::InvalidOperation, format!("`{filter}` needs {needs}, and {got}"))
}

fn float(filter: &str, value: &Value) -> Result<f64, Error> {
    match value.kind() {
        ValueKind::Number => f64::try_from(value.clone()).map_err(|_| unfit(filter, "a number", value)),
        _ => Err(unfit(filter, "a number", value)),
    }
}

fn moment(filter: &str, value: &Value) -> Result<Timestamp, Error> {
    let parsed = Timestamp::parse(&value.to_string()).filter(|_| !is_missing(value));
    parsed.or_else(|| day(value)).ok_or_else(|| unfit(filter, "an RFC 3339 time", value))
}

/// Begin of a day such as `2030-01-31`, in UTC; `None` for a time and for everything else.
fn day(value: &Value) -> Option<Timestamp> {
    let text = value.as_str().filter(|text| text.len() == "2030-01-31".len())?;
    text.parse::<jiff::civil::Date>().ok()?;
    Timestamp::parse(&format!("{text}T00:00:00Z"))
}

/// `{{ item.brand | default("our shop") }}`: for what is missing; with `true` as second argument for what is empty as well.
fn default(value: Value, other: Option<Value>, empty: Option<bool>) -> Value {
    if is_missing(&value) || (empty == Some(true) && !value.is_true()) {
        return other.unwrap_or_else(|| Value::from(""));
    }
    value
}

/// `{{ item.price | money(item.currency) }}`
fn money(state: &State<'_, '_>, value: &Value, currency: Option<&Value>) -> Result<String, Error> {
    let currency = currency.filter(|currency| !is_missing(currency));
    let code = match currency {
        Some(currency) => {
            currency.as_str().ok_or_else(|| unfit("money", "the code of a currency", currency))?
        }
        None => "",
    };
    Ok(reader(state).money(float("money", value)?, code))
}

/// `{{ 1234.5 | number(1) }}`
fn number(state: &State<'_, '_>, value: &Value, decimals: Option<u8>) -> Result<String, Error> {
    Ok(reader(state).number(float("number", value)?, decimals.unwrap_or(0).min(6)))
}

/// `{{ event.at | date }}`
fn date(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    if let Some(day) = day(value) {
        // The same day everywhere.
        return Ok(reader(state).date(day, &TimeZone::UTC));
    }
    let zone = TimeZone::get(&variable(state, "time_zone")).unwrap_or(TimeZone::UTC);
    Ok(reader(state).date(moment("date", value)?, &zone))
}

/// `{{ event.at | relative }}`
fn relative(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let now = moment("relative", &state.lookup("now").unwrap_or_default())?;
    Ok(text(state).relative(moment("relative", value)?, now))
}

/// `{{ count | plural(one="# item", few="…", many="…", other="# items") }}`: `#` is the number, with its decimals if it has any.
fn plural(state: &State<'_, '_>, value: &Value, forms: Kwargs) -> Result<String, Error> {
    let n = float("plural", value)?;
    let locale = text(state);
    let category = decimal(n, 0, 3).map_or("other", |n| locale.category(&n));
    let other: String = forms.get("other")?;
    let mut chosen = other;
    for known in PLURAL_CATEGORIES {
        let form: Option<String> = forms.get(known)?;
        if let Some(form) = form.filter(|_| known == category) {
            chosen = form;
        }
    }
    forms.assert_all_used()?;
    Ok(chosen.replace('#', &locale.decimal(n)))
}
