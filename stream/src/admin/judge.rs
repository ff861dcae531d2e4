//! Whether a topic is what it has to be, and whether it is kept as safely as the cluster could. Pure.

use std::collections::BTreeMap;

use schemas::topics::TopicSpec;

use super::{Finding, Severity};

/// With so many replicas one broker can be away while another fails.
const SAFE_REPLICAS: usize = 3;
const MIN_INSYNC: &str = "min.insync.replicas";

/// Of a topic that is not shown to this user, which may therefore be there or not.
pub(super) const HIDDEN: &str =
    "may not be looked at: the Kafka user needs Describe and DescribeConfigs on it";
const UNCLEAN: &str = "unclean.leader.election.enable";

/// What a topic is like on the cluster.
pub(super) struct Found {
    pub(super) partitions: i32,
    /// Of the partition that has the fewest.
    pub(super) replicas: usize,
    /// Absent when its configuration may not be read.
    pub(super) configs: Option<BTreeMap<String, String>>,
}

/// What a new topic of so many replicas is configured with beside what the catalogue says, so that what is acknowledged
/// survives the loss of a broker: two have it, whatever the cluster's own default is. That no broker that is behind may
/// lead is Kafka's default, which managed clusters do not let anybody set; it is looked at alone.
pub(super) fn durability(replication_factor: i32) -> Option<(&'static str, String)> {
    (replication_factor >= 3).then(|| (MIN_INSYNC, "2".to_owned()))
}

/// Holds one topic against the catalogue and against what a cluster of so many brokers could do for it.
pub(super) fn judge(spec: &TopicSpec, found: Option<&Found>, brokers: usize) -> Vec<Finding> {
    let finding = |severity, message| Finding { topic: spec.name.clone(), message, severity };
    let Some(found) = found else {
        let message = "is missing; `setup` creates it".to_owned();
        return vec![finding(Severity::Refuses, message)];
    };
    let Some(configs) = &found.configs else {
        let message = "its configuration may not be read, so it was not checked: the Kafka user needs DescribeConfigs \
                       on it"
            .to_owned();
        return vec![finding(Severity::Warns, message)];
    };
    let mut findings = Vec::new();
    for key in ["cleanup.policy", "message.timestamp.type"] {
        let wanted = spec.configs().remove(key).unwrap_or_default();
        let actual = configs.get(key).cloned().unwrap_or_default();
        if !same_words(&wanted, &actual) {
            findings.push(finding(
                Severity::Refuses,
                format!(
                    "has {key}={actual}, which must be {wanted}; change it with kafka-configs.sh"
                ),
            ));
        }
    }
    let limit = configs.get("max.message.bytes").and_then(|value| value.parse::<usize>().ok());
    if limit.is_some_and(|limit| limit < spec.max_message_bytes) {
        findings.push(finding(
            Severity::Refuses,
            format!(
                "has max.message.bytes={}, but messages may have {} bytes; raise it with \
                 kafka-configs.sh",
                limit.unwrap_or_default(),
                spec.max_message_bytes
            ),
        ));
    }
    let warnings = unsafely_kept(found.replicas, configs, brokers).into_iter();
    findings.extend(warnings.map(|message| finding(Severity::Warns, message)));
    findings
}

/// What a broker that fails, or comes back without its disk, would take along.
fn unsafely_kept(
    replicas: usize,
    configs: &BTreeMap<String, String>,
    brokers: usize,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if replicas < SAFE_REPLICAS && brokers >= SAFE_REPLICAS {
        warnings.push(format!(
            "is kept by {replicas} of {brokers} brokers, where three could keep it: what is acknowledged can be \
             lost with one of them; raise it with kafka-reassign-partitions.sh"
        ));
    }
    let in_sync = configs.get(MIN_INSYNC).and_then(|value| value.parse::<usize>().ok());
    match in_sync {
        Some(1) if replicas >= SAFE_REPLICAS => warnings.push(format!(
            "has {MIN_INSYNC}=1: a single broker may acknowledge, and take along what it did; set it to 2 with \
             kafka-configs.sh"
        )),
        Some(in_sync) if replicas > 1 && in_sync >= replicas => warnings.push(format!(
            "has {MIN_INSYNC}={in_sync} of {replicas} replicas: nothing can be written while one broker is away; \
             lower it with kafka-configs.sh"
        )),
        Some(_) | None => {}
    }
    if configs.get(UNCLEAN).is_some_and(|value| value == "true") {
        warnings.push(format!(
            "has {UNCLEAN}=true: a broker that is behind may become leader, and what was acknowledged is lost; set \
             it to false with kafka-configs.sh"
        ));
    }
    warnings
}

/// The broker may list the words of a policy in another order.
fn same_words(wanted: &str, actual: &str) -> bool {
    let sorted = |text: &str| {
        let mut words: Vec<_> = text.split(',').map(str::trim).map(str::to_owned).collect();
        words.sort();
        words
    };
    sorted(wanted) == sorted(actual)
}

/// Partition p must hold the same subscribers in every keyed topic.
pub(super) fn unequal_partitions(
    specs: &[TopicSpec],
    found: &BTreeMap<String, Found>,
) -> Vec<Finding> {
    let mut keyed = specs
        .iter()
        .filter(|spec| spec.co_partitioned)
        .filter_map(|spec| Some((spec, found.get(&spec.name)?)));
    let Some((first, reference)) = keyed.next() else { return Vec::new() };
    keyed
        .filter(|(_, topic)| topic.partitions != reference.partitions)
        .map(|(spec, topic)| Finding {
            topic: spec.name.clone(),
            message: format!(
                "has {} partitions and {} has {}; they must be equal, or a subscriber's records lie \
                 in different partitions. Partitions of live topics cannot be changed in place: create \
                 new topics under another kafka.topic_prefix",
                topic.partitions, first.name, reference.partitions
            ),
            severity: Severity::Refuses,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(replicas: usize, brokers: usize, configs: &[(&str, &str)]) -> Vec<String> {
        let configs = configs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
        unsafely_kept(replicas, &configs.collect(), brokers)
    }

    #[test]
    fn three_replicas_of_which_two_acknowledge_are_nothing_to_warn_of() {
        let (key, value) = durability(3).unwrap();
        assert_eq!((key, value.as_str()), (MIN_INSYNC, "2"));
        assert_eq!(warnings(3, 3, &[(key, &value), (UNCLEAN, "false")]), Vec::<String>::new());
    }

    #[test]
    fn a_single_broker_can_do_no_better_than_it_does() {
        assert_eq!(durability(1), None);
        assert_eq!(warnings(1, 1, &[(MIN_INSYNC, "1")]), Vec::<String>::new());
    }

    #[test]
    fn what_could_be_lost_or_would_stand_still_with_one_broker_is_warned_of() {
        let told = |replicas, configs: &[(&str, &str)], wanted: &str| {
            let warnings = warnings(replicas, 3, configs);
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].contains(wanted), "{warnings:?}");
        };
        told(1, &[(MIN_INSYNC, "1")], "kept by 1 of 3 brokers");
        told(3, &[(MIN_INSYNC, "1")], "a single broker may acknowledge");
        told(3, &[(MIN_INSYNC, "3")], "while one broker is away");
        told(3, &[(MIN_INSYNC, "2"), (UNCLEAN, "true")], "a broker that is behind");
    }
}
