//! `systemctl reload`: the running binary gets other DBC files in the middle of a drive.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

mod daemon;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use daemon::Daemon;

use can_decode::e2e::{Config, Profile};
use serde_json::Value;

/// 10 ms apart.
const FRAMES: u16 = 600;
const CONFIG: &str = "[store]\npath = \"ring.db\"\n[http]\nlisten = \"127.0.0.1:0\"\n[[bus]]\nkind = \"replay\"\n\
                      name = \"can0\"\nfile = \"drive.log\"\nspeed = 1.0\ndbc = [\"car.dbc\"]\n[[bus.e2e]]\n\
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

impl Daemon<'_> {
    /// Puts `text` in the place of `file`, reloads, and waits for the `nth` such result.
    fn reload(&self, file: &str, text: &str, result: &str, nth: u64) {
        fs::write(self.folder.join(file), text).unwrap();
        self.signal("-HUP");
        self.wait_for(&format!("ecu_daemon_reloads_total{{result=\"{result}\"}}"), nth);
    }
}

#[test]
fn tables_change_in_mid_drive_and_no_frame_is_lost() {
    const DECODED: &str = "ecu_daemon_frames_total{bus=\"can0\",outcome=\"decoded\"}";
    const E2E_OK: &str = "ecu_daemon_observed_e2e_total{bus=\"can0\",status=\"ok\"}";
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (file, text) in [("drive.log", drive().as_str()), ("car.dbc", DBC), ("car.toml", CONFIG)] {
        fs::write(folder.join(file), text).unwrap();
    }
    let mut daemon = Daemon::start(folder);
    daemon.wait_for(DECODED, 100);
    // Gear was one place off, and what cannot change meanwhile is said.
    fs::write(folder.join("car.dbc"), DBC.replace("40|4", "44|4")).unwrap();
    daemon.reload("car.toml", &format!("{CONFIG}[blocks]\nseal_after = \"1s\"\n"), "ok", 1);
    let swapped_at = daemon.metric(DECODED).unwrap();
    assert!(swapped_at < u64::from(FRAMES), "the drive is still on: {swapped_at}");
    assert!(daemon.log().contains("restart to change [blocks]"), "{}", daemon.log());

    daemon.reload("car.dbc", &DBC.replace("(1,0)", "(1;0)"), "refused", 1);
    assert!(daemon.log().contains("car.dbc:5: error:"), "{}", daemon.log());
    daemon.reload("car.dbc", &DBC.replace("km/h", "m/s"), "refused", 2);
    assert!(daemon.log().contains("restart to use them"), "{}", daemon.log());
    daemon.reload("car.toml", &CONFIG.replace("can0", "can1"), "refused", 3);
    assert!(daemon.log().contains("restart to change them"), "{}", daemon.log());
    daemon.reload("car.toml", "[[bus]\n", "refused", 4);
    assert!(daemon.log().contains("car.toml:1: error:"), "{}", daemon.log());

    daemon.wait_for(DECODED, FRAMES.into());
    // Each observer takes the first frame that it sees as it is.
    daemon.wait_for(E2E_OK, u64::from(FRAMES) - 2);
    let checks = [
        (DECODED, FRAMES.into()),
        ("ecu_daemon_frames_received_total{bus=\"can0\"}", FRAMES.into()),
        ("ecu_daemon_observed_frames_total{bus=\"can0\"}", FRAMES.into()),
        ("ecu_daemon_observed_identifiers{bus=\"can0\"}", 1),
        (E2E_OK, u64::from(FRAMES) - 2),
        ("ecu_daemon_observed_e2e_total{bus=\"can0\",status=\"initial\"}", 2),
        ("ecu_daemon_observed_counter_lost_total{bus=\"can0\"}", 0),
        ("ecu_daemon_reloads_total{result=\"ok\"}", 1),
        ("ecu_daemon_reloads_total{result=\"refused\"}", 4),
    ];
    for (series, expected) in checks {
        assert_eq!(daemon.metric(series), Some(expected), "{series}");
    }
    daemon.signal("-TERM");
    assert!(daemon.child.wait().unwrap().success());
    assert!(daemon.log().contains("books_balanced=true"), "{}", daemon.log());

    let gears = query(folder, "SPEED.Gear");
    let speeds = query(folder, "SPEED.Speed");
    assert_eq!(speeds, (0..i64::from(FRAMES)).collect::<Vec<_>>(), "each frame once, in order");
    let first_new = gears.iter().position(|gear| *gear == 2).unwrap();
    assert!(first_new >= 100, "{first_new}");
    assert!(
        gears[..first_new].iter().all(|gear| *gear == 1) && gears[first_new..].iter().all(|gear| *gear == 2)
    );
    assert_eq!(gears.len(), usize::from(FRAMES));
}

/// Raw values of a signal, in order of time.
fn query(folder: &Path, name: &str) -> Vec<i64> {
    let output = Command::new(env!("CARGO_BIN_EXE_ecu-daemon"))
        .current_dir(folder)
        .args(["query", "--store", "ring.db", "--name", name, "--format", "json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let rows = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| row["raw"].as_i64().unwrap()).collect()
}
