//! Ending when asked to: SIGTERM or SIGINT begins an orderly end, a second one ends at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::exit;

/// A token that is cancelled by the first SIGTERM or SIGINT. At the second the process exits with
/// [`exit::FAILED`], whatever it is doing.
///
/// Must be called inside a Tokio runtime. Fails when the system does not let signals be handled.
pub fn on_signals() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (send, asked) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if send.send(()).await.is_err() {
                return;
            }
        }
    });
    let token = CancellationToken::new();
    let end = || std::process::exit(i32::from(exit::FAILED));
    tokio::spawn(watch(asked, token.clone(), end));
    Ok(token)
}

async fn watch(mut asked: mpsc::Receiver<()>, token: CancellationToken, end: impl FnOnce()) {
    if asked.recv().await.is_some() {
        tracing::info!("asked to end; ask again to end at once");
        token.cancel();
    }
    if asked.recv().await.is_some() {
        tracing::warn!("asked twice; ending at once");
        end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn the_first_signal_cancels_and_the_second_ends() {
        let (send, asked) = mpsc::channel(2);
        let token = CancellationToken::new();
        let ended = AtomicBool::new(false);
        let watching = watch(asked, token.clone(), || ended.store(true, Ordering::Relaxed));
        let sending = async {
            assert!(!token.is_cancelled());
            send.send(()).await.expect("received");
            token.cancelled().await;
            assert!(!ended.load(Ordering::Relaxed));
            send.send(()).await.expect("received");
        };
        tokio::join!(watching, sending);
        assert!(ended.load(Ordering::Relaxed));
    }
}
