//! Who is refreshed, and where.

use std::collections::BTreeSet;

use schemas::Environment;
use service::config::{Account, Config, Mode};
use service::exit::Failure;
use transform::placement::partition_of;

use super::Arguments;
use crate::configure;

/// Whose states are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    who: Who,
    /// Everybody up to this one has had it.
    after: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    These(BTreeSet<String>),
    /// Everybody of these sources.
    Of(BTreeSet<String>),
}

impl Choice {
    /// What the command line asks for.
    pub(super) fn of(arguments: &Arguments, config: &Config) -> Result<Self, Failure> {
        let sources = || config.sources.keys().cloned().collect();
        let source_of = |key: &str| key.split_once('/').map(|(source, _)| source.to_owned());
        let keys = arguments.subscribers.iter().chain(&arguments.after);
        for key in keys.clone() {
            let source = source_of(key).ok_or_else(|| {
                let text =
                    "a subscriber is named by its key, <source>/<id>; `deliver trace` finds it";
                Failure::Usage(text.to_owned())
            })?;
            configured("source", &source, config.sources.keys())?;
        }
        for source in &arguments.source {
            configured("source", source, config.sources.keys())?;
        }
        let who = if !arguments.subscribers.is_empty() {
            Who::These(arguments.subscribers.iter().cloned().collect())
        } else if arguments.all {
            Who::Of(sources())
        } else {
            Who::Of(arguments.source.iter().cloned().collect())
        };
        Ok(Self { who, after: arguments.after.clone() })
    }

    /// Those who were named.
    pub(super) fn named(&self) -> Option<&BTreeSet<String>> {
        match &self.who {
            Who::These(keys) => Some(keys),
            Who::Of(_) => None,
        }
    }

    /// Where their states lie among so many partitions, in the order in which they are taken.
    pub(super) fn partitions(&self, count: i32) -> Vec<i32> {
        let first = self.after.as_ref().map_or(0, |key| partition_of(key.as_bytes(), count));
        match &self.who {
            Who::These(keys) => {
                let of = keys.iter().map(|key| partition_of(key.as_bytes(), count));
                of.collect::<BTreeSet<_>>().into_iter().collect()
            }
            Who::Of(_) => (first..count).collect(),
        }
    }

    /// Whether this one is meant, whose state lies in `partition` of so many.
    pub(super) fn admits(&self, key: &str, (partition, count): (i32, i32)) -> bool {
        let is_behind = self
            .after
            .as_deref()
            .is_none_or(|after| (partition_of(after.as_bytes(), count), after) < (partition, key));
        let is_meant = match &self.who {
            Who::These(keys) => keys.contains(key),
            Who::Of(sources) => {
                key.split_once('/').is_some_and(|(source, _)| sources.contains(source))
            }
        };
        is_behind && is_meant
    }
}

/// A destination where people are refreshed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) name: String,
    /// Purchases of these are shown there.
    pub(super) environments: Vec<Environment>,
}

/// Where people are refreshed, and where not and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destinations {
    pub(super) chosen: Vec<Chosen>,
    pub(super) left_out: Vec<(String, &'static str)>,
}

/// The destinations of these names, or all.
pub(super) fn chosen_destinations(
    config: &Config,
    names: &[String],
) -> Result<Destinations, Failure> {
    for name in names {
        configured("destination", name, config.destinations.keys())?;
    }
    let mut destinations = Destinations { chosen: Vec::new(), left_out: Vec::new() };
    for (name, destination) in &config.destinations {
        if !names.is_empty() && !names.contains(name) {
            continue;
        }
        let left_out = match (&destination.account, destination.mode) {
            (Account::Webhook(_), _) => Some("a receiver of webhooks has no attributes"),
            (Account::Customerio(_) | Account::Intercom(_), Mode::Shadow) => {
                Some("it is in shadow mode, nobody is called")
            }
            (Account::Customerio(_) | Account::Intercom(_), Mode::Live) => None,
        };
        match left_out {
            Some(reason) => destinations.left_out.push((name.clone(), reason)),
            None => destinations.chosen.push(Chosen {
                name: name.clone(),
                environments: configure::environments(destination),
            }),
        }
    }
    if destinations.chosen.is_empty() {
        let told = destinations.left_out.iter().map(|(name, reason)| format!("{name}: {reason}"));
        let told: Vec<_> = told.collect();
        let text = format!("there is no destination to refresh at ({})", told.join("; "));
        return Err(Failure::Usage(text));
    }
    Ok(destinations)
}

fn configured<'a>(
    what: &str,
    name: &String,
    mut there: impl Iterator<Item = &'a String> + Clone,
) -> Result<(), Failure> {
    if there.clone().any(|one| one == name) {
        return Ok(());
    }
    let names: Vec<_> = there.by_ref().map(String::as_str).collect();
    Err(Failure::Usage(format!("there is no {what} {name}; there is {}", names.join(", "))))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser;
    use service::Binary;
    use service::clock::SystemClock;
    use service::config::{Loader, Variables, Vocabulary};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn config() -> Config {
        let text = "\
kafka: { brokers: 'localhost:9092' }
sources:
  apps: { provider: revenuecat, authorization: [word] }
  shop: { provider: stripe, secrets: [word] }
destinations:
  crm: { type: customerio, region: us, site_id: a, api_key: b }
  desk: { type: intercom, region: us, access_token: c, mode: shadow, environments: [sandbox] }
  hooks: { type: webhook, url: 'https://example.com', secrets: [whsec_c2VjcmV0c2VjcmV0c2VjcmV0] }
";
        let (variables, clock) = (Variables::default(), Arc::new(SystemClock::new()));
        let vocabulary = Vocabulary::default();
        let loader = Loader { binary: Binary::Deliver, variables: &variables, vocabulary, clock };
        loader.read("it.yaml", text).unwrap()
    }

    fn arguments(text: &str) -> Result<Arguments, clap::Error> {
        let words = std::iter::once("refresh").chain(text.split_whitespace());
        Line::try_parse_from(words).map(|line| line.arguments)
    }

    fn choice(text: &str) -> Result<Choice, Failure> {
        Choice::of(&arguments(text).unwrap(), &config())
    }

    #[test]
    fn nobody_and_contradictions_are_refused() {
        for wrong in ["", "--all --source shop", "shop/1 --all", "shop/1 --after shop/0"] {
            assert!(arguments(wrong).is_err(), "{wrong}");
        }
        for wrong in ["ada@example.com", "other/1", "--source other", "--all --after 17"] {
            assert!(matches!(choice(wrong), Err(Failure::Usage(_))), "{wrong}");
        }
    }

    #[test]
    fn everybody_is_whoever_belongs_to_a_source() {
        let admits = |text: &str, key: &str| choice(text).unwrap().admits(key, (0, 12));
        assert!(admits("--all", "shop/1") && admits("--all", "apps/1"));
        assert!(!admits("--all", "gone/1") && !admits("--all", "\u{fffd}partition"));
        assert!(admits("--source apps", "apps/1") && !admits("--source apps", "shop/1"));
        assert!(admits("shop/1 shop/2", "shop/2") && !admits("shop/1 shop/2", "shop/3"));
    }

    #[test]
    fn who_goes_on_begins_behind_the_last_one_and_leaves_nobody_out() {
        let keys: Vec<_> = (0..100).map(|number| format!("shop/{number}")).collect();
        let place = |key: &str| (partition_of(key.as_bytes(), 12), key.to_owned());
        let mut all: Vec<_> = keys.iter().map(|key| place(key)).collect();
        all.sort();
        let last = &all[40].1;
        let choice = choice(&format!("--all --after {last}")).unwrap();
        assert_eq!(choice.partitions(12), (all[40].0..12).collect::<Vec<_>>());
        let rest = all.iter().filter(|(partition, key)| choice.admits(key, (*partition, 12)));
        assert_eq!(rest.collect::<Vec<_>>(), all[41..].iter().collect::<Vec<_>>());
    }

    #[test]
    fn those_who_are_named_are_looked_for_where_they_lie() {
        let choice = choice("shop/1 shop/2").unwrap();
        let lie: BTreeSet<_> =
            ["shop/1", "shop/2"].iter().map(|key| partition_of(key.as_bytes(), 12)).collect();
        assert_eq!(choice.partitions(12), lie.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn destinations_without_attributes_and_those_nobody_calls_are_left_out_and_said_so() {
        let destinations = chosen_destinations(&config(), &[]).unwrap();
        let names: Vec<_> = destinations.chosen.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["crm"]);
        let left_out: Vec<_> = destinations.left_out.iter().map(|(name, _)| name).collect();
        assert_eq!(left_out, ["desk", "hooks"]);
        for wrong in ["hooks", "desk", "other"] {
            let found = chosen_destinations(&config(), &[wrong.to_owned()]);
            assert!(matches!(found, Err(Failure::Usage(_))), "{wrong}");
        }
    }
}
