use super::*;
use crate::sink::{Batch, collect};
use tidings_core::base::ExternalId;

fn read_bytes(bytes: &[u8]) -> anyhow::Result<Batch> {
    let source = crate::container::stream(std::io::Cursor::new(bytes.to_vec()))?;
    collect(|sink| read(source, "file", sink))
}

fn read_text(text: &str) -> Batch {
    read_bytes(text.as_bytes()).unwrap()
}

#[test]
fn the_same_rating_in_every_layout_is_the_same_event() {
    let samples = [
        "196\t242\t3\t881250949\n",
        "196::242::3::881250949\n",
        "userId,movieId,rating,timestamp\n196,242,3.0,881250949\n",
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949\n",
    ];
    for sample in samples {
        let batch = read_text(sample);
        assert_eq!((batch.events.len(), batch.rejects.len()), (1, 0), "{sample}");
        let event = &batch.events[0].0;
        assert_eq!(event.kind, EventKind::Rate);
        assert_eq!(event.user, Some(ExternalId::Integer(196)));
        assert_eq!(event.item, Some(ExternalId::Integer(242)));
        assert_eq!(event.value, Some(3.0));
        assert_eq!(event.occurred_at, Timestamp::from_seconds(881_250_949));
        assert_eq!(event.key, read_text(samples[0]).events[0].0.key, "{sample}");
    }
}

#[test]
fn the_same_film_in_every_layout_is_the_same_item() {
    let flags = "0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0";
    let samples = [
        format!("1|Toy Story (1995)|01-Jan-1995||http://x|{flags}\n"),
        "1::Toy Story (1995)::Animation|Children's|Comedy\n".to_owned(),
        "movieId,title,genres\n1,Toy Story (1995),Animation|Children's|Comedy\n".to_owned(),
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n\
         1\tToy Story\t1995\tAnimation Children's Comedy\n"
            .to_owned(),
    ];
    for sample in samples {
        let batch = read_text(&sample);
        assert_eq!(batch.items.len(), 1, "{sample}");
        let item = &batch.items[0];
        assert_eq!(item.title.as_deref(), Some("Toy Story"), "{sample}");
        assert_eq!(item.category.as_deref(), Some(&["Animation".to_owned()][..]));
        assert_eq!(item.tags.as_ref().unwrap().len(), 3);
        assert_eq!(item.attributes.as_ref().unwrap()["year"], "1995");
        assert_eq!((batch.rows, batch.other_rows), (1, 1));
    }
}

#[test]
fn articles_go_to_the_front_and_latin_1_is_understood() {
    let batch = read_bytes(b"8::Fabuleux destin d'Am\xe9lie Poulain, Le (2001)::Comedy\n").unwrap();
    assert_eq!(batch.items[0].title.as_deref(), Some("Le Fabuleux destin d'Amélie Poulain"));
    assert_eq!(split_title("Usual Suspects, The (1995)"), ("The Usual Suspects".into(), Some("1995".into())));
    assert_eq!(split_title("2001: A Space Odyssey"), ("2001: A Space Odyssey".into(), None));
    assert_eq!(split_title("M (1931)"), ("M".into(), Some("1931".into())));
}

#[test]
fn a_film_without_genres_has_no_category() {
    let batch = read_text("movieId,title,genres\n1,\"Film, with comma\",(no genres listed)\n");
    assert_eq!(batch.items[0].category, None);
    assert_eq!(batch.items[0].title.as_deref(), Some("Film, with comma"));
}

#[test]
fn bad_rows_are_rejected_and_good_ones_taken() {
    let batch = read_text("1\t2\t3\t881250949\n1\t2\tx\t881250949\n1\t2\n\n1\t3\t4\t881250950\n");
    let lines: Vec<u64> = batch.rejects.iter().map(|reject| reject.line).collect();
    assert_eq!((batch.events.len(), lines), (2, vec![2, 3]));
    assert_eq!(batch.rejects[0].reason, "rating is not a number: \"x\"");
}

#[test]
fn files_about_other_things_are_left_out_and_strange_ones_refused() {
    for sample in [
        "1|24|M|technician|85711\n",
        "1::F::1::10::48067\n",
        "movieId,imdbId,tmdbId\n1,2,3\n",
        "userId,movieId,tag,timestamp\n1,2,fun,3\n",
        "user_id:token\tage:token\n1\t24\n",
    ] {
        let batch = read_text(sample);
        assert_eq!((batch.rows, batch.notes.len()), (0, 1), "{sample}");
    }
    let error = read_bytes(b"InvoiceNo,StockCode\n").err().unwrap().to_string();
    assert!(error.contains("ratings.dat") && error.contains("InvoiceNo"), "{error}");
}
