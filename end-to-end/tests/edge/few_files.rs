//! A system that gives few file descriptors.

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::edge::{Circumstances, Edge};
use crate::wire::{PATIENCE, Wire};

/// Of which `ingest` may have fewer than there are strangers.
const FILES: &str = "ulimit -n 300";
const STRANGERS: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn strangers_do_not_take_the_last_file_descriptor() {
    let edge =
        Edge::start("edge-few-files", &Circumstances { before: FILES, ..Circumstances::default() });
    edge.withstand("500 connections where there are 300 files", async {
        let mut strangers = JoinSet::new();
        for _ in 0..STRANGERS {
            let port = edge.port;
            strangers.spawn(async move {
                let mut wire = Wire::open(port).await.unwrap();
                // The system never tells the end of a connection that it had no room for to somebody who says nothing.
                if wire.send("P").await.is_ok() {
                    wire.ended().await;
                }
            });
        }
        timeout(PATIENCE, strangers.join_all()).await.expect("nobody is cut off");
    })
    .await;
}
