//! Strict stand-ins for Customer.io (Track v2) and Intercom, for tests and for the demo; and for Stripe's list of
//! events ([`StripeEvents`]), which has none of what follows.
//!
//! A forgiving double proves nothing: it answers 200 to what the vendor would refuse, merge or
//! drop. These emulators answer as the vendor does, keep what really took effect, and write down
//! every request that a well-behaved client would not have sent ([`Violation`]). A test then asks
//! three things: what is each person's story, was anything ignored, and was anything wrong.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use emulators::{CustomerIo, CustomerIoSettings, Effect, Fault};
//!
//! let customerio = CustomerIo::start("127.0.0.1:0".parse().unwrap(), CustomerIoSettings::default()).await?;
//! customerio.inject(Fault::always(Effect::respond(503)).times(2));
//! // … point the client at customerio.base_url() …
//! assert_eq!(customerio.violations(), []);
//! let names: Vec<_> = customerio.events_of("u_42").into_iter().map(|event| event.name).collect();
//! # Ok(())
//! # }
//! ```
//!
//! # The handle
//! [`CustomerIo`] and [`Intercom`] are the same generic [`Emulator`], so both have:
//!
//! | method | answers |
//! |---|---|
//! | `base_url()`, `address()` | where it listens; port 0 picks a free one |
//! | `people()`, `person(who)`, `events_of(who)` | [`Person`]s with attributes, *effective* [`Event`]s in order, counts of ignored duplicates and ignored older updates |
//! | `violations()`, `requests()`, `request_count()` | what was wrong; one [`RequestRecord`] a request |
//! | `inject(fault)`, `clear_faults()`, `set_outage(..)`, `set_credentials(..)` | fault injection, see [`Fault`] |
//! | `close_port()`, `open_port()` | real connection refusals |
//! | `reset()` | forget everything but the settings (faults too) |
//! | `stop()` | close the port and every connection; dropping the last clone does the same |
//!
//! `who` is the person's own id (`id` at Customer.io, `external_id` at Intercom), the e-mail
//! address, or the vendor's id.
//! Intercom adds `merge`, `archive`, `create_contact` and `declare_attribute`, for what a colleague
//! in Intercom's own user interface may have done.
//!
//! # The same over HTTP
//! Both ports serve, without authentication:
//! `GET /__emulator/state[?person=who]`, `GET /__emulator/violations`, `GET /__emulator/requests`,
//! `GET|POST|DELETE /__emulator/faults` (`POST` takes a [`FaultOrder`]), `POST /__emulator/reset`, and
//! at Intercom `POST /__emulator/hooks/{merge,archive,create_contact,declare_attribute}`.
//!
//! # What counts as a violation
//! Everything that the vendor refuses for its content or drops in silence, and what it accepts but a
//! well-behaved client does not do; the list is [`Rule`]. Not violations, because a correct
//! client meets them: a repeated event (counted in [`Person::ignored_duplicates`]), an attribute update
//! older than the last one (counted in [`Person::ignored_updates`]), a look-up that finds
//! nobody, a 409 on creating a contact, a merged contact's 410, and every injected fault.
//!
//! # Map
//! `faults` decides what happens to a request, `customerio` and `intercom` hold the vendors' rules
//! as pure functions over their state, `server` is the thin driver around both.

mod control;
mod customerio;
mod emulator;
mod exchange;
mod faults;
mod flights;
mod intercom;
mod people;
mod server;
mod stripe;
mod throttle;
mod ulid;
mod violations;

pub use customerio::{
    Region as CustomerIoRegion, Settings as CustomerIoSettings, Workspace as CustomerIoWorkspace,
};
pub use emulator::{CustomerIo, Emulator, Intercom};
pub use exchange::{RequestRecord, Vendor};
pub use faults::{Chance, Credentials, Effect, Fault, FaultOrder, Outage};
pub use intercom::{
    Region as IntercomRegion, Settings as IntercomSettings, Workspace as IntercomWorkspace,
};
pub use people::{Event, Person, Standing};
pub use stripe::StripeEvents;
pub use violations::{Rule, Violation};
