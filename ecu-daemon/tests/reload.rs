//! `systemctl reload`: the running binary gets other DBC files in the middle of a drive.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

mod daemon;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use can_decode::e2e::{Config, Profile};
use daemon::{Card, Daemon, query, raw};

/// 10 ms apart.
const FRAMES: u16 = 600;
const CONFIG: &str = "[store]\npath = \"ring.db\"\n[http]\nlisten = \"127.0.0.1:0\"\n[[bus]]\nkind = \"replay\"\n\
                      name = \"can0\"\nfile = \"drive.log\"\nspeed = 0.5\ndbc = [\"car.dbc\"]\n[[bus.e2e]]\n\
                      message = \"SPEED\"\nprofile = \"P05\"\ndata_id = 0x1234\n";
const DBC: &str = "VERSION \"\"\nBU_: ECU\nBO_ 256 SPEED: 8 ECU\n SG_ Speed : 24|16@1+ (0.01,0) [0|655] \"km/h\" ECU\n \
                   SG_ Gear : 40|4@1- (1,0) [-8|7] \"\" ECU\n";

/// A drive whose frames are protected, count themselves in Speed, and have 1 where Gear is and 2 beside it.
fn drive() -> String {
    let protection = Config::new(Profile::P05 { data_id: 0x1234, offset_bits: 0 }, 8).checked().unwrap();
    let mut lines = String::new();
    for n in 0..FRAMES {
        let [low, high] = n.to_le_bytes();
        let mut payload = [0, 0, 0, low, high, 0x21, 0, 0];
        protection.protect(n % 256, &mut payload).unwrap();
        let (ms, hex) = (u32::from(n) * 10, u64::from_be_bytes(payload));
        writeln!(lines, "({}.{:03}000) can0 100#{hex:016X}", 1_533_201_287 + ms / 1000, ms % 1000).unwrap();
    }
    lines
}

/// A folder with a drive, its database and a configuration.
fn prepare(folder: &Path) {
    for (file, text) in [("drive.log", drive().as_str()), ("car.dbc", DBC), ("car.toml", CONFIG)] {
        fs::write(folder.join(file), text).unwrap();
    }
}

/// The database with another unit and scale: another schema.
fn in_metres_per_second() -> String {
    DBC.replace("(0.01,0) [0|655] \"km/h\"", "(0.0025,0) [0|163] \"m/s\"")
}

/// Every frame of the drive once and in order, the first ones in km/h, the others in m/s; gives how many are the first.
fn check_speeds(folder: &Path) -> usize {
    let speeds = query(folder, "SPEED.Speed");
    let in_order = speeds.iter().map(|row| row["raw"].as_i64().unwrap());
    assert!(in_order.eq(0..i64::from(FRAMES)), "each frame once, in order: {}", speeds.len());
    let first = speeds.iter().position(|row| row["unit"] == "m/s").unwrap();
    for (n, row) in speeds.iter().enumerate() {
        let (unit, scale) = if n < first { ("km/h", 0.01) } else { ("m/s", 0.0025) };
        let deviation = row["value"].as_f64().unwrap() - n as f64 * scale;
        assert!(row["unit"] == unit && deviation.abs() < 1e-9, "{n}: {row}");
    }
    first
}

#[test]
fn tables_change_in_mid_drive_and_no_frame_is_lost() {
    const E2E_OK: &str = "ecu_daemon_observed_e2e_total{bus=\"can0\",status=\"ok\"}";
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    daemon.wait_for(DECODED, 100);
    // Gear was one place off, and what cannot change meanwhile is said.
    fs::write(folder.join("car.dbc"), DBC.replace("40|4", "44|4")).unwrap();
    daemon.reload("car.toml", &format!("{CONFIG}[blocks]\nseal_after = \"1s\"\n"), "ok", 1);
    let swapped_at = daemon.metric(DECODED).unwrap();
    assert!(swapped_at < u64::from(FRAMES), "the drive is still on: {swapped_at}");
    assert!(daemon.log().contains("restart to change [blocks]"), "{}", daemon.log());

    daemon.reload("car.dbc", &DBC.replace("(1,0)", "(1;0)"), "refused", 1);
    assert!(daemon.log().contains("car.dbc:5: error:"), "{}", daemon.log());
    let other_unit = in_metres_per_second().replace("40|4", "44|4");
    daemon.reload("car.dbc", &other_unit, "ok", 2);
    assert!(daemon.metric(DECODED).unwrap() < u64::from(FRAMES), "the drive is still on");
    daemon.reload("car.toml", &CONFIG.replace("can0", "can1"), "refused", 2);
    assert!(daemon.log().contains("restart to change them"), "{}", daemon.log());
    daemon.reload("car.toml", "[[bus]\n", "refused", 3);
    assert!(daemon.log().contains("car.toml:1: error:"), "{}", daemon.log());

    daemon.wait_for(DECODED, FRAMES.into());
    // Each observer takes the first frame that it sees as it is.
    daemon.wait_for(E2E_OK, u64::from(FRAMES) - 3);
    let checks = [
        (DECODED, FRAMES.into()),
        ("ecu_daemon_frames_received_total{bus=\"can0\"}", FRAMES.into()),
        ("ecu_daemon_observed_frames_total{bus=\"can0\"}", FRAMES.into()),
        ("ecu_daemon_observed_identifiers{bus=\"can0\"}", 1),
        (E2E_OK, u64::from(FRAMES) - 3),
        ("ecu_daemon_observed_e2e_total{bus=\"can0\",status=\"initial\"}", 3),
        ("ecu_daemon_observed_counter_lost_total{bus=\"can0\"}", 0),
        ("ecu_daemon_reloads_total{result=\"ok\"}", 2),
        ("ecu_daemon_reloads_total{result=\"refused\"}", 3),
    ];
    for (series, expected) in checks {
        assert_eq!(daemon.metric(series), Some(expected), "{series}");
    }
    let log = daemon.stop();
    assert!(log.contains("books_balanced=true"), "{log}");

    let gears = raw(folder, "SPEED.Gear");
    assert!(check_speeds(folder) as u64 >= swapped_at);
    let first_new = gears.iter().position(|gear| *gear == 2).unwrap();
    assert!(first_new >= 100, "{first_new}");
    assert!(
        gears[..first_new].iter().all(|gear| *gear == 1) && gears[first_new..].iter().all(|gear| *gear == 2)
    );
    assert_eq!(gears.len(), usize::from(FRAMES));
}

const DECODED: &str = "ecu_daemon_frames_total{bus=\"can0\",outcome=\"decoded\"}";

#[test]
fn a_message_of_another_name_goes_on_under_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    fs::write(folder.join("car.toml"), CONFIG.split_once("[[bus.e2e]]").unwrap().0).unwrap();
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    daemon.wait_for(DECODED, 100);
    daemon.reload("car.dbc", &DBC.replace("SPEED", "PACE"), "ok", 1);
    daemon.until("/metrics knows the new name", |daemon| {
        let page = daemon.page("/metrics").unwrap();
        page.contains("message=\"PACE\"") && !page.contains("message=\"SPEED\"")
    });
    daemon.wait_for(DECODED, FRAMES.into());
    daemon.stop();
    let (before, after) = (raw(folder, "SPEED.Speed"), raw(folder, "PACE.Speed"));
    assert!(before.len() >= 100 && !after.is_empty(), "{} {}", before.len(), after.len());
    assert!(before.into_iter().chain(after).eq(0..i64::from(FRAMES)));
}

#[test]
fn a_run_has_a_bounded_number_of_schemas() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    daemon.wait_for(DECODED, 1);
    let other = |n: u64| DBC.replace("km/h", &format!("km/h/{n}"));
    for n in 1..16 {
        daemon.reload("car.dbc", &other(n), "ok", n);
    }
    daemon.reload("car.dbc", &other(16), "refused", 1);
    assert!(daemon.log().contains("car.toml: the DBC files make another schema"), "{}", daemon.log());
    assert!(daemon.log().contains("has 16 already; restart to use it"), "{}", daemon.log());
    // One that it has is as good as ever.
    daemon.reload("car.dbc", DBC, "ok", 16);
    daemon.wait_for(DECODED, FRAMES.into());
    daemon.stop();
    let speeds = raw(folder, "SPEED.Speed");
    assert!(speeds.into_iter().eq(0..i64::from(FRAMES)));
}

#[test]
fn a_schema_that_the_ring_does_not_take_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    daemon.wait_for(DECODED, 50);
    daemon.set_card(Card::Dead);
    daemon.reload("car.dbc", &in_metres_per_second(), "refused", 1);
    assert!(daemon.log().contains("the new schema is not stored"), "{}", daemon.log());
    let refused_at = daemon.metric(DECODED).unwrap();
    daemon.wait_for(DECODED, refused_at + 50);
    daemon.set_card(Card::Whole);
    daemon.signal("-HUP");
    daemon.wait_for("ecu_daemon_reloads_total{result=\"ok\"}", 1);
    daemon.wait_for(DECODED, FRAMES.into());
    let log = daemon.stop();
    assert!(log.contains("books_balanced=true"), "{log}");
    let first = check_speeds(folder);
    assert!(first as u64 >= refused_at + 50, "the old table stayed in use: {first}, {refused_at}");
}
