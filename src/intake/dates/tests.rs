use jiff::tz::TimeZone;
use tidings_core::base::Timestamp;

use super::*;

fn london() -> TimeZone {
    TimeZone::get("Europe/London").unwrap()
}

fn survey(texts: &[&str]) -> Result<DateForm, DateFormError> {
    let mut survey = DateSurvey::default();
    for (line, text) in (2..).zip(texts) {
        survey.note(line, text);
    }
    survey.finish("when")
}

/// The column of these texts, read in the form that they themselves show.
fn read(texts: &[&str]) -> Vec<Option<String>> {
    let form = survey(texts).unwrap();
    texts.iter().map(|text| form.read(text, &TimeZone::UTC).map(|moment| moment.to_string())).collect()
}

#[test]
fn local_times_know_summer_from_winter() {
    for (form, text, utc) in [
        (DateForm::YearFirst, "2010-12-01 08:26:00", "2010-12-01T08:26:00Z"),
        (DateForm::YearFirst, "2010-12-01 08:26", "2010-12-01T08:26:00Z"),
        (DateForm::YearFirst, "2011-07-01 08:26:00", "2011-07-01T07:26:00Z"),
        (DateForm::MonthFirst, "7/1/2011 8:26", "2011-07-01T07:26:00Z"),
        (DateForm::MonthFirst, "12/1/2010 8:26", "2010-12-01T08:26:00Z"),
        (DateForm::DayFirst, "1/12/2010 8:26", "2010-12-01T08:26:00Z"),
        (DateForm::YearFirst, "2011-07-01", "2011-06-30T23:00:00Z"),
        (DateForm::YearFirst, "2011-07-01T08:26:00.25", "2011-07-01T07:26:00.25Z"),
        (DateForm::YearFirst, "2011-07-01T08:26:00Z", "2011-07-01T08:26:00Z"),
        (DateForm::YearFirst, "2011-07-01T08:26:00+02:00", "2011-07-01T06:26:00Z"),
        (DateForm::YearFirst, "2011-03-27 01:30:00", "2011-03-27T01:30:00Z"), // skipped: moved on by an hour
        (DateForm::YearFirst, "2011-10-30 01:30:00", "2011-10-30T00:30:00Z"), // twice: the first
    ] {
        assert_eq!(form.read(text, &london()), Timestamp::parse(utc), "{text}");
    }
}

#[test]
fn each_form_is_found_by_its_look() {
    for (text, utc) in [
        ("2019-11-01 00:00:00 UTC", "2019-11-01T00:00:00Z"),
        ("2019-11-01 00:00:00 +0500", "2019-10-31T19:00:00Z"),
        ("2019-11-01 00:00:00+05", "2019-10-31T19:00:00Z"),
        ("2019-11-01T00:00:00.000-03:30", "2019-11-01T03:30:00Z"),
        ("2019-11-01 00:00:00 Europe/Berlin", "2019-10-31T23:00:00Z"),
        ("2019-11-01T00:00:00+01:00[Europe/Berlin]", "2019-10-31T23:00:00Z"),
        ("2019-11-01T00:00:00[Europe/Berlin]", "2019-10-31T23:00:00Z"),
        ("2019/11/01 1:05 PM", "2019-11-01T13:05:00Z"),
        ("2019-11-01 12:00:00 AM", "2019-11-01T00:00:00Z"),
        ("1291197180", "2010-12-01T09:53:00Z"),
        ("1291197180.5", "2010-12-01T09:53:00.5Z"),
        ("1.29119718E9", "2010-12-01T09:53:00Z"),
        ("1291197180000", "2010-12-01T09:53:00Z"),
        ("1291197180000000", "2010-12-01T09:53:00Z"),
        ("1291197180000000000", "2010-12-01T09:53:00Z"),
        ("01.11.2026 10:00", "2026-11-01T10:00:00Z"),
        ("13/1/10 8:26", "2010-01-13T08:26:00Z"),
        ("1/13/10 8:26", "2010-01-13T08:26:00Z"),
        ("1/13/2010 8:26:05 PM", "2010-01-13T20:26:05Z"),
        ("1/13/2010, 8:26:05 p.m.", "2010-01-13T20:26:05Z"),
        ("13-01-2010", "2010-01-13T00:00:00Z"),
        ("Sun, 01 Nov 2026 10:00:00 +0000", "2026-11-01T10:00:00Z"),
        ("Sun, 1 Nov 2026 10:00:00 EST", "2026-11-01T15:00:00Z"),
        ("01-Jan-1995", "1995-01-01T00:00:00Z"),
        ("Nov 1, 2026, 10:00 AM", "2026-11-01T10:00:00Z"),
        ("November 1st, 2026 at 10:00 PM", "2026-11-01T22:00:00Z"),
        ("Sun Nov  1 10:00:00 UTC 2026", "2026-11-01T10:00:00Z"),
        ("Sun Nov 01 2026 10:00:00 GMT+0100 (Central European Standard Time)", "2026-11-01T09:00:00Z"),
        ("01/Nov/2026:10:00:00 +0000", "2026-11-01T10:00:00Z"),
        ("20261101", "2026-11-01T00:00:00Z"),
        ("20261101 10:30", "2026-11-01T10:30:00Z"),
        ("20261101T103000Z", "2026-11-01T10:30:00Z"),
        ("20261101103000", "2026-11-01T10:30:00Z"),
    ] {
        assert_eq!(read(&[text]), [Some(utc.to_owned())], "{text}");
    }
}

#[test]
fn one_value_decides_for_its_column() {
    let read_as = read(&["12/1/10 8:26", "12/13/10 8:26", "1/2/11 9:00"]);
    assert_eq!(read_as[0].as_deref(), Some("2010-12-01T08:26:00Z"));
    assert_eq!(read_as[2].as_deref(), Some("2011-01-02T09:00:00Z"));
    let read_as = read(&["12/1/10 8:26", "13/12/10 8:26"]);
    assert_eq!(read_as[0].as_deref(), Some("2010-01-12T08:26:00Z"));
}

#[test]
fn what_can_be_read_in_two_ways_is_refused_with_the_cure() {
    let error = survey(&["12/1/10 8:26", "11/2/10 8:26"]).unwrap_err().to_string();
    assert!(
        error.contains("--date-format day-first") && error.contains("\"12/1/10 8:26\" in line 2"),
        "{error}"
    );
    let error = survey(&["13/1/2010", "1/1/2010", "1/14/2010"]).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("line 4") && error.contains("contradict"), "{error}");
    // The same day either way.
    assert_eq!(survey(&["1/1/2010", "2/2/2010"]), Ok(DateForm::DayFirst));
    // Dots begin with the day, unless one says otherwise.
    assert_eq!(survey(&["1.2.2010"]), Ok(DateForm::DayFirst));
    assert_eq!(survey(&["1.2.2010", "1.31.2010"]), Ok(DateForm::MonthFirst));
}

#[test]
fn years_of_two_digits_that_may_stand_first_are_asked_for() {
    let error = survey(&["24/01/15", "24/02/20", "24/03/25"]).unwrap_err().to_string();
    assert!(error.contains("--date-format \"%y/%m/%d\"") && error.contains("day-first"), "{error}");
    assert!(survey(&["24-12-12"]).unwrap_err().to_string().contains("%y-%m-%d"));
    let form: DateForm = "%y/%m/%d".parse().unwrap();
    let read = form.read("24/01/15", &TimeZone::UTC).unwrap();
    assert_eq!(read.to_string(), "2024-01-15T00:00:00Z");
    // The days are those that vary.
    assert_eq!(survey(&["15/01/24", "20/02/24", "25/03/24"]), Ok(DateForm::DayFirst));
    assert_eq!(survey(&["24/01/15", "24/02/20", "25/03/39"]), Ok(DateForm::DayFirst), "no month has 39 days");
    assert_eq!(survey(&["24.01.15"]), Ok(DateForm::DayFirst));
}

#[test]
fn a_value_of_another_form_is_not_read_by_chance() {
    let read_as = read(&["2010-12-01", "2010-12-02", "12/1/2010", "soon", "1291197180"]);
    assert_eq!(read_as.iter().filter(|moment| moment.is_some()).count(), 2);
    for text in
        ["", "yesterday", "2011-13-01", "2011-07-01 25:00", "2011-07-01 8", "1/2", "5 apples", "nan", "inf"]
    {
        assert_eq!(DateForm::Evident.read(text, &TimeZone::UTC), None, "{text}");
    }
    assert_eq!(DateForm::Evident.read("1/2/2010", &TimeZone::UTC), None);
    assert_eq!(survey(&["soon"]), Ok(DateForm::Evident));
    assert_eq!(survey(&[]), Ok(DateForm::Evident));
}

#[test]
fn times_of_day_may_have_dots() {
    let read = |text: &str| DateForm::DayFirst.read(text, &TimeZone::UTC).map(|moment| moment.to_string());
    assert_eq!(read("1.11.2026 10.30").as_deref(), Some("2026-11-01T10:30:00Z"));
    assert_eq!(read("01.11.2026 10.30.05").as_deref(), Some("2026-11-01T10:30:05Z"));
    assert_eq!(read("01/11/2026 10h30").as_deref(), Some("2026-11-01T10:30:00Z"));
    assert_eq!(read("01.11.2026 10.5"), None);
}

#[test]
fn day_numbers_of_a_spreadsheet_are_hinted_at() {
    for texts in [&["43831", "43832.5"][..], &["43831,5"]] {
        let error = survey(texts).unwrap_err().to_string();
        assert!(error.contains("2020-01-01") && error.contains("--date-format spreadsheet"), "{error}");
    }
    // Seconds since 1970 among which one is small.
    assert_eq!(survey(&["43831", "1291197180"]), Ok(DateForm::Epoch(EpochUnit::Seconds)));
    let moment = DateForm::Spreadsheet.read("43831,5", &TimeZone::UTC).unwrap();
    assert_eq!(moment.to_string(), "2020-01-01T12:00:00Z");
}

#[test]
fn a_form_is_stated_by_name_or_by_pattern() {
    let read = |form: &str, text: &str| {
        let form: DateForm = form.parse().unwrap();
        form.read(text, &TimeZone::UTC).map(|moment| moment.to_string())
    };
    assert_eq!(read("%d|%m|%Y %H.%M", "01|11|2026 10.30").as_deref(), Some("2026-11-01T10:30:00Z"));
    assert_eq!(
        read("%Y-%m-%dT%H:%M:%S%z", "2026-11-01T10:30:00+0100").as_deref(),
        Some("2026-11-01T09:30:00Z")
    );
    assert_eq!(read("month-first", "1/2/2026").as_deref(), Some("2026-01-02T00:00:00Z"));
    assert_eq!(read("epoch-ms", "1600000000").as_deref(), Some("1970-01-19T12:26:40Z"));
    assert_eq!(read("spreadsheet", "43831.5").as_deref(), Some("2020-01-01T12:00:00Z"));
    assert_eq!(read("day-first", "soon"), None);
    for wrong in ["dayfirst", "%H:%M", "%d.%m", "%"] {
        assert!(wrong.parse::<DateForm>().unwrap_err().to_string().contains("day-first"), "{wrong}");
    }
}
