//! `transform forget`: a person asked to be forgotten.
//!
//! Only the owner of a partition moves its states, so the command asks by a record in the raw topic, which is taken
//! in its turn ([`forget`](mod@crate::advance::forget)). It looks first whether anything is known under the keys,
//! and writes nothing at all if one of them is wrong: a slip would else forget nobody, or somebody else.

mod remains;

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;

use indicatif::ProgressBar;
use schemas::Timestamp;
use schemas::codec::{Codec, CodecError, Framing};
use schemas::headers::RawHeaders;
use schemas::state::SubscriberState;
use schemas::topics::Topic;
use serde_json::json;
use service::cli::say;
use service::clock::Clock;
use service::config::Config;
use service::exit::Failure;
use stream::{Cluster, ReadError, Reader, Record};

use crate::bulk::Output;
use crate::configure;
use crate::placement::partition_of;
use crate::preflight::check_topics;
use crate::sources::native::forgotten::Wish;

/// Options of `transform forget`.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Arguments {
    /// Their keys, `<source>/<id>`: `deliver trace` finds them by user id or e-mail address.
    #[arg(required = true, value_name = "SUBSCRIBER")]
    pub subscribers: Vec<String>,
    /// Let what comes from now on be told again. What was forgotten stays forgotten.
    #[arg(long)]
    pub readmit: bool,
    /// Only tell what is known and what would remain.
    #[arg(long)]
    pub dry_run: bool,
}

/// Why nobody is forgotten, or readmitted.
#[derive(Debug, thiserror::Error)]
enum ForgetError {
    /// The states cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A state cannot be understood.
    #[error("what is known of a subscriber cannot be read")]
    Codec(#[from] CodecError),
    /// Nothing is known under a key.
    #[error(
        "nothing is known of {0}, and nothing was written; `deliver trace` finds the key by user id or e-mail \
         address"
    )]
    Unknown(String),
    /// Somebody to be readmitted is not forgotten.
    #[error("{0} is not forgotten; nothing was written")]
    NotForgotten(String),
}

/// Does what was asked for.
///
/// # Errors
/// When a key is nobody's, or the topics cannot be read or written.
pub async fn run(
    config: &Config,
    arguments: Arguments,
    clock: Arc<dyn Clock>,
) -> Result<(), Failure> {
    let Arguments { subscribers, readmit, dry_run } = arguments;
    let wish = if readmit { Wish::Readmit } else { Wish::Forget };
    let sources = configure::sources(config);
    for key in &subscribers {
        if sources.of_key(key).is_none() {
            let known: Vec<_> = sources.names().collect();
            let text = format!("{key:?} is no <source>/<id>; the sources are {}", known.join(", "));
            return Err(Failure::Usage(text));
        }
    }
    check_topics(config).await?;
    let (cluster, prefix) = (configure::cluster(config), config.kafka.topic_prefix.clone());
    let of = cluster.clone();
    let looked = tokio::task::spawn_blocking(move || look(&of, &prefix, subscribers));
    let known = looked.await.map_err(Failure::failed)?.map_err(Failure::failed)?;
    known.iter().try_for_each(|known| may(wish, known)).map_err(Failure::failed)?;
    let now = Timestamp::from_millis(clock.now_millis());
    if !dry_run {
        let records = known.iter().map(|known| record(config, wish, &known.key, now));
        write(&cluster, records.collect()).await?;
    }
    known.iter().try_for_each(|known| say(&remains::told(known, wish, dry_run)))?;
    match wish {
        Wish::Readmit => Ok(()),
        Wish::Forget => {
            remains::lines(config, &cluster, now).await?.iter().try_for_each(|line| say(line))
        }
    }
}

/// What is known under a key.
#[derive(Debug)]
struct Known {
    key: String,
    state: Option<SubscriberState>,
}

/// The latest state of each key.
fn look(cluster: &Cluster, prefix: &str, keys: Vec<String>) -> Result<Vec<Known>, ForgetError> {
    let reader = Reader::open(cluster, &format!("{prefix}transform.forget"))?;
    let topic = Topic::State.name(prefix);
    let partitions = reader.partitions(&topic)?;
    let codec = Codec::<SubscriberState>::new(Framing::SingleObject)?;
    let of_key = |key: String| {
        let partition = partition_of(key.as_bytes(), partitions);
        let range = reader.low_and_high(&topic, partition)?;
        let mut value = None;
        let own = |glimpse: stream::Glimpse<'_>| glimpse.key == Some(key.as_bytes());
        reader.read_some(&topic, partition, range, own, |record| {
            value = record.value;
            ControlFlow::Continue(())
        })?;
        let state = value.map(|value| codec.decode(&value)).transpose()?;
        Ok(Known { key, state })
    };
    keys.into_iter().map(of_key).collect()
}

/// Whether the wish makes sense.
fn may(wish: Wish, known: &Known) -> Result<(), ForgetError> {
    let forgotten_at = known.state.as_ref().and_then(|state| state.forgotten_at);
    match wish {
        Wish::Forget if known.state.is_none() => Err(ForgetError::Unknown(known.key.clone())),
        Wish::Readmit if forgotten_at.is_none() => {
            Err(ForgetError::NotForgotten(known.key.clone()))
        }
        Wish::Forget | Wish::Readmit => Ok(()),
    }
}

fn record(config: &Config, wish: Wish, key: &str, now: Timestamp) -> Record {
    let (source, id) = key.split_once('/').unwrap_or((key, ""));
    let headers = RawHeaders {
        id: format!("{}-{}", wish.event_type(), now.millis()),
        source: source.to_owned(),
        event_type: wish.event_type().to_owned(),
        time: Some(now),
        content_type: Some("application/json".to_owned()),
        traceparent: None,
        rekeyed: None,
    };
    Record {
        topic: Topic::Raw.name(&config.kafka.topic_prefix),
        partition: None,
        key: key.as_bytes().to_vec(),
        value: Some(json!({"subscriber": {"id": id}}).to_string().into_bytes()),
        headers: headers.to_headers(),
    }
}

async fn write(cluster: &Cluster, records: Vec<Record>) -> Result<(), Failure> {
    let mut output = Output::open(cluster).map_err(Failure::failed)?;
    let bar = ProgressBar::hidden();
    let sent = output.carry(&bar, 0, move |to, _| {
        // Whoever does not take a record any more says why.
        let taken = records.into_iter().all(|record| to.blocking_send(record).is_ok());
        Ok::<_, Infallible>(taken)
    });
    sent.await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(state: Option<SubscriberState>) -> Known {
        Known { key: "shop/a".to_owned(), state }
    }

    #[test]
    fn who_is_unknown_is_a_slip_and_who_is_not_forgotten_cannot_be_readmitted() {
        let forgotten_at = Some(Timestamp::from_millis(1));
        let somebody = || known(Some(SubscriberState::default()));
        let forgotten =
            || known(Some(SubscriberState { forgotten_at, ..SubscriberState::default() }));
        assert!(may(Wish::Forget, &somebody()).is_ok() && may(Wish::Forget, &forgotten()).is_ok());
        assert!(matches!(may(Wish::Forget, &known(None)), Err(ForgetError::Unknown(_))));
        assert!(may(Wish::Readmit, &forgotten()).is_ok());
        for nobody in [somebody(), known(None)] {
            assert!(matches!(may(Wish::Readmit, &nobody), Err(ForgetError::NotForgotten(_))));
        }
    }
}
