//! Finding out whose a record is that does not say: looking up links, waiting for them, announcing them.

use std::sync::Arc;
use std::time::Duration;

use schemas::Timestamp;
use schemas::headers::Stage;
use schemas::state::KeptRecord;

use super::accept::{key_mismatch, read, view};
use super::{GivenUp, Line, LinkAnnouncement, Taken, Visit};
use crate::parking::{ParkReason, Parking};
use crate::record::{Judged, Raw, judge};
use crate::rekey::{Address, copy_for, is_known};
use crate::rules::{Mode, Rules};
use crate::sources::{Links, Reading, Treatment};
use crate::state::{Link, StateError, Store};
use crate::tally::Fate;

/// A subscriber's other ids are announced again after this long: half of a link's life.
const ANNOUNCED_AGAIN: Duration = Duration::from_hours(90 * 24);

impl<S: Store> Line<S> {
    /// Takes in links; `position` is the offset of their topic after the last of them. What waited for
    /// them goes on. The links hold at once, whatever becomes of the open transaction: after a restart
    /// everything that waits is looked up again.
    pub fn learn(
        &mut self,
        links: Vec<Link>,
        position: i64,
        rules: &Rules,
    ) -> Result<Taken, StateError> {
        let needed = links.iter().filter_map(|link| {
            let key = std::str::from_utf8(&link.key).ok()?;
            self.patience.waits_under(key)
        });
        let needed: Vec<_> = needed.collect();
        self.states.learn(links, position)?;
        let mut taken = Taken::default();
        for key in needed {
            self.look_up(&key, rules, &mut taken)?;
        }
        Ok(taken)
    }

    /// Looks up everything that waits: to be called once after a restore, when the links have been read
    /// to their end.
    pub fn look_up_again(&mut self, rules: &Rules) -> Result<Taken, StateError> {
        let mut taken = Taken::default();
        for key in self.patience.keys() {
            self.look_up(&key, rules, &mut taken)?;
        }
        Ok(taken)
    }

    /// Gives up what has waited for as long as it may: to be called when the partition's input has run
    /// dry, because what is still unread may be what it waits for.
    pub fn expire(&mut self, local: Duration, rules: &Rules) -> Result<Taken, StateError> {
        let mut taken = Taken::default();
        for (key, offset) in self.patience.exhausted(local) {
            self.look_up(&key, rules, &mut taken)?;
            self.give_up(&key, offset, rules, &mut taken)?;
        }
        Ok(taken)
    }

    /// What waits may do so for the whole time again: its input was not read for a while.
    pub fn wait_anew(&mut self, local: Duration) {
        self.patience.begin_anew(local);
    }

    /// How long from `local` on until something has waited for as long as it may. `None` when nothing
    /// waits.
    pub fn until_expiry(&self, local: Duration) -> Option<Duration> {
        self.patience.until_exhausted(local)
    }

    /// A record without a subscriber may still be one that means nothing to us; if not, its owner is
    /// looked for.
    pub(super) fn look_for_meaning(
        &mut self,
        visit: Visit<'_>,
        taken: &mut Taken,
    ) -> Result<Option<Parking>, StateError> {
        let Visit { envelope, raw, .. } = visit;
        let mapper = envelope.source.mapper;
        let treatment = mapper.treatments().iter().find(|(name, _)| *name == envelope.event_type());
        let reading = match treatment {
            Some((_, Treatment::Ignored(reason))) => Reading::Ignored(reason),
            Some((_, Treatment::Mapped)) | None => read(envelope, raw),
        };
        match reading {
            Reading::Ignored(reason) => {
                self.tally.ignore(&envelope.source.name, reason);
                self.tally.settle(Fate::Ignored);
                Ok(None)
            }
            Reading::Facts(_) | Reading::Parked(_) | Reading::KeyMismatch
                if envelope.names_nothing() =>
            {
                Ok(Some(nobody("the body names no subscriber, nor anything that could be linked")))
            }
            Reading::Parked(unreadable) => {
                Ok(Some(Parking::new(ParkReason::Unreadable, unreadable.to_string())))
            }
            Reading::KeyMismatch => Ok(Some(key_mismatch())),
            Reading::Facts(_) if envelope.stage().is_some() => {
                let message = "a link led to a key that is itself no subscriber";
                Ok(Some(Parking::new(ParkReason::RekeyLoop, message)))
            }
            Reading::Facts(_) => self.find_owner(visit, Stage::Alias, taken),
        }
    }

    /// Sends the record on to whom a link names, with the stage `next`. Without a link an original
    /// waits; any other goes on at its own key.
    pub(super) fn find_owner(
        &mut self,
        visit: Visit<'_>,
        next: Stage,
        taken: &mut Taken,
    ) -> Result<Option<Parking>, StateError> {
        let Visit { envelope, raw, local, rules } = visit;
        if rules.mode == Mode::Replay {
            self.tally.left_to_copies += 1;
            self.tally.settle(Fate::SentOn);
            return Ok(None);
        }
        let record = raw.keep();
        let linked = self.linked(envelope.key, raw.appended_at, rules)?;
        let own = || (next != Stage::Alias).then(|| envelope.key.to_owned());
        let Some(key) = linked.or_else(own) else {
            return self.wait(envelope.key, record, local, rules);
        };
        self.tally.rekeyed += 1;
        self.tally.settle(Fate::SentOn);
        let moved = envelope.origin.as_ref().and_then(|origin| origin.moved.clone());
        taken.copies.push(copy_for(Address { key, stage: next }, &record, self.partition, moved));
        Ok(None)
    }

    fn wait(
        &mut self,
        key: &str,
        record: KeptRecord,
        local: Duration,
        rules: &Rules,
    ) -> Result<Option<Parking>, StateError> {
        let key: Arc<str> = Arc::from(key);
        let open = self.states.open(&key, &rules.states)?;
        if !rules.budget.admits(&open.state.waiting, &record) {
            let message = "as many records wait under this key already as may";
            return Ok(Some(Parking::new(ParkReason::TooManyWaiting, message)));
        }
        self.patience.begin(&key, record.offset, local);
        self.tally.waited += 1;
        open.change().waiting.push(record);
        Ok(None)
    }

    /// Lets go what waits under a key, if its owner is known by now: because a link says so, or because
    /// the key has become somebody and is itself the sender of the transfer that waits.
    pub(super) fn look_up(
        &mut self,
        key: &Arc<str>,
        rules: &Rules,
        taken: &mut Taken,
    ) -> Result<(), StateError> {
        if self.patience.waits_under(key).is_none() {
            return Ok(());
        }
        let known = is_known(&self.states.open(key, &rules.states)?.state);
        let waiting = self.states.open(key, &rules.states)?.state.waiting.clone();
        for record in waiting {
            let linked = self.linked(key, record.appended_at, rules)?;
            let address = match linked {
                _ if known => Address { key: key.to_string(), stage: Stage::Sender },
                Some(key) => Address { key, stage: Stage::Alias },
                None => continue,
            };
            taken.copies.push(copy_for(address, &record, self.partition, None));
            self.tally.rekeyed += 1;
            self.tally.settle(Fate::SentOn);
            self.take_out(key, record.offset, rules)?;
        }
        Ok(())
    }

    /// The key of the subscriber that a link names, if one is to be believed at `at`.
    fn linked(
        &self,
        key: &str,
        at: Timestamp,
        rules: &Rules,
    ) -> Result<Option<String>, StateError> {
        let life = i64::try_from(rules.link_life.as_millis()).unwrap_or(i64::MAX);
        let link = self.states.link(key)?;
        let link = link.filter(|link| link.appended_at.plus_millis(life) >= at);
        Ok(link.map(|link| link.subscriber))
    }

    /// Ends the wait of one record without a link. A transfer goes on: nobody is known by its sender's
    /// key, so that it brings nothing, but what comes there later is passed on. Anything else is parked.
    fn give_up(
        &mut self,
        key: &Arc<str>,
        offset: i64,
        rules: &Rules,
        taken: &mut Taken,
    ) -> Result<(), StateError> {
        let Some(record) = self.take_out(key, offset, rules)? else { return Ok(()) };
        let parking = match judge(&Raw::of(&record, key), &rules.sources) {
            Judged::Subscriber(_) => {
                let address = Address { key: key.to_string(), stage: Stage::Sender };
                taken.copies.push(copy_for(address, &record, self.partition, None));
                self.tally.rekeyed += 1;
                self.tally.settle(Fate::SentOn);
                self.tally.senders_unknown += 1;
                return Ok(());
            }
            Judged::Unfit(parking) => parking,
            Judged::Tick | Judged::Orphan(_) => {
                nobody("nothing has linked the record to a subscriber in time")
            }
        };
        self.tally.park(parking.reason);
        let KeptRecord { offset, headers, value, .. } = record;
        taken.expired.push(GivenUp { offset, key: key.to_string(), value, headers, parking });
        Ok(())
    }

    fn take_out(
        &mut self,
        key: &Arc<str>,
        offset: i64,
        rules: &Rules,
    ) -> Result<Option<KeptRecord>, StateError> {
        self.patience.end(key, offset);
        let open = self.states.open(key, &rules.states)?;
        let place = open.state.waiting.iter().position(|record| record.offset == offset);
        Ok(place.map(|place| open.change().waiting.remove(place)))
    }

    /// Announces what an original teaches about records that will not name a subscriber, be it new or a
    /// repetition.
    pub(super) fn announce(
        &mut self,
        visit: Visit<'_>,
        reading: &Reading,
        taken: &mut Taken,
    ) -> Result<(), StateError> {
        let Visit { envelope, raw, rules, .. } = visit;
        if rules.mode == Mode::Replay || envelope.stage().is_some() {
            return Ok(());
        }
        let key = Arc::from(envelope.key);
        if self.states.open(&key, &rules.states)?.state.forgotten_at.is_some() {
            return Ok(());
        }
        let source = envelope.source;
        let Links { mut things, aliases } = source.mapper.links(&view(envelope, raw), reading);
        if !aliases.is_empty() {
            let open = self.states.open(&key, &rules.states)?;
            let pause = i64::try_from(ANNOUNCED_AGAIN.as_millis()).unwrap_or(i64::MAX);
            let again = open
                .state
                .links_announced_at
                .is_none_or(|before| before.plus_millis(pause) <= raw.appended_at);
            let is_new = |alias: &String| !open.state.identity.aliases.contains(alias);
            things.extend(aliases.into_iter().filter(|alias| again || is_new(alias)));
            if again {
                open.change().links_announced_at = Some(raw.appended_at);
            }
        }
        things.retain(|thing| thing != envelope.id);
        things.sort();
        things.dedup();
        self.tally.links += u64::try_from(things.len()).unwrap_or(u64::MAX);
        taken.links.extend(things.into_iter().map(|thing| LinkAnnouncement {
            key: format!("{}/{thing}", source.name),
            subscriber: envelope.key.to_owned(),
        }));
        Ok(())
    }
}

fn nobody(message: &str) -> Parking {
    Parking::new(ParkReason::SubscriberUnknown, message)
}
