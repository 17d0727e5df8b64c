//! Model card: what a version was trained on, what the trial chose, how good its lists are, and what changed against the version
//! before. Made at each training and stored with the version. Mitchell et al. 2019.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::base::{ModelVersion, Timestamp};
use crate::catalogue::Catalogue;
use crate::recommend::ModelSet;
use crate::recommend::ensemble::BaseModel;
use crate::recommend::train::TrainingData;

use super::figures::Figure;

/// Data of a training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataFacts {
    /// Events that were read and kept.
    pub events: usize,
    /// Users with at least one event.
    pub users: usize,
    /// Items named by events.
    pub items: usize,
    /// Items of the catalogue.
    pub catalogue: usize,
    /// Moment of the oldest event; `None` without any.
    pub from: Option<Timestamp>,
    /// Moment of the newest event.
    pub to: Option<Timestamp>,
    /// Moment from which events were held out; `None` = none were.
    pub held_out_from: Option<Timestamp>,
}

impl DataFacts {
    /// Of training data in order of time. O(events).
    pub fn of(data: &TrainingData, catalogue: &Catalogue, held_out_from: Option<Timestamp>) -> Self {
        let (mut users, mut items) = (vec![false; data.n_users], Vec::new());
        for event in &data.events {
            if let Some(slot) = event.user.and_then(|user| users.get_mut(user.index())) {
                *slot = true;
            }
            if let Some(item) = event.item.map(|item| item.index()) {
                items.resize(items.len().max(item + 1), false);
                items.get_mut(item).into_iter().for_each(|slot| *slot = true);
            }
        }
        let count = |flags: &[bool]| flags.iter().filter(|flag| **flag).count();
        Self {
            events: data.events.len(),
            users: count(&users),
            items: count(&items),
            catalogue: catalogue.len(),
            from: data.events.first().map(|event| event.occurred_at),
            to: data.events.last().map(|event| event.occurred_at),
            held_out_from,
        }
    }
}

/// One thing that is not as in the version before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Name of the parameter, the fact or the figure.
    pub name: String,
    /// Value of the version before; null = it had none.
    pub before: Value,
    /// Value of this version; null = it has none.
    pub now: Value,
}

/// Card of a model version: its data, parameters, weights, figures, and the changes against the version before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Version of the model.
    pub version: ModelVersion,
    /// Moment of the training.
    pub trained_at: Timestamp,
    /// Data of the training.
    pub data: DataFacts,
    /// Parameters by name: those of the blend and its members as the trial chose them, and those that shape lists.
    pub parameters: Map<String, Value>,
    /// Weight of each member of the blend, logarithmic and plain shares together.
    pub weights: Map<String, Value>,
    /// Figures on users whose later events were held out; empty where none were.
    pub figures: Vec<Figure>,
    /// Version that served when this one was trained; `None` for the first.
    pub compared_with: Option<ModelVersion>,
    /// Differences from it. Figures of two versions are of two slices of time.
    pub changes: Vec<Change>,
}

impl ModelCard {
    /// Of a trained model that will be stored as `version`.
    pub fn new(
        version: ModelVersion,
        model: &ModelSet,
        data: DataFacts,
        figures: Vec<Figure>,
        before: Option<&Self>,
    ) -> Self {
        let mut card = Self {
            version,
            trained_at: model.trained_at,
            data,
            parameters: parameters(model),
            weights: weights(model),
            figures,
            compared_with: before.map(|before| before.version),
            changes: Vec::new(),
        };
        card.changes = before.map(|before| card.changes_from(before)).unwrap_or_default();
        card
    }

    /// Everything that is compared, by name.
    fn compared(&self) -> Map<String, Value> {
        let mut all = self.parameters.clone();
        all.insert("members".to_owned(), self.weights.keys().cloned().collect());
        for (name, count) in [
            ("events", self.data.events),
            ("users", self.data.users),
            ("items", self.data.items),
            ("catalogue", self.data.catalogue),
        ] {
            all.insert(name.to_owned(), json!(count));
        }
        for figure in self.figures.iter().filter(|figure| figure.group == "all") {
            all.insert(format!("{} ndcg@10", figure.list), json!(rounded(figure.ndcg.mean)));
        }
        all
    }

    fn changes_from(&self, before: &Self) -> Vec<Change> {
        let (old, new) = (before.compared(), self.compared());
        let gone = old.keys().filter(|name| !new.contains_key(*name));
        let names = new.keys().chain(gone);
        let value = |all: &Map<String, Value>, name: &str| all.get(name).cloned().unwrap_or_default();
        let change = |name: &String| {
            let (before, now) = (value(&old, name), value(&new, name));
            (before != now).then(|| Change { name: name.clone(), before, now })
        };
        names.filter_map(change).collect()
    }

    /// To read on a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let moment = |at: Option<Timestamp>| at.map_or("–".to_owned(), |at| at.to_string());
        let data = &self.data;
        let mut line = |line: std::fmt::Arguments<'_>| {
            let _ = writeln!(text, "{line}"); // A string takes all that is written.
        };
        line(format_args!("model {}, trained {}", self.version, self.trained_at));
        line(format_args!("\ndata"));
        line(format_args!("  {} events from {} to {}", data.events, moment(data.from), moment(data.to)));
        line(format_args!(
            "  {} users, {} items touched, {} in the catalogue",
            data.users, data.items, data.catalogue
        ));
        line(format_args!("  held out from {}", moment(data.held_out_from)));
        line(format_args!("\nparameters"));
        for (name, value) in &self.parameters {
            line(format_args!("  {name:<22} {value}"));
        }
        line(format_args!("\nweights of the blend"));
        for (name, value) in &self.weights {
            line(format_args!("  {name:<22} {value}"));
        }
        line(format_args!("\nfigures at 10, mean and 95 % interval over users"));
        line(format_args!(
            "  {:<16} {:<18} {:>6}  {:<24} {:<24} {:<24}",
            "list", "group", "users", "ndcg", "recall", "hit rate"
        ));
        for figure in &self.figures {
            let [ndcg, recall, hits] = [figure.ndcg, figure.recall, figure.hit_rate]
                .map(|one| format!("{:.4} ({:.4} … {:.4})", one.mean, one.low.max(0.0), one.high.min(1.0)));
            let Figure { list, group, users, .. } = figure;
            line(format_args!("  {list:<16} {group:<18} {users:>6}  {ndcg:<24} {recall:<24} {hits:<24}"));
        }
        match self.compared_with {
            None => line(format_args!("\nno version before it to compare with")),
            Some(before) => line(format_args!("\nchanged against version {before}")),
        }
        for Change { name, before, now } in &self.changes {
            line(format_args!("  {name}: {before} → {now}"));
        }
        text
    }
}

/// To four digits.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// A number of 32 bits as it is written, not as its nearest of 64 bits.
fn number(value: f32) -> Value {
    json!(value.to_string().parse::<f64>().unwrap_or(f64::from(value)))
}

fn parameters(model: &ModelSet) -> Map<String, Value> {
    let parameters = &model.parameters;
    let ensemble = &parameters.ensemble;
    let ridges = ensemble.ridges.iter().map(|ridge| {
        json!({
            "lambda": number(ridge.lambda), "user_scaling": number(ridge.user_scaling),
            "item_scaling": number(ridge.item_scaling),
        })
    });
    let als = ensemble.als.iter().map(|als| {
        json!({
            "factors": als.factors, "regularisation": number(als.regularisation), "alpha": number(als.alpha),
            "frequency_scaling": number(als.frequency_scaling), "iterations": als.iterations,
        })
    });
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
    put("ease", ridges.collect());
    put("als", als.collect());
    put("decays", ensemble.decays.iter().copied().map(number).collect());
    put("neighbours", json!(ensemble.neighbours));
    put("weights_kept", json!(ensemble.kept));
    put("kinds", json!(model.kinds.numbers.len()));
    put("diversity", json!(parameters.diversity));
    put("mix", model.mix().map_or(Value::Null, |mix| mix.weights().iter().copied().map(number).collect()));
    put("segments", json!(parameters.segments.k));
    put("seed", json!(parameters.seed));
    put("holdout_share", json!(parameters.holdout_share));
    put("tuning_work", json!(parameters.tuning_work));
    if let Some(choice) = &parameters.choice {
        put("blend", json!(choice.shape));
        put("best_member", json!(choice.best_member));
        put("validation_ndcg", json!(rounded(choice.ndcg)));
        put("best_member_validation_ndcg", json!(rounded(choice.best_member_ndcg)));
    }
    all
}

fn weights(model: &ModelSet) -> Map<String, Value> {
    let (rule, members) = (model.ensemble().ranker(), model.ensemble().models().members());
    let plain = rule.linear.iter().copied().chain(std::iter::repeat(0.0));
    let weighed = members.iter().zip(&rule.weights).zip(plain);
    let named = weighed.map(|((member, weight), plain): ((&BaseModel, &f32), f32)| {
        (member.to_string(), json!(rounded(f64::from(weight + plain))))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::figures::Estimate;
    use crate::event::EventKind;
    use crate::recommend::fixtures::{event, shop};

    fn figure(list: &str, mean: f64) -> Figure {
        let estimate = Estimate { mean, low: mean - 0.1, high: mean + 0.1 };
        Figure {
            list: list.to_owned(),
            group: "all".to_owned(),
            users: 40,
            ndcg: estimate,
            recall: estimate,
            hit_rate: estimate,
        }
    }

    #[test]
    fn facts_count_what_was_read() {
        let events = vec![event(0, EventKind::View, 3, 0.0), event(0, EventKind::Purchase, 1, 2.0)];
        let data = TrainingData { events, n_users: 5, ..TrainingData::default() };
        let facts = DataFacts::of(&data, &shop(), None);
        assert_eq!((facts.events, facts.users, facts.items, facts.catalogue), (2, 1, 2, 6));
        assert!(facts.from < facts.to);
        assert_eq!(
            DataFacts::of(&TrainingData::default(), &Catalogue::default(), None),
            DataFacts::default()
        );
    }

    #[test]
    fn a_card_says_what_changed_and_reads_back() {
        let model = ModelSet::empty();
        let facts = DataFacts { events: 10, ..DataFacts::default() };
        let first = ModelCard::new(ModelVersion(4), &model, facts.clone(), vec![figure("bare", 0.2)], None);
        assert!(first.changes.is_empty() && first.compared_with.is_none());
        let mut other = model;
        other.parameters.ensemble.neighbours = 70;
        let facts = DataFacts { events: 12, ..facts };
        let lists = vec![figure("bare", 0.2), figure("served", 0.19)];
        let second = ModelCard::new(ModelVersion(5), &other, facts, lists, Some(&first));
        let names: Vec<&str> = second.changes.iter().map(|change| change.name.as_str()).collect();
        assert_eq!(second.compared_with, Some(ModelVersion(4)));
        for changed in ["events", "neighbours", "served ndcg@10"] {
            assert!(names.contains(&changed), "{names:?}");
        }
        assert_eq!(names.len(), 3, "and nothing else: {names:?}");
        let text = second.text();
        for told in ["model 5", "neighbours: 100 → 70", "served           all", "0.1900 (0.0900 … 0.2900)"]
        {
            assert!(text.contains(told), "{told} is missing in {text}");
        }
        let stored = serde_json::to_value(&second).unwrap();
        assert_eq!(serde_json::from_value::<ModelCard>(stored).unwrap(), second);
    }
}
