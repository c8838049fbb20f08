//! One run of the daemon on a card that logs its writes.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::log::{self, Write};
use crate::Bench;
use crate::guest::{Card, Guest, GuestDaemon, Options};

/// log2 of the card's size in MiB: it is copied for every point.
const CARD: u32 = 6;
/// The smallest there is.
const RING: &str = "16 MiB";
const ASK_EVERY: Duration = Duration::from_millis(100);

/// What the daemon had promised when the log had so many entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    pub(super) entries: u64,
    /// Records committed to the ring since it was made.
    pub sealed: u64,
    /// Records that the daemon had taken, committed or not. It does not promise these; a laboratory that does not see
    /// them missing sees nothing.
    pub taken: u64,
}

/// The card before the run, and everything that was written to it.
pub struct Recording {
    pub(super) base: Vec<u8>,
    pub(super) writes: Vec<Write>,
    pub(super) promises: Vec<Promise>,
}

impl Recording {
    /// Boots a guest, sends traffic for this long, and takes the power away.
    pub fn make(bench: &Bench, traffic: Duration) -> Self {
        let mut card = Card::new(bench, CARD);
        let base = read(card.path());
        let path = bench.folder().join("writes.log");
        card.log_writes_to(&path);
        let mut guest = Guest::boot(bench, Options { card: Some(card), ..Options::default() });
        guest.mount_card();
        GuestDaemon::install(&guest);
        // Nobody listens there: every record stays in the ring until it is evicted.
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, bench.free_port()));
        let daemon = GuestDaemon::start(&guest, "vcan0", nobody, RING);
        let limit = traffic + Duration::from_secs(60);
        guest.begin("/ecu/can-traffic vcan0 --rate 1000 --seconds 600 --mix classic=6,fd=3,traced=1", limit);
        let mut promises: Vec<Promise> = Vec::new();
        let started = Instant::now();
        while started.elapsed() < traffic {
            let metrics =
                daemon.metrics().unwrap_or_else(|| panic!("the daemon has ended: {}", daemon.log()));
            // The log is looked at afterwards: what was promised is in it.
            promises.push(Promise {
                sealed: metrics.sum("ecu_daemon_ring_records_total", &[("state", "sealed")]),
                taken: metrics.sum("ecu_daemon_records_total", &[("state", "taken")]),
                entries: log::entries(&path),
            });
            sleep(ASK_EVERY);
        }
        guest.cut_power();
        Self { base, writes: log::parse(&read(&path)), promises }
    }

    /// Points at which the power can be cut: every write since the first promise.
    pub fn points(&self) -> std::ops::Range<usize> {
        let first = self.promises.iter().find(|promise| promise.sealed > 0);
        first.map_or(0, |promise| promise.entries as usize)..self.writes.len()
    }

    /// The last promise before a point.
    pub(super) fn promise_at(&self, point: usize) -> Promise {
        let mut kept = self.promises.iter().filter(|promise| promise.entries as usize <= point);
        kept.next_back().copied().unwrap_or(Promise { entries: 0, sealed: 0, taken: 0 })
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
