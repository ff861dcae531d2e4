//! Holds `docs/naming.md` against the tables.

use std::fmt::Write as _;

use schemas::Provider;
use schemas::vocabulary::Store;

use super::*;

/// The events of a pair, as the page shows them.
fn table(provider: Provider, receiver: Receiver) -> String {
    let integration = of(provider, receiver);
    let mut text = String::from("| event of the provider | default name |\n|---|---|\n");
    for row in integration.rows {
        let when = match row.when {
            When::Always => "",
            When::InTrial => " in a trial",
            When::ConvertsTrial => " that turns a trial into a paid subscription",
        };
        let optional = match row.standing {
            Standing::Sent => "",
            Standing::Optional => ", optional",
        };
        let except = excepted(row.except);
        writeln!(text, "| `{}`{when}{except} | `{}`{optional} |", row.event, row.name).unwrap();
    }
    let rest = match &integration.rest {
        Rest::NotSent => "not sent",
        Rest::OwnName { .. } => "its own type",
    };
    writeln!(text, "| any other | {rest} |").unwrap();
    text
}

fn excepted(stores: &[Store]) -> String {
    let words: Vec<_> = stores.iter().map(|store| store.name()).collect();
    if words.is_empty() { String::new() } else { format!(" (not: {})", words.join(", ")) }
}

/// Each name of a pair, with which events it goes or is left on the person, and what it is.
fn meanings(provider: Provider, receiver: Receiver) -> String {
    let integration = of(provider, receiver);
    let mut fields: Vec<_> = contents(integration).flat_map(Content::fields).collect();
    fields.sort_by_key(|field| (field.name, field.says));
    fields.dedup_by_key(|field| (field.name, field.says));
    let mut text =
        String::from("| name | with events | on the person | what it is |\n|---|---|---|---|\n");
    for field in fields {
        let told = where_found(integration, field, |row| row.facts);
        let left = where_found(integration, field, |row| row.attributes);
        writeln!(text, "| `{}` | {told} | {left} | {} |", field.name, field.says).unwrap();
    }
    text
}

fn where_found(
    integration: &Integration,
    field: &Field,
    content: impl Fn(&Row) -> Content,
) -> String {
    let same = |other: &Field| (other.name, other.says) == (field.name, field.says);
    let rows = integration.rows.iter();
    let having: Vec<_> = rows
        .filter(|row| content(row).fields().iter().any(same))
        .map(|row| format!("`{}`", row.name))
        .collect();
    match having.len() {
        0 => "no".to_owned(),
        all if all == integration.rows.len() => "all".to_owned(),
        _ => having.join(", "),
    }
}

#[test]
fn the_page_shows_the_tables() {
    let page = include_str!("../../../../docs/naming.md");
    for (provider, receiver, _) in DESCRIBED {
        for expected in [table(provider, receiver), meanings(provider, receiver)] {
            assert!(page.contains(&expected), "docs/naming.md should have:\n{expected}");
        }
    }
}

#[test]
fn the_page_names_everything_that_is_ours() {
    let page = include_str!("../../../../docs/naming.md");
    for name in crate::destinations::our_attribute_names() {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn no_two_rows_of_a_pair_claim_the_same_event() {
    for (provider, receiver, integration) in DESCRIBED {
        let mut claims: Vec<_> =
            integration.rows.iter().map(|row| (row.event, row.when as u8)).collect();
        let all = claims.len();
        claims.sort_unstable();
        claims.dedup();
        assert_eq!(claims.len(), all, "{provider} {receiver:?}");
    }
}

#[test]
fn what_applies_always_stands_behind_what_applies_at_times() {
    for (_, _, integration) in DESCRIBED {
        for (place, row) in integration.rows.iter().enumerate() {
            let behind = &integration.rows[place + 1..];
            let shadowed = behind.iter().any(|other| other.event == row.event);
            assert!(!(row.when == When::Always && shadowed), "{}", row.name);
        }
    }
}
