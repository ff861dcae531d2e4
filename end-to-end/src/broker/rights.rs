//! What a user may do at a broker with authorisation on: rights as Strimzi's `KafkaUser` lists them, given and taken
//! away while the broker runs.
//!
//! Written by hand for the same reason as all that is asked here, and because Kafka's own tool would start a Java for
//! every few of them: `CreateAcls` (key 30), `DeleteAcls` (31) and `DescribeAcls` (29), version 1 each, in which both ways
//! of writing a right down are the same.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::wire::{Answer, ask};
use super::{BrokerError, io};

const CREATE: i16 = 30;
const DELETE: i16 = 31;
const DESCRIBE: i16 = 29;
const VERSION: i16 = 1;
const ANY: i8 = 1;
const ALLOW: i8 = 3;
const IN_FORCE_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// One operation on one resource, or on all whose names begin so, for one user from anywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub user: String,
    pub resource: Resource,
    pub operation: Operation,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resource {
    #[serde(rename = "type")]
    pub kind: Kind,
    pub name: String,
    pub pattern_type: Pattern,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    Topic = 2,
    Group = 3,
    TransactionalId = 5,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pattern {
    Literal = 3,
    Prefix = 4,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Operation {
    Read = 3,
    Write = 4,
    Create = 5,
    Describe = 8,
    DescribeConfigs = 10,
}

/// Gives these rights, and waits until the broker goes by them.
pub(super) fn give(address: &str, rights: &[Right]) -> Result<(), BrokerError> {
    let users: BTreeSet<&str> = rights.iter().map(|right| right.user.as_str()).collect();
    let before = number(address, &users)?;
    change(address, CREATE, rights)?;
    wait_for(address, &users, before + rights.len())
}

/// Takes these rights away, and waits until the broker goes by that.
pub(super) fn take(address: &str, rights: &[Right]) -> Result<(), BrokerError> {
    let users: BTreeSet<&str> = rights.iter().map(|right| right.user.as_str()).collect();
    let before = number(address, &users)?;
    change(address, DELETE, rights)?;
    wait_for(address, &users, before.saturating_sub(rights.len()))
}

fn change(address: &str, kind: i16, rights: &[Right]) -> Result<(), BrokerError> {
    let doing = "changing rights at the broker";
    let mut body = length(rights.len());
    for right in rights {
        body.push(right.resource.kind as u8);
        body.extend(text(&right.resource.name));
        body.push(right.resource.pattern_type as u8);
        body.extend(text(&format!("User:{}", right.user)));
        body.extend(text("*"));
        body.push(right.operation as u8);
        body.extend(ALLOW.to_be_bytes());
    }
    let answer = ask(address, kind, VERSION, &body).map_err(io(doing))?;
    match first_refusal(&answer).map_err(io(doing))? {
        None => Ok(()),
        Some(output) => Err(BrokerError::Command { doing, output }),
    }
}

/// Of creations and of the first of several deletions.
fn first_refusal(answer: &[u8]) -> std::io::Result<Option<String>> {
    let mut answer = Answer(answer);
    answer.i32()?; // how long we were held back
    if answer.i32()? == 0 {
        return Ok(None);
    }
    let (code, said) = (answer.i16()?, answer.text()?);
    Ok((code != 0).then(|| format!("error {code}: {said}")))
}

fn wait_for(address: &str, users: &BTreeSet<&str>, wanted: usize) -> Result<(), BrokerError> {
    let deadline = Instant::now() + IN_FORCE_WITHIN;
    loop {
        let found = number(address, users)?;
        if found == wanted {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let output = format!("{found} rights are in force, not {wanted}");
            return Err(BrokerError::Command { doing: "waiting for rights", output });
        }
        std::thread::sleep(POLL);
    }
}

/// How many rights these users have, as the broker knows it that would go by them.
fn number(address: &str, users: &BTreeSet<&str>) -> Result<usize, BrokerError> {
    let doing = "asking the broker for rights";
    let none = (-1_i16).to_be_bytes();
    let mut body = ANY.to_be_bytes().to_vec();
    body.extend(none);
    body.extend(ANY.to_be_bytes());
    body.extend(none);
    body.extend(none);
    body.extend(ANY.to_be_bytes());
    body.extend(ANY.to_be_bytes());
    let answer = ask(address, DESCRIBE, VERSION, &body).map_err(io(doing))?;
    counted(&answer, users).map_err(io(doing))
}

fn counted(answer: &[u8], users: &BTreeSet<&str>) -> std::io::Result<usize> {
    let mut answer = Answer(answer);
    answer.i32()?;
    let (code, said) = (answer.i16()?, answer.text()?);
    if code != 0 {
        return Err(std::io::Error::other(format!("error {code}: {said}")));
    }
    let mut count = 0;
    for _ in 0..answer.i32()? {
        answer.i8()?;
        answer.text()?;
        answer.i8()?;
        for _ in 0..answer.i32()? {
            let principal = answer.text()?;
            answer.text()?;
            answer.i16()?; // operation and permission
            count += usize::from(users.iter().any(|user| principal == format!("User:{user}")));
        }
    }
    Ok(count)
}

fn length(length: usize) -> Vec<u8> {
    i32::try_from(length).unwrap_or(i32::MAX).to_be_bytes().to_vec()
}

fn text(text: &str) -> Vec<u8> {
    let length = i16::try_from(text.len()).unwrap_or(i16::MAX);
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_read_as_strimzi_writes_it_and_one_that_is_unknown_is_no_right() {
        let read = |json: &str| serde_json::from_str::<Resource>(json);
        let own =
            read(r#"{"type": "transactionalId", "name": "deliver.", "patternType": "prefix"}"#)
                .expect("a resource");
        assert_eq!((own.kind, own.pattern_type), (Kind::TransactionalId, Pattern::Prefix));
        assert!(read(r#"{"type": "cluster", "name": "", "patternType": "literal"}"#).is_err());
    }

    #[test]
    fn what_the_broker_refuses_is_told() {
        let refused =
            [&[0; 4][..], &1_i32.to_be_bytes(), &42_i16.to_be_bytes(), &text("no")].concat();
        assert_eq!(first_refusal(&refused).unwrap().as_deref(), Some("error 42: no"));
    }
}
