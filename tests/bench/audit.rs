//! Changes that go into the audit log, by one client and by several at once, beside the same changes by users themselves, which do not.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::http::Http;
use crate::report::{Aim, Report, median};
use crate::server::{Server, data_dir};
use crate::tokens::{SECRET, token};

const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(3);
const CLIENTS: [usize; 2] = [1, 8];

pub fn run(report: &mut Report) {
    report.setting("turns", format!("{TURNS} × {} s", TURN.as_secs()));
    let directory = data_dir();
    let secret = format!("auth.secret={SECRET}");
    let settings = ["--set", "auth.mode=token", "--set", &secret, "--set", "limits.user_per_s=0"];
    let server = Server::start("serve", directory.path(), &settings);
    let service = vec![token(&["--role", "service"]); 8];
    let users: Vec<String> =
        (0..8).map(|user| token(&["--role", "user", "--user", &user.to_string()])).collect();
    let mut rates = [(); 4].map(|()| Vec::new());
    for _ in 0..TURNS {
        let each = CLIENTS.iter().flat_map(|clients| [(*clients, &service), (*clients, &users)]);
        for ((clients, tokens), rates) in each.zip(&mut rates) {
            rates.push(rate(server.address, &tokens[..clients]));
        }
    }
    let [one, one_own, several, several_own] = rates.map(|mut rates| median(&mut rates));
    let of_several = format!("{} clients at once", CLIENTS[1]);
    report.row("1 client: changed preferences", one, "/s", Aim::None);
    report.row("1 client: those of users, without an entry", one_own, "/s", Aim::None);
    report.row(&format!("{of_several}: changed preferences"), several, "/s", Aim::None);
    report.row(&format!("{of_several}: those of users, without an entry"), several_own, "/s", Aim::None);
    report.versus(&format!("{of_several} against 1"), (several, one), "/s", Aim::None);
}

/// Changes a second, each client of its own user and with its own token.
fn rate(address: SocketAddr, tokens: &[String]) -> f64 {
    thread::scope(|scope| {
        let client = |(user, token): (usize, &String)| {
            let mut http = Http::connect(address);
            http.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
            scope.spawn(move || {
                let (began, mut n) = (Instant::now(), 0_usize);
                while began.elapsed() < TURN {
                    let locale = if n.is_multiple_of(2) { "de" } else { "fr" };
                    let path = format!("/v1/users/{user}/preferences");
                    let answer = http.patch(&path, &json!({"locale": locale}));
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    n += 1;
                }
                n as f64 / began.elapsed().as_secs_f64()
            })
        };
        let running: Vec<_> = tokens.iter().enumerate().map(client).collect();
        running.into_iter().map(|one| one.join().unwrap()).sum::<f64>()
    })
}
