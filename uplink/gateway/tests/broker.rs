//! The running gateway with an embedded broker: subscriptions, schemas, acknowledgements, a restart.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use ecu_gateway::{Counters, Gateway, GatewayError, HttpUrl, Options, Patience, Report};
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use support::fixture::{Car, SPEED, START_NS, schema_hash};
use support::receiver::Receiver;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uplink::mqtt::{Happened, Link, Publisher};
use uplink::topic::Prefix;

const MS: i64 = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts a broker for the rest of the test process.
async fn broker() -> String {
    // rumqttd does not tell the port it was given, so a free one is found first.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = ServerSettings {
        name: "v4".to_owned(),
        listen: SocketAddr::from(([127, 0, 0, 1], free.port())),
        tls: None,
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 5_000,
            max_payload_size: 8 << 20,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    };
    let router = RouterConfig {
        max_connections: 100,
        max_outgoing_packet_count: 200,
        max_segment_size: 64 << 20,
        max_segment_count: 10,
        ..RouterConfig::default()
    };
    let v4 = Some(HashMap::from([("v4".to_owned(), server)]));
    std::thread::spawn(move || {
        let _ = Broker::new(Config { router, v4, ..Config::default() }).start();
    });
    let listens = async { while tokio::net::TcpStream::connect(free).await.is_err() {} };
    timeout(PATIENCE, listens).await.expect("the broker does not listen");
    format!("mqtt://{free}")
}

/// Publishes in order and waits for the last acknowledgement.
async fn publish(broker: &str, messages: Vec<(String, bool, Vec<u8>)>) {
    let mut publisher = Publisher::connect(&Link::parse(broker, "car").unwrap(), messages.len());
    let publish = async {
        while !matches!(publisher.next().await.unwrap(), Happened::Connected { .. }) {}
        for (number, (topic, retain, payload)) in messages.into_iter().enumerate() {
            publisher.publish(&topic, retain, payload, number).unwrap();
        }
        while publisher.in_flight() > 0 {
            publisher.next().await.unwrap();
        }
    };
    timeout(PATIENCE, publish).await.expect("the broker does not acknowledge");
    publisher.disconnect(Duration::from_secs(1)).await;
}

struct Running {
    counters: Arc<Counters>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Report, GatewayError>>,
}

impl Running {
    async fn start(broker: &str, receiver: &Receiver) -> Self {
        let mut options =
            Options::new(Link::parse(broker, "gateway-1").unwrap(), Prefix::new("ecu").unwrap());
        options.remote_write = Some(HttpUrl::parse(&receiver.url).unwrap());
        options.patience = Patience {
            retry_first: Duration::from_millis(20),
            retry_cap: Duration::from_millis(200),
            stop: Duration::from_millis(200),
            ..Patience::default()
        };
        let gateway = Gateway::new(options).unwrap();
        let counters = gateway.counters();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(gateway.run(async move {
            let _ = stopped.await;
        }));
        let running = Self { counters, stop, task };
        running.until("connected", |counters| counters.connected.get()).await;
        // The subscription follows the connection.
        tokio::time::sleep(Duration::from_millis(200)).await;
        running
    }

    async fn until(&self, what: &str, reached: impl Fn(&Counters) -> bool) {
        let waiting = async {
            while !reached(&self.counters) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never {what}: {:#?}", self.counters));
    }

    async fn stop(self) -> Report {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.task).await.expect("the gateway does not stop").unwrap().unwrap()
    }
}

#[tokio::test]
async fn batches_wait_for_their_schema_and_arrive_once() {
    let broker = broker().await;
    let receiver = Receiver::start(|_| (204, vec![])).await;
    let gateway = Running::start(&broker, &receiver).await;
    let mut car = Car::new("car-1");
    let batches = (0..30).map(|number| {
        let block = car.samples(&[(SPEED, START_NS + number * MS, &[(0, 1)])]);
        (car.topic(), false, car.batch(&[block]))
    });
    let batches = batches.collect();
    publish(&broker, batches).await;
    gateway.until("holding all", |counters| counters.held.get() == 30).await;
    assert!(receiver.requests().is_empty() && gateway.counters.acknowledged.get() == 0);

    let topic = Prefix::new("ecu").unwrap().schema(schema_hash());
    publish(&broker, vec![(topic, true, car.schema().bytes().to_vec())]).await;
    gateway.until("acknowledging all", |counters| counters.acknowledged.get() == 30).await;
    let samples = receiver.samples(|_| true);
    assert_eq!(samples.len(), 30);
    assert!(samples.is_sorted_by_key(|(_, timestamp, _)| *timestamp));
    let report = gateway.stop().await;
    assert_eq!((report.blocks, report.samples, report.refused, report.held), (30, 30, 0, 0));

    // What was acknowledged does not come again; the retained schema is found by a gateway that never saw it.
    let gateway = Running::start(&broker, &receiver).await;
    let block = car.samples(&[(SPEED, START_NS + 1_000 * MS, &[(0, 1)])]);
    publish(&broker, vec![(car.topic(), false, car.batch(&[block]))]).await;
    gateway.until("acknowledging the new one", |counters| counters.acknowledged.get() == 1).await;
    assert_eq!(receiver.samples(|_| true).len(), 31);
    assert_eq!(gateway.stop().await.batches, 1);
}

#[tokio::test]
async fn what_no_receiver_took_is_left_with_the_broker() {
    let broker = broker().await;
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let receiver =
        Receiver::start(move |_| if gate.load(SeqCst) { (204, vec![]) } else { (503, vec![]) }).await;
    let mut car = Car::new("car-1");
    let topic = Prefix::new("ecu").unwrap().schema(schema_hash());
    publish(&broker, vec![(topic, true, car.schema().bytes().to_vec())]).await;

    let gateway = Running::start(&broker, &receiver).await;
    let batches = (0..3).map(|number| {
        let block = car.samples(&[(SPEED, START_NS + number * MS, &[(0, 1)])]);
        (car.topic(), false, car.batch(&[block]))
    });
    let batches = batches.collect();
    publish(&broker, batches).await;
    gateway
        .until("trying", |counters| counters.remote_write.retries.get() > 3 && counters.held.get() == 3)
        .await;
    assert!(!gateway.counters.ready());
    let report = gateway.stop().await;
    assert_eq!((report.blocks, report.held), (0, 3));

    open.store(true, SeqCst);
    let before = receiver.requests().len();
    let gateway = Running::start(&broker, &receiver).await;
    gateway.until("acknowledging all", |counters| counters.acknowledged.get() == 3).await;
    assert_eq!(receiver.requests().len(), before + 3);
    assert_eq!(gateway.stop().await.samples, 3);
}
