//! Personal data of one user: told in words, and handed out as files (GDPR articles 15 and 20).

use std::io::{Cursor, Write};
use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use actix_web::{HttpResponse, web};
use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;
use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

use super::describe::{self, Described, May};
use super::error::ApiError;
use super::permit::{Own, PersonalData, ReadUsers};
use tidings_actors::App;
use tidings_core::base::{ExternalId, Timestamp, UserId};
use tidings_decision::privacy::Permission;
use tidings_store::personal_data::{self, HOLDINGS, Holding};
use tidings_store::{Connection, Fields, users};

/// Name of the file that explains the others.
const GUIDE: &str = "README.txt";

/// Exports of all users that may be under way at once.
const MAX_EXPORTS: usize = 2;

/// Users whose data is being exported: each takes a session of PostgreSQL and a thread for as long as there is data.
#[derive(Debug, Default)]
pub struct Exports(Mutex<Vec<ExternalId>>);

impl Exports {
    fn begin(self: Arc<Self>, user: &ExternalId) -> Result<Exporting, ApiError> {
        let mut under_way = self.0.lock();
        if under_way.contains(user) {
            return Err(ApiError::Busy("an export of this user is under way, try again in a moment"));
        }
        if under_way.len() >= MAX_EXPORTS {
            return Err(ApiError::Busy("exports of other users are under way, try again in a moment"));
        }
        under_way.push(user.clone());
        drop(under_way);
        Ok(Exporting { of: self, user: user.clone() })
    }
}

/// An export that is under way until this is dropped.
struct Exporting {
    of: Arc<Exports>,
    user: ExternalId,
}

impl Drop for Exporting {
    fn drop(&mut self) {
        self.of.0.lock().retain(|user| *user != self.user);
    }
}

/// A kind of personal data.
#[derive(Serialize, ToSchema)]
#[schema(as = HeldData)]
struct Held {
    name: &'static str,
    rows: i64,
    about: &'static str,
    purpose: &'static str,
    source: &'static str,
}

/// Everything that is held about a user, without its content.
#[derive(Serialize, ToSchema)]
#[schema(as = PrivacyOverview)]
struct Overview {
    user_id: ExternalId,
    at: Timestamp,
    held: Vec<Held>,
    text: String,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get(
            "/v1/users/{id}/privacy",
            May::Owner(Permission::ReadUsers),
            "What is held about the user, and why.",
        )
        .answers::<Overview>(200, "Kinds of data, and the same as a text to read.")
        .refuses(&[404]),
        describe::get("/v1/users/{id}/export", May::Owner(Permission::PersonalData), "All data of the user.")
            .answers_as::<String>(200, "application/zip", "A JSON array for each kind, and a guide.")
            .refuses(&[404]),
    ]
}

/// Kinds of data that are held about the user, each with its number of rows, purpose and source, and the same as a text to read.
pub async fn overview(
    path: web::Path<String>,
    app: web::Data<App>,
    caller: Own<ReadUsers>,
) -> Result<HttpResponse, ApiError> {
    let user_id = caller.user(&path, &app)?;
    let named = user_id.clone();
    let held = app
        .state
        .store
        .run(move |connection| match users::find(connection, &named)? {
            Some(user) => personal_data::count(connection, user).map(Some),
            None => Ok(None),
        })
        .await?
        .ok_or(ApiError::NotFound("this user"))?;
    let text = in_words(&held);
    let held = held.into_iter().map(|(holding, rows)| {
        let Holding { name, about, purpose, source, .. } = *holding;
        Held { name, rows, about, purpose, source }
    });
    let overview = Overview { user_id, at: Timestamp::now(), held: held.collect(), text };
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(overview))
}

fn in_words(held: &[(&Holding, i64)]) -> String {
    let mut text =
        String::from("What this server holds about you, where it comes from, and what it is for:\n");
    for (holding, rows) in held.iter().filter(|(_, rows)| *rows > 0) {
        let entries = if *rows == 1 { "entry" } else { "entries" };
        let Holding { about, purpose, source, .. } = holding;
        text += &format!("\n- {rows} {entries}: {about}.\n  From {source}. Held {purpose}.\n");
    }
    let none: Vec<&str> =
        held.iter().filter(|(_, rows)| *rows == 0).map(|(holding, _)| holding.name).collect();
    if !none.is_empty() {
        text += &format!("\nNothing is held of: {}.\n", none.join(", "));
    }
    text
}

/// All data of the user as a zip archive: a JSON array for each kind, and a guide to them. 429 while that user's is under way already, or
/// as many others as may be.
pub async fn export(
    path: web::Path<String>,
    app: web::Data<App>,
    exports: web::Data<Exports>,
    caller: Own<PersonalData>,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user(&path, &app)?;
    let fields = Arc::clone(app.state.store.fields());
    let exporting = exports.into_inner().begin(&user)?;
    let archive = app
        .state
        .store
        .run_alone(move |connection| {
            // Its place is free when the work ends, and not when its client has gone.
            let exporting = exporting;
            match users::find(connection, &exporting.user)? {
                Some(user) => Ok(archive(connection, &fields, user)),
                None => Ok(Err(ApiError::NotFound("this user"))),
            }
        })
        .await??;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"personal-data.zip\""))
        .content_type("application/zip")
        .body(archive))
}

/// The archive; the rows are written as they come, so that memory holds them compressed only.
fn archive(connection: &mut Connection, fields: &Fields, user: UserId) -> Result<Vec<u8>, ApiError> {
    let held = personal_data::count(connection, user)?;
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    start(&mut zip, GUIDE)?;
    zip.write_all(guide(&held).as_bytes()).map_err(unwritten)?;
    for holding in &HOLDINGS {
        start(&mut zip, &format!("{}.json", holding.name))?;
        let mut between = "[\n";
        personal_data::each_row(connection, fields, user, holding, |row| -> Result<(), ApiError> {
            zip.write_all(std::mem::replace(&mut between, ",\n").as_bytes()).map_err(unwritten)?;
            zip.write_all(row.as_bytes()).map_err(unwritten)
        })?;
        zip.write_all(if between == "[\n" { b"[]\n" } else { b"\n]\n" }).map_err(unwritten)?;
    }
    Ok(zip.finish().map_err(|error| unwritten(error.into()))?.into_inner())
}

fn start(zip: &mut ZipWriter<Cursor<Vec<u8>>>, name: &str) -> Result<(), ApiError> {
    // Files beyond 4 GiB need another header.
    let options = SimpleFileOptions::default().large_file(true);
    zip.start_file(name, options).map_err(|error: ZipError| unwritten(error.into()))
}

fn unwritten(error: std::io::Error) -> ApiError {
    log::error!("personal data not written error={error}");
    ApiError::Unavailable("the archive could not be made, try again in a moment".to_owned())
}

fn guide(held: &[(&Holding, i64)]) -> String {
    let mut text = String::from(
        "Each file holds one kind of data as a JSON array; times are ISO 8601 with their offset to UTC, money is in major units of\n\
         the currency beside it, ids of items are those of the shop. A field with null holds nothing.\n\n",
    );
    for (holding, rows) in held {
        let Holding { name, about, purpose, source, .. } = holding;
        text += &format!("{name}.json ({rows})\n    {about}\n    from {source}; held {purpose}\n\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_export_of_a_user_and_two_in_all_are_under_way() {
        let exports = Arc::new(Exports::default());
        let begin = |user: i64| Arc::clone(&exports).begin(&ExternalId::Integer(user));
        let first = begin(1).ok().unwrap();
        assert!(matches!(begin(1), Err(ApiError::Busy(_))));
        let second = begin(2).ok().unwrap();
        assert!(matches!(begin(3), Err(ApiError::Busy(_))));
        drop(first);
        assert!(begin(2).is_err());
        let third = begin(3).ok().unwrap();
        drop((second, third));
        assert!(exports.0.lock().is_empty());
    }
}
