//! The live table of what flows.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use ecu_gateway::Counters;

use super::drive::BUS_NAMES;
use super::summary::arrived;
use crate::status::Status;

/// What each bus is in the simulated car.
const BUS_ROLES: [&str; BUS_NAMES.len()] = ["powertrain", "chassis, FD", "body", "battery, FD"];

pub(super) struct Table {
    /// Redraw in place, or print a line each time.
    in_place: bool,
    /// To the standard error, because the standard output is for the summary.
    to_stderr: bool,
    length: Duration,
    started: Instant,
    before: Before,
    lines: usize,
}

/// Numbers of the last look, for rates.
struct Before {
    at: Instant,
    frames: Vec<u64>,
    samples: u64,
    sent_bytes: u64,
}

impl Table {
    pub(super) fn new(in_place: bool, to_stderr: bool, length: Duration) -> Self {
        let now = Instant::now();
        let before = Before { at: now, frames: vec![0; BUS_NAMES.len()], samples: 0, sent_bytes: 0 };
        Self { in_place, to_stderr, length, started: now, before, lines: 0 }
    }

    pub(super) fn print(&mut self, status: &Status, counters: &Counters) {
        let text = if self.in_place { self.screen(status, counters) } else { self.line(status, counters) };
        // A terminal that is gone does not keep the drive from ending.
        let _ = if self.to_stderr {
            io::stderr().write_all(text.as_bytes())
        } else {
            io::stdout().write_all(text.as_bytes())
        };
        let _ = io::stdout().flush();
    }

    /// Rates since the last look: frames of each bus, samples, bytes.
    fn rates(&mut self, status: &Status) -> (Vec<f64>, f64, f64) {
        let now = Instant::now();
        let seconds = (now - self.before.at).as_secs_f64().max(1e-3);
        let frames: Vec<u64> = status.buses.iter().map(|bus| bus.read().received).collect();
        let (samples, sent_bytes) = (status.engine().samples.taken, status.uplink().sent_bytes);
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let rates = (
            frames.iter().zip(&self.before.frames).map(|(&now, &before)| rate(now, before)).collect(),
            rate(samples, self.before.samples),
            rate(sent_bytes, self.before.sent_bytes),
        );
        self.before = Before { at: now, frames, samples, sent_bytes };
        rates
    }

    fn line(&mut self, status: &Status, counters: &Counters) -> String {
        let (frames, samples, _) = self.rates(status);
        let engine = status.engine().clone();
        let (store, uplink) = (status.store().books.total(), status.uplink().clone());
        format!(
            "{:5.1} s  {:6.0} frames/s  {:7.0} samples/s  {:.3} B/sample  ring: {} blocks waiting  link: {}, {} B sent  \
             gateway: {} records\n",
            self.started.elapsed().as_secs_f64(),
            frames.iter().sum::<f64>(),
            samples,
            engine.sample_bytes as f64 / engine.samples.sealed.max(1) as f64,
            store.waiting.blocks,
            if uplink.connected { "up" } else { "down" },
            uplink.sent_bytes,
            arrived(counters),
        )
    }

    fn screen(&mut self, status: &Status, counters: &Counters) -> String {
        let (frames, samples, bytes) = self.rates(status);
        let (engine, store, uplink) =
            (status.engine().clone(), status.store().clone(), status.uplink().clone());
        let mut text = String::new();
        let elapsed = self.started.elapsed().min(self.length).as_secs_f64();
        let part = elapsed / self.length.as_secs_f64();
        let bar: String = (0..30).map(|i| if f64::from(i) < part * 30.0 { '#' } else { '.' }).collect();
        // Writing to a String cannot fail; the results are dropped.
        let _ = writeln!(
            text,
            "ecu-daemon demo  [{bar}] {elapsed:.0} of {} s   Ctrl-C ends it",
            self.length.as_secs()
        );
        if let Some(http) = status.http.get() {
            let _ = writeln!(text, "http://{http}/metrics   http://{http}/healthz/ready");
        }
        let _ = writeln!(text, "bus                  frames/s     frames    decoded  unmatched    dropped");
        for (index, (name, rate)) in status.bus_names.iter().zip(&frames).enumerate() {
            let counts = status.buses[index].read();
            let books = engine.buses.get(index).copied().unwrap_or_default();
            let role = BUS_ROLES.get(index).copied().unwrap_or_default();
            let _ = writeln!(
                text,
                "{name:6} {role:12} {rate:9.0} {:>10} {:>10} {:>10} {:>10}",
                counts.received,
                books.decoded,
                books.unmatched,
                counts.dropped_kernel + counts.dropped_queue
            );
        }
        let total = store.books.total();
        let _ = writeln!(
            text,
            "engine   {samples:.0} samples/s, {} samples, {} spans, {} logs; {} blocks, {:.3} bytes a sample",
            engine.samples.taken,
            engine.spans.taken,
            engine.logs.taken,
            engine.blocks,
            engine.sample_bytes as f64 / engine.samples.sealed.max(1) as f64
        );
        let _ = writeln!(
            text,
            "ring     {} blocks stored, {} acknowledged, {} waiting, {} evicted; {} KiB",
            total.sealed.blocks,
            total.acked.blocks,
            total.waiting.blocks,
            total.evicted.iter().map(|tally| tally.blocks).sum::<u64>(),
            store.fill.0 >> 10
        );
        let _ = writeln!(
            text,
            "link     {}, {bytes:.0} bytes/s, {} KiB sent, {} batches under way",
            if uplink.connected { "up" } else { "down" },
            uplink.sent_bytes >> 10,
            uplink.in_flight
        );
        let _ = writeln!(
            text,
            "gateway  {} samples, {} spans, {} logs",
            counters.samples.get(),
            counters.spans.get(),
            counters.logs.get()
        );
        // Up to where the last table began, each line cleared to its end.
        let up = if self.lines > 0 { format!("\x1b[{}A", self.lines) } else { String::new() };
        self.lines = text.lines().count();
        up + &text.replace('\n', "\x1b[K\n")
    }
}
