//! From `transform` of a destination to its handlers, read and judged.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use script::{Limits, Unread};
use service::config::{self, Account, Config, Place, Problems, unknown};

use crate::destinations::customerio::ENTITY_PATH;
use crate::http::Address;
use crate::transformation::{Handler, Handlers, Reach, is_this_machine};

/// A script is read whole for every destination that has it.
const LONGEST_SCRIPT: u64 = 1 << 20;

/// What is wrong with the transformation code of all destinations.
pub(super) fn judge(config: &Config, problems: &mut Problems) {
    for destination in config.destinations.values() {
        for (source, (_, place)) in &destination.transformation.by_source {
            if !config.sources.contains_key(source) {
                let known = config.sources.keys().map(String::as_str);
                problems.push(place, unknown("source", source, known));
            }
        }
        let transformation = &destination.transformation;
        if !transformation.hosts.is_empty() && !transformation.is_configured() {
            let text =
                "`transform_hosts` allows nothing without `transform` or `transform_by_source`";
            problems.push(&transformation.place, text.to_owned());
        }
        for (file, place) in files(destination) {
            if let Err(message) = read(file) {
                problems.push(place, message);
            }
        }
    }
}

/// The handlers of a destination, each to run in a process of its own; `None` where it has none.
///
/// # Errors
/// What is wrong with a file.
pub fn handlers(destination: &config::Destination) -> Result<Option<Handlers>, Problems> {
    let transformation = &destination.transformation;
    if !transformation.is_configured() {
        return Ok(None);
    }
    let mut problems = Problems::new();
    let mut handler = |file: &Path, place: &Place| match read(file) {
        Ok(handler) => Some(Arc::new(handler)),
        Err(message) => {
            problems.push(place, message);
            None
        }
    };
    let all = transformation.all.as_deref();
    let all = all.and_then(|file| handler(file, &transformation.place));
    let by_source = transformation
        .by_source
        .iter()
        .filter_map(|(source, (file, place))| Some((source.clone(), handler(file, place)?)));
    let by_source = by_source.collect();
    problems.into_result().map(|()| Some(Handlers { all, by_source }))
}

fn files(destination: &config::Destination) -> impl Iterator<Item = (&Path, &Place)> {
    let config::Transformation { all, by_source, place, .. } = &destination.transformation;
    let all = all.as_deref().map(|file| (file, place));
    all.into_iter().chain(by_source.values().map(|(file, place)| (file.as_path(), place)))
}

/// Reads a file with a handler, which is run in a process of its own. The error says what is wrong with it, with line
/// and column where it has them.
pub fn read(file: &Path) -> Result<Handler, String> {
    let shown = file.display();
    let unreadable = |error: std::io::Error| format!("{shown} cannot be read: {error}");
    let length = std::fs::metadata(file).map_err(unreadable)?.len();
    if length > LONGEST_SCRIPT {
        return Err(format!("{shown} has {length} bytes, and {LONGEST_SCRIPT} are allowed"));
    }
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
    let script = Unread { name: &name.unwrap_or_default(), text: &text, limits: Limits::default() };
    Handler::apart(script).map_err(|fault| fault.to_string())
}

/// What the handlers of a destination may have called, and what they are given as the destination's address.
pub fn reach(destination: &config::Destination) -> Reach {
    let default = super::default_url(&destination.account);
    let (url, path) = match &destination.account {
        Account::Customerio(_) => (format!("{default}{ENTITY_PATH}"), ENTITY_PATH.to_owned()),
        Account::Intercom(_) => (format!("{default}/events"), "/events".to_owned()),
        Account::Webhook(account) => {
            let shown = account.url.split('?').next().unwrap_or_default().to_owned();
            (shown, super::origin_and_path(&account.url).1.to_owned())
        }
    };
    // Whichever region the account lies in, its calls go there.
    let regions: &[&str] = match &destination.account {
        Account::Customerio(_) => &["track.customer.io", "track-eu.customer.io"],
        Account::Intercom(_) => &["api.intercom.io", "api.eu.intercom.io", "api.au.intercom.io"],
        Account::Webhook(_) => &[],
    };
    let addresses = [Some(default), destination.base_url.as_deref()].into_iter().flatten();
    let hosts = addresses.filter_map(|url| Some(Address::read(url)?.host));
    let own = regions.iter().map(|host| (*host).to_owned()).chain(hosts).collect();
    let allowed =
        destination.transformation.hosts.iter().flat_map(|host| as_in_urls(host)).collect();
    Reach { url, path, own, allowed }
}

/// A host as it stands in addresses that were read: in lower case, and without the port that the scheme stands for, which
/// on this machine may be HTTP.
fn as_in_urls(host: &str) -> BTreeSet<String> {
    let read = |scheme| Address::read(&format!("{scheme}://{host}")).map(|address| address.host);
    let mut hosts = BTreeSet::from_iter(read("https"));
    hosts.extend(read("http").filter(|host| is_this_machine(host)));
    if hosts.is_empty() { BTreeSet::from([host.to_owned()]) } else { hosts }
}

#[cfg(test)]
mod tests {
    use service::Binary;
    use service::clock::SystemClock;
    use service::config::{Loader, Variables, Vocabulary};

    use super::*;
    use crate::test_transform::BUILT_IN;

    #[test]
    fn a_host_that_is_allowed_is_compared_as_it_is_read() {
        let read = |host| Vec::from_iter(as_in_urls(host));
        assert_eq!(read("Hooks.example.com:443"), ["hooks.example.com"]);
        assert_eq!(read("hooks.example.com:8443"), ["hooks.example.com:8443"]);
        assert_eq!(read("hooks.example.com:80"), ["hooks.example.com:80"]);
        assert_eq!(read("localhost:9"), ["localhost:9"]);
        assert_eq!(read("localhost:80"), ["localhost", "localhost:80"]);
    }

    fn config(options: &str) -> Config {
        let (events, attributes) = (super::super::event_names(), super::super::attribute_names());
        let vocabulary = Vocabulary { events: &events, attributes: &attributes };
        let (variables, clock) = (Variables::default(), Arc::new(SystemClock::new()));
        let loader = Loader { binary: Binary::Deliver, variables: &variables, vocabulary, clock };
        let text = BUILT_IN.replace("type: customerio", &format!("type: customerio\n{options}"));
        loader.read("tributary.yaml", &text).unwrap()
    }

    fn problems(options: &str) -> String {
        let mut problems = Problems::new();
        judge(&config(options), &mut problems);
        problems.into_result().map_or_else(|problems| problems.to_string(), |()| String::new())
    }

    #[test]
    fn what_allows_nothing_or_is_for_nobody_is_a_problem() {
        assert_eq!(problems(""), "");
        let hosts = problems("    transform_hosts: [hooks.example.com]");
        assert!(hosts.contains("`transform_hosts` allows nothing without"), "{hosts}");
        let source = problems("    transform_by_source: {doddo: missing.js}");
        assert!(
            source.contains("doddo") && source.contains("missing.js cannot be read"),
            "{source}"
        );
    }

    #[test]
    fn a_destination_is_reached_at_its_regions_and_what_is_allowed_beside_it() {
        let config = config("    transform_hosts: [\"hooks.example.com:443\"]");
        let reach = reach(&config.destinations["customerio"]);
        assert_eq!(reach.url, "https://track.customer.io/api/v2/entity");
        assert!(reach.own.contains(&"track-eu.customer.io".to_owned()));
        assert_eq!(reach.allowed, ["hooks.example.com"]);
    }
}
