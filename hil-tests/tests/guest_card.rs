//! The SD card is slow, fails, and comes back: the daemon goes on, says so, and every frame is accounted for.

mod guest_path;

use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use guest_path::Path;
use hil_tests::guest::{Card, Guest, Options, Output, Running, Target, Throttle, WITHIN, emulated_bench};
use hil_tests::{Bench, Metrics, debian, say, until};

const TRAFFIC: &str = "--rate 1000 --mix classic=3,fd=1,traced=1";
/// The daemon tries once a second, and each time takes as long as the card takes to fail.
const NOTICED_WITHIN: Duration = Duration::from_secs(60);
const DRAINED_WITHIN: Duration = Duration::from_secs(120);
/// Share of one processor, percent, that the daemon's writer may take while all it can do is to wait.
const WAITING_PERCENT_MAX: u64 = 20;

/// What does not become smaller: to fill the 4 MiB of memory for blocks that wait for the card (SPECIFICATION.md).
const NOISE_DBC: &str = r#"VERSION ""

BU_: Bench

BO_ 768 Noise: 64 Bench
 SG_ N0 : 0|64@1+ (1,0) [0|0] "" Vector__XXX
 SG_ N1 : 64|64@1+ (1,0) [0|0] "" Vector__XXX
 SG_ N2 : 128|64@1+ (1,0) [0|0] "" Vector__XXX
 SG_ N3 : 192|64@1+ (1,0) [0|0] "" Vector__XXX
 SG_ N4 : 256|64@1+ (1,0) [0|0] "" Vector__XXX
 SG_ N5 : 320|64@1+ (1,0) [0|0] "" Vector__XXX
 SG_ N6 : 384|64@1+ (1,0) [0|0] "" Vector__XXX
 SG_ N7 : 448|64@1+ (1,0) [0|0] "" Vector__XXX

BA_DEF_ BO_ "VFrameFormat" ENUM "StandardCAN","ExtendedCAN","reserved","J1939PG","reserved","reserved","reserved","reserved","reserved","reserved","reserved","reserved","reserved","reserved","StandardCAN_FD","ExtendedCAN_FD";
BA_DEF_DEF_ "VFrameFormat" "StandardCAN";
BA_ "VFrameFormat" BO_ 768 14;
"#;
const NOISE_SIGNALS: u64 = 8;
/// 5.8 MB of payload in 23 s.
const NOISE_FRAMES: u64 = 90_000;
const NOISE_RATE: u64 = 4000;
const FULL_WITHIN: Duration = Duration::from_secs(300);
/// What the unit allows the service (systemd/ecu-daemon.service, `MemoryMax`).
const MEMORY_MAX: u64 = 64 << 20;

#[test]
fn a_card_keeps_what_was_synced_when_the_power_goes_and_can_be_slow() {
    if !emulated_bench() {
        return;
    }
    let bench = Bench::new("card");
    let card = Card::new(&bench, 6);
    let mut guest = Guest::boot(&bench, Options { card: Some(card), ..Options::default() });
    guest.mount_card();
    let write = |guest: &Guest| {
        let started = Instant::now();
        guest.run("dd if=/dev/urandom of=/card/synced bs=4k count=64 conv=fsync 2>/dev/null");
        started.elapsed()
    };
    let fast = write(&guest);
    assert!(guest.card_sectors_written() >= 64 * 8);
    guest.throttle_card(Throttle { bytes_per_second: 64 << 10, ..Throttle::default() });
    let slow = write(&guest);
    guest.throttle_card(Throttle::default());
    assert!(slow > fast + Duration::from_secs(1), "256 KiB took {fast:?} and, at 64 KiB/s, {slow:?}");
    let sum = guest.run("sha256sum </card/synced; echo lost >/card/unsynced");
    guest.cut_power();
    guest.restart();
    guest.mount_card();
    assert_eq!(guest.run("sha256sum </card/synced"), sum);
    assert_eq!(guest.run("cat /card/unsynced 2>/dev/null; true"), "", "what was not synced is gone");
    guest.power_off();
}

/// The driver's own proof: what is broken fails with EIO, the rest works, and after mending everything does.
#[test]
fn a_broken_card_fails_with_eio_and_can_be_mended() {
    if !emulated_bench() {
        return;
    }
    let bench = Bench::new("broken");
    let card = Card::new(&bench, 6);
    let image = card.path().to_owned();
    let mut guest = Guest::boot(&bench, Options { card: Some(card), ..Options::default() });
    guest.mount_breakable_card();
    let write = |text: &str| {
        guest.attempt(
            &format!("echo {text} >/tmp/new; dd if=/tmp/new of=/card/file conv=notrunc,fsync"),
            WITHIN,
        )
    };
    // From the card, not from the guest's memory of it.
    let read = || guest.attempt("echo 3 >/proc/sys/vm/drop_caches; cat /card/file", WITHIN);
    let check = |done: Output, expected: Option<&str>, what: &str| match expected {
        Some(text) => assert_eq!((done.status, done.text.contains(text)), (0, true), "{what}: {}", done.text),
        None => {
            assert!(done.status != 0 && done.text.contains("Input/output error"), "{what}: {}", done.text);
        }
    };
    check(write("one"), Some(""), "whole");
    check(read(), Some("one"), "whole");

    guest.break_card_writes();
    check(write("two"), None, "writes broken");
    check(read(), Some("one"), "writes broken");
    guest.mend_card();
    check(write("three"), Some(""), "mended");
    check(read(), Some("three"), "mended");

    guest.break_card_reads();
    check(write("fours"), Some(""), "reads broken");
    check(read(), None, "reads broken");
    guest.mend_card();
    check(read(), Some("fours"), "mended");

    guest.run("umount /card");
    guest.power_off();
    check_file_system(&image);
}

/// Errors that end before ext4 has to write its own journal: nobody but the daemon notices.
#[test]
fn some_seconds_of_failing_writes_cost_nothing() {
    let Some(path) = start(Path::start_metered, "hiccup") else { return };
    // The journal is written every 5 s otherwise; when that fails, it is the next test's story.
    path.ecu.run("mount -o remount,commit=600 /card");
    let sending = path.begin_sending(&format!("{TRAFFIC} --seconds 40"));
    path.until_some_arrived();
    break_between_commits(&path);
    until_commits_fail(&path, 3);
    check_says_so(&path);
    let frames = |metrics: &Metrics| metrics.sum("ecu_daemon_frames_received_total", &[]);
    let before = frames(&path.metrics());
    let percent = writer_percent(&path.ecu, 4);
    say(&format!("while the card is broken the writer takes {percent} % of a processor"));
    assert!(percent <= WAITING_PERCENT_MAX, "{percent} % of a processor to wait for a broken card");
    assert!(frames(&path.metrics()) > before, "frames are received while the card is broken");

    path.ecu.mend_card();
    until("the daemon is ready again", NOTICED_WITHIN, || {
        ask(&path.ecu, "/healthz/ready").contains(" 200 OK").then_some(())
    });
    let traffic = path.finish_sending(&sending);
    path.check_all(&traffic);
    let metrics = path.metrics();
    assert_eq!(metrics.sum("ecu_daemon_writer_dropped_records_total", &[]), 0);
    say(&format!("{} commits failed", failures(&metrics)));
}

/// Out of its slot and back: the device is gone meanwhile, and the mount with it.
#[test]
fn a_card_that_is_taken_out_and_put_back_costs_nothing() {
    let Some(path) = Path::emulated("removed") else { return };
    let sending = path.begin_sending(&format!("{TRAFFIC} --seconds 25"));
    path.until_some_arrived();
    path.ecu.remove_card();
    until_commits_fail(&path, 2);
    let ready = ask(&path.ecu, "/healthz/ready");
    assert!(ready.contains(" 503 ") && ready.contains("ring file /card/ring.db is gone"), "{ready}");
    let stored = ring(&path.metrics(), "sealed");
    path.ecu.insert_card();
    until("blocks are stored again", NOTICED_WITHIN, || {
        (ring(&path.metrics(), "sealed") > stored).then_some(())
    });
    assert!(ask(&path.ecu, "/healthz/ready").contains(" 200 OK"));
    let traffic = path.finish_sending(&sending);
    path.check_all(&traffic);
    assert_eq!(path.metrics().sum("ecu_daemon_writer_dropped_records_total", &[]), 0);
    assert!(!path.daemon().log().contains("damaged"), "no ring was set aside");
    // It is the card's ring that grew, not a file beneath the mount.
    path.daemon().stop();
    let beneath = path.ecu.run("umount /card && ls /card");
    assert_eq!(beneath, "", "nothing was written where the card is mounted");
}

/// Errors that outlast the daemon's memory: what is dropped is counted, and all the rest arrives.
#[test]
fn what_does_not_fit_into_memory_while_the_card_fails_is_counted() {
    let Some(mut path) = start(Path::start_metered_counting, "overflow") else { return };
    path.ecu.run("mount -o remount,commit=600 /card");
    make_ready_for_noise(&path);
    break_between_commits(&path);
    let sending = begin_noise(&path, NOISE_FRAMES);
    until_commits_fail(&path, 1);
    let dropped = |metrics: &Metrics| metrics.sum("ecu_daemon_writer_dropped_records_total", &[]);
    until("blocks are dropped", FULL_WITHIN, || (dropped(&path.metrics()) > 0).then_some(()));
    let resident = path.metrics().sum("process_resident_memory_bytes", &[]);
    say(&format!("{resident} bytes resident with the memory for blocks full"));
    assert!(resident < MEMORY_MAX, "{resident} bytes");
    path.ecu.mend_card();
    assert_eq!(path.finish_sending(&sending).count("replayed"), NOISE_FRAMES);
    path.until_acknowledged(NOISE_FRAMES);

    let metrics = path.metrics();
    let (taken, dropped) = (NOISE_FRAMES * NOISE_SIGNALS, dropped(&metrics));
    assert_eq!(metrics.sum("ecu_daemon_frames_total", &[("outcome", "decoded")]), NOISE_FRAMES);
    assert_eq!(metrics.sum("ecu_daemon_records_total", &[("state", "sealed")]), taken);
    assert_eq!((ring(&metrics, "sealed"), ring(&metrics, "acked")), (taken - dropped, taken - dropped));
    say(&format!("{dropped} of {taken} samples were dropped, and counted"));
    path.until_counted(taken - dropped);
}

/// What cannot be read waits: it is neither lost nor taken for damaged.
#[test]
fn some_seconds_of_failing_reads_cost_nothing() {
    let Some(mut path) = start(Path::start_metered_counting, "reads") else { return };
    make_ready_for_noise(&path);
    // More than the daemon's own memory of the ring.
    path.ecu.set_link(false);
    let frames = NOISE_FRAMES / 3;
    assert_eq!(path.finish_sending(&begin_noise(&path, frames)).count("replayed"), frames);
    let sealed = |frames: u64| (ring(&path.metrics(), "sealed") == frames * NOISE_SIGNALS).then_some(());
    until("everything is stored", DRAINED_WITHIN, || sealed(frames));
    // What ext4 cannot read of its own makes it give up its journal, which is another test's story: it is in memory.
    path.ecu.run(
        "echo 3 >/proc/sys/vm/drop_caches; cat /proc/fs/ext4/*/mb_groups >/dev/null; touch /card/other; rm /card/other",
    );
    path.ecu.break_card_reads();
    path.ecu.set_link(true);
    until("the daemon says that it cannot read", DRAINED_WITHIN, || {
        path.daemon().log().contains("the ring cannot be read").then_some(())
    });
    assert!(ring(&path.metrics(), "acked") < frames * NOISE_SIGNALS);
    path.ecu.mend_card();
    // "Trying again with the next block": there has to be one.
    let more = 100;
    assert_eq!(path.finish_sending(&begin_noise(&path, more)).count("replayed"), more);
    path.until_acknowledged(frames + more);
    let (metrics, taken) = (path.metrics(), (frames + more) * NOISE_SIGNALS);
    assert_eq!((ring(&metrics, "sealed"), ring(&metrics, "acked")), (taken, taken));
    assert_eq!(ring(&metrics, "evicted_damaged"), 0);
    path.until_counted(taken);
}

/// Errors that last: ext4 gives up its journal and becomes read-only, and a card that is whole again does not help.
#[test]
fn a_card_that_became_read_only_has_what_was_promised() {
    let Some(mut path) = start(Path::start_metered, "read-only") else { return };
    let sending = path.begin_sending(&format!("{TRAFFIC} --seconds 30"));
    path.until_some_arrived();
    // From here on what is promised is on the card alone.
    path.ecu.set_link(false);
    let acked = ring(&path.metrics(), "acked");
    until("more is stored than was sent", NOTICED_WITHIN, || {
        (ring(&path.metrics(), "sealed") > acked + 5000).then_some(())
    });
    path.ecu.break_card_writes();
    until_read_only(&path.ecu);
    path.ecu.mend_card();
    until_commits_fail(&path, 2);
    check_says_so(&path);
    let traffic = path.finish_sending(&sending);
    let taken = traffic.count("samples") + traffic.count("spans");
    until("everything is sealed", NOTICED_WITHIN, || {
        let sealed = path.metrics().sum("ecu_daemon_records_total", &[("state", "sealed")]);
        (sealed == taken).then_some(())
    });
    let metrics = path.metrics();
    assert_eq!(metrics.sum("ecu_daemon_frames_received_total", &[]), traffic.count("frames"));
    let promised = ring(&metrics, "sealed");
    say(&format!("{promised} of {taken} records were on the card when it failed"));

    // It ends when it is told to, and says what could not be stored.
    path.daemon().stop();
    let lost = format!("records={}", taken - promised);
    let log = path.daemon().log();
    let said = log.lines().any(|line| line.contains("blocks lost") && line.ends_with(&lost));
    assert!(said, "{lost} is expected in:\n{log}");

    path.ecu.run("umount /card");
    path.ecu.mount_breakable_card();
    path.daemon().restart();
    assert_eq!(ring(&path.metrics(), "sealed"), promised);
    path.ecu.set_link(true);
    until("what was promised is acknowledged", DRAINED_WITHIN, || {
        (ring(&path.metrics(), "acked") == promised).then_some(())
    });
    until("what was promised has arrived", DRAINED_WITHIN, || {
        let printed = path.printed();
        (printed.samples + printed.spans >= promised).then_some(())
    });
    let printed = path.printed();
    assert_eq!(printed.samples + printed.spans, promised);
    assert!(!path.daemon().log().contains("damaged"), "no ring was set aside");

    path.daemon().stop();
    path.ecu.run("umount /card");
    path.ecu.power_off();
    check_file_system(&path.bench.folder().join("card.img"));
}

/// The whole path on a card that can be broken.
fn start(start: impl Fn(&str) -> Path<Target>, test: &str) -> Option<Path> {
    if !emulated_bench() {
        return None;
    }
    let Path { ecu: Target::Emulated(ecu), gateway, broker, bench } = start(test) else { return None };
    let path = Path { ecu, gateway, broker, bench };
    // The path comes up on a card that cannot be.
    path.daemon().stop();
    path.ecu.run("umount /card");
    path.ecu.mount_breakable_card();
    path.daemon().restart();
    Some(path)
}

/// Lets the daemon read noise instead of the generator's messages.
fn make_ready_for_noise(path: &Path) {
    path.daemon().stop();
    path.ecu.write(&path.ecu.path("traffic.dbc"), NOISE_DBC);
    path.daemon().restart();
}

/// Starts to send so many frames of it.
fn begin_noise(path: &Path, frames: u64) -> Running {
    let log = path.ecu.path("noise.log");
    path.ecu.write(&log, &noise(frames));
    path.begin_sending(&format!("--replay {log} --speed 1"))
}

/// So many frames of [`NOISE_DBC`], as `candump -L` writes them.
fn noise(frames: u64) -> String {
    let mut log = String::new();
    // Knuth's MMIX generator, of which the upper bits are good: the same noise each time.
    let mut state = 1_u64;
    for i in 0..frames {
        let _ = write!(log, "({:.6}) can0 300##1", 1.0 + i as f64 / NOISE_RATE as f64);
        for _ in 0..16 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let _ = write!(log, "{:08X}", state >> 32);
        }
        log.push('\n');
    }
    log
}

/// In the midst of a commit the data may be on the card and ext4's journal not: then ext4 gives up its journal, which is the
/// story of another test.
fn break_between_commits(path: &Path) {
    path.ecu.run("killall -STOP ecu-daemon && sync");
    path.ecu.break_card_writes();
    path.ecu.run("killall -CONT ecu-daemon");
}

/// Waits until ext4 has given up its journal. It notices when it writes one, which an empty file makes it do at once: data
/// that cannot be written would only be reported.
fn until_read_only(guest: &Guest) {
    let mut files = 0_u32..;
    until("the file system is read-only", NOTICED_WITHIN, || {
        let file = files.next().unwrap_or(0);
        let made = guest.attempt(&format!("dd if=/dev/null of=/card/{file} conv=fsync"), WITHIN);
        made.text.contains("Read-only file system").then_some(())
    });
}

fn failures(metrics: &Metrics) -> u64 {
    metrics.sum("ecu_daemon_ring_commit_failures_total", &[])
}

fn ring(metrics: &Metrics, state: &str) -> u64 {
    metrics.sum("ecu_daemon_ring_records_total", &[("state", state)])
}

/// Waits until so many more commits have failed.
fn until_commits_fail(path: &Path, more: u64) {
    let before = failures(&path.metrics());
    until("commits fail", NOTICED_WITHIN, || (failures(&path.metrics()) >= before + more).then_some(()));
}

/// Whoever asks is told that the card fails: operators by the log, supervisors by the health page.
fn check_says_so(path: &Path) {
    let ready = ask(&path.ecu, "/healthz/ready");
    assert!(ready.contains(" 503 "), "{ready}");
    assert!(ready.contains("blocks cannot be stored: ring file /card/ring.db: disk I/O error"), "{ready}");
    assert!(ask(&path.ecu, "/healthz/live").contains(" 200 OK"), "it lives");
    assert!(path.daemon().log().contains("blocks not stored"), "{}", path.daemon().log());
}

/// A page of the daemon's, with its head: the guest's wget shows no page that comes with an error. Who closes its side
/// before the answer is there may get none.
fn ask(guest: &Guest, page: &str) -> String {
    guest.run(&format!("(printf 'GET {page} HTTP/1.0\\r\\n\\r\\n'; sleep 1) | nc 127.0.0.1 9464"))
}

/// The share of one processor that the daemon's writer takes in so many seconds, percent (proc(5), stat: 100 ticks
/// a second).
fn writer_percent(guest: &Guest, seconds: u64) -> u64 {
    let ticks = "for task in /proc/$(pidof ecu-daemon)/task/*; do
        [ \"$(cat $task/comm)\" = writer ] && cut -d ' ' -f 14,15 $task/stat; done";
    let text = guest.run(&format!("{ticks}; sleep {seconds}; {ticks}"));
    let ticks: Vec<u64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [user, system, user_after, system_after] = ticks[..] else { panic!("no writer thread: {text:?}") };
    (user_after + system_after - user - system) / seconds
}

/// The file system on the card needs nobody's help (e2fsck(8): 0, no errors; 1, corrected without asking).
fn check_file_system(image: &std::path::Path) {
    let mut check = Command::new(debian("e2fsck", "e2fsprogs"));
    let output = check.args(["-f", "-p"]).arg(image).output().expect("e2fsck");
    let fine = matches!(output.status.code(), Some(0 | 1));
    assert!(fine, "{}", String::from_utf8_lossy(&output.stdout));
}
