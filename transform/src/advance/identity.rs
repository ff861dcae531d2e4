//! Who a subscriber is, learned bit by bit: every event may tell something, none tells all.

use schemas::state::{Facts, Identity, SubscriberState};

use super::Timing;

/// Most aliases and attributes that are kept. Both travel in every event and are kept for ever.
const MOST: usize = 64;

/// Takes what the facts say about the person.
pub(super) fn take(state: &mut SubscriberState, facts: &Facts, timing: Timing) {
    match timing {
        Timing::InOrder => learn(&mut state.identity, &facts.person),
        Timing::Late => fill_gaps(&mut state.identity, &facts.person),
    }
}

/// Takes what a payload in order says: the newest wins.
fn learn(known: &mut Identity, told: &Identity) {
    begin(known, told);
    for (field, news) in [(&mut known.user_id, &told.user_id), (&mut known.email, &told.email)] {
        if news.is_some() {
            field.clone_from(news);
        }
    }
    for (name, value) in &told.attributes {
        if known.attributes.len() < MOST || known.attributes.contains_key(name) {
            known.attributes.insert(name.clone(), value.clone());
        }
    }
}

/// Takes what a late payload says: only where nothing is known yet.
fn fill_gaps(known: &mut Identity, told: &Identity) {
    begin(known, told);
    for (field, news) in [(&mut known.user_id, &told.user_id), (&mut known.email, &told.email)] {
        if field.is_none() {
            field.clone_from(news);
        }
    }
    for (name, value) in &told.attributes {
        if known.attributes.len() < MOST {
            known.attributes.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// The id, the aliases, and whether anybody is known behind them: these only ever grow.
fn begin(known: &mut Identity, told: &Identity) {
    if known.id.is_empty() {
        known.id.clone_from(&told.id);
        known.anonymous = told.anonymous;
    }
    known.anonymous &= told.anonymous && told.user_id.is_none();
    for alias in told.aliases.iter().chain([&told.id]) {
        let is_new = *alias != known.id && !known.aliases.contains(alias);
        if is_new && !alias.is_empty() && known.aliases.len() < MOST {
            known.aliases.push(alias.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: &str, user: Option<&str>, email: Option<&str>, plan: &str) -> Identity {
        Identity {
            id: id.to_owned(),
            user_id: user.map(str::to_owned),
            email: email.map(str::to_owned),
            aliases: vec![format!("{id}-old"), id.to_owned()],
            anonymous: id.starts_with('$'),
            attributes: [("plan".to_owned(), plan.to_owned())].into(),
        }
    }

    #[test]
    fn the_newest_wins_and_silence_changes_nothing() {
        let mut known = Identity::default();
        learn(&mut known, &person("cus_1", Some("u_1"), Some("a@example.com"), "basic"));
        learn(&mut known, &person("cus_1", None, Some("b@example.com"), "pro"));
        assert_eq!(known.user_id.as_deref(), Some("u_1"));
        assert_eq!(known.email.as_deref(), Some("b@example.com"));
        assert_eq!(known.aliases, ["cus_1-old"], "the id itself is no alias");
        assert_eq!(known.attributes["plan"], "pro");
    }

    #[test]
    fn what_is_late_only_fills_gaps() {
        let mut known = Identity::default();
        learn(&mut known, &person("cus_1", None, Some("new@example.com"), "pro"));
        fill_gaps(&mut known, &person("cus_1", Some("u_1"), Some("old@example.com"), "basic"));
        assert_eq!(known.user_id.as_deref(), Some("u_1"));
        assert_eq!(known.email.as_deref(), Some("new@example.com"));
        assert_eq!(known.attributes["plan"], "pro");
    }

    #[test]
    fn anonymous_only_while_no_id_known_is_not() {
        let mut known = Identity::default();
        learn(&mut known, &person("$anon", None, None, ""));
        assert!(known.anonymous);
        learn(&mut known, &person("ada", None, None, ""));
        assert!(!known.anonymous);
        learn(&mut known, &person("$anon", None, None, ""));
        assert!(!known.anonymous, "nobody becomes unknown again");
        assert!(known.aliases.contains(&"ada".to_owned()));
    }

    #[test]
    fn what_is_kept_for_ever_is_bounded() {
        let mut known = Identity::default();
        for number in 0..200 {
            let mut told = person("cus_1", None, None, "");
            told.aliases = vec![format!("alias-{number}")];
            told.attributes = [(format!("name-{number}"), String::new())].into();
            learn(&mut known, &told);
        }
        assert_eq!((known.aliases.len(), known.attributes.len()), (MOST, MOST));
    }
}
