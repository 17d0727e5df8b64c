//! MovieLens ratings in every layout they come in: 100K (`u.data`, `u.item`), 1M (`ratings.dat`, `movies.dat`), 20M and
//! later (`ratings.csv`, `movies.csv`), and RecBole's `.inter`/`.item`. Harper, Konstan 2015,
//! <https://doi.org/10.1145/2827872>.
//!
//! The layout is told by the first line, not by the file's name. Ratings become `rate` events, films items: the year
//! leaves the title and becomes an attribute, genres become tags, the first of them the category. Files about users,
//! tags and links are recognised and left out.

use std::collections::BTreeMap;
use std::io::BufRead;

use anyhow::bail;

use super::input::{Source, for_each_line, text};
use super::sink::Sink;
use super::table::Table;
use super::text::printable;
use tidings_core::base::{EventKey, Timestamp};
use tidings_core::catalogue::NewItem;
use tidings_core::event::{EventKind, NewEvent};
use tidings_intake::fields::{id, number, squeeze, tidy};

/// Genres of `u.item`'s last 19 columns, from its README.
const GENRES_100K: [&str; 19] = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
];
const NO_GENRES: &str = "(no genres listed)";
/// Articles that MovieLens writes behind the title ("Usual Suspects, The").
const ARTICLES: [&str; 16] =
    ["The", "A", "An", "Le", "La", "Les", "L'", "Il", "El", "Los", "Las", "Der", "Die", "Das", "Un", "Une"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Fields between tabs, no header: user, item, rating, time.
    Ratings100k,
    /// Between `|`: id, title, dates, address, 19 genre flags.
    Films100k,
    /// Between `::`: user, item, rating, time.
    Ratings1m,
    /// Between `::`: id, title, genres.
    Films1m,
    /// CSV with a header.
    Ratings20m,
    Films20m,
    /// Tabs, header `user_id:token …`.
    RatingsRecbole,
    FilmsRecbole,
    /// Users, tags, links, genome scores.
    Other,
}

fn layout(first_line: &str) -> Option<Layout> {
    let line = first_line.trim_start_matches('\u{feff}').trim_end();
    let fields = |separator: &str| line.split(separator).count();
    let header: Vec<String> = line.split([',', '\t']).map(squeeze).collect();
    let has = |name: &str| header.iter().any(|column| column == name || column.starts_with(name));
    if line.contains(":token") {
        return Some(match (has("useridtoken"), has("itemidtoken")) {
            (true, true) => Layout::RatingsRecbole,
            (false, true) => Layout::FilmsRecbole,
            _ => Layout::Other,
        });
    }
    if line.contains("::") {
        return match fields("::") {
            3 => Some(Layout::Films1m),
            4 => Some(Layout::Ratings1m),
            5 => Some(Layout::Other),
            _ => None,
        };
    }
    if has("movieid") {
        return Some(match (has("userid"), has("rating"), has("title")) {
            (true, true, _) => Layout::Ratings20m,
            (false, _, true) => Layout::Films20m,
            _ => Layout::Other,
        });
    }
    let is_number = |field: &str| field.trim().parse::<f64>().is_ok();
    match (fields("\t"), fields("|")) {
        (4, _) if line.split('\t').all(is_number) => Some(Layout::Ratings100k),
        (_, 24) => Some(Layout::Films100k),
        (_, 5) if line.split('|').take(2).all(is_number) => Some(Layout::Other),
        _ => None,
    }
}

/// Reads one file of any layout.
pub fn read(mut source: Source, name: &str, sink: &mut Sink) -> anyhow::Result<()> {
    let beginning = source.fill_buf()?;
    let end = beginning.iter().position(|byte| *byte == b'\n').unwrap_or(beginning.len());
    let first_line = text(beginning.get(..end).unwrap_or(beginning));
    let Some(layout) = layout(&first_line) else {
        bail!(
            "{name} is not MovieLens: expected u.data, u.item, ratings.dat, movies.dat, ratings.csv, movies.csv, or a \
             RecBole .inter or .item file, but its first line is\n  {}",
            printable(first_line.trim_end())
        );
    };
    match layout {
        Layout::Ratings100k => lines(source, "\t", rating, sink),
        Layout::Ratings1m => lines(source, "::", rating, sink),
        Layout::Films100k => lines(source, "|", film_100k, sink),
        Layout::Films1m => lines(source, "::", film_1m, sink),
        Layout::Ratings20m => {
            table(source, b',', &[&["userId"], &["movieId"], &["rating"], &["timestamp"]], rating, sink)
        }
        Layout::Films20m => table(source, b',', &[&["movieId"], &["title"], &["genres"]], film_1m, sink),
        Layout::RatingsRecbole => table(
            source,
            b'\t',
            &[&["user_id:token"], &["item_id:token"], &["rating:float"], &["timestamp:float"]],
            rating,
            sink,
        ),
        Layout::FilmsRecbole => table(
            source,
            b'\t',
            &[
                &["item_id:token"],
                &["movie_title:token_seq", "title:token_seq"],
                &["release_year:token"],
                &["class:token_seq", "genre:token_seq", "genres:token_seq"],
            ],
            film_recbole,
            sink,
        ),
        Layout::Other => {
            sink.note(format!("{name}: says nothing about ratings or films, left out"));
            Ok(())
        }
    }
}

/// Content of a row.
enum Row {
    Rating(NewEvent),
    Film(NewItem),
}

type Parse = fn(&[&str]) -> Result<Row, String>;

fn hand_over(row: Result<Row, String>, line: u64, raw: &str, sink: &mut Sink) -> anyhow::Result<()> {
    match row {
        Ok(Row::Rating(event)) => sink.event(event, false)?,
        Ok(Row::Film(item)) => match item.validate() {
            Ok(()) => {
                sink.other_row()?;
                sink.item(item)?;
            }
            Err(error) => sink.reject(line, error.to_string(), raw)?,
        },
        Err(reason) => sink.reject(line, reason, raw)?,
    }
    Ok(())
}

fn lines(source: Source, separator: &str, parse: Parse, sink: &mut Sink) -> anyhow::Result<()> {
    for_each_line(source, |number, line| {
        let fields: Vec<&str> = line.split(separator).collect();
        hand_over(parse(&fields), number, line, sink)
    })
}

fn table(
    source: Source,
    delimiter: u8,
    wanted: &[&[&str]],
    parse: Parse,
    sink: &mut Sink,
) -> anyhow::Result<()> {
    let mut table = Table::open(source, delimiter)?;
    let mut columns = Vec::with_capacity(wanted.len());
    for names in wanted {
        let Some(column) = table.column(names) else {
            bail!("expected a column {} but the header is {}", names.join(" or "), table.columns());
        };
        columns.push(column);
    }
    while let Some(line) = table.next_row()? {
        let row = if table.n_fields() == table.header().len() {
            let fields: Vec<&str> = columns.iter().map(|column| table.field(*column)).collect();
            parse(&fields)
        } else {
            Err(format!("has {} fields instead of {}", table.n_fields(), table.header().len()))
        };
        let raw = if row.is_err() { table.raw() } else { String::new() };
        hand_over(row, line, &raw, sink)?;
    }
    Ok(())
}

fn rating(fields: &[&str]) -> Result<Row, String> {
    let [user, item, stars, time] = fields else {
        return Err(format!("has {} fields instead of 4", fields.len()));
    };
    let user = id(user, "user")?;
    let item = id(item, "movie")?;
    let stars = number(stars, "rating")?;
    let seconds = number(time, "timestamp")?;
    let occurred_at = Timestamp::parse(&format!("{seconds}"))
        .ok_or_else(|| format!("timestamp is not a time: {time:?}"))?;
    let key = EventKey::from_parts(&[
        b"movielens",
        user.to_string().as_bytes(),
        item.to_string().as_bytes(),
        &stars.to_bits().to_le_bytes(),
        &occurred_at.0.to_le_bytes(),
    ]);
    Ok(Row::Rating(NewEvent {
        key,
        deduplicate: true,
        user: Some(user),
        item: Some(item),
        kind: EventKind::Rate,
        occurred_at,
        dwell_ms: None,
        query: None,
        quantity: 1.0,
        value: Some(stars),
        currency: None,
        basket: None,
        list: None,
    }))
}

fn film_100k(fields: &[&str]) -> Result<Row, String> {
    let [item, title, released, _, _, flags @ ..] = fields else {
        return Err(format!("has {} fields instead of 24", fields.len()));
    };
    if flags.len() != GENRES_100K.len() {
        return Err(format!("has {} fields instead of 24", fields.len()));
    }
    let genres =
        GENRES_100K.iter().zip(flags).filter(|(_, flag)| flag.trim() == "1").map(|(genre, _)| *genre);
    // "01-Jan-1995", for the few whose title names no year.
    let year = released.rsplit('-').next().unwrap_or("");
    film(item, title, year, genres)
}

fn film_1m(fields: &[&str]) -> Result<Row, String> {
    let [item, title, genres] = fields else {
        return Err(format!("has {} fields instead of 3", fields.len()));
    };
    film(item, title, "", genres.split('|'))
}

fn film_recbole(fields: &[&str]) -> Result<Row, String> {
    let [item, title, year, genres] = fields else {
        return Err(format!("has {} fields instead of 4", fields.len()));
    };
    film(item, title, year, genres.split(' '))
}

fn film<'a>(
    item: &str,
    title: &str,
    year: &str,
    genres: impl Iterator<Item = &'a str>,
) -> Result<Row, String> {
    let item = id(item, "movie")?;
    let (title, titles_year) = split_title(title);
    let year = titles_year.unwrap_or_else(|| year.trim().to_owned());
    let genres: Vec<String> = genres
        .map(str::trim)
        .filter(|genre| !genre.is_empty() && *genre != NO_GENRES && *genre != "unknown")
        .map(str::to_owned)
        .collect();
    let is_year = year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit());
    Ok(Row::Film(NewItem {
        title: (!title.is_empty()).then_some(title),
        category: genres.first().map(|genre| vec![genre.clone()]),
        tags: Some(genres),
        attributes: is_year.then(|| BTreeMap::from([("year".to_owned(), year)])),
        ..NewItem::new(item)
    }))
}

/// "Usual Suspects, The (1995)" → ("The Usual Suspects", "1995").
fn split_title(text: &str) -> (String, Option<String>) {
    let text = tidy(text);
    let (title, year) = match text.rsplit_once(" (") {
        Some((title, year))
            if year.len() == 5
                && year.ends_with(')')
                && year.bytes().take(4).all(|byte| byte.is_ascii_digit()) =>
        {
            (title.to_owned(), Some(year.trim_end_matches(')').to_owned()))
        }
        _ => (text, None),
    };
    if let Some((rest, article)) = title.rsplit_once(", ")
        && ARTICLES.contains(&article)
    {
        let blank = if article.ends_with('\'') { "" } else { " " };
        return (format!("{article}{blank}{rest}"), year);
    }
    (title, year)
}

#[cfg(test)]
mod tests;
