//! Messages that nobody should have sent.

use std::thread::sleep;
use std::time::Duration;

use hil_tests::{Mode, until};

use crate::route::{Plan, Speed, own};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn garbage_between_good_batches_is_counted_and_harms_nobody() {
    let mut route = own("garbage", Plan::new(Speed::Times(10), Mode::Drain));
    let (topic, batch) = route.broker.receive("ecu/bench/blocks/+", SOON);
    let mut damaged = batch.clone();
    *damaged.last_mut().expect("a batch is not empty") ^= 0x10;
    let long = vec![0xFF; 300_000];
    let no_batches: [(&str, &[u8]); 5] = [
        (&topic, b"hello"),
        (&topic, b""),
        (&topic, &long),
        (&topic, &batch[..batch.len() - 1]),
        ("ecu/somebody/blocks/2", &batch),
    ];
    for (topic, payload) in no_batches {
        route.broker.publish(topic, payload, false);
    }
    // Of what is in a batch only the last block is damaged.
    route.broker.publish(&topic, &damaged, false);
    route.broker.publish("ecu/bench/blocks/9", &batch, false);
    // Good, and known already.
    route.broker.publish(&topic, &batch, false);

    route.until_drained();
    route.until_everything_has_arrived();
    let metrics = route.gateway.metrics();
    let refused = |reason| metrics.sum("ecu_gateway_refused_total", &[("reason", reason)]);
    assert_eq!(refused("batch"), no_batches.len() as u64);
    assert_eq!((refused("block"), refused("topic")), (1, 1));
    assert_eq!((refused("schema"), refused("schema_missing"), refused("schema_mismatch")), (0, 0, 0));
    assert!(metrics.sum("ecu_gateway_duplicate_blocks_total", &[]) >= 1, "the good batch came twice");
    assert_eq!(metrics.sum("ecu_gateway_records_refused_total", &[]), 0);
    route.compare();
}

#[test]
fn a_damaged_schema_is_refused_and_its_blocks_wait_for_the_good_one() {
    let mut route = own("schema", Plan::new(Speed::Times(10), Mode::Service));
    // While the gateway hangs the broker keeps the blocks for it, and the schema is swapped.
    route.gateway.freeze();
    let (topic, schema) = route.broker.receive("ecu/schema/+", SOON);
    let mut damaged = schema.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x01;
    route.broker.publish(&topic, &damaged, true);
    sleep(Duration::from_secs(1));
    route.gateway.thaw();
    let metrics = until("the gateway has refused the schema", SOON, || {
        let metrics = route.gateway.metrics();
        (metrics.sum("ecu_gateway_refused_total", &[("reason", "schema")]) > 0).then_some(metrics)
    });
    assert_eq!(metrics.sum("ecu_gateway_samples_total", &[]), 0, "nothing can be read without a schema");
    route.broker.publish(&topic, &schema, true);
    route.until_everything_has_arrived();
    let status = route.daemon.stop();
    assert!(status.success(), "the daemon ended with {status}");
    route.compare();
}
