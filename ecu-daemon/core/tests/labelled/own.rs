//! Our own labelled lines: statements as an ECU's services write them, filled by a seeded generator.

use super::{Labelled, Origin, severity};

/// Level, app and text; a label for the group is its place. What is in braces is filled in.
pub(crate) const STATEMENTS: &[(&str, &str, &str)] = &[
    ("I", "can", "{bus}: rx ok id {id} dlc 8 cycle {n} ms"),
    ("W", "can", "timeout waiting for CAN ID {id} on {bus} after {n} ms"),
    ("E", "can", "{bus} bus-off, restart in {n} ms"),
    ("D", "can", "{bus} frame id={id} data={hex}"),
    ("I", "can", "interface {bus} up, bitrate {n}"),
    ("I", "can", "interface {bus} down"),
    ("I", "pwr", "supply {d} V, drawing {d} A"),
    ("I", "pwr", "mode changed from {state} to {state}"),
    ("W", "pwr", "supply dipped to {d} V for {n} us"),
    ("I", "diag", "request sid={hex} from tester {hex} accepted"),
    ("W", "diag", "negative response sid={hex} nrc={hex}"),
    ("I", "diag", "DTC {dtc} status {hex} confirmed"),
    ("I", "diag", "session opened for user {user}"),
    ("I", "diag", "session closed for user {user}"),
    ("W", "net", "connection to {ip}:{n} refused"),
    ("W", "net", "connection to {ip}:{n} timed out after {n} s"),
    ("I", "net", "resolved {host} to {ip} in {n} ms"),
    ("I", "net", "link {mac} associated"),
    ("E", "net", "certificate of {host} expired at {date}"),
    ("I", "net", "{bytes} sent, {bytes} received"),
    ("I", "ota", "download of {path} started"),
    ("I", "ota", "download of {path} finished: {bytes} in {n} s"),
    ("E", "ota", "signature mismatch in {path}"),
    ("I", "ota", "update {uuid} verified={bool} rollback={bool}"),
    ("E", "kernel", "Call trace: {sym}"),
    ("W", "kernel", "thermal zone{n} at {n} C, throttling"),
    ("E", "kernel", "I/O error, dev mmcblk0, sector {n}"),
    ("I", "kernel", "usb 1-{n}: new high-speed device number {n}"),
    ("I", "watchdog", "alive indication from {process} (pid {n})"),
    ("E", "watchdog", "supervision of {process} expired, restarting"),
    ("D", "watchdog", "rss of {process} is {n} kB"),
    ("I", "hmi", "screen {quoted} shown in {n} ms"),
    ("I", "hmi", "volume set to {n}%"),
    ("I", "gnss", "fix with {n} satellites, hdop {d}"),
    ("W", "gnss", "fix lost"),
    ("W", "gnss", "fix regained"),
    ("I", "camera", "frame {n} exposure {d} gain [{n}, {n}, {n}]"),
    ("E", "camera", "link lost"),
    ("I", "log", "rotated {path}"),
    ("I", "clock", "offset {n} ns, synchronised"),
];

/// A small generator (xorshift): the same lines everywhere.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn pick(&mut self, of: &[&str]) -> String {
        of[self.below(of.len() as u64) as usize].to_owned()
    }
}

/// The text of a statement with values.
pub(crate) fn fill(text: &str, dice: &mut Dice) -> String {
    let mut line = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}').unwrap();
        line += before;
        line += &value(name, dice);
        rest = after;
    }
    line + rest
}

fn value(name: &str, dice: &mut Dice) -> String {
    let n = dice.below(100_000);
    match name {
        "n" => n.to_string(),
        "d" => format!("{}.{:02}", n / 1_000, n % 100),
        "hex" => format!("0x{n:x}"),
        "id" => format!("0x{:03X}", n % 0x800),
        "bus" => format!("can{}", n % 4),
        "dtc" => format!("P{:04}", n % 10_000),
        "ip" => format!("192.168.{}.{}", n % 4, n % 250),
        "host" => format!("{}.example.com", dice.pick(&["ota", "tsp", "maps", "time"])),
        "mac" => format!("02:00:00:{:02x}:ab:cd", n % 256),
        "date" => format!("2026-11-{:02}T12:{:02}:00Z", n % 28 + 1, n % 60),
        "bytes" => format!("{n} bytes"),
        "path" => format!("/var/lib/{}/{n}.bin", dice.pick(&["ota", "maps", "log"])),
        "uuid" => format!("8b1c{:04x}-52d3-4e5a-9a1f-3f0c7a{:06x}", n % 0x1_0000, n),
        "bool" => dice.pick(&["true", "false"]),
        "sym" => format!("{}+0x{:x}/0x{:x}", dice.pick(&["do_exit", "vfs_read", "can_rcv"]), n, n + 64),
        "user" => dice.pick(&["driver", "workshop", "root", "guest"]),
        "process" => dice.pick(&["canmgr", "navd", "hmi", "mqttd", "audiod", "camd"]),
        "state" => dice.pick(&["OFF", "PARK", "READY", "DRIVE", "CHARGE"]),
        "quoted" => format!("\"{}\"", dice.pick(&["Climate", "Media player", "Map", "Charging plan"])),
        other => panic!("no such value: {other}"),
    }
}

/// `lines` lines, statement after statement at random.
pub(crate) fn set(lines: usize, seed: u64) -> Labelled {
    let mut dice = Dice(seed);
    let mut set = Labelled::new("own");
    for _ in 0..lines {
        let label = dice.below(STATEMENTS.len() as u64) as usize;
        let (level, app, text) = STATEMENTS[label];
        set.push(
            fill(text, &mut dice).as_bytes(),
            Origin::new(app.as_bytes(), severity(level)),
            &label.to_string(),
        );
    }
    set
}
