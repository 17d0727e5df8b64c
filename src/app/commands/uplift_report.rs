//! The report of `tidings uplift` as lines of text.

use super::say;
use tidings_core::ml::estimate::Estimate;
use tidings_core::response::uplift::{CLIP, LearnerReport, Report};

/// Prints the effect, a line a learner, and the tenths and the curve of the best of those that can tell.
pub(super) fn print(report: &Report) -> anyhow::Result<()> {
    lines(report).iter().try_for_each(|line| say(line))
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![head(report)];
    if let Some(refusal) = report.refusal {
        lines.push(format!("no estimate: {refusal}"));
        return lines;
    }
    for (name, estimate) in [
        ("average effect", report.effect),
        ("treat all", report.treat_all),
        ("treat none", report.treat_none),
    ] {
        lines.extend(estimate.map(|estimate| format!("{name:<16} {}", interval(estimate))));
    }
    if report.effect.is_some_and(|effect| !effect.excludes_zero()) {
        lines.push("can't tell whether it helps on average: the interval holds 0".to_owned());
    }
    report.learners.iter().for_each(|learner| lines.extend(of_learner(learner)));
    let told = report.learners.iter().filter(|learner| learner.refusal.is_none());
    if let Some(best) = told.max_by(|a, b| a.qini.value.total_cmp(&b.qini.value)) {
        lines.extend(details(best));
    }
    lines
}

fn head(report: &Report) -> String {
    let Report { rows, users, treated, clipped, effective: [ones, others], .. } = report;
    let how = if report.estimated_propensities { "estimated by logistic regression" } else { "as logged" };
    let share = 100.0 * *treated as f64 / (*rows).max(1) as f64;
    let mut line =
        format!("rows {rows}  users {users}  treated {treated} ({share:.1} %)  propensities {how}");
    if *clipped > 0 {
        line.push_str(&format!(", {clipped} clipped to {CLIP}…{}", 1.0 - CLIP));
    }
    if ones + others > 0.0 {
        line.push_str(&format!("  effective sample {ones:.0} treated, {others:.0} not"));
    }
    line
}

fn interval(estimate: Estimate) -> String {
    let Estimate { value, low, high, .. } = estimate;
    format!("{value:>10.6}  95 % {low:.6} … {high:.6}")
}

fn of_learner(learner: &LearnerReport) -> Vec<String> {
    let name = learner.learner.name();
    let mut lines = vec![format!("{name:<3} Qini         {}", interval(learner.qini))];
    if let Some(refusal) = learner.refusal {
        lines.push(format!("{name:<3} {refusal}"));
    }
    if let Some(policy) = learner.policy {
        lines.push(format!(
            "{name:<3} policy       {}  treats {:.1} %",
            interval(policy.value),
            100.0 * policy.treats
        ));
        lines.push(format!("{name:<3}  over all    {}", interval(policy.over_all)));
        lines.push(format!("{name:<3}  over none   {}", interval(policy.over_none)));
    }
    lines
}

fn details(best: &LearnerReport) -> Vec<String> {
    let name = best.learner.name();
    let mut lines = vec![format!("{name}, tenths of the rows by predicted effect")];
    lines.push("  tenth    rows  treated   predicted      effect  95 %".to_owned());
    for (tenth, decile) in best.deciles.iter().enumerate() {
        let Estimate { value, low, high, .. } = decile.effect;
        lines.push(format!(
            "{:>7} {:>7} {:>8} {:>11.6} {value:>11.6}  {low:.6} … {high:.6}",
            tenth + 1,
            decile.rows,
            decile.treated,
            decile.predicted
        ));
    }
    lines.push(format!("{name}, Qini curve"));
    lines.push("  treated        gain      random  gain over random".to_owned());
    for point in &best.curve {
        lines.push(format!(
            "{:>7.0} % {:>11.6} {:>11.6} {:>11.6}",
            100.0 * point.share,
            point.gain,
            point.random,
            point.gain - point.random
        ));
    }
    lines
}
