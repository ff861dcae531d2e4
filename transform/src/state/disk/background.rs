//! The two threads that write what was collected and merge small tables.
//!
//! Two, so that a merge, which takes longer, never keeps a partition from writing.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use super::tree::Tree;

/// The threads. They end when nobody can send to them any more.
pub(super) struct Background {
    threads: Vec<JoinHandle<()>>,
}

impl Background {
    /// Starts both for so many partitions, and says where to send a tree that has something to write.
    pub(super) fn start(partitions: usize) -> io::Result<(SyncSender<Arc<Tree>>, Self)> {
        // A tree is in a queue once; closed and opened again meanwhile it is another one.
        let places = partitions.max(1) * 2;
        let (to_write, writing) = sync_channel::<Arc<Tree>>(places);
        let (to_merge, merging) = sync_channel::<Arc<Tree>>(places);
        let writer = thread::Builder::new().name("store-write".to_owned());
        let merger = thread::Builder::new().name("store-merge".to_owned());
        let threads = vec![
            writer.spawn(move || write(&writing, &to_merge))?,
            merger.spawn(move || merging.iter().for_each(|tree| tree.merge()))?,
        ];
        Ok((to_write, Self { threads }))
    }
}

fn write(writing: &Receiver<Arc<Tree>>, to_merge: &SyncSender<Arc<Tree>>) {
    for tree in writing {
        tree.write();
        if tree.asks_for_merge() && to_merge.send(tree).is_err() {
            return;
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        for thread in self.threads.drain(..) {
            // What panics in them is caught where it arises.
            let _ended = thread.join();
        }
    }
}
