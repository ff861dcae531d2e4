//! What `deliver check` and the start find out from the destinations themselves.

use std::sync::Arc;

use deliver::configure;
use deliver::preflight::{Found, check_destination, require_home};
use service::Binary;
use service::clock::{Clock, ManualClock, SystemClock};
use service::config::{Config, Loader, Variables, Vocabulary};

use crate::bench::anywhere;

/// A configuration with this destination.
fn config(destination: &str) -> Config {
    let (events, attributes) = (configure::event_names(), configure::attribute_names());
    let vocabulary = Vocabulary { events: &events, attributes: &attributes };
    let (variables, clock) = (Variables::default(), Arc::new(SystemClock::new()));
    let loader = Loader { binary: Binary::Deliver, variables: &variables, vocabulary, clock };
    let text = format!(
        "kafka: {{ brokers: 'localhost:1' }}\nsources:\n  shop: {{ provider: stripe, secrets: [a] }}\n\
         destinations:\n  it: {{ {destination} }}\n"
    );
    loader.read("it.yaml", &text).unwrap()
}

fn customerio(region: &str, base_url: &str) -> Config {
    config(&format!(
        "type: customerio, region: {region}, site_id: emulator-site, api_key: emulator-key, \
         base_url: '{base_url}'"
    ))
}

fn intercom(region: &str, token: &str, base_url: &str) -> Config {
    config(&format!(
        "type: intercom, region: {region}, access_token: {token}, base_url: '{base_url}'"
    ))
}

async fn found(config: &Config, clock: Arc<dyn Clock>) -> Found {
    check_destination(config, &config.destinations["it"], &clock).await.unwrap()
}

async fn check(config: &Config) -> Found {
    found(config, Arc::new(SystemClock::new())).await
}

async fn start(config: &Config) -> Result<(), String> {
    let destination = &config.destinations["it"];
    let caller =
        configure::caller(config, destination, Arc::new(SystemClock::new()), None).unwrap();
    require_home(destination, &caller).await.map_err(|failure| failure.report())
}

#[tokio::test]
async fn an_account_in_another_region_is_found_and_not_started_with() {
    let settings = emulators::CustomerIoSettings {
        region: emulators::CustomerIoRegion::Eu,
        ..emulators::CustomerIoSettings::default()
    };
    let emulator = emulators::CustomerIo::start(anywhere(), settings).await.unwrap();
    let right = check(&customerio("eu", &emulator.base_url())).await;
    assert_eq!(right.wrong, [""; 0]);
    assert!(start(&customerio("eu", &emulator.base_url())).await.is_ok());
    let wrong = customerio("us", &emulator.base_url());
    let said = "the account lies in region `eu`, and `region` says `us`".to_owned();
    assert_eq!(check(&wrong).await.wrong, std::slice::from_ref(&said));
    assert_eq!(start(&wrong).await, Err(said));
    emulator.close_port().await;
    assert!(start(&wrong).await.is_ok(), "a destination that is down does not hold up the start");
}

#[tokio::test]
async fn everything_that_is_wrong_at_intercom_is_said_at_once() {
    let settings = emulators::IntercomSettings {
        region: emulators::IntercomRegion::Au,
        ..emulators::IntercomSettings::default()
    };
    let emulator = emulators::Intercom::start(anywhere(), settings).await.unwrap();
    let config = intercom("us", "emulator-token", &emulator.base_url());
    assert!(emulator.declare_attribute("plan_id", "integer"));
    let minutes_ago = SystemClock::new().now() - jiff::SignedDuration::from_mins(10);
    let wrong = found(&config, Arc::new(ManualClock::at(minutes_ago))).await.wrong;
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    assert!(wrong[0].contains("region `au`"));
    assert!(wrong[1].contains("s behind the destination's"), "{}", wrong[1]);
    assert!(wrong[2].starts_with("run `deliver setup`: attributes are not declared: auto_renew"));
    assert!(wrong[2].ends_with("the attribute plan_id is declared as integer, not string"));
}

#[tokio::test]
async fn a_workspace_that_was_set_up_is_right_and_one_with_another_token_is_not() {
    let settings = emulators::IntercomSettings::default();
    let emulator = emulators::Intercom::start(anywhere(), settings).await.unwrap();
    let config = intercom("us", "emulator-token", &emulator.base_url());
    let workspace = configure::intercom(&config.destinations["it"]);
    for (name, data_type) in workspace.declarations(configure::sources(&config)) {
        assert!(emulator.declare_attribute(&name, data_type), "{name}");
    }
    let right = check(&config).await;
    assert_eq!(right.wrong, [""; 0]);
    assert_eq!(right.good.len(), 5, "{:?}", right.good);
    assert!(right.good[4].ends_with("of 120 event names"));
    let other = intercom("us", "another-token", &emulator.base_url());
    assert_eq!(check(&other).await.wrong, ["the credentials are refused (401)"]);
}
