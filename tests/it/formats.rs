//! Files of every kind that can be imported, told by their bytes; layouts of other systems; other databases.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::brief::{done, tidings};
use crate::helpers::database::TestDatabase;
use crate::helpers::mariadb::MariaDb;
use crate::helpers::server::data_dir;
use crate::helpers::workbook::{self, Cell};

/// Noon of 31 January and half past nine of 1 February 2026, as Excel and as Unix count.
const MOMENTS: [(f64, i64); 2] = [(46_053.5, 1_769_860_800), (46_054.395_833_333_336, 1_769_938_200)];
const MAPPED: &str =
    "user_id=customer,item_id=sku,occurred_at=time,unit_price=price,quantity=pieces,basket_id=order";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/formats")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() { copy(&path, &target) } else { _ = fs::copy(&path, &target).unwrap() }
    }
}

fn zip(path: &Path, members: &[(&str, &[u8])]) {
    let mut zip = ZipWriter::new(File::create(path).unwrap());
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

/// The rows of `orders.csv` as a workbook whose first sheet is empty.
fn sheet(path: &Path) {
    let text = |text: &str| Cell::Text(text.to_owned());
    let header = ["customer", "sku", "time", "price", "pieces", "order"].map(text).to_vec();
    let row = |customer: f64, sku: &str, moment: f64, price: f64, pieces: f64, order: &str| {
        vec![
            Cell::Number(customer),
            text(sku),
            Cell::Moment(moment),
            Cell::Number(price),
            Cell::Number(pieces),
            text(order),
        ]
    };
    let rows = vec![
        header,
        row(17.0, "A1", MOMENTS[0].0, 19.9, 2.0, "o-1"),
        vec![Cell::Empty; 6],
        row(17.0, "A2", MOMENTS[0].0, 4.5, 1.0, "o-1"),
        row(18.0, "A1", MOMENTS[1].0, 19.9, 1.0, "o-2"),
    ];
    workbook::write(path, vec![("Notes", Vec::new().into_iter()), ("Orders", rows.into_iter())]);
}

/// The same as Parquet.
fn columns(path: &Path, compression: Compression) {
    let schema = "message orders { REQUIRED INT64 customer; REQUIRED BINARY sku (UTF8); REQUIRED INT64 time (TIMESTAMP_MICROS); \
        REQUIRED DOUBLE price; REQUIRED INT32 pieces; REQUIRED BINARY order (UTF8); }";
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut file = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
    let mut group = file.next_row_group().unwrap();
    let moments = [MOMENTS[0].1, MOMENTS[0].1, MOMENTS[1].1].map(|seconds| seconds * 1_000_000);
    let texts = |texts: [&str; 3]| texts.map(ByteArray::from);
    for place in 0..6 {
        let mut column = group.next_column().unwrap().unwrap();
        match place {
            0 => column.typed::<Int64Type>().write_batch(&[17, 17, 18], None, None),
            1 => column.typed::<ByteArrayType>().write_batch(&texts(["A1", "A2", "A1"]), None, None),
            2 => column.typed::<Int64Type>().write_batch(&moments, None, None),
            3 => column.typed::<DoubleType>().write_batch(&[19.9, 4.5, 19.9], None, None),
            4 => column.typed::<Int32Type>().write_batch(&[2, 1, 1], None, None),
            _ => column.typed::<ByteArrayType>().write_batch(&texts(["o-1", "o-1", "o-2"]), None, None),
        }
        .unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    file.close().unwrap();
}

/// The files of the page: those of the fixtures, and those made of them.
fn files() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    copy(&fixtures(), directory.path());
    let orders = fs::read(at("orders.csv")).unwrap();
    fs::write(at("orders.csv.zst"), zstd::encode_all(&*orders, 3).unwrap()).unwrap();
    zip(&at("orders.zip"), &[("__MACOSX/._orders.csv", b"\0\0"), ("orders.csv", &orders)]);
    sheet(&at("orders.xlsx"));
    columns(&at("orders.parquet"), Compression::SNAPPY);
    let small = |name: &str| fs::read(at("ml-latest-small").join(name)).unwrap();
    let (ratings, movies) = (small("ratings.csv"), small("movies.csv"));
    let members: [(&str, &[u8]); 3] = [
        ("ml-latest-small/README.txt", b"Summary"),
        ("ml-latest-small/ratings.csv", &ratings),
        ("ml-latest-small/movies.csv", &movies),
    ];
    zip(&at("ml-latest-small.zip"), &members);
    directory
}

#[test]
fn every_command_of_the_page_runs_as_printed() {
    let (database, source, shop) = (TestDatabase::new(), TestDatabase::empty(), MariaDb::start());
    let directory = files();
    let behaviour = fs::read_to_string(directory.path().join("user_behavior.csv")).unwrap();
    let rows: Vec<String> = behaviour.lines().skip(1).map(|line| format!("({line})")).collect();
    let users = format!(
        "CREATE TABLE user_behavior (user_id integer, purchase_frequency decimal(10,2), browsing_duration double precision, \
         search_frequency double precision); INSERT INTO user_behavior VALUES {};",
        rows.join(",")
    );
    shop.execute(&format!(
        "USE shop; {users} CREATE TABLE items (item_id int, item_attribute_1 varchar(9), item_attribute_2 varchar(9)); \
         INSERT INTO items VALUES (1, 'red', 'oak'), (2, 'grün', NULL);"
    ));
    let sales = "CREATE TABLE sales (customer integer, sku text, sold_at timestamptz, price numeric(10,2)); \
        INSERT INTO sales VALUES (17, 'A1', '2026-01-31 13:00:00+01', 19.90), (18, 'Ä2', '2026-01-31 13:00:00+01', NULL);";
    diesel::connection::SimpleConnection::batch_execute(&mut source.connection(), &format!("{users}{sales}"))
        .unwrap();
    let (host, password) = shop.host_and_password();
    let page = include_str!("../../docs/formats.md");
    let binary = Path::new(env!("CARGO_BIN_EXE_tidings")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let mut n = 0;
    for command in page.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let command = command.replace("postgres://shop@db.example/shop", &format!("'{}'", source.url));
        let command = command.replace("mysql://shop@db.example/", &format!("mysql://shop@{host}/"));
        let output = Command::new("sh")
            .args(["-c", &command])
            .current_dir(directory.path())
            .env("PATH", &path)
            .env("DATABASE_URL", &database.url)
            .env("MYSQL_PWD", &password)
            .output()
            .unwrap();
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{command}: {error}");
        assert!(!out.contains("rejects  ") || out.contains("rejects  0"), "{command}: {out}");
        n += 1;
    }
    assert!(n >= 20, "{n} commands");
    // Of three orders of Shopify one was cancelled; the others have three lines, two of one customer.
    let of = |user: &str| {
        format!("SELECT count(*) AS n FROM events JOIN users USING (user_id) WHERE external_id = '{user}'")
    };
    assert_eq!(database.count(&of("ann@example.com")), 2);
    assert_eq!(database.count(&of("1026454.4271112504")), 3);
    assert_eq!(database.count(&of("ann")), 4);
    let titled =
        "SELECT count(*) AS n FROM items WHERE title IN ('V-Neck T-Shirt', 'Hoodie with Logo', 'Single')";
    assert_eq!(database.count(titled), 2);
}

#[test]
fn the_same_rows_in_any_container_and_under_any_name_are_the_same_events() {
    let database = TestDatabase::new();
    let directory = files();
    let at = |name: &str| directory.path().join(name);
    columns(&at("orders.bin"), Compression::ZSTD(Default::default()));
    fs::copy(at("orders.xlsx"), at("book.csv")).unwrap();
    zip(&at("nested.zip"), &[("deep/orders.csv.zst", &fs::read(at("orders.csv.zst")).unwrap())]);
    let files = [
        "orders.csv",
        "orders.csv.zst",
        "orders.zip",
        "orders.zip/orders.csv",
        "orders.xlsx",
        "orders.xlsx/Orders",
        "book.csv",
        "orders.parquet",
        "orders.bin",
        "nested.zip",
    ];
    for (place, file) in files.into_iter().enumerate() {
        let arguments = ["import", "csv", file, "--kind", "purchase", "--map", MAPPED];
        let summary = done(&database, directory.path(), &arguments);
        let expected = if place == 0 { "3 new, 0 already there" } else { "0 new, 3 already there" };
        assert!(summary.contains(expected), "{file}: {summary}");
    }
    // From standard input too.
    for file in ["orders.zip", "orders.parquet", "orders.xlsx", "orders.csv.zst"] {
        let output = Command::new(env!("CARGO_BIN_EXE_tidings"))
            .args(["import", "csv", "-", "--kind", "purchase", "--map", MAPPED])
            .current_dir(directory.path())
            .env("DATABASE_URL", &database.url)
            .stdin(Stdio::from(File::open(at(file)).unwrap()))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.contains("0 new, 3 already there"),
            "{file}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_bad_row_of_a_sheet_is_told_with_its_row() {
    let (database, directory) = (TestDatabase::new(), files());
    let at = directory.path().join("bad.xlsx");
    let text = |text: &str| Cell::Text(text.to_owned());
    let rows = vec![
        Vec::new(),
        vec![text("user"), text("item"), text("ts")],
        Vec::new(),
        vec![Cell::Number(1.0), text("two\nlines"), text("soon")],
        vec![Cell::Number(1.0), text("B"), Cell::Moment(MOMENTS[0].0)],
    ];
    workbook::write(&at, vec![("A & B", rows.into_iter())]);
    let arguments =
        ["import", "csv", "bad.xlsx", "--kind", "view", "--rejects", "r.csv", "--max-refused", "50%"];
    done(&database, directory.path(), &arguments);
    let rejects = fs::read_to_string(directory.path().join("r.csv")).unwrap();
    assert!(rejects.lines().nth(1).unwrap().starts_with("A & B,4,"), "{rejects}");
    assert_eq!(database.count("SELECT count(*) AS n FROM events"), 1);
}

#[test]
fn what_is_not_read_is_named_with_the_cure_and_none_of_it_is_shown() {
    let (directory, data_dir) = data_dir();
    let mut tar = vec![b'a'; 300];
    tar[257..262].copy_from_slice(b"ustar");
    let cases: [(&[u8], &str); 9] = [
        (b"BZh91AY&SY\x1b\x07", "bunzip2"),
        (b"\xfd7zXZ\0\0\x04", "unxz"),
        (b"7z\xbc\xaf\x27\x1c\0\x04", "7z x"),
        (b"%PDF-1.7\n\x1b[2J", "export the rows"),
        (b"SQLite format 3\0\x10\0", "sqlite3 -header -csv"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "save it as .xlsx"),
        (b"Obj\x01\x04\x14avro", "write it as Parquet"),
        (b"\x7fELF\x02\x01\x01\0\x1b]0;title\x07", "binary data"),
        (&tar, "tar xf"),
    ];
    for (place, (bytes, says)) in cases.into_iter().enumerate() {
        let file = directory.path().join(format!("{place}.csv"));
        fs::write(&file, bytes).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_tidings"))
            .args(["import", "csv", file.to_str().unwrap(), "--kind", "view"])
            .env_remove("DATABASE_URL")
            .env("TIDINGS_SERVER_DATA_DIR", &data_dir)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(says), "{says}: {text}");
        assert!(text.trim_end().chars().all(|c| !c.is_control()), "{text:?}");
        assert!(!data_dir.exists(), "{says}: a database was made");
    }
}

#[test]
fn a_broken_container_and_a_member_that_is_not_there_are_named() {
    let (database, directory) = (TestDatabase::new(), files());
    let at = |name: &str| directory.path().join(name);
    for file in ["orders.zip", "orders.xlsx", "orders.parquet", "orders.csv.zst"] {
        let whole = fs::read(at(file)).unwrap();
        fs::write(at("cut"), &whole[..whole.len() / 2]).unwrap();
        let output = tidings(
            &database,
            directory.path(),
            &["import", "csv", "cut", "--kind", "view", "--map", MAPPED],
        );
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains("cut"), "{file}: {text}");
    }
    for (file, says) in [
        ("orders.zip/order.csv", "there is no \"order.csv\" in it; there are \"orders.csv\""),
        ("orders.xlsx/orders", "there are Notes, Orders"),
        ("orders.csv/x", "neither an archive nor a workbook"),
        ("nothing.zip/x", "cannot open nothing.zip/x"),
    ] {
        let output =
            tidings(&database, directory.path(), &["import", "csv", file, "--kind", "view", "--map", MAPPED]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(says), "{file}: {text}");
    }
    assert_eq!(database.count("SELECT count(*) AS n FROM events"), 0);
}
