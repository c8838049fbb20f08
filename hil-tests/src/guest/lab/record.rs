//! One run of the daemon on a card that logs its writes.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::arrived::Arrived;
use super::cut::folding_writes;
use super::log::{self, Write};
use super::promise::{Books, Promise};
use super::scenario::{RING, Scenario};
use crate::guest::{Guest, GuestDaemon, Options};
use crate::{Bench, Gateway, Metrics, Mosquitto, until};

/// Blocks are sealed and committed more often than in a car, so that a short run holds many commits, and the -wal is
/// folded in, too.
const CONFIG: &str = r#"
[vehicle]
id = "bench"
[store]
path = "/card/ring.db"
max_bytes = "{ring}"
commit_after = "50ms"
[blocks]
seal_after = "50ms"
[http]
listen = "0.0.0.0:9464"
[uplink]
broker = "mqtt://{broker}"
# What is counted is what was sent.
[time]
record = false
[[bus]]
kind = "socketcan"
interface = "vcan0"
dbc = ["traffic.dbc"]
"#;
const TRAFFIC: &str = "/ecu/can-traffic vcan0 --rate 1000 --seconds 600 --mix classic=6,fd=3,traced=1";
const METRICS_PORT: u16 = 9464;
const ASK_EVERY: Duration = Duration::from_millis(20);
const TOLD_WITHIN: Duration = Duration::from_secs(30);
const ARRIVED_WITHIN: Duration = Duration::from_secs(60);
/// Nothing more comes when nothing has come for so long.
const QUIET_FOR: Duration = Duration::from_millis(500);

/// How long the daemon may take to make so many writes.
const RECORDED_WITHIN: Duration = Duration::from_secs(300);
/// The last promise is asked for this long after the last write at which the power is cut, so that the daemon knows of
/// every commit that was on the card by then.
const LAST_AFTER: Duration = Duration::from_secs(1);

/// Writes after one into the database that are near it.
const NEAR: usize = 8;

/// The card before the run, everything that was written to it, and what was promised meanwhile.
pub struct Recording {
    /// What was recorded.
    pub scenario: Scenario,
    /// As the gateway prints it.
    pub(super) boot: String,
    pub(super) base: Vec<u8>,
    pub(super) writes: Vec<Write>,
    /// The ring before the traffic.
    pub(super) opened: Books,
    pub(super) promises: Vec<Promise>,
    /// What had arrived when all was over.
    pub(super) arrived: Arrived,
    /// Points of [`Self::points`] at which the -wal is folded in: writes into the database itself.
    folded: Vec<usize>,
}

impl Recording {
    /// Boots a guest, sends traffic until the card has taken so many writes and flushes, and takes the power away.
    ///
    /// # Panics
    /// When that takes longer than five minutes, or a part of the bench fails.
    pub fn make(bench: &Bench, scenario: Scenario, writes: usize) -> Self {
        let card = scenario.card(bench);
        let image = card.path().to_owned();
        let base = read(&image);
        let path = bench.folder().join("writes.log");
        // Asked from here, the daemon answers more often than through a program in the guest.
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, bench.free_port()));
        let options = Options { forward: Some((here.port(), METRICS_PORT)), ..scenario.options(card, &path) };
        let broker = Mosquitto::start(bench);
        let mut guest = Guest::boot(bench, options);
        scenario.mount(&guest);
        let boot = guest.run("tr -d - </proc/sys/kernel/random/boot_id").trim().to_owned();
        guest.connect_link();
        GuestDaemon::install(&guest);
        let address = match scenario {
            Scenario::Quiet => SocketAddr::from((Ipv4Addr::LOCALHOST, bench.free_port())),
            Scenario::Busy => address_of(&broker),
        };
        start_daemon(&guest, address);
        let opened = promise(here, &path, None);
        guest.begin(TRAFFIC, RECORDED_WITHIN);
        let written = |entries| move |promise: &Promise| promise.entries >= entries;
        let mut promises = promises_until(here, &path, None, written(opened.entries + writes / 2));
        let mut gateway = (scenario == Scenario::Busy).then(|| Gateway::printing(bench, &broker));
        promises.extend(promises_until(here, &path, gateway.as_mut(), written(opened.entries + writes)));
        if gateway.is_some() {
            // Acknowledgements reach the card seconds after they came; there are to be cuts after that, too.
            let has_acked = |promise: &Promise| promise.books.acked > opened.books.acked;
            promises.extend(promises_until(here, &path, gateway.as_mut(), has_acked));
            let entries = promises.last().map_or(0, |promise| promise.entries) + writes / 4;
            promises.extend(promises_until(here, &path, gateway.as_mut(), written(entries)));
        }
        sleep(LAST_AFTER);
        promises.push(promise(here, &path, gateway.as_mut()));
        guest.cut_power();
        let opened = opened.books;
        let acked = promises.last().map_or(0, |promise: &Promise| promise.books.acked);
        let arrived = gateway.map_or_else(Arrived::default, |gateway| all_arrived(&gateway, acked));
        let mut recording = Self {
            scenario,
            boot,
            base,
            writes: log::parse(&read(&path)),
            opened,
            promises,
            arrived,
            folded: Vec::new(),
        };
        recording.folded = folding_writes(&read(&image), &recording.writes, recording.points());
        recording
    }

    /// Writes at which the power can be cut: from the first promise of this run to the last but two, so that it is known
    /// what the daemon had done soon after.
    pub fn points(&self) -> Vec<usize> {
        let first = self.promises.iter().find(|promise| promise.books.sealed > self.opened.sealed);
        let last = self.promises.iter().rev().nth(2);
        let range: Range<usize> = match (first, last) {
            (Some(first), Some(last)) => first.entries..last.entries,
            _ => 0..0,
        };
        range.filter(|&point| !self.writes[point].bytes.is_empty()).collect()
    }

    /// The last promise before a point.
    pub(super) fn promise_at(&self, point: usize) -> Promise {
        let mut kept = self.promises.iter().filter(|promise| promise.entries <= point);
        kept.next_back().copied().unwrap_or(Promise { entries: 0, books: self.opened, taken: 0, arrived: 0 })
    }

    /// The first promise that was asked for after a point. The daemon had done no more by then than it says here.
    pub(super) fn promise_after(&self, point: usize) -> Promise {
        let asked_after = self.promises.windows(2).find(|pair| pair[0].entries > point);
        asked_after.map_or_else(|| self.last(), |pair| pair[1])
    }

    /// What no cut can exceed.
    pub(super) fn most(&self) -> Books {
        let last = self.last();
        Books {
            sealed: self.opened.sealed + last.taken,
            acked: self.opened.acked + self.arrived.count(),
            evicted: last.books.evicted,
            ..Books::default()
        }
    }

    /// What the daemon promised last.
    pub fn last(&self) -> Promise {
        self.promises.last().copied().unwrap_or_else(|| panic!("nothing was promised"))
    }

    /// The ring before the traffic.
    pub fn opened(&self) -> Books {
        self.opened
    }

    /// How often the card was told to flush: never, when it writes through.
    pub fn flushes(&self) -> usize {
        self.writes.iter().filter(|write| write.flush).count()
    }

    /// How many of the points are writes into the database itself, by which the -wal is folded in.
    pub fn folded(&self) -> usize {
        self.folded.len()
    }

    /// So many of the points, in order. A quarter are near places where the -wal is folded in and begun anew, which are
    /// rare and where most can go wrong; a quarter are the first writes after a promise, before which a store that does
    /// not sync has not written anything; the rest are spread evenly.
    pub(super) fn chosen(&self, count: usize) -> Vec<usize> {
        let points = self.points();
        assert!(points.len() >= count, "only {} writes were recorded", points.len());
        let near = |point: &usize| self.folded.iter().any(|folded| (*folded..folded + NEAR).contains(point));
        let near: Vec<usize> = points.iter().copied().filter(near).collect();
        let next = |promise: &Promise| points.iter().copied().find(|&point| point >= promise.entries);
        let mut told: Vec<usize> = self.promises.iter().filter_map(next).collect();
        told.dedup();
        let mut chosen = BTreeSet::new();
        chosen.extend(spread(&near, count / 4));
        chosen.extend(spread(&told, count / 4));
        // Those that are chosen already make room for any other; there are enough.
        let mut others = spread(&points, count - chosen.len()).into_iter().chain(points.iter().copied());
        while chosen.len() < count {
            chosen.extend(others.next());
        }
        chosen.into_iter().collect()
    }
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let books = self.last().books;
        write!(
            f,
            "{}: {} writes can be cut, {} flushes, {} writes into the database itself; {} promises; {} records \
             committed, {} acknowledged, {} evicted",
            self.scenario.name(),
            self.points().len(),
            self.flushes(),
            self.folded.len(),
            self.promises.len(),
            books.sealed - self.opened.sealed,
            books.acked - self.opened.acked,
            books.evicted - self.opened.evicted
        )
    }
}

/// So many of these, evenly spread; all when they are fewer.
fn spread(points: &[usize], count: usize) -> Vec<usize> {
    let count = count.min(points.len());
    (0..count).map(|number| points[points.len() * number / count]).collect()
}

/// Asks the daemon again and again until it says what is wanted.
fn promises_until(
    daemon: SocketAddr,
    log: &Path,
    mut gateway: Option<&mut Gateway>,
    is_wanted: impl Fn(&Promise) -> bool,
) -> Vec<Promise> {
    let started = Instant::now();
    let mut promises = Vec::new();
    loop {
        let last = promise(daemon, log, gateway.as_deref_mut());
        promises.push(last);
        if is_wanted(&last) {
            return promises;
        }
        assert!(started.elapsed() < RECORDED_WITHIN, "nothing but {last:?}, {} writes", last.entries);
        sleep(ASK_EVERY);
    }
}

fn promise(daemon: SocketAddr, log: &Path, gateway: Option<&mut Gateway>) -> Promise {
    let arrived = gateway.map_or(0, |gateway| {
        let metrics = gateway.metrics();
        let count = |kind| metrics.sum(&format!("ecu_gateway_{kind}_total"), &[]);
        ["samples", "spans", "logs"].map(count).iter().sum()
    });
    let metrics = until("the daemon in the guest tells its metrics", TOLD_WITHIN, || Metrics::read(daemon));
    // The log is looked at afterwards: what was promised is in it.
    Promise {
        books: Books::read(&metrics),
        taken: metrics.sum("ecu_daemon_records_total", &[("state", "taken")]),
        arrived,
        entries: log::entries(log) as usize,
    }
}

/// Starts the daemon in the guest, with a broker at this address of this machine.
pub(super) fn start_daemon(guest: &Guest, broker: SocketAddr) -> GuestDaemon<'_> {
    let broker = Guest::address_of(broker).to_string();
    guest.write("/ecu/config.toml", &CONFIG.replace("{broker}", &broker).replace("{ring}", RING));
    let daemon = GuestDaemon::running(guest);
    daemon.restart();
    daemon
}

/// Where a broker listens.
pub(super) fn address_of(broker: &Mosquitto) -> SocketAddr {
    let url = broker.url();
    let address = url.strip_prefix("mqtt://").and_then(|address| address.parse().ok());
    address.unwrap_or_else(|| panic!("{url} is no address"))
}

/// What the broker acknowledged reaches the gateway: the vehicle is gone, both are still there.
fn all_arrived(gateway: &Gateway, acked: u64) -> Arrived {
    let mut before = 0;
    let lines = until("what was acknowledged arrives, and no more comes", ARRIVED_WITHIN, || {
        sleep(QUIET_FOR);
        let lines = gateway.lines();
        let quiet = lines.len() == before && before as u64 >= acked;
        before = lines.len();
        quiet.then_some(lines)
    });
    Arrived::new(&lines)
}

pub(super) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
