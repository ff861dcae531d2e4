//! Who has a request under way.
//!
//! A request is under way from its arrival until it has taken effect *and* the client has its answer
//! or has gone. A client that sends the next request for a person before that cannot know in
//! which order the two take effect.

use std::collections::HashMap;

#[derive(Debug, Default)]
pub(crate) struct Flights {
    under_way: HashMap<String, u32>,
}

impl Flights {
    /// Notes the departure; says how many of the people had a request under way already.
    pub(crate) fn enter(&mut self, people: &[String]) -> usize {
        let mut overlapping = 0;
        for person in people {
            let count = self.under_way.entry(person.clone()).or_default();
            overlapping += usize::from(*count > 0);
            *count += 1;
        }
        overlapping
    }

    /// Notes the end of what `enter` noted.
    pub(crate) fn leave(&mut self, people: &[String]) {
        for person in people {
            if let Some(count) = self.under_way.get_mut(person) {
                *count -= 1;
                if *count == 0 {
                    self.under_way.remove(person);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_people_whose_earlier_request_has_not_ended() {
        let mut flights = Flights::default();
        let (ann, bob) = ("id:ann".to_owned(), "id:bob".to_owned());
        assert_eq!(flights.enter(&[ann.clone(), bob.clone()]), 0);
        assert_eq!(flights.enter(std::slice::from_ref(&ann)), 1);
        flights.leave(&[ann.clone(), bob.clone()]);
        assert_eq!(flights.enter(std::slice::from_ref(&bob)), 0);
        assert_eq!(flights.enter(std::slice::from_ref(&ann)), 1);
    }
}
