//! How much of a channel is heard in one turn.

use tokio::sync::mpsc::Receiver;

/// Counts the messages of a turn. What it takes out of the channel has to be heard: a record that is taken out and
/// let go counts as done with those around it, because offsets have gaps of their own.
#[derive(Debug)]
pub(super) struct InATurn {
    left: usize,
}

impl InATurn {
    /// A turn of so many messages, the first of which is there already.
    pub(super) fn after_the_first(most: usize) -> Self {
        Self { left: most.saturating_sub(1) }
    }

    /// The next message that waits already; none when the turn is over, and then none is taken out.
    pub(super) fn next<T>(&mut self, incoming: &mut Receiver<T>) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        incoming.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_much_waits_every_turn_is_bounded_and_nothing_is_taken_out_and_let_go() {
        let (sender, mut incoming) = tokio::sync::mpsc::channel(64);
        (0..50).for_each(|number| sender.try_send(number).unwrap());
        let (mut heard, mut turns) = (Vec::new(), 0);
        while let Ok(first) = incoming.try_recv() {
            let mut turn = InATurn::after_the_first(7);
            let mut message = Some(first);
            while let Some(number) = message {
                heard.push(number);
                message = turn.next(&mut incoming);
            }
            turns += 1;
        }
        assert!(heard.iter().copied().eq(0..50), "{heard:?}");
        assert_eq!(turns, 8);
    }
}
