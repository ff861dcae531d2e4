//! What can be asked for: the commands, and the filters that all of them share.

use clap::{ArgGroup, Args, Subcommand};
use schemas::Timestamp;
use service::config::Rate;

use crate::letter::{Letter, Position};

/// `dead ...`: sees and deals with what was parked.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
// Whose arguments hold these has a group of that name.
#[group(skip)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
    /// Print JSON, one object a line, instead of text for people.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do with dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Action {
    /// Show which dead letters there are, without their content.
    List(List),
    /// Show one dead letter with its headers and the message of its failure.
    Show(Show),
    /// Let dead letters go through again, each once, behind what is live of their subscriber.
    Redrive(Redrive),
    /// Remember that nothing more is to become of these dead letters.
    Discard(Discard),
}

/// `dead list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct List {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help")]
    pub filter: Filter,
    /// Also those that were redriven or discarded already.
    #[arg(long)]
    pub all: bool,
    /// At most so many, the oldest first.
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<usize>,
}

/// `dead show`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Show {
    /// Where it lies: <partition>/<offset> as `dead list` shows it.
    pub position: Position,
    /// Print the body as well. It may hold what is known of a person.
    #[arg(long)]
    pub body: bool,
}

/// `dead redrive`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Redrive {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help")]
    pub choice: Choice,
    /// The fastest: so many in a second (/s), minute (/min) or hour (/h).
    #[arg(long, value_name = "RATE", default_value = "50/s")]
    pub rate: Rate,
    /// Show which would go, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `dead discard`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Discard {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help")]
    pub choice: Choice,
    /// Do not ask. Needed where nobody can be asked.
    #[arg(long)]
    pub yes: bool,
    /// Show which would be discarded, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Which dead letters to change: at least one position or filter, or expressly every one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(group(
    ArgGroup::new("which").required(true).multiple(true)
        .args(["positions", "reason", "source", "subscriber", "event_type", "since", "until", "every"])
))]
pub struct Choice {
    /// These alone: <partition>/<offset> as `dead list` shows it.
    #[arg(value_name = "POSITION")]
    pub positions: Vec<Position>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help")]
    pub filter: Filter,
    /// All that nobody has dealt with yet.
    #[arg(long)]
    pub every: bool,
    /// At most so many, the oldest first.
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<usize>,
}

/// Which dead letters are meant. Filters of different kinds must all fit; of several values of one kind,
/// one must.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[group(skip)]
pub struct Filter {
    /// Parked for this reason; may be repeated.
    #[arg(long, value_name = "WORD")]
    pub reason: Vec<String>,
    /// From this source; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub source: Vec<String>,
    /// Of this subscriber: the whole key, <source>/<id>.
    #[arg(long, value_name = "KEY")]
    pub subscriber: Option<String>,
    /// Of this type, with or without the provider in front; may be repeated.
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Vec<String>,
    /// Parked at this time or later (RFC 3339, such as 2026-12-01T00:00:00Z).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Timestamp>,
    /// Parked before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Whether the letter is meant.
    pub fn admits(&self, letter: &Letter) -> bool {
        let among = |wanted: &[String], word: Option<&str>| {
            wanted.is_empty() || word.is_some_and(|word| wanted.iter().any(|one| one == word))
        };
        among(&self.reason, letter.reason())
            && among(&self.source, letter.labels.source.as_deref())
            && self.admits_type(letter.labels.event_type.as_deref())
            && self.subscriber.as_ref().is_none_or(|key| key.as_bytes() == letter.key)
            && self.since.is_none_or(|since| since <= letter.parked_at)
            && self.until.is_none_or(|until| letter.parked_at < until)
    }

    fn admits_type(&self, event_type: Option<&str>) -> bool {
        let same = |wanted: &String, whole: &str| {
            let own = whole.split_once('.').map(|(_provider, own)| own);
            wanted == whole || Some(wanted.as_str()) == own
        };
        let one = |whole| self.event_type.iter().any(|wanted| same(wanted, whole));
        self.event_type.is_empty() || event_type.is_some_and(one)
    }
}

impl Choice {
    /// Whether the letter is meant.
    pub fn admits(&self, letter: &Letter) -> bool {
        let named = self.positions.is_empty() || self.positions.contains(&letter.position);
        named && self.filter.admits(letter)
    }
}

fn moment(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::from_rfc3339(text).ok_or("must be a time such as 2026-12-01T00:00:00Z")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::letter::samples::letter;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &str) -> Result<Action, String> {
        Line::try_parse_from(std::iter::once("dead").chain(line.split_whitespace()))
            .map(|line| line.arguments.action)
            .map_err(|error| error.to_string())
    }

    fn filter(line: &str) -> Filter {
        let Ok(Action::List(list)) = parse(&format!("list {line}")) else { panic!("{line}") };
        list.filter
    }

    #[test]
    fn filters_of_different_kinds_must_all_fit_and_one_value_of_each() {
        let letter = letter(0, 60, "refused");
        for fits in [
            "",
            "--reason refused",
            "--reason too_large --reason refused",
            "--source shop --type stripe.invoice.paid",
            "--type invoice.paid",
            "--subscriber shop/cus_1",
            "--since 1970-01-01T00:01:00Z --until 1970-01-01T00:01:00.001Z",
        ] {
            assert!(filter(fits).admits(&letter), "{fits}");
        }
        for misses in [
            "--reason too_large",
            "--reason refused --source app",
            "--type paid",
            "--type stripe",
            "--subscriber cus_1",
            "--subscriber shop/cus_11",
            "--since 1970-01-01T00:01:00.001Z",
            "--until 1970-01-01T00:01:00Z",
        ] {
            assert!(!filter(misses).admits(&letter), "{misses}");
        }
    }

    #[test]
    fn what_a_letter_does_not_say_no_filter_fits() {
        let mut nameless = letter(0, 0, "refused");
        nameless.labels = schemas::headers::Labels::default();
        nameless.end = Err(schemas::headers::HeaderError::Missing("tributary-reason"));
        assert!(filter("").admits(&nameless));
        for misses in ["--reason refused", "--source shop", "--type invoice.paid"] {
            assert!(!filter(misses).admits(&nameless), "{misses}");
        }
    }

    #[test]
    fn a_change_needs_a_filter_or_every_and_a_limit_is_none() {
        for given in ["--every", "3/17", "--reason refused", "--until 2026-12-01T00:00:00Z"] {
            assert!(parse(&format!("redrive {given}")).is_ok(), "{given}");
            assert!(parse(&format!("discard {given} --yes")).is_ok(), "{given}");
        }
        for given in ["", "--dry-run", "--limit 5", "--rate 5/s"] {
            let told = parse(&format!("redrive {given}")).unwrap_err();
            assert!(told.contains("--every"), "{given}: {told}");
        }
        assert!(parse("discard --yes").is_err());
    }

    #[test]
    fn malformed_values_are_refused_with_what_would_be_right() {
        for (line, right) in [
            ("list --since yesterday", "2026-12-01T00:00:00Z"),
            ("list --limit many", "invalid digit"),
            ("show 17", "3/17"),
            ("redrive 3:17", "3/17"),
            ("redrive --every --rate 50", "100/s"),
        ] {
            let told = parse(line).unwrap_err();
            assert!(told.contains(right), "{line}: {told}");
        }
    }

    #[test]
    fn positions_and_filters_must_both_fit() {
        let Ok(Action::Redrive(redrive)) = parse("redrive 0/60 0/61 --reason refused") else {
            panic!("valid")
        };
        assert!(redrive.choice.admits(&letter(0, 60, "refused")));
        assert!(!redrive.choice.admits(&letter(0, 60, "too_large")));
        assert!(!redrive.choice.admits(&letter(0, 62, "refused")));
    }
}
