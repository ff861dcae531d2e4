//! Calls of the receiver that a handler makes: messages of its own making, signed as ours are.

use schemas::LifecycleEvent;

use super::{Message, Webhook};
use crate::destinations::{Audience, Destination, Plan, Request};
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
}
