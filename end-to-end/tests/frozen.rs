//! A broker whose clock stands still for a while, as when the machine below it is moved. When it goes on it does not
//! count as alive yet, and says that the cluster has no brokers; clients believe it.

use std::time::Duration;

use end_to_end::broker::Broker;
use end_to_end::journeys;
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::schedule::{self, Shape};
use end_to_end::sender::{self, Manners, Order};
use end_to_end::workspace;
use service::clock::{Clock, SystemClock};
use tokio::task::block_in_place;

const WEBHOOKS: usize = 1_200;
const TIMES: usize = 3;
/// Longer than a broker may be silent before it counts as gone.
const FROZEN: Duration = Duration::from_secs(11);
const WELL: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn clients_find_a_broker_again_that_said_there_is_none() {
    let folder = workspace::fresh_run_folder("frozen-kafka").unwrap();
    let mut broker = block_in_place(|| Broker::start_alone(&folder, &|_| ())).unwrap();
    let mut plan = Plan::for_test("frozen", &broker).unwrap();
    plan.environment = vec![("TRIBUTARY__KAFKA__SESSION_TIMEOUT".to_owned(), "6s".to_owned())];
    let mut pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
    let journeys = journeys::generate(5, SystemClock::new().now_millis(), WEBHOOKS);
    let whole = (FROZEN + WELL) * u32::try_from(TIMES).unwrap();
    // Nobody is overtaken: what a pause separates would come later than the reorder window.
    let shape = Shape { step: Duration::from_millis(400), ..Shape::disordered(5, whole) };
    let manners = Manners {
        order: Order::OneAfterTheOther,
        concurrency: 256,
        give_up_after: whole + PATIENCE,
        ..Manners::to(pipeline.configuration.listeners.webhooks)
    };
    let sending = tokio::spawn(sender::send(schedule::schedule(&journeys, shape), manners, |_| ()));
    for _ in 0..TIMES {
        // The pauses are what is done to the broker; nothing is waited for by them.
        tokio::time::sleep(WELL).await;
        broker.freeze().unwrap();
        tokio::time::sleep(FROZEN).await;
        broker.thaw().unwrap();
    }
    assert_eq!(sending.await.unwrap().all_refused(), 0);
    for finding in pipeline.destinations.settle(&journeys, QUIET, PATIENCE, &|_| ()).await {
        assert!(finding.is_flawless(), "{finding}\n{}", pipeline.setting.folder.display());
    }
    for process in pipeline.processes() {
        assert_eq!(process.ended().unwrap(), None, "{}", process.binary().name());
    }
}
