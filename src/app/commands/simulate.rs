//! `tidings simulate`: policies against shoppers who exist only here, or shoppers against a server.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use indicatif::ProgressBar;
use tokio::sync::watch;

use super::say;
use crate::app::usage::Usage;
use tidings_core::event::clean::grouped;
use tidings_decision::notify::Rules;
use tidings_demo::live;
use tidings_demo::simulation::{Strategy, Tally, World, oracle, run as simulate};

/// Policies, number of shoppers and duration; or a server.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// A policy: default, everything, nothing, or a file as PUT /admin/policies/default takes it. May be given more than
    /// once [default: everything and default]. A setting that changes nothing for simulated shoppers is refused. Nobody is held
    /// out or left to a coin unless the file says so.
    #[arg(long, value_name = "NAME|FILE")]
    policy: Vec<String>,
    /// Simulated shoppers.
    #[arg(long, default_value_t = 2_000)]
    users: usize,
    /// Simulated days that count.
    #[arg(long, default_value_t = 28)]
    days: usize,
    /// Simulated days before them, to learn in.
    #[arg(long, default_value_t = 14)]
    warm_up: usize,
    /// Worlds to try: seeds SEED, SEED + 1, …
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Same seed, same shoppers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object a policy.
    #[arg(long)]
    json: bool,
    /// Instead: shoppers as clients of the server with this WebSocket, until Ctrl-C.
    #[arg(long, value_name = "WS_URL")]
    url: Option<String>,
    /// With --url: shoppers online at a time.
    #[arg(long, default_value_t = 40, requires = "url")]
    shoppers: usize,
    /// With --url: stop after this many seconds.
    #[arg(long, value_name = "SECONDS", requires = "url")]
    duration: Option<u64>,
}

/// Compares policies, or sends shoppers to a server.
pub fn run(args: SimulateArgs) -> anyhow::Result<()> {
    match args.url {
        Some(url) => visit(url, args.shoppers, args.seed, args.duration),
        None => compare(&args),
    }
}

/// A policy, the sum over all worlds, and the seconds it took.
type PolicyRow = (String, Tally, f64);

fn compare(args: &SimulateArgs) -> anyhow::Result<()> {
    within("--users", args.users as u64, 1..=1_000_000)?;
    within("--days", args.days as u64, 1..=366)?;
    within("--warm-up", args.warm_up as u64, 0..=366)?;
    within("--seeds", args.seeds, 1..=100)?;
    let names = match args.policy.as_slice() {
        [] => vec!["everything".to_owned(), "default".to_owned()],
        given => given.to_vec(),
    };
    let read = |name: &String| Strategy::read(name).map_err(|error| Usage::of(&error));
    let strategies: Vec<Strategy> = names.iter().map(read).collect::<anyhow::Result<_>>()?;
    let default = Strategy::read("default")?;
    let rows = tally(args, &strategies, &default)?;
    let rules = &default.rules;
    if args.json { print_json(&rows, rules) } else { print_table(args, &rows, rules) }
}

fn within(flag: &str, number: u64, range: RangeInclusive<u64>) -> anyhow::Result<()> {
    if range.contains(&number) {
        return Ok(());
    }
    let (least, most) = (grouped(*range.start()), grouped(*range.end()));
    Err(Usage::error(format!("{flag} is {least}…{most}, not {number}")))
}

/// Runs every policy in every world; the first row is that of the oracle, which bounds them all.
fn tally(args: &SimulateArgs, strategies: &[Strategy], default: &Strategy) -> anyhow::Result<Vec<PolicyRow>> {
    let worlds: Vec<World> = (0..args.seeds)
        .map(|n| World {
            users: args.users,
            days: args.days,
            warm_up_days: args.warm_up,
            seed: args.seed.wrapping_add(n),
        })
        .collect();
    // What a changed policy is measured against: it must make a difference, or its row says nothing.
    let compares = strategies.iter().any(|strategy| !strategy.changes.is_empty());
    let steps = ((strategies.len() + 1 + usize::from(compares)) * worlds.len()) as u64;
    let bar = ProgressBar::new(steps);
    let over_worlds = |one: &dyn Fn(&World) -> Tally| {
        let mut tally = Tally::default();
        for world in &worlds {
            tally.add(&one(world));
            bar.inc(1);
        }
        tally
    };
    let best = over_worlds(&|world| oracle(world, &default.rules));
    let unchanged = compares.then(|| over_worlds(&|world| simulate(world, default)));
    let mut rows = vec![("oracle".to_owned(), best, 0.0)];
    for strategy in strategies {
        let began = Instant::now();
        let tally = over_worlds(&|world| simulate(world, strategy));
        if !strategy.changes.is_empty() && unchanged == Some(tally) {
            bar.finish_and_clear();
            bail!(
                "policy {}: {} made no difference to any of {} occasions, so its row would be that of the default. Bounds that are \
                 never reached change nothing: make them tighter, or the time longer",
                strategy.name,
                strategy.changes.join(", "),
                tally.occasions
            );
        }
        rows.push((strategy.name.clone(), tally, began.elapsed().as_secs_f64()));
    }
    bar.finish_and_clear();
    Ok(rows)
}

/// Utility of the oracle, in the first row.
fn bound(rows: &[PolicyRow], rules: &Rules) -> f64 {
    rows.first().map_or(0.0, |(_, best, _)| best.utility(rules))
}

fn print_json(rows: &[PolicyRow], rules: &Rules) -> anyhow::Result<()> {
    let bound = bound(rows, rules);
    for (name, tally, seconds) in rows {
        let utility = tally.utility(rules);
        say(&serde_json::json!({
            "policy": name, "tally": tally, "click_through": tally.click_through(),
            "conversion": tally.conversion(), "opt_outs_per_thousand": tally.opt_outs_per_thousand(),
            "utility": utility, "regret": bound - utility, "seconds": seconds,
        })
        .to_string())?;
    }
    Ok(())
}

fn print_table(args: &SimulateArgs, rows: &[PolicyRow], rules: &Rules) -> anyhow::Result<()> {
    say(&format!(
        "{} shoppers, {} days after {} to learn in, {} worlds from seed {}",
        args.users, args.days, args.warm_up, args.seeds, args.seed
    ))?;
    say(
        "policy            messages  click-through  conversion  clicks  purchases  opt-outs/1000   utility    regret",
    )?;
    let bound = bound(rows, rules);
    for (name, tally, _) in rows {
        let utility = tally.utility(rules);
        say(&format!(
            "{name:<16} {:>9} {:>13.2}% {:>10.2}% {:>7} {:>10} {:>14.1} {utility:>9.0} {:>9.0}",
            tally.sent,
            100.0 * tally.click_through(),
            100.0 * tally.conversion(),
            tally.clicks,
            tally.purchases,
            tally.opt_outs_per_thousand(),
            bound - utility,
        ))?;
    }
    Ok(())
}

/// Shoppers against a running server, until the time is up or Ctrl-C.
fn visit(url: String, shoppers: usize, seed: u64, duration: Option<u64>) -> anyhow::Result<()> {
    actix::System::new().block_on(async {
        let (stop, stopped) = watch::channel(false);
        let options = live::LiveOptions { shoppers, seed, ..live::LiveOptions::new(url) };
        let shoppers = actix::spawn(live::run(options, stopped));
        let time_is_up = async {
            match duration {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = time_is_up => {}
        }
        let _ = stop.send(true);
        let summary = shoppers.await??;
        say(&format!(
            "visits {}  events {}  accepted {}  errors {}  notifications {}  clicked {}  dismissed {}  muted {}  purchases {}",
            summary.visits,
            summary.events,
            summary.accepted,
            summary.errors,
            summary.notifications,
            summary.clicked,
            summary.dismissed,
            summary.muted,
            summary.purchases
        ))
    })
}
