//! What the demo came to, and whether its books balance.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ecu_gateway::Counters;

use super::source::Sent;
use crate::status::Status;
use crate::telemetry::resident_bytes;

/// Records that the gateway has put out, each once.
pub(super) fn arrived(counters: &Counters) -> u64 {
    counters.samples.get() + counters.spans.get() + counters.logs.get() + counters.frames.get()
}

pub(super) struct Summary {
    balanced: bool,
    frames: u64,
    samples: u64,
    spans: u64,
    logs: u64,
    wire_bytes: u64,
    sample_bytes: u64,
    rss_bytes: u64,
    /// Frames and log lines that the drive sent, and records, that did not come out at the gateway.
    lost: u64,
    seconds: f64,
    lines: Vec<String>,
}

impl Summary {
    pub(super) fn new(status: &Status, counters: &Counters, sent: &Sent, elapsed: Duration) -> Self {
        let engine = status.engine().clone();
        let store = status.store().clone();
        let uplink = status.uplink().clone();
        let counts: Vec<_> = status.buses.iter().map(crate::status::BusCounters::read).collect();
        let received: u64 = counts.iter().map(|bus| bus.received).sum();
        let taken: u64 = engine.buses.iter().map(ecu_core::BusBooks::taken).sum();
        let (frames, logs_sent) = (sent.frames.load(Relaxed), sent.logs.load(Relaxed));
        let (samples, spans, logs) = (counters.samples.get(), counters.spans.get(), counters.logs.get());
        let records = engine.samples.taken + engine.spans.taken + engine.logs.taken;
        // Each stage against the one before it: what went in and did not come out.
        let lost = frames.abs_diff(taken)
            + logs_sent.abs_diff(engine.logs.taken)
            + records.abs_diff(samples + spans + logs);
        let balanced = status.balanced() && received == frames && lost == 0;
        let mut lines = Vec::new();
        for ((name, bus), books) in status.bus_names.iter().zip(&counts).zip(&engine.buses) {
            lines.push(format!(
                "  {name:8} received {} = decoded {} + unmatched {} + control {} + filtered {} + malformed {} + dropped {}",
                bus.received,
                books.decoded,
                books.unmatched,
                books.control,
                bus.filtered,
                bus.malformed,
                bus.dropped_kernel + bus.dropped_queue
            ));
        }
        for (kind, books, out) in [
            ("samples", engine.samples, samples),
            ("spans", engine.spans, spans),
            ("logs", engine.logs, logs),
        ] {
            lines.push(format!(
                "  {kind:8} taken {} = sealed {} + failed {}; at the gateway {out}",
                books.taken, books.sealed, books.failed
            ));
        }
        let total = store.books.total();
        let evicted: u64 = total.evicted.iter().map(|tally| tally.records).sum();
        lines.push(format!(
            "  ring     sealed {} records = acked {} + waiting {} + evicted {evicted}; {} blocks, {} bytes",
            total.sealed.records,
            total.acked.records,
            total.waiting.records,
            total.sealed.blocks,
            engine.block_bytes
        ));
        lines.push(format!(
            "  uplink   {} batches sent, {} acknowledged, {} connections; gateway: {} batches, {} blocks, {} repeated",
            uplink.sent_batches, uplink.acked_batches, uplink.connects, counters.batches.get(), counters.blocks.get(),
            counters.duplicate_blocks.get()
        ));
        Self {
            balanced,
            frames: received,
            samples,
            spans,
            logs,
            wire_bytes: uplink.sent_bytes,
            sample_bytes: engine.sample_bytes,
            rss_bytes: resident_bytes(),
            lost,
            seconds: elapsed.as_secs_f64(),
            lines,
        }
    }

    pub(super) const fn is_good(&self) -> bool {
        self.balanced && self.lost == 0
    }

    fn per_sample(&self) -> f64 {
        self.wire_bytes as f64 / self.samples.max(1) as f64
    }

    /// The line that scripts rely on.
    pub(super) fn json(&self) -> String {
        format!(
            "{{\"books_balanced\":{},\"frames\":{},\"samples\":{},\"spans\":{},\"logs\":{},\"wire_bytes\":{},\
             \"wire_bytes_per_sample\":{:.4},\"rss_bytes\":{},\"lost\":{}}}",
            self.balanced,
            self.frames,
            self.samples,
            self.spans,
            self.logs,
            self.wire_bytes,
            self.per_sample(),
            self.rss_bytes,
            self.lost
        )
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nThe drive is over. Where everything went:")?;
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        writeln!(
            f,
            "{} frames in {:.1} s; {} samples, {} spans, {} log records at the gateway; lost: {}",
            self.frames, self.seconds, self.samples, self.spans, self.logs, self.lost
        )?;
        writeln!(
            f,
            "{} bytes over MQTT: {:.3} bytes a sample with everything, {:.3} for the sample blocks alone",
            self.wire_bytes,
            self.per_sample(),
            self.sample_bytes as f64 / self.samples.max(1) as f64
        )?;
        writeln!(
            f,
            "resident memory of this process, with broker and gateway: {:.1} MiB",
            self.rss_bytes as f64 / f64::from(1 << 20)
        )?;
        writeln!(f, "The books {}.", if self.is_good() { "balance" } else { "DO NOT balance" })
    }
}
