//! The power goes while the card is written: what was promised is there afterwards.

mod guest_path;

use std::thread::sleep;
use std::time::Duration;

use guest_path::Path;
use hil_tests::{say, until};

/// What `[store]` and `[blocks]` in the guest's configuration add up to, and a second for a busy machine.
const LOSS_WINDOW: Duration = Duration::from_secs(2 + 1);
const DRAINED_WITHIN: Duration = Duration::from_secs(120);
const CUTS: u64 = 4;

/// What was known of one boot just before its end.
struct Before {
    /// As the gateway prints it.
    boot: String,
    /// Frames that the daemon had received one loss window before the power went.
    frames: u64,
    /// Records that the broker had acknowledged.
    acked: u64,
}

#[test]
fn power_cuts_cost_no_more_than_the_stated_window() {
    let Some(mut path) = Path::emulated("power") else { return };
    let mut boots = Vec::new();
    for cut in 0..CUTS {
        path.begin_sending("--rate 2000 --seconds 600");
        path.until_some_arrived();
        // Every other time the ring fills because nothing can be sent.
        path.ecu.set_link(cut % 2 == 0);
        sleep(Duration::from_millis(1500 + 370 * cut));
        let metrics = path.metrics();
        let before = Before {
            boot: path.ecu.run("tr -d - </proc/sys/kernel/random/boot_id").trim().to_owned(),
            frames: metrics.sum("ecu_daemon_frames_received_total", &[]),
            acked: metrics.sum("ecu_daemon_ring_records_total", &[("state", "acked")]),
        };
        sleep(LOSS_WINDOW);
        path.ecu.cut_power();
        path.restart();
        let ring = check_ring(&path);
        assert!(ring.acked >= before.acked, "acknowledged: {} before, {} after", before.acked, ring.acked);
        say(&format!(
            "cut {cut}: {} frames counted a window before, {} records in the ring after",
            before.frames, ring.waiting
        ));
        boots.push(before);
    }
    until("everything that survived is acknowledged", DRAINED_WITHIN, || {
        (check_ring(&path).waiting == 0).then_some(())
    });
    check_arrived(&path, &boots);
    assert!(!path.daemon().log().contains("damaged"), "no ring was set aside");
}

struct Ring {
    acked: u64,
    waiting: u64,
}

/// The ring's books balance, and nothing was evicted or damaged.
fn check_ring(path: &Path) -> Ring {
    let metrics = path.metrics();
    let ring = |state| metrics.sum("ecu_daemon_ring_records_total", &[("state", state)]);
    let waiting = metrics.sum("ecu_daemon_ring_waiting_records", &[]);
    assert_eq!(ring("sealed"), ring("acked") + waiting);
    assert_eq!((ring("evicted_full"), ring("evicted_damaged")), (0, 0));
    Ring { acked: ring("acked"), waiting }
}

/// What arrived of each boot has no gap, and reaches at least to one loss window before the cut.
fn check_arrived(path: &Path, boots: &[Before]) {
    let reaches = || {
        let printed = path.printed();
        boots.iter().map(|before| printed.numbers(&before.boot, "Classic")).collect::<Vec<_>>()
    };
    until("what survived has arrived", DRAINED_WITHIN, || {
        reaches()
            .iter()
            .zip(boots)
            .all(|(numbers, before)| numbers.len() as u64 >= before.frames)
            .then_some(())
    });
    for (numbers, before) in reaches().iter().zip(boots) {
        let last = numbers.last().copied().unwrap_or_default();
        assert_eq!(numbers.len() as u64, last + 1, "boot {}: a gap before the end", before.boot);
    }
}
