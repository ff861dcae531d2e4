//! Senders that take their time, and more of them than there are places.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::edge::server::{Circumstances, Edge};
use crate::edge::wire::{NOWHERE, PATIENCE, Wire};

/// What the tests say for `ingest.body_timeout`.
const TIME_OUT: Duration = Duration::from_secs(3);
/// A machine that others use too ends it later.
const LATER: Duration = Duration::from_secs(3);
/// More than there are places.
const CROWD: usize = 1_500;
const ATTACK: Duration = Duration::from_secs(10);
/// After it was cut off, somebody comes again.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two bytes of who sends slowly.
const DRIP: Duration = Duration::from_secs(1);
/// Bodies begun at once, and how much of each comes: far more than the chart's memory limit together.
const BODIES: usize = 600;
const BEGUN: usize = 1_000_000;

const ANNOUNCED: &str =
    "POST /webhooks/stripe HTTP/1.1\r\nhost: edge\r\ncontent-length: 1048576\r\n\r\n";

/// How somebody is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Says nothing.
    Silent,
    /// A head, a byte a second.
    Head,
    /// A body, a byte a second.
    Body,
    /// Asks for something that is not there, and then nothing.
    Idle,
    /// Asks on and on, and never reads an answer.
    Unread,
}

/// Those who cost nothing but their places.
const MANNERS: [Manner; 4] = [Manner::Silent, Manner::Head, Manner::Body, Manner::Idle];

/// Opens a connection and is slow on it until it ends. What was answered.
async fn be_slow(port: u16, manner: Manner) -> Option<u16> {
    let mut wire = match manner {
        Manner::Unread => Wire::open_narrow(port).await.ok()?,
        Manner::Silent | Manner::Head | Manner::Body | Manner::Idle => {
            Wire::open(port).await.ok()?
        }
    };
    match manner {
        Manner::Silent => wire.status().await,
        Manner::Head => drip(wire, "POST /webhooks/stripe HTTP/1.1\r\nx: ").await,
        Manner::Body => drip(wire, ANNOUNCED).await,
        Manner::Idle => {
            wire.send(NOWHERE).await.ok()?;
            let status = wire.status().await;
            wire.ended().await;
            status
        }
        Manner::Unread => {
            let many = NOWHERE.repeat(100);
            while wire.send(&many).await.is_ok() {}
            None
        }
    }
}

async fn drip(mut wire: Wire, first: &str) -> Option<u16> {
    wire.send(first).await.ok()?;
    loop {
        match timeout(DRIP, wire.status()).await {
            Ok(status) => {
                wire.ended().await;
                return status;
            }
            Err(_) => wire.send("x").await.ok()?,
        }
    }
}

fn hasty(name: &str) -> Edge {
    ingest::files::connections(CROWD);
    let environment = [("INGEST__BODY_TIMEOUT", "3s")];
    Edge::start(name, &Circumstances { environment: &environment, ..Circumstances::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_slow_is_cut_off_in_time_and_a_slow_body_is_told_why() {
    let edge = hasty("edge-slow");
    edge.withstand("one of each slow kind", async {
        for (manner, status) in [
            (Manner::Silent, None),
            (Manner::Head, None),
            (Manner::Body, Some(408)),
            (Manner::Unread, None),
        ] {
            let began = Instant::now();
            let answered = timeout(PATIENCE, be_slow(edge.port, manner)).await;
            assert_eq!(answered, Ok(status), "{manner:?}");
            assert!(began.elapsed() < TIME_OUT + LATER, "{manner:?} after {:?}", began.elapsed());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_slow_senders_than_there_are_places_keep_nobody_out() {
    let edge = hasty("edge-crowd");
    edge.withstand("1,500 slow senders", async {
        let mut crowd = JoinSet::new();
        for manner in MANNERS.into_iter().cycle().take(CROWD) {
            let port = edge.port;
            crowd.spawn(async move {
                loop {
                    be_slow(port, manner).await;
                    sleep(AGAIN).await;
                }
            });
        }
        sleep(ATTACK).await;
        crowd.shutdown().await;
    })
    .await;
    assert!(edge.counted("crowded_out_total", &["scarce=\"connections\""]) > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_end_take_no_more_memory_than_there_is_for_them() {
    let edge = hasty("edge-bodies-begun");
    edge.withstand("600 bodies of a megabyte that never end", async {
        let begun = [ANNOUNCED.as_bytes(), &vec![b'['; BEGUN]].concat();
        let begun: std::sync::Arc<[u8]> = begun.into();
        let mut crowd = JoinSet::new();
        for _ in 0..BODIES {
            let (port, begun) = (edge.port, begun.clone());
            crowd.spawn(async move {
                let mut wire = Wire::open(port).await.ok()?;
                wire.send(&begun).await.ok()?;
                wire.status().await
            });
        }
        let deadline = Instant::now() + PATIENCE;
        while edge.counted("crowded_out_total", &["scarce=\"memory\""]) < 1.0 {
            assert!(Instant::now() < deadline, "there was memory for everybody");
            tokio::task::yield_now().await;
        }
        crowd.join_all().await;
    })
    .await;
}
