//! Reports to `POST /v1/sources/{name}`, which the server's dashboard shows.

use std::rc::Rc;
use std::time::Duration;

use awc::http::Method;

use super::observed::Observed;
use crate::deliver::{Client, Reply};

/// Time between two reports.
const EVERY: Duration = Duration::from_secs(5);

/// Reports until this process ends. What the server does not take is not sent again: the next report has it all.
pub async fn report(client: Client, name: String, observed: Rc<Observed>) {
    let path = format!("/v1/sources/{name}");
    loop {
        tokio::time::sleep(EVERY).await;
        let body = observed.report().to_string().into_bytes();
        match client.send(Method::POST, &path, "application/json", body).await {
            Ok(Reply::Missing) => {
                log::info!("this server takes no reports of sources");
                return;
            }
            Ok(_) => {}
            // What is wrong is told where events are posted.
            Err(error) => log::debug!("report: {error}"),
        }
    }
}
