//! Rows of a table or a query of another database, read as they come: MySQL and MariaDB over their own protocol, PostgreSQL by a
//! cursor. Values are the database's own texts, times those of the session, whose zone is UTC.

use std::path::Path;

use anyhow::{Context, bail};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use mysql_async::consts::ColumnType;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Value as Cell};
use serde_json::{Map, Value};

use super::input::Source;
use super::produced::{Output, Shape, produce};

/// Rows fetched at a time from PostgreSQL.
const FETCHED: usize = 10_000;

/// Rows to read: all of a table, or those of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// A table or view, `schema.table` too.
    Table(String),
    /// A statement that returns rows.
    Query(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    MySql,
    Postgres,
}

impl System {
    fn of(text: &str) -> Option<Self> {
        match text.split_once("://")?.0.to_ascii_lowercase().as_str() {
            "mysql" | "mariadb" => Some(Self::MySql),
            "postgres" | "postgresql" => Some(Self::Postgres),
            _ => None,
        }
    }

    /// A name as the system quotes it; a dot stands between schema and table.
    fn quoted(self, name: &str) -> String {
        let quote = match self {
            Self::MySql => '`',
            Self::Postgres => '"',
        };
        let part = |part: &str| format!("{quote}{}{quote}", part.replace(quote, &format!("{quote}{quote}")));
        name.split('.').map(part).collect::<Vec<_>>().join(".")
    }
}

impl Selection {
    fn statement(&self, system: System) -> String {
        match self {
            Self::Table(name) => format!("SELECT * FROM {}", system.quoted(name)),
            Self::Query(query) => query.trim().trim_end_matches(';').to_owned(),
        }
    }
}

/// The address of a database, if this is one: `mysql://…`, `mariadb://…`, `postgres://…`, `postgresql://…`.
pub fn url(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| System::of(text).is_some())
}

/// Refuses the address of a system that is not read, by its name alone; a path is none.
pub fn refuse_others(text: &str) -> anyhow::Result<()> {
    match text.split_once("://") {
        Some((scheme, _)) if System::of(text).is_none() => bail!(
            "{}:// is not read; there are mysql://, mariadb:// and postgres://, or a file",
            super::text::printable(scheme)
        ),
        _ => Ok(()),
    }
}

/// Refuses an address in which user and password can't be told from the rest, before any library quotes a part of it.
fn refuse_unclear(url: &str) -> anyhow::Result<()> {
    if place(url).is_none() {
        bail!(
            "{} is not clear: write @ / ? and # of a password as %40 %2F %3F and %23, or leave the password out and give it in \
             MYSQL_PWD or PGPASSWORD",
            shown(url)
        );
    }
    Ok(())
}

/// Connects, and reads nothing.
pub fn check(url: &str) -> anyhow::Result<()> {
    refuse_unclear(url)?;
    let connected = match System::of(url).context("is not the address of a database")? {
        System::MySql => {
            let options = mysql_options(url)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let connected = async {
                let connection = Conn::new(options).await?;
                connection.disconnect().await
            };
            runtime.block_on(connected).map_err(anyhow::Error::from)
        }
        System::Postgres => PgConnection::establish(url).map(drop).map_err(anyhow::Error::from),
    };
    connected.with_context(|| format!("cannot connect to {}", shown(url)))
}

/// Host and database of an address, without user, password and options; its system alone where they can't be told apart.
pub fn shown(url: &str) -> String {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    format!("{scheme}://{}", place(url).unwrap_or("…"))
}

/// Host and database of an address. `None` where an `@` stands behind the first `/`, `?` or `#`: what is before it may be the
/// beginning of a password.
fn place(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at_checked(end)?;
    if behind.contains('@') {
        return None;
    }
    let host = authority.rfind('@').map_or(0, |at| at + 1);
    let options = behind.find(['?', '#']).map_or(rest.len(), |at| end + at);
    rest.get(host..options)
}

/// Name of an address for a file of its own: that of the database, or else of the host; letters, digits, `-`, `_` and dots.
pub fn file_name(url: &str) -> String {
    let place = place(url).unwrap_or_default();
    let last = place.rsplit('/').find(|part| !part.is_empty()).unwrap_or("database");
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    last.chars().map(plain).collect()
}

/// Starts reading. Faults of the address are found here, those of the statement with the first row.
pub fn open(url: &str, selection: &Selection, shape: Shape) -> anyhow::Result<Source> {
    refuse_unclear(url)?;
    let system = System::of(url).context("is not the address of a database")?;
    let statement = selection.statement(system);
    let source = match system {
        System::MySql => {
            let options = mysql_options(url)?;
            produce("mysql", move |output| read_mysql(options, &statement, shape, output))?
        }
        System::Postgres => {
            let url = url.to_owned();
            produce("postgres", move |output| read_postgres(&url, &statement, shape, output))?
        }
    };
    Ok(source)
}

/// The password may come from the environment, as for the system's own clients.
fn mysql_options(url: &str) -> anyhow::Result<Opts> {
    let url = url.split_once("://").map_or(url.to_owned(), |(_, rest)| format!("mysql://{rest}"));
    // What the parser says could hold a password.
    let Ok(options) = Opts::from_url(&url) else {
        bail!("{} is not an address such as mysql://user@host:3306/database", shown(&url));
    };
    let password = options.pass().map(str::to_owned).or_else(|| std::env::var("MYSQL_PWD").ok());
    // A Unix socket would be preferred to the host that was named.
    let builder = OptsBuilder::from_opts(options).pass(password).prefer_socket(false);
    // Nothing is changed there, whatever the query: for the session, since some statements end the transaction they begin in.
    Ok(builder.init(vec!["SET time_zone = '+00:00'", "SET SESSION TRANSACTION READ ONLY"]).into())
}

fn read_mysql(options: Opts, statement: &str, shape: Shape, output: &mut Output) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Conn::new(options).await.context("cannot connect")?;
        let mut result = connection.query_iter(statement).await.context("the query failed")?;
        let columns: Vec<String> =
            result.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
        let are_decimals: Vec<bool> =
            result.columns_ref().iter().map(|column| is_decimal(column.column_type())).collect();
        if columns.is_empty() {
            bail!("the query returns no rows: a SELECT is needed");
        }
        if shape == Shape::Table {
            output.header(&columns)?;
        }
        let mut rows = result.stream::<mysql_async::Row>().await?.context("the query returns no rows")?;
        while let Some(row) = futures_util::TryStreamExt::try_next(&mut rows).await? {
            let texts = row.unwrap_raw().into_iter().map(|cell| cell.and_then(mysql_text));
            let texts = texts.zip(are_decimals.iter().copied());
            match shape {
                Shape::Table => {
                    let texts = texts.enumerate().map(|(column, (text, is_decimal))| match text {
                        Some(text) if is_decimal => output.number(column, text),
                        text => text.unwrap_or_default(),
                    });
                    let texts: Vec<String> = texts.collect();
                    output.row(texts)?;
                }
                Shape::Records => {
                    let values = texts.map(|(text, is_decimal)| match text {
                        None => Value::Null,
                        Some(text) if is_decimal => {
                            serde_json::from_str(&text).map_or(Value::String(text), Value::Number)
                        }
                        Some(text) => Value::String(text),
                    });
                    let object: Map<String, Value> = columns.iter().cloned().zip(values).collect();
                    output.line(&Value::Object(object).to_string())?;
                }
            }
        }
        Ok::<(), anyhow::Error>(())
    })
}

/// Returns whether the values of a column are numbers with decimals.
fn is_decimal(column: ColumnType) -> bool {
    matches!(
        column,
        ColumnType::MYSQL_TYPE_DECIMAL
            | ColumnType::MYSQL_TYPE_NEWDECIMAL
            | ColumnType::MYSQL_TYPE_FLOAT
            | ColumnType::MYSQL_TYPE_DOUBLE
    )
}

/// All values come as text; what is no UTF-8 (a BLOB) is none.
fn mysql_text(cell: Cell) -> Option<String> {
    match cell {
        Cell::Bytes(bytes) => String::from_utf8(bytes).ok(),
        Cell::NULL => None,
        other => Some(other.as_sql(false).trim_matches('\'').to_owned()),
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

fn read_postgres(url: &str, statement: &str, shape: Shape, output: &mut Output) -> anyhow::Result<()> {
    let mut connection =
        PgConnection::establish(url).map_err(|error| anyhow::anyhow!("cannot connect: {error}"))?;
    connection.batch_execute("SET TIME ZONE 'UTC'; BEGIN READ ONLY")?;
    connection
        .batch_execute(&format!(
            "DECLARE imported NO SCROLL CURSOR FOR SELECT row_to_json(r)::text AS line FROM ({statement}\n) AS r"
        ))
        .context("the query failed")?;
    let mut columns: Option<Vec<String>> = None;
    loop {
        let page = diesel::sql_query(format!("FETCH {FETCHED} FROM imported"))
            .load::<Line>(&mut connection)
            .context("the query failed")?;
        if page.is_empty() {
            break;
        }
        for Line { line } in page {
            match shape {
                Shape::Records => output.line(&line)?,
                Shape::Table => {
                    let object: Map<String, Value> = serde_json::from_str(&line)?;
                    if columns.is_none() {
                        output.header(object.keys())?;
                    }
                    let columns = columns.get_or_insert_with(|| object.keys().cloned().collect());
                    let texts = columns.iter().enumerate().map(|(column, name)| match object.get(name) {
                        Some(Value::Number(number)) => output.number(column, number.to_string()),
                        value => json_text(value),
                    });
                    let texts: Vec<String> = texts.collect();
                    output.row(texts)?;
                }
            }
        }
    }
    if columns.is_none() && shape == Shape::Table {
        bail!("the query returns no rows");
    }
    Ok(())
}

fn json_text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        assert_eq!(shown("mysql://ann:p@ss@db.example:3306/shop?x=y"), "mysql://db.example:3306/shop");
        assert_eq!(shown("postgres://db/shop"), "postgres://db/shop");
        assert!(url(Path::new("mariadb://db/shop")).is_some() && url(Path::new("orders.csv")).is_none());
        let error = mysql_options("mysql://ann:secret@").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn no_form_of_an_address_shows_a_part_of_its_password() {
        for url in [
            "mysql://ann:xQ7?vW9@db/shop",
            "mysql://ann:xQ7?vW9@db.example/shop?x=y",
            "postgres://ann:xQ7/vW9@db/shop",
            "POSTGRES://ann:xQ7#vW9@db/shop",
            "postgres://ann:12?xQ7=1@vW9",
            "mysql://ann:p@xQ7@vW9?w@db/shop",
            "sqlserver://sa:xQ7vW9@db/shop",
        ] {
            let error = format!("{:#}", check(url).unwrap_err());
            for text in [shown(url), file_name(url), error] {
                assert!(!text.contains("xQ7") && !text.contains("vW9"), "{url}: {text}");
            }
        }
        assert_eq!(shown("mysql://ann:secret@db.example"), "mysql://db.example");
        assert_eq!(shown("postgres://db/shop?password=secret"), "postgres://db/shop");
        assert_eq!(file_name("mysql://ann:secret@db.example:3306"), "db.example_3306");
        assert_eq!(file_name("mysql://ann:secret@db/shop?x=y"), "shop");
        assert_eq!(file_name("mysql://ann:xQ7?vW9@db/shop"), "database");
    }

    #[test]
    fn a_table_is_quoted_as_its_system_does() {
        let table = |name: &str| Selection::Table(name.to_owned());
        assert_eq!(table("shop.user`s").statement(System::MySql), "SELECT * FROM `shop`.`user``s`");
        assert_eq!(table("Orders").statement(System::Postgres), "SELECT * FROM \"Orders\"");
        assert_eq!(Selection::Query("SELECT 1; ".into()).statement(System::MySql), "SELECT 1");
    }
}
