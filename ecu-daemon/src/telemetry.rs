//! The daemon's own metrics, through the `metrics` facade, brought up to date when they are asked for.

mod clocks;
mod diagnostics;
mod observed;
mod ring;
mod trace;

use std::sync::atomic::Ordering::Relaxed;

use can_decode::e2e;
use metrics::{counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use store::block::Class;
use store::ring::EvictReason;

use crate::status::Status;

/// Renders the metrics of a [`Status`].
#[derive(Clone)]
pub struct Telemetry {
    handle: PrometheusHandle,
}

impl Telemetry {
    /// Installs the process's recorder. Once per process.
    ///
    /// # Errors
    /// When there is one already.
    pub fn install() -> Result<Self, BuildError> {
        let handle = PrometheusBuilder::new().install_recorder()?;
        describe();
        Ok(Self { handle })
    }

    /// The text that Prometheus scrapes.
    pub fn render(&self, status: &Status) -> String {
        buses(status);
        records(status);
        store(status);
        uplink(status);
        gauge!("process_resident_memory_bytes").set(resident_bytes() as f64);
        observed(status);
        diagnostics::update(status);
        trace::update(status);
        self.handle.run_upkeep();
        let mut text = self.handle.render();
        observed::by_message(status, &mut text);
        clocks::append(status, &mut text);
        text
    }
}

fn describe() {
    observed::describe();
    diagnostics::describe();
    ring::describe();
    trace::describe();
    describe_counter!(
        "ecu_daemon_frames_received_total",
        "Frames that the kernel or a recording had for the bus."
    );
    describe_counter!(
        "ecu_daemon_frames_total",
        "What became of them: decoded, unmatched, control (remote and error frames), filtered, malformed, \
         dropped_kernel, dropped_queue. At rest these add up to the received ones."
    );
    describe_counter!(
        "ecu_daemon_frames_raw_total",
        "Frames kept as they were, whatever else became of them; all buses together are the records taken of kind frame."
    );
    describe_counter!("ecu_daemon_frames_short_total", "Decoded frames shorter than their message.");
    describe_counter!("ecu_daemon_contexts_malformed_total", "Trace contexts that were damaged or cut off.");
    describe_gauge!("ecu_daemon_bus_open", "Whether frames can arrive.");
    describe_counter!("ecu_daemon_records_total", "Records by kind and state: taken, sealed, failed.");
    describe_counter!("ecu_daemon_log_lines_total", "Lines at the log socket: received, malformed, dropped.");
    describe_counter!("ecu_daemon_blocks_sealed_total", "Blocks sealed.");
    describe_counter!("ecu_daemon_blocks_sealed_bytes_total", "Their bytes.");
    describe_counter!(
        "ecu_daemon_ring_records_total",
        "Records in the ring's books since the file was made: sealed + salvaged = acked + waiting + evicted."
    );
    describe_gauge!("ecu_daemon_ring_waiting_records", "Records in the ring that are not acknowledged.");
    describe_gauge!("ecu_daemon_ring_waiting_blocks", "Blocks in the ring that are not acknowledged.");
    describe_gauge!("ecu_daemon_ring_bytes", "Bytes that blocks take in the ring's file.");
    describe_gauge!("ecu_daemon_ring_bytes_max", "Bound of the ring's file.");
    describe_counter!("ecu_daemon_ring_commit_failures_total", "Commits that failed.");
    describe_counter!(
        "ecu_daemon_writer_dropped_records_total",
        "Records dropped because the card did not keep up."
    );
    describe_counter!(
        "ecu_daemon_writer_stored_records_total",
        "Records that this run has stored in the ring."
    );
    describe_gauge!(
        "ecu_daemon_writer_unstored_records",
        "Records sealed and not yet stored: they wait in memory for the card. At rest sealed = stored + unstored + dropped."
    );
    describe_gauge!("ecu_daemon_writer_unstored_blocks", "Blocks sealed and not yet stored.");
    describe_gauge!("ecu_daemon_uplink_connected", "Whether the broker has accepted the connection.");
    describe_counter!("ecu_daemon_uplink_connects_total", "Connections made.");
    describe_counter!("ecu_daemon_uplink_batches_total", "Batches sent, acked, and refused by the broker.");
    describe_counter!("ecu_daemon_uplink_sent_bytes_total", "Bytes of batches, repeated ones included.");
    describe_gauge!("ecu_daemon_uplink_in_flight", "Batches under way.");
    describe_gauge!(
        "ecu_daemon_config_problems",
        "Problems of configuration and DBC files that it runs in spite of."
    );
    describe_counter!(
        "ecu_daemon_reloads_total",
        "Times that SIGHUP brought new tables (ok), or left the old ones in use (refused)."
    );
    describe_gauge!("process_resident_memory_bytes", "Resident memory of the process.");
}

/// What is observed, end-to-end statuses with those from before the last reload.
fn observed(status: &Status) {
    observed::totals(status);
    let (observed, before) = (status.observed(), status.observed_before());
    for (bus, (name, now)) in status.bus_names.iter().zip(observed.iter()).enumerate() {
        let Some(totals) = now.totals else { continue };
        for outcome in e2e::Status::ALL {
            // A counter takes the larger value: this one, where a reload has left something behind.
            counter!("ecu_daemon_observed_e2e_total", "bus" => name.clone(), "status" => outcome.name())
                .absolute(totals.e2e.of(outcome) + before.e2e(bus, outcome));
        }
    }
}

fn buses(status: &Status) {
    let engine = status.engine().clone();
    for (index, (name, bus)) in status.bus_names.iter().zip(&status.buses).enumerate() {
        let counts = bus.read();
        let books = engine.buses.get(index).copied().unwrap_or_default();
        counter!("ecu_daemon_frames_received_total", "bus" => name.clone()).absolute(counts.received);
        for (outcome, value) in [
            ("decoded", books.decoded),
            ("unmatched", books.unmatched),
            ("control", books.control),
            ("filtered", counts.filtered),
            ("malformed", counts.malformed),
            ("dropped_kernel", counts.dropped_kernel),
            ("dropped_queue", counts.dropped_queue),
        ] {
            counter!("ecu_daemon_frames_total", "bus" => name.clone(), "outcome" => outcome).absolute(value);
        }
        counter!("ecu_daemon_frames_raw_total", "bus" => name.clone()).absolute(books.raw);
        counter!("ecu_daemon_frames_short_total", "bus" => name.clone()).absolute(books.short);
        counter!("ecu_daemon_contexts_malformed_total", "bus" => name.clone())
            .absolute(books.contexts_malformed);
        gauge!("ecu_daemon_bus_open", "bus" => name.clone()).set(f64::from(u8::from(bus.open.load(Relaxed))));
    }
    gauge!("ecu_daemon_config_problems").set(status.config_problems.load(Relaxed) as f64);
    for (result, value) in [("ok", &status.reloads.ok), ("refused", &status.reloads.refused)] {
        counter!("ecu_daemon_reloads_total", "result" => result).absolute(value.load(Relaxed));
    }
}

fn records(status: &Status) {
    let engine = status.engine().clone();
    for (kind, books) in [
        ("sample", engine.samples),
        ("frame", engine.frames),
        ("span", engine.spans),
        ("log", engine.logs),
        ("clock", engine.clock_maps),
    ] {
        for (state, value) in [("taken", books.taken), ("sealed", books.sealed), ("failed", books.failed)] {
            counter!("ecu_daemon_records_total", "kind" => kind, "state" => state).absolute(value);
        }
    }
    counter!("ecu_daemon_blocks_sealed_total").absolute(engine.blocks);
    counter!("ecu_daemon_blocks_sealed_bytes_total").absolute(engine.block_bytes);
    let logs = &status.logs;
    for (outcome, value) in
        [("received", &logs.received), ("malformed", &logs.malformed), ("dropped", &logs.dropped)]
    {
        counter!("ecu_daemon_log_lines_total", "outcome" => outcome).absolute(value.load(Relaxed));
    }
}

fn store(status: &Status) {
    let store = status.store().clone();
    for (class, books) in Class::ALL.iter().zip(&store.books.classes) {
        let class = class.name();
        let ring = |state: &'static str, value| {
            counter!("ecu_daemon_ring_records_total", "class" => class, "state" => state).absolute(value);
        };
        ring("sealed", books.sealed.records);
        ring("salvaged", books.salvaged.records);
        ring("acked", books.acked.records);
        for (reason, tally) in EvictReason::ALL.iter().zip(books.evicted) {
            ring(reason.state_name(), tally.records);
        }
        gauge!("ecu_daemon_ring_waiting_records", "class" => class).set(books.waiting.records as f64);
        gauge!("ecu_daemon_ring_waiting_blocks", "class" => class).set(books.waiting.blocks as f64);
    }
    ring::update(&store);
    gauge!("ecu_daemon_ring_bytes").set(store.fill.0 as f64);
    gauge!("ecu_daemon_ring_bytes_max").set(store.fill.1 as f64);
    counter!("ecu_daemon_ring_commit_failures_total").absolute(store.failures);
    counter!("ecu_daemon_writer_dropped_records_total").absolute(store.dropped.records);
    counter!("ecu_daemon_writer_stored_records_total").absolute(store.stored());
    gauge!("ecu_daemon_writer_unstored_records").set(store.unstored.records as f64);
    gauge!("ecu_daemon_writer_unstored_blocks").set(store.unstored.blocks as f64);
}

fn uplink(status: &Status) {
    let uplink = status.uplink().clone();
    gauge!("ecu_daemon_uplink_connected").set(f64::from(u8::from(uplink.connected)));
    counter!("ecu_daemon_uplink_connects_total").absolute(uplink.connects);
    counter!("ecu_daemon_uplink_batches_total", "state" => "sent").absolute(uplink.sent_batches);
    counter!("ecu_daemon_uplink_batches_total", "state" => "acked").absolute(uplink.acked_batches);
    counter!("ecu_daemon_uplink_batches_total", "state" => "refused").absolute(uplink.refused_batches);
    counter!("ecu_daemon_uplink_sent_bytes_total").absolute(uplink.sent_bytes);
    gauge!("ecu_daemon_uplink_in_flight").set(uplink.in_flight as f64);
}

/// Resident memory of this process, bytes; 0 where /proc does not tell (proc(5), statm).
pub fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}
