//! A broker whose clock stands still for a while, as when the machine below it is moved. When it goes on it does not
//! count as alive yet, and says that the cluster has no brokers; clients believe it.

use std::time::Duration;

use end_to_end::broker::{Broker, BrokerError};
use end_to_end::journeys::{self, Journey};
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::schedule::{self, Shape};
use end_to_end::sender::{self, Manners, Order};
use end_to_end::workspace;
use service::clock::{Clock, SystemClock};
use tokio::task::block_in_place;
use tokio::time::Instant;

const FEW: usize = 100;
const MANY: usize = 800;
const TIMES: u32 = 2;
/// Longer than a broker may be silent before it counts as gone.
const FROZEN: Duration = Duration::from_secs(11);
const WELL: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(90);
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// No transaction is under way while the broker is frozen: Apache Kafka 4.3.1 writes no markers to a partition that has
/// no leader, ever, and when it goes on it leads nothing for a moment. So members of groups have nothing to do then, and
/// nobody works on what is sent.
#[tokio::test(flavor = "multi_thread")]
async fn clients_find_a_broker_again_that_said_there_is_none() {
    let folder = workspace::fresh_run_folder("frozen-kafka").unwrap();
    let mut broker = block_in_place(|| Broker::start_alone(&folder, &|_| ())).unwrap();
    let mut plan = Plan::for_test("frozen", &broker).unwrap();
    plan.environment = vec![("TRIBUTARY__KAFKA__SESSION_TIMEOUT".to_owned(), "6s".to_owned())];
    let mut pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
    let now = SystemClock::new().now_millis();
    let mut journeys = journeys::generate(5, now, FEW);

    // It commits from time to time, whatever there is to do.
    pipeline.deliver.terminate(ENDS_WITHIN).unwrap();
    pause(&mut broker).await.unwrap();
    pipeline.deliver.start_again().unwrap();
    let sendings = schedule::schedule(&journeys, Shape::disordered(5, Duration::from_secs(2)));
    assert_eq!(pipeline.send(sendings, |_| ()).await.all_refused(), 0);
    assert_all_is_told(&pipeline, &journeys).await;

    pipeline.deliver.terminate(ENDS_WITHIN).unwrap();
    pipeline.transform.terminate(ENDS_WITHIN).unwrap();
    let later = journeys::generate(6, now + 1, MANY);
    let whole = (WELL + FROZEN) * TIMES;
    // Nobody is overtaken: what a pause separates would come later than the reorder window.
    let shape = Shape { step: Duration::from_millis(400), ..Shape::disordered(6, whole) };
    let manners = Manners {
        order: Order::OneAfterTheOther,
        concurrency: 256,
        // All of them together: who waits for a client that is lost must hear of it.
        give_up_at: Some(Instant::now() + whole + PATIENCE),
        ..Manners::to(pipeline.configuration.listeners.webhooks)
    };
    let sending = tokio::spawn(sender::send(schedule::schedule(&later, shape), manners, |_| ()));
    pause(&mut broker).await.unwrap();
    assert_eq!(sending.await.unwrap().all_refused(), 0);
    pipeline.transform.start_again().unwrap();
    pipeline.deliver.start_again().unwrap();
    journeys.extend(later);
    assert_all_is_told(&pipeline, &journeys).await;
    for process in pipeline.processes() {
        assert_eq!(process.ended().unwrap(), None, "{}", process.binary().name());
    }
}

/// Some times. How long is what is done to the broker; nothing is waited for.
async fn pause(broker: &mut Broker) -> Result<(), BrokerError> {
    for _ in 0..TIMES {
        tokio::time::sleep(WELL).await;
        broker.freeze()?;
        tokio::time::sleep(FROZEN).await;
        broker.thaw()?;
    }
    Ok(())
}

async fn assert_all_is_told(pipeline: &Pipeline, journeys: &[Journey]) {
    for finding in pipeline.destinations.settle(journeys, QUIET, PATIENCE, &|_| ()).await {
        assert!(finding.is_flawless(), "{finding}\n{}", pipeline.setting.folder.display());
    }
}
