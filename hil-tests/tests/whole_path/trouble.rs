//! Somebody is killed while the recording plays, and started again.

use std::thread::sleep;
use std::time::Duration;

use hil_tests::{Bench, Mode, until};

use crate::recording::Recording;
use crate::route::{Plan, Route, Speed, own};

/// How long somebody stays down.
const DOWN: Duration = Duration::from_millis(700);
/// A minute in six seconds.
const SIX_SECONDS: Plan = Plan::new(Speed::Times(10), Mode::Drain);

#[test]
fn a_killed_gateway_costs_nothing() {
    let mut route = own("gateway", SIX_SECONDS);
    for part in [0.2, 0.6] {
        route.until_part_has_arrived(part);
        route.gateway.kill();
        sleep(DOWN);
        route.gateway.restart();
    }
    route.until_drained();
    assert_eq!(route.check_everything_arrived().runs(), 1);
}

/// The broker forgets what it had acknowledged and not delivered; the daemon sends it again.
#[test]
fn a_killed_broker_costs_nothing() {
    let mut route = own("broker", SIX_SECONDS);
    route.until_part_has_arrived(0.3);
    route.broker.kill();
    sleep(DOWN);
    route.broker.restart();
    route.until_drained();
    assert_eq!(route.check_everything_arrived().runs(), 1);
}

/// The recording begins again; what was stored before the kill is sent, too.
#[test]
fn a_killed_daemon_costs_nothing() {
    let mut route = own("daemon", SIX_SECONDS);
    route.until_part_has_arrived(0.4);
    route.daemon.kill();
    sleep(DOWN);
    route.daemon.restart();
    route.until_drained();
    assert_eq!(route.check_everything_arrived().runs(), 2);
}

/// Acknowledgements that the daemon has, but has not committed, are void as well when the broker forgets.
#[test]
fn a_broker_that_is_killed_before_its_acknowledgements_are_noted_costs_nothing() {
    let plan = Plan { speed: Speed::Max, mode: Mode::Service, commit_after: "4s" };
    let mut route = own("unnoted", plan);
    // The broker has sent everything to a gateway that never gets to see it.
    route.gateway.freeze();
    until("everything is acknowledged", Duration::from_secs(20), || {
        let metrics = route.daemon.metrics()?;
        let batches = |state| metrics.sum("ecu_daemon_uplink_batches_total", &[("state", state)]);
        (batches("acked") > 0 && batches("acked") == batches("sent")).then_some(())
    });
    route.gateway.kill();
    route.broker.kill();
    route.gateway.restart();
    route.broker.restart();
    route.until_everything_has_arrived();
    assert_eq!(route.compare().runs(), 1);
}

/// All of it in one drive, of a real car where there is one.
#[test]
fn one_drive_with_everybody_killed_costs_nothing() {
    let bench = Bench::new("everybody");
    let recording = Recording::real().unwrap_or_else(|| Recording::own(bench.folder()));
    let mut route = Route::start(bench, recording, SIX_SECONDS);
    route.until_part_has_arrived(0.2);
    route.gateway.kill();
    sleep(DOWN);
    route.gateway.restart();
    route.until_part_has_arrived(0.4);
    route.broker.kill();
    sleep(DOWN);
    route.broker.restart();
    route.until_part_has_arrived(0.6);
    route.daemon.kill();
    sleep(DOWN);
    route.daemon.restart();
    route.until_drained();
    assert_eq!(route.check_everything_arrived().runs(), 2);
}

/// A broker that has forgotten its subscribers would throw away what it acknowledges. It says so instead, and the blocks
/// stay with the daemon until a gateway is back.
#[test]
fn a_broker_without_subscribers_does_not_take_what_it_would_throw_away() {
    let mut route = own("forgotten", SIX_SECONDS);
    route.until_part_has_arrived(0.3);
    route.gateway.freeze();
    route.broker.kill();
    route.broker.restart();
    until("the broker has refused a batch", Duration::from_secs(20), || {
        let refused = [("state", "refused")];
        (route.daemon.metrics()?.sum("ecu_daemon_uplink_batches_total", &refused) > 0).then_some(())
    });
    route.gateway.thaw();
    route.until_drained();
    assert_eq!(route.check_everything_arrived().runs(), 1);
}
