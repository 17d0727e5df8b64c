use super::*;

fn form(texts: &[&str]) -> Result<NumberForm, NumberFormError> {
    let mut survey = NumberSurvey::default();
    for (line, text) in (2..).zip(texts) {
        survey.note(line, text);
    }
    survey.finish("price", None)
}

fn column(texts: &[&str]) -> Vec<Option<f64>> {
    let form = form(texts).unwrap();
    texts.iter().map(|text| read(text, form).map(|amount| amount.number)).collect()
}

#[test]
fn a_number_that_can_mean_one_thing_is_read_by_itself() {
    for (text, number) in [
        ("12", 12.0),
        ("-12", -12.0),
        ("19.90", 19.9),
        ("19,90", 19.9),
        ("1,299.00", 1299.0),
        ("1.299,00", 1299.0),
        ("1.299.000", 1_299_000.0),
        ("1,299,000", 1_299_000.0),
        ("1 299,00", 1299.0),
        ("1\u{a0}299,00", 1299.0),
        ("1\u{202f}299", 1299.0),
        ("1'299.50", 1299.5),
        ("1,29,900.50", 129_900.5),
        ("0.125", 0.125),
        ("0,125", 0.125),
        (".5", 0.5),
        ("1234.567", 1234.567),
        ("1e-05", 1e-5),
        ("1.5E+3", 1500.0),
        ("$12.50", 12.5),
        ("-$12.50", -12.5),
        ("$-12.50", -12.5),
        ("12.50-", -12.5),
        ("(12.50)", -12.5),
        ("−5", -5.0),
    ] {
        assert_eq!(read(text, None).map(|amount| amount.number), Some(number), "{text}");
    }
    for text in [
        "",
        "x",
        "1.299",
        "12,345",
        "1,2,3",
        "12.5.1",
        "nan",
        "inf",
        "1 2",
        "12 apples",
        "--5",
        "1,29.00",
        "$",
        "0x1",
    ] {
        assert_eq!(read(text, None), None, "{text}");
    }
}

#[test]
fn a_currency_beside_it_is_read_with_it() {
    let (dot, comma) = (DecimalMark::Dot, DecimalMark::Comma);
    for (text, mark, number, currency) in [
        ("12,50 €", comma, 12.5, Some("EUR")),
        ("€12.50", dot, 12.5, Some("EUR")),
        ("25,000 JPY", dot, 25_000.0, Some("JPY")),
        ("USD 12.50", dot, 12.5, Some("USD")),
        ("£1,299.00", dot, 1299.0, Some("GBP")),
        ("R$ 10,00", comma, 10.0, Some("BRL")),
        ("129 kr", comma, 129.0, None),
        ("$5", dot, 5.0, None),
    ] {
        let amount = read(text, Some(mark)).unwrap();
        assert_eq!((amount.number, amount.currency()), (number, currency), "{text}");
    }
}

#[test]
fn one_value_decides_for_its_column() {
    assert_eq!(column(&["1,299", "12.50"]), [Some(1299.0), Some(12.5)]);
    assert_eq!(column(&["1,299", "12,5"]), [Some(1.299), Some(12.5)]);
    assert_eq!(column(&["1.299", "12,50", "7"]), [Some(1299.0), Some(12.5), Some(7.0)]);
    assert_eq!(column(&["5", "7"]), [Some(5.0), Some(7.0)]);
}

#[test]
fn what_can_be_read_in_two_ways_is_refused_with_the_cure() {
    let error = form(&["5", "1,299"]).unwrap_err().to_string();
    assert!(error.contains("--decimal ,") && error.contains("\"1,299\" in line 3"), "{error}");
    let error = form(&["19,90", "12.50"]).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("line 3") && error.contains("contradict"), "{error}");
    let mut survey = NumberSurvey::default();
    survey.note(2, "1.299");
    assert!(!survey.is_settled());
    assert_eq!(survey.finish("stock", Some(DecimalMark::Comma)), Ok(Some(DecimalMark::Comma)));
    assert!(is_ambiguous("1.299 €") && !is_ambiguous("1.29"));
}

#[test]
fn dashes_in_place_of_decimals_are_no_sign() {
    let number = |text: &str| read(text, None).map(|amount| amount.number);
    for (text, expected) in [
        ("12,-", 12.0),
        ("€ 1.250,--", 1250.0),
        ("12.–", 12.0),
        ("12,- €", 12.0),
        ("12,50-", -12.5),
        ("-12,-", -12.0),
    ] {
        assert_eq!(number(text), Some(expected), "{text}");
    }
    assert_eq!(number(",-"), None);
}

#[test]
fn more_digits_than_a_number_has_are_no_number() {
    for text in
        ["3".repeat(400), format!("€ {},00", "3".repeat(400)), "1e999".to_owned(), "-1e999".to_owned()]
    {
        for form in [None, Some(DecimalMark::Dot), Some(DecimalMark::Comma)] {
            assert_eq!(read(&text, form), None, "{text}");
        }
    }
}
