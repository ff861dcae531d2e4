//! `docs/mappings.md` says what the code does: its tables are made from the catalogues and from what
//! the stories lead to, and stand between markers in the page. `WRITE_DOCS=1` writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use schemas::{EventType, LifecycleEvent, Provider};
use transform::sources::{Reading, Treatment, mapper_of};

use crate::fixture::{Fixture, PROVIDERS, read, stories, type_of};
use crate::outcome::{Group, tell};

/// Most stories that a row refers to.
const MOST_REFERENCES: usize = 3;

#[test]
fn the_page_of_mappings_says_what_the_code_does() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/mappings.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut made = page.clone();
    for provider in PROVIDERS {
        let begin = format!("<!-- made from the code: {provider} -->\n");
        let end = format!("<!-- end of {provider} -->\n");
        let (before, rest) = made.split_once(&begin).unwrap();
        let (_, after) = rest.split_once(&end).unwrap();
        made = format!("{before}{begin}\n{}\n{end}{after}", section(provider));
    }
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, made).unwrap();
    } else {
        assert!(page == made, "docs/mappings.md is stale: run this test with WRITE_DOCS=1");
    }
}

#[test]
fn no_cell_of_a_table_is_empty() {
    for provider in PROVIDERS {
        for row in section(provider).lines().filter(|line| line.starts_with('|')) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
            assert!(cells.iter().all(|cell| !cell.trim().is_empty()), "{row}");
        }
    }
}

fn section(provider: Provider) -> String {
    let stories = stories(provider);
    [outcomes(provider, &stories), ignored(provider), order(&stories), traps(&stories)]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// What one kind of event gave, with how the subscription stood after it and where that is shown.
#[derive(Default)]
struct Outcome {
    statuses: BTreeSet<String>,
    stories: Vec<String>,
}

/// By the provider's type, by what it gave.
type Outcomes = BTreeMap<String, BTreeMap<String, Outcome>>;

fn outcomes(provider: Provider, stories: &[Fixture]) -> String {
    let mut outcomes = Outcomes::new();
    for story in stories {
        for group in tell(story).groups {
            note(&mut outcomes, story, &group);
        }
    }
    let mut table = "| event | gives | status after | shown in |\n|---|---|---|---|\n".to_owned();
    let mapped = mapper_of(provider).unwrap().treatments().iter();
    for (name, _) in mapped.filter(|(_, treatment)| *treatment == Treatment::Mapped) {
        for (gives, outcome) in outcomes.get(*name).into_iter().flatten() {
            let statuses: Vec<&str> = outcome.statuses.iter().map(String::as_str).collect();
            let references: Vec<String> = outcome
                .stories
                .iter()
                .take(MOST_REFERENCES)
                .map(|name| format!("[{name}](../transform/fixtures/{provider}/{name}.json)"))
                .collect();
            let (statuses, references) = (statuses.join(", "), references.join(", "));
            writeln!(table, "| `{name}` | {gives} | {statuses} | {references} |").unwrap();
        }
    }
    table
}

fn note(outcomes: &mut Outcomes, story: &Fixture, group: &Group) {
    // What one webhook means for two people is two rows.
    let mut by_cause: BTreeMap<(&str, &str), Vec<&LifecycleEvent>> = BTreeMap::new();
    for event in group.events.iter().filter(|event| !event.late) {
        let cause = (event.provider_event_id.as_str(), event.subscriber.key.as_str());
        by_cause.entry(cause).or_default().push(event);
    }
    let mut add = |event_type: &str, gives: String, status: String| {
        let outcome = outcomes.entry(event_type.to_owned()).or_default().entry(gives).or_default();
        outcome.statuses.insert(status);
        if !outcome.stories.contains(&story.name) {
            outcome.stories.push(story.name.clone());
        }
    };
    for events in by_cause.values() {
        let gives: Vec<String> = events.iter().map(|event| named(event)).collect();
        let last = events.last().unwrap();
        let status = match &last.subscription {
            None => "as before".to_owned(),
            Some(subscription) => match subscription.status {
                Some(status) => status.to_string(),
                None => "none".to_owned(),
            },
        };
        add(&last.provider_event_type, gives.join(", "), status);
    }
    // Only where one delivery was let go alone is it known that a reason is its own.
    if let ([(event_type, _)], [reason]) = (group.deliveries.as_slice(), group.ignored.as_slice()) {
        add(event_type, format!("nothing: `{reason}`"), "as before".to_owned());
    }
}

fn named(event: &LifecycleEvent) -> String {
    match (event.event_type, &event.money) {
        (EventType::TransactionProcessed, Some(money)) if money.amount < 0 => {
            format!("{} (−)", event.event_type)
        }
        (EventType::TransactionProcessed, Some(_)) => format!("{} (+)", event.event_type),
        (event_type, _) => event_type.to_string(),
    }
}

fn ignored(provider: Provider) -> String {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, treatment) in mapper_of(provider).unwrap().treatments() {
        if let Treatment::Ignored(reason) = treatment {
            by_reason.entry(reason).or_default().push(format!("`{name}`"));
        }
    }
    let mut table = "| ignored as | events |\n|---|---|\n".to_owned();
    for (reason, names) in by_reason {
        writeln!(table, "| `{reason}` | {} |", names.join(", ")).unwrap();
    }
    table.push_str("| `unknown_event_type` | all others |\n");
    table
}

/// The order among events of one moment, from the facts that were read.
fn order(stories: &[Fixture]) -> String {
    let mut by_rank: BTreeMap<i32, BTreeSet<String>> = BTreeMap::new();
    for story in stories {
        let sources = story.sources();
        for record in story.records() {
            if let Reading::Facts(facts) = read(&record, &sources) {
                let names = by_rank.entry(facts.rank).or_default();
                names.insert(format!("`{}`", type_of(&record)));
            }
        }
    }
    let mut list = "Of one moment, in this order:\n\n".to_owned();
    for (place, names) in (1..).zip(by_rank.into_values()) {
        let names: Vec<String> = names.into_iter().collect();
        writeln!(list, "{place}. {}", names.join(", ")).unwrap();
    }
    list
}

fn traps(stories: &[Fixture]) -> String {
    let mut list = String::new();
    for story in stories {
        for trap in &story.traps {
            let provider = story.provider();
            let name = &story.name;
            writeln!(list, "- {trap} ([{name}](../transform/fixtures/{provider}/{name}.json))")
                .unwrap();
        }
    }
    if list.is_empty() { list } else { format!("What is odd, and where it is shown:\n\n{list}") }
}
