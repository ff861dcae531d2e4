//! Connections that are opened and gone at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::edge::is_long;
use crate::edge::server::{Circumstances, Edge};
use crate::edge::wire::Wire;

const OPENERS: usize = 8;
const WITHIN: Duration = Duration::from_mins(2);

/// What is said before the reset, in turn.
const LAST_WORDS: [&str; 4] = [
    "",
    "POST /webh",
    "POST /webhooks/stripe HTTP/1.1\r\nhost: edge\r\ncontent-length: 9\r\n\r\n{",
    "GET / HTTP/1.1\r\nhost: edge\r\n\r\n",
];

#[tokio::test(flavor = "multi_thread")]
async fn connections_opened_and_reset_leave_nothing_behind() {
    let all = if is_long() { 100_000 } else { 25_000 };
    let edge = Edge::start("edge-opens", &Circumstances::default());
    let began = Instant::now();
    edge.withstand("opens and resets", async {
        let left = Arc::new(AtomicUsize::new(all));
        let mut openers = JoinSet::new();
        for _ in 0..OPENERS {
            let (port, left) = (edge.port, Arc::clone(&left));
            openers.spawn(async move {
                let one_more = |left: usize| left.checked_sub(1);
                while let Ok(number) =
                    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
                {
                    let mut wire = Wire::open(port).await.unwrap();
                    wire.send(LAST_WORDS[number % LAST_WORDS.len()]).await.unwrap();
                    wire.reset().unwrap();
                }
            });
        }
        timeout(WITHIN, openers.join_all()).await.expect("too slow");
        println!("{all} connections opened and reset in {:.1?}", began.elapsed());
    })
    .await;
}
