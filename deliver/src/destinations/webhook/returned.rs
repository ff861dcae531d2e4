//! Calls of the receiver that a handler makes: messages of its own making, signed as ours are.

use schemas::LifecycleEvent;

use super::{Message, Webhook};
use crate::destinations::{Answer, Audience, Destination, Plan, Request, Verdict};
use crate::failure::Failure;
use crate::transformation::{Ids, OwnCall, Told, Transformable, Understood};

impl Transformable for Webhook {
    fn audience(&self) -> &Audience {
        &self.audience
    }

    fn understand(
        &self,
        event: &LifecycleEvent,
        told: Vec<Told>,
    ) -> Result<Understood<Message>, Failure> {
        let mut understood = Understood::nothing();
        let mut ids = Ids::of(&event.event_id);
        for one in told {
            match one {
                Told::AsMapped => match self.plan(event) {
                    Plan::Send(message) => understood.calls.push(message.0),
                    Plan::Skip(skip) => understood.skipped = Some(skip),
                    Plan::End(_) => {}
                },
                Told::Call(OwnCall { method, path, payload }) => {
                    let body = payload.to_string();
                    let id = ids.next(&[method.name(), &path, &body]);
                    let request = Request::with_body(method, path, body);
                    understood.calls.push(request.identified(id));
                }
            }
        }
        if !understood.calls.is_empty() {
            understood.delivery = Some(Message(understood.calls.remove(0)));
        }
        Ok(understood)
    }

    fn judge_call(answer: &Answer) -> Verdict {
        super::judge::verdict(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destinations::Reply;

    #[test]
    fn a_receiver_that_is_not_there_pauses_the_destination_whichever_message_finds_out() {
        for status in [404, 405, 410] {
            let answer = Answer::Replied(Reply { status, ..Reply::default() });
            let verdict = Webhook::judge_call(&answer);
            assert!(matches!(verdict, Verdict::Pause { .. }), "{status}: {verdict:?}");
        }
    }
}
