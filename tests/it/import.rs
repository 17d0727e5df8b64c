//! `tidings import` into real PostgreSQL.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use tempfile::TempDir;
use tidings::base::{EventKey, ExternalId, Timestamp};
use tidings::event::{EventKind, NewEvent};
use tidings::import::{Format, ImportOptions, ImportSummary, run};
use tidings::store::bulk::Loader;
use tidings::store::{Store, cleaning, events, items, without_time_limit};

use crate::helpers::database::TestDatabase;

const RETAIL_HEADER: &str =
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

struct Files {
    dir: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn gzip(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        let mut encoder =
            flate2::write::GzEncoder::new(fs::File::create(&path).unwrap(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap();
        path
    }

    fn options(&self) -> ImportOptions {
        ImportOptions {
            rejects: Some(self.dir.path().join("rejects.csv")),
            quiet: true,
            ..ImportOptions::default()
        }
    }
}

/// The whole of users, items and events as one number each: any change to any column shows.
fn fingerprint(store: &Store) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Hash {
        #[diesel(sql_type = Text)]
        hash: String,
    }
    ["users", "items", "events"]
        .map(|table| {
            let query = format!(
                "SELECT coalesce(md5(string_agg(t::text, '' ORDER BY t::text)), '') AS hash FROM {table} t"
            );
            let hash: Hash =
                store.run_blocking(|conn| Ok(diesel::sql_query(query).get_result(conn)?)).unwrap();
            hash.hash
        })
        .to_vec()
}

fn count(store: &Store, query: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let query = format!("SELECT count(*) AS count FROM {query}");
    let count: Count = store.run_blocking(|conn| Ok(diesel::sql_query(query).get_result(conn)?)).unwrap();
    count.count
}

fn step(summary: &ImportSummary, name: &str) -> (u64, u64) {
    let step = summary.cleaning.step(name).unwrap();
    (step.dropped, step.changed)
}

#[test]
fn an_invoice_file_becomes_users_items_and_events_and_a_second_run_changes_nothing() {
    let (database, files) = (TestDatabase::new(), Files::new());
    let file = files.gzip(
        "shop.csv.gz",
        &format!(
            "{RETAIL_HEADER}\
             536365,85123A,WHITE HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,UK\n\
             536365,85123A,WHITE HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,UK\n\
             536365,71053,WHITE METAL LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,UK\n\
             536366,85123a,WHITE HOLDER,2,2011-07-01 08:28:00,2.55,,UK\n\
             C536379,85123A,WHITE HOLDER,-1,2010-12-01 09:41:00,2.55,17850.0,UK\n\
             536370,POST,POSTAGE,3,2010-12-01 08:45:00,18,12583.0,France\n\
             536373,21777,damages,-10,2010-12-01 09:02:00,0,,UK\n\
             536374,21258,BOX,x,2010-12-01 09:09:00,10.95,15100.0,UK\n"
        ),
    );
    let run = || run(&database.store, Format::OnlineRetail, std::slice::from_ref(&file), &files.options());
    let first = run().unwrap();
    assert_eq!((first.rows, first.rejects, first.anonymous), (8, 1, 1));
    assert_eq!((first.loaded.events, first.loaded.known_events), (4, 0));
    // Who only paid postage is nobody whose taste could be known.
    assert_eq!((first.loaded.users, first.loaded.items, first.loaded.changed_items), (1, 2, 0));
    assert_eq!(step(&first, "malformed"), (1, 0));
    assert_eq!(step(&first, "duplicates"), (1, 0));
    assert_eq!(step(&first, "not_products"), (1, 0));
    assert_eq!(step(&first, "impossible"), (1, 0));
    assert_eq!((first.cleaning.rows_read, first.cleaning.rows_kept), (8, 4));
    let rejects = fs::read_to_string(first.rejects_file.clone().unwrap()).unwrap();
    assert!(rejects.contains("shop.csv.gz,9,\"Quantity is not a number: \"\"x\"\"\""), "{rejects}");

    let catalogue = database.store.run_blocking(items::load_all).unwrap();
    let holder = catalogue.iter().find(|item| item.external_id == ExternalId::Text("85123A".into())).unwrap();
    assert_eq!(holder.title.as_deref(), Some("White Holder"));
    assert_eq!((holder.price, holder.currency.as_deref()), (Some(2.55), Some("GBP")));
    // History is not news.
    assert_eq!(Some(holder.created_at), Timestamp::parse("2010-12-01T08:26:00Z"));
    let mut moments = Vec::new();
    database
        .store
        .run_blocking(|conn| {
            events::for_each(conn, |event| {
                moments.push(event.occurred_at.to_string());
                std::ops::ControlFlow::Continue(())
            })
        })
        .unwrap();
    assert_eq!(moments.last().map(String::as_str), Some("2011-07-01T07:28:00Z"));

    let before = fingerprint(&database.store);
    let second = run().unwrap();
    assert_eq!((second.loaded.events, second.loaded.known_events), (0, 4));
    assert_eq!((second.loaded.users, second.loaded.items, second.loaded.changed_items), (0, 0, 0));
    assert_eq!(step(&second, "already_stored"), (4, 0));
    assert_eq!(fingerprint(&database.store), before);
    let reports = database.store.run_blocking(|conn| cleaning::recent(conn, 10)).unwrap();
    let kept: Vec<i64> = reports.iter().map(|row| row.report.rows_kept).collect();
    assert_eq!(kept, [0, 4]);
}

#[test]
fn ratings_and_films_of_several_files_come_together() {
    let (database, files) = (TestDatabase::new(), Files::new());
    files.write("ratings.dat", "1::1193::5::978300760\n2::1193::4::978298413\n1::661::3::978302109\n");
    files.write(
        "movies.dat",
        "1193::One Flew Over the Cuckoo's Nest (1975)::Drama\n7::Sabrina (1995)::Comedy|Romance\n",
    );
    files.write("users.dat", "1::F::1::10::48067\n");
    let dir = files.dir.path().to_owned();
    let summary = run(&database.store, Format::MovieLens, &[dir], &files.options()).unwrap();
    assert_eq!((summary.loaded.events, summary.loaded.users, summary.loaded.items), (3, 2, 3));
    let catalogue = database.store.run_blocking(items::load_all).unwrap();
    let film = catalogue.iter().find(|item| item.external_id == ExternalId::Integer(1193)).unwrap();
    assert_eq!(film.attributes["year"], "1975");
    assert_eq!(film.category, ["Drama"]);
}

#[test]
fn robots_are_flagged_and_their_events_kept() {
    let (database, files) = (TestDatabase::new(), Files::new());
    let mut text = "user_id,item_id,kind,occurred_at\nann,1,view,2026-01-01T00:00:00Z\n".to_owned();
    for n in 0..61 {
        text += &format!("crawler,{n},view,2026-01-01T00:00:{:02}Z\n", n % 60);
    }
    let file = files.write("clicks.csv", &text);
    let summary = run(&database.store, Format::Csv, &[file], &files.options()).unwrap();
    assert_eq!((summary.robots, summary.loaded.events), (1, 62));
    assert_eq!(step(&summary, "robots"), (0, 61));
    assert_eq!(count(&database.store, "users WHERE is_robot AND external_id = 'crawler'"), 1);
    let mut learnable = 0;
    database
        .store
        .run_blocking(|conn| {
            events::for_each(conn, |_| {
                learnable += 1;
                std::ops::ControlFlow::Continue(())
            })
        })
        .unwrap();
    assert_eq!(learnable, 1);
}

#[test]
fn the_same_events_as_csv_and_as_json_are_stored_once() {
    let (database, files) = (TestDatabase::new(), Files::new());
    let csv = files.write(
        "a.csv",
        "who;sku;when;what\nann;A1;2026-01-01T00:00:00Z;view\nbob;A1;2026-01-01T00:00:01Z;buy\n",
    );
    let json = files.write(
        "b.ndjson",
        "{\"kind\":\"view\",\"user_id\":\"ann\",\"item_id\":\"A1\",\"occurred_at\":\"2026-01-01T00:00:00Z\"}\n\
         {\"item_id\":\"A1\",\"title\":\"Watch\",\"price\":9.5}\n",
    );
    let mut options = files.options();
    options.records.mapping = "user_id=who,item_id=sku,occurred_at=when,kind=what".parse().unwrap();
    let first = run(&database.store, Format::Csv, &[csv], &options).unwrap();
    assert_eq!(first.loaded.events, 2);
    let second = run(&database.store, Format::Ndjson, &[json], &files.options()).unwrap();
    assert_eq!((second.loaded.events, second.loaded.known_events), (0, 1));
    assert_eq!((second.loaded.items, second.loaded.changed_items), (0, 1));
    assert_eq!(count(&database.store, "items WHERE title = 'Watch' AND price = 9.5"), 1);
}

#[test]
fn a_file_of_another_format_is_refused_and_leaves_nothing_behind() {
    let (database, files) = (TestDatabase::new(), Files::new());
    let before = fingerprint(&database.store);
    let other = files.write("other.csv", "a,b\n1,2\n");
    for format in [Format::OnlineRetail, Format::MovieLens, Format::RetailRocket, Format::Csv, Format::Ndjson]
    {
        let error = run(&database.store, format, std::slice::from_ref(&other), &files.options()).unwrap_err();
        assert!(
            format!("{error:#}").contains("expected") || format!("{error:#}").contains("found neither"),
            "{error:#}"
        );
    }
    // The right header and nothing that fits under it.
    let broken = files.write("broken.csv", &format!("{RETAIL_HEADER}1,2,3\n4,5,6\n"));
    let error = run(&database.store, Format::OnlineRetail, &[broken], &files.options()).unwrap_err();
    assert!(format!("{error:#}").contains("none of the 2 rows"), "{error:#}");
    let missing = files.dir.path().join("missing.csv");
    let error = run(&database.store, Format::Csv, &[missing], &files.options()).unwrap_err();
    assert!(format!("{error:#}").contains("missing.csv"), "{error:#}");
    assert_eq!(fingerprint(&database.store), before);
}

#[test]
fn chunks_may_share_a_transaction_and_a_key_given_twice_is_stored_once() {
    let database = TestDatabase::new();
    let view = |n: u8| NewEvent {
        key: EventKey::from_parts(&[&[n]]),
        deduplicate: true,
        user: Some(ExternalId::Integer(i64::from(n % 2))),
        item: Some(ExternalId::Integer(1)),
        kind: EventKind::View,
        occurred_at: Timestamp::from_seconds(1_600_000_000),
        dwell_ms: None,
        query: None,
        quantity: 1.0,
        value: None,
        currency: None,
        basket: None,
        list: None,
    };
    let total = database
        .store
        .run_blocking(|conn| {
            without_time_limit(conn, |conn| {
                let mut loader = Loader::default();
                loader.events(conn, &[view(1), view(2), view(1)])?;
                loader.events(conn, &[view(2), view(3)])?;
                loader.finish(conn)?;
                Ok(loader.total())
            })
        })
        .unwrap();
    assert_eq!((total.events, total.known_events, total.users, total.items), (3, 2, 2, 1));
    assert_eq!(count(&database.store, "events"), 3);
}

/// The real data sets, where they are.
fn data(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TIDINGS_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let path = folder.join(file);
    path.exists().then_some(path)
}

/// Counts computed by an independent program (Python's csv module) over the same file.
mod counted {
    pub const PSEUDO: u64 = 2_940;
    pub const IMPOSSIBLE: u64 = 2_493;
    pub const OUTLIERS: u64 = 847;
    pub const KEPT: u64 = 531_208;
    pub const USERS: u64 = 4_362;
    pub const ITEMS: u64 = 3_813;
    pub const ANONYMOUS: u64 = 131_549;
}

#[test]
fn the_real_online_retail_file_gives_the_counts_that_another_program_finds() {
    use counted::*;
    let Some(file) = data("online-retail/online_retail.csv.gz") else { return };
    let (database, files) = (TestDatabase::new(), Files::new());
    let summary =
        run(&database.store, Format::OnlineRetail, std::slice::from_ref(&file), &files.options()).unwrap();
    eprintln!("{summary}");
    assert_eq!((summary.rows, summary.rejects), (541_909, 0));
    assert_eq!(step(&summary, "duplicates").0, 5_268);
    assert_eq!(step(&summary, "not_products").0, PSEUDO);
    assert_eq!(step(&summary, "impossible").0, IMPOSSIBLE);
    assert_eq!(step(&summary, "outliers").1, OUTLIERS);
    assert_eq!(summary.loaded.events, KEPT);
    assert_eq!(summary.loaded.users, USERS);
    assert_eq!(summary.loaded.items, ITEMS);
    assert_eq!(summary.anonymous, ANONYMOUS);
    assert_eq!(count(&database.store, "events"), KEPT as i64);
    assert_eq!(count(&database.store, "users WHERE external_id = '17850'"), 1);
    assert_eq!(count(&database.store, "items WHERE title IS NULL"), 0);
    let with_category = count(&database.store, "items WHERE category <> '{}'");
    assert!(with_category > 2_500, "{with_category} items have a category");
    let before = fingerprint(&database.store);
    let again = run(&database.store, Format::OnlineRetail, &[file], &files.options()).unwrap();
    assert_eq!((again.loaded.events, again.loaded.known_events), (0, KEPT));
    assert_eq!(fingerprint(&database.store), before);
}

#[test]
fn the_real_movielens_files_give_their_published_counts() {
    let (Some(ratings), Some(films)) = (data("ml-100k/ml-100k.inter.gz"), data("ml-100k/ml-100k.item"))
    else {
        return;
    };
    let (database, files) = (TestDatabase::new(), Files::new());
    let summary = run(&database.store, Format::MovieLens, &[films, ratings], &files.options()).unwrap();
    assert_eq!((summary.rows, summary.rejects), (101_682, 0));
    assert_eq!((summary.loaded.events, summary.loaded.users, summary.loaded.items), (100_000, 943, 1_682));
    assert_eq!(summary.robots, 0);
}
