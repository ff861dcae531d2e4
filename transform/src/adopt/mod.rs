//! `transform adopt`: goes on with the subscribers of another installation, which has ended.
//!
//! This is how the number of partitions is changed, or a cluster's topics are left behind: a new
//! installation is set up beside the old one, takes over what that knows, and goes on where it stopped,
//! with the next sequence and with the ids of events that were accepted before. What the old one had not
//! processed yet is copied into the new raw topic.
//!
//! Nothing of the old installation is written to. The new one must not have begun; a copy that was cut
//! short is simply made once more, as states are absolute and repeated records are recognised.

mod arguments;
mod copy;
mod plan;

use std::sync::Arc;

use service::cli::say;
use service::config::Config;
use service::exit::Failure;
use stream::{Cluster, Reader};

pub use self::arguments::Arguments;
use self::copy::{Copied, copy};
use self::plan::{Span, plan};
use crate::bulk::{self, Output};
use crate::configure;
use crate::preflight::check_topics;
use crate::worker::outgoing::Names;

/// Does all of it.
pub async fn run(config: &Arc<Config>, arguments: Arguments) -> Result<(), Failure> {
    let cluster = configure::cluster(config);
    let here = Names::with_prefix(&config.kafka.topic_prefix);
    let there = Names::with_prefix(&arguments.from);
    if arguments.from == config.kafka.topic_prefix {
        let prefix = &arguments.from;
        return Err(Failure::Refused(format!(
            "--from {prefix:?} is this installation's own prefix: name the one to go on from"
        )));
    }
    check_topics(config).await?;
    let spans = {
        let (cluster, there, here) = (cluster.clone(), there.clone(), here.clone());
        let planning = tokio::task::spawn_blocking(move || plan(&cluster, &there, &here));
        planning.await.map_err(Failure::failed)??
    };
    let copied = copy_all(&cluster, spans, &there.group).await?;
    copied.lines(&arguments.from).iter().try_for_each(|line| say(line))
}

async fn copy_all(cluster: &Cluster, spans: Vec<Span>, group: &str) -> Result<Copied, Failure> {
    let mut output = Output::open(cluster).map_err(Failure::failed)?;
    let bar = bulk::bar(spans.iter().map(Span::offsets).sum());
    let mut sum = Copied::default();
    for span in spans {
        let reader = Reader::open(cluster, group).map_err(Failure::failed)?;
        let (bar, offsets) = (&bar, span.offsets());
        let copying =
            output.carry(bar, offsets, move |to, progress| copy(&reader, &span, to, progress));
        sum.add(copying.await?);
    }
    bar.finish_and_clear();
    Ok(sum)
}
