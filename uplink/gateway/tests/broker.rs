//! The running gateway and a broker: subscriptions, schemas, acknowledgements, broken connections, restarts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use ecu_gateway::{Counters, Gateway, GatewayError, HttpUrl, Options, Patience, Refusal, Report};
use store::block::SchemaHash;
use support::broker::FakeBroker;
use support::fixture::{Car, SPEED, START_NS, schema_hash};
use support::receiver::Receiver;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uplink::mqtt::Link;
use uplink::topic::Prefix;

const MS: i64 = 1_000_000;
const LIMIT: Duration = Duration::from_secs(20);

struct Running {
    counters: Arc<Counters>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Report, GatewayError>>,
}

impl Running {
    fn start(broker: &FakeBroker, receiver: &Receiver) -> Self {
        let mut options =
            Options::new(Link::parse(&broker.url, "gateway-1").unwrap(), Prefix::new("ecu").unwrap());
        options.remote_write = Some(HttpUrl::parse(&receiver.url).unwrap());
        options.patience = Patience {
            retry_first: Duration::from_millis(10),
            retry_cap: Duration::from_millis(100),
            schema: Duration::from_secs(1),
            stop: Duration::from_millis(200),
            ..Patience::default()
        };
        let gateway = Gateway::new(options).unwrap();
        let counters = gateway.counters();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(gateway.run(async move {
            let _ = stopped.await;
        }));
        Self { counters, stop, task }
    }

    async fn until(&self, what: &str, reached: impl Fn(&Counters) -> bool) {
        let waiting = async {
            while !reached(&self.counters) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("never {what}: {:#?}", self.counters));
    }

    async fn stop(self) -> Report {
        self.stop.send(()).unwrap();
        timeout(LIMIT, self.task).await.expect("the gateway does not stop").unwrap().unwrap()
    }
}

fn schema_topic() -> String {
    Prefix::new("ecu").unwrap().schema(schema_hash())
}

/// Publishes a batch of one block with one sample.
fn publish(broker: &FakeBroker, car: &mut Car, ms: i64) -> u16 {
    let block = car.samples(&[(SPEED, START_NS + ms * MS, &[(0, 1)])]);
    broker.publish(&car.topic(), car.batch(&[block]))
}

/// A receiver that takes nothing until the switch is on.
async fn receiver_with_switch() -> (Receiver, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(false));
    let on = Arc::clone(&switch);
    (Receiver::start(move |_| if on.load(SeqCst) { (204, vec![]) } else { (503, vec![]) }).await, switch)
}

#[tokio::test]
async fn batches_wait_for_their_schema_and_are_acknowledged_in_order() {
    let (broker, receiver) = (FakeBroker::start().await, Receiver::start(|_| (204, vec![])).await);
    let gateway = Running::start(&broker, &receiver);
    let mut car = Car::new("car-1");
    let published: Vec<u16> = (0..30).map(|ms| publish(&broker, &mut car, ms)).collect();
    gateway.until("holding all", |counters| counters.held.get() == 30).await;
    // The first subscription finds no schema; a later one does.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(receiver.requests().is_empty() && broker.acknowledged().is_empty());
    broker.retain(&schema_topic(), car.schema().bytes().to_vec());
    gateway.until("acknowledging all", |counters| counters.acknowledged.get() == 30).await;
    let report = gateway.stop().await;
    assert_eq!(broker.acknowledged(), published);
    let samples = receiver.samples(|_| true);
    assert!(samples.len() == 30 && samples.is_sorted_by_key(|(_, timestamp, _)| *timestamp));
    assert_eq!((report.blocks, report.samples, report.refused, report.held), (30, 30, 0, 0));
    let subscriptions = broker.subscriptions();
    assert!(subscriptions.contains(&"$share/gateway/ecu/+/blocks/+".to_owned()), "{subscriptions:?}");
}

#[tokio::test]
async fn a_batch_without_schema_holds_up_acknowledgements_for_a_time_only() {
    let (broker, receiver) = (FakeBroker::start().await, Receiver::start(|_| (204, vec![])).await);
    let mut car = Car::new("car-1");
    broker.retain(&schema_topic(), car.schema().bytes().to_vec());
    let unknown = SchemaHash([9; 16]);
    // What stands at the schema's topic is another schema.
    broker.retain(&Prefix::new("ecu").unwrap().schema(unknown), car.schema().bytes().to_vec());
    let block = car.samples_of(unknown, &[1], &[(0, START_NS, &[(0, 1)])]);
    broker.publish(&car.topic(), car.batch(&[block]));
    publish(&broker, &mut car, 1);
    let gateway = Running::start(&broker, &receiver);
    gateway.until("putting the second out", |counters| counters.blocks.get() == 1).await;
    assert!(broker.acknowledged().is_empty());
    gateway.until("giving up", |counters| counters.acknowledged.get() == 2).await;
    assert_eq!(gateway.counters.refused(Refusal::SchemaMissing), 1);
    assert!(gateway.counters.refused(Refusal::Schema) >= 1 && gateway.counters.schemas_given_up.get() == 1);
    gateway.stop().await;
    assert_eq!(broker.acknowledged(), [1, 2]);
}

#[tokio::test]
async fn what_no_receiver_took_is_left_with_the_broker_for_the_next_gateway() {
    let (broker, (receiver, switch)) = (FakeBroker::start().await, receiver_with_switch().await);
    let mut car = Car::new("car-1");
    broker.retain(&schema_topic(), car.schema().bytes().to_vec());
    for ms in 0..3 {
        publish(&broker, &mut car, ms);
    }
    let gateway = Running::start(&broker, &receiver);
    gateway
        .until("trying", |counters| counters.remote_write.retries.get() > 3 && counters.held.get() == 3)
        .await;
    assert!(!gateway.counters.ready());
    let report = gateway.stop().await;
    assert_eq!((report.blocks, report.held, broker.acknowledged().len()), (0, 3, 0));

    switch.store(true, SeqCst);
    let before = receiver.requests().len();
    let gateway = Running::start(&broker, &receiver);
    gateway.until("acknowledging all", |counters| counters.acknowledged.get() == 3).await;
    assert!(gateway.counters.ready());
    assert_eq!(receiver.requests().len(), before + 3);
    assert_eq!(gateway.stop().await.samples, 3);
    assert_eq!(broker.acknowledged(), [1, 2, 3]);
}

#[tokio::test]
async fn after_a_broken_connection_everything_is_acknowledged_and_nothing_put_out_twice() {
    let (broker, (receiver, switch)) = (FakeBroker::start().await, receiver_with_switch().await);
    let mut car = Car::new("car-1");
    broker.retain(&schema_topic(), car.schema().bytes().to_vec());
    for ms in 0..5 {
        publish(&broker, &mut car, ms);
    }
    let gateway = Running::start(&broker, &receiver);
    gateway
        .until("trying", |counters| counters.remote_write.retries.get() > 1 && counters.held.get() == 5)
        .await;
    broker.break_connections();
    gateway
        .until("connecting again", |counters| counters.connections.get() == 2 && counters.held.get() == 5)
        .await;
    switch.store(true, SeqCst);
    gateway.until("acknowledging all", |counters| counters.acknowledged.get() == 5).await;
    // The first was at work when the connection broke: it came again, and was known.
    assert_eq!((gateway.counters.blocks.get(), gateway.counters.duplicate_blocks.get()), (5, 1));
    let report = gateway.stop().await;
    assert_eq!((report.samples, broker.acknowledged()), (5, vec![1, 2, 3, 4, 5]));
    let mut bodies: Vec<_> = receiver.requests().into_iter().map(|request| request.body).collect();
    bodies.dedup();
    assert_eq!(bodies.len(), 5, "each body was only repeated while it was refused");
}
