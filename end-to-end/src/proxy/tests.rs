//! The proxy in front of a broker that answers every request with its correlation id.

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::mpsc::{Receiver, sync_channel};

use super::*;

const SOON: Duration = Duration::from_secs(10);
const DELAY: Duration = Duration::from_millis(300);

/// A proxy, and the correlation ids of the requests that reach the broker behind it.
fn proxy() -> (Proxy, Receiver<i32>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let broker = listener.local_addr().unwrap();
    let (heard, reached) = sync_channel(100);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let heard = heard.clone();
            std::thread::spawn(move || {
                let mut client = client.unwrap();
                while let Ok(frame) = frame::read(&mut client) {
                    let correlation = frame::request(&frame).unwrap().correlation;
                    heard.send(correlation).unwrap();
                    let answer = [4_i32.to_be_bytes(), correlation.to_be_bytes()].concat();
                    drop(client.write_all(&answer));
                }
            });
        }
    });
    (Proxy::start(0, broker).unwrap(), reached)
}

struct Client(TcpStream);

impl Client {
    fn of(proxy: &Proxy) -> Self {
        let client = TcpStream::connect(proxy.address()).unwrap();
        client.set_read_timeout(Some(SOON)).unwrap();
        Self(client)
    }

    fn ask(&mut self, api: Api, correlation: i32) {
        self.0.write_all(&frame::example(api.key(), correlation, "client")).unwrap();
    }

    /// The next answer; none when cut off.
    fn answer(&mut self) -> Option<i32> {
        let frame = frame::read(&mut self.0).ok()?;
        Some(frame::correlation(&frame).unwrap())
    }
}

fn fault(api: Api, effect: Effect) -> Vec<Fault> {
    vec![Fault { api, effect, after: 0, extent: Extent::Times(1) }]
}

fn happened(proxy: &Proxy, api: Api, effect: Effect) -> bool {
    proxy.left("client").is_empty() && proxy.done("client") == Done::from([((api, effect), 1)])
}

#[test]
fn passes_on_what_it_was_not_told_to_disturb() {
    let (proxy, reached) = proxy();
    proxy.disturb("client", fault(Api::EndTxn, Effect::LoseRequest));
    proxy.disturb("another", fault(Api::Produce, Effect::LoseRequest));
    let mut client = Client::of(&proxy);
    client.ask(Api::Produce, 1);
    client.ask(Api::Fetch, 2);
    assert_eq!((client.answer(), client.answer()), (Some(1), Some(2)));
    assert_eq!(reached.iter().take(2).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(proxy.left("client").len(), 1);
}

#[test]
fn a_lost_request_never_reaches_the_broker_and_the_next_one_does() {
    let (proxy, reached) = proxy();
    proxy.disturb("client", fault(Api::EndTxn, Effect::LoseRequest));
    let mut client = Client::of(&proxy);
    client.ask(Api::EndTxn, 1);
    assert_eq!(client.answer(), None);
    let mut client = Client::of(&proxy);
    client.ask(Api::EndTxn, 2);
    assert_eq!(client.answer(), Some(2));
    assert_eq!(reached.recv_timeout(SOON), Ok(2));
    assert!(happened(&proxy, Api::EndTxn, Effect::LoseRequest));
}

#[test]
fn a_request_whose_answer_is_lost_has_reached_the_broker() {
    let (proxy, reached) = proxy();
    proxy.disturb("client", fault(Api::EndTxn, Effect::LoseAnswer));
    let mut client = Client::of(&proxy);
    client.ask(Api::EndTxn, 1);
    assert_eq!(client.answer(), None);
    assert_eq!(reached.recv_timeout(SOON), Ok(1));
    assert!(happened(&proxy, Api::EndTxn, Effect::LoseAnswer));
}

#[test]
fn a_delayed_request_reaches_the_broker_when_its_client_has_gone() {
    let (proxy, reached) = proxy();
    proxy.disturb("client", fault(Api::EndTxn, Effect::DelayRequest(DELAY)));
    let asked = Instant::now();
    let mut client = Client::of(&proxy);
    client.ask(Api::EndTxn, 1);
    drop(client);
    assert_eq!(reached.recv_timeout(SOON), Ok(1));
    assert!(asked.elapsed() >= DELAY);
}

#[test]
fn a_delayed_answer_comes_late_but_the_request_does_not() {
    let (proxy, reached) = proxy();
    proxy.disturb("client", fault(Api::EndTxn, Effect::DelayAnswer(DELAY)));
    let asked = Instant::now();
    let mut client = Client::of(&proxy);
    client.ask(Api::EndTxn, 1);
    assert_eq!(reached.recv_timeout(SOON), Ok(1));
    assert_eq!(client.answer(), Some(1));
    assert!(asked.elapsed() >= DELAY);
}

#[test]
fn all_connections_of_the_client_are_cut_at_once_and_nobody_elses() {
    let (proxy, reached) = proxy();
    let mut bystander = Client::of(&proxy);
    bystander.0.write_all(&frame::example(1, 1, "another")).unwrap();
    assert_eq!(bystander.answer(), Some(1));
    let mut idle = Client::of(&proxy);
    idle.ask(Api::Fetch, 2);
    assert_eq!(idle.answer(), Some(2));
    proxy.disturb("client", fault(Api::EndTxn, Effect::CutAll));
    let mut client = Client::of(&proxy);
    client.ask(Api::EndTxn, 3);
    assert_eq!((client.answer(), idle.answer()), (None, None));
    bystander.0.write_all(&frame::example(1, 4, "another")).unwrap();
    assert_eq!(bystander.answer(), Some(4));
    assert_eq!(reached.iter().take(4).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn dropping_it_cuts_everybody_off() {
    let (proxy, _reached) = proxy();
    let mut client = Client::of(&proxy);
    client.ask(Api::Fetch, 1);
    assert_eq!(client.answer(), Some(1));
    let address = proxy.address();
    drop(proxy);
    assert_eq!(client.answer(), None);
    let deadline = Instant::now() + SOON;
    while TcpStream::connect(&address).is_ok() {
        assert!(Instant::now() < deadline, "it still listens");
    }
}
