//! GPIO and I²C of the board, by the crates through which drivers of the embedded-hal world reach them.

use std::time::{Duration, Instant};

use hil_tests::guest::{Guest, WITHIN, aarch64, emulated_bench, shared};
use serde_json::{Value, json};

/// `board-io` in the guest, for one test: a program that runs cannot be overwritten by another test's copy.
struct Board<'a> {
    guest: &'a Guest,
    program: String,
}

impl<'a> Board<'a> {
    fn new(guest: &'a Guest, test: &str) -> Self {
        let program = format!("/tmp/board-io-{test}");
        guest.copy_in(&aarch64("release/board-io"), &program);
        Self { guest, program }
    }

    /// What it says when it can do what it is told.
    fn ask(&self, arguments: &str) -> Value {
        let text = self.guest.run(&format!("{} {arguments}", self.program));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments}: {text:?}: {error}"))
    }

    /// It cannot, and says why.
    fn refuses(&self, arguments: &str, why: &str) {
        let output = self.guest.attempt(&format!("{} {arguments}", self.program), WITHIN);
        assert_eq!(output.status, 1, "{arguments}: {}", output.text);
        assert!(output.text.contains(why), "{arguments}: {why:?} is expected in {:?}", output.text);
    }
}

#[test]
fn gpio_lines_follow_each_other_and_interrupt() {
    if !emulated_bench() {
        return;
    }
    let guest = shared();
    let board = Board::new(&guest, "gpio");
    guest.run("modprobe gpio-loop");
    // Line 8 reads what line 0 drives, and line 7 what line 15 does.
    assert_eq!(
        board.ask("gpio gpio-loop 0 8 --edges 5"),
        json!({ "levels": [1, 0, 1, 0, 1], "edges": ["rising", "falling", "rising", "falling", "rising"] }),
    );
    let device = guest.run("basename /sys/devices/platform/gpio-loop/gpiochip*");
    assert_eq!(
        board.ask(&format!("gpio /dev/{} 15 7 --edges 2", device.trim())),
        json!({ "levels": [1, 0], "edges": ["rising", "falling"] }),
    );
    // Each edge is counted, and none that was not made: the kernel's queue holds 16.
    let many = board.ask("gpio gpio-loop 1 9 --edges 500 --wait-ms 30000");
    assert_eq!(many["edges"].as_array().map(Vec::len), Some(500), "{many}");
    // Nothing comes from a line that is not wired, and that is not waited for without end.
    let started = Instant::now();
    assert_eq!(
        board.ask("gpio gpio-loop 0 9 --wait-ms 1500"),
        json!({ "levels": [0, 0, 0, 0], "edges": [] }),
    );
    assert!(started.elapsed() >= Duration::from_millis(1500), "edges have their time to come");

    board.refuses("gpio nothing 0 8", "no GPIO chip is labelled \"nothing\"; there are: ");
    board.refuses("gpio /dev/gpiochip99 0 8", "/dev/gpiochip99: No such file or directory");
    board.refuses("gpio gpio-loop 0 16", "Offset 16 is out of range; it has 16 lines");
    board.refuses("gpio gpio-loop 3 3", "EBUSY: Device or resource busy; \"board-io\" holds it");
    // Held by somebody else, for reading and for driving, until that lets go.
    let base = guest.run("cat /sys/devices/platform/gpio-loop/gpio/gpiochip*/base");
    let line = base.trim().parse::<u32>().expect("the chip's first line in sysfs") + 8;
    guest.run(&format!("echo {line} >/sys/class/gpio/export"));
    board.refuses("gpio gpio-loop 0 8", "line 8 of gpio-loop: Ioctl to get line handle failed: EBUSY");
    board.refuses("gpio gpio-loop 8 0", "\"sysfs\" holds it");
    guest.run(&format!("echo {line} >/sys/class/gpio/unexport"));
    assert_eq!(board.ask("gpio gpio-loop 8 0 --edges 1"), json!({ "levels": [1], "edges": ["rising"] }),);
    guest.run("rmmod gpio-loop");
}

#[test]
fn i2c_chips_keep_registers_and_refuse_when_told() {
    if !emulated_bench() {
        return;
    }
    let guest = shared();
    let board = Board::new(&guest, "i2c");
    guest.run("modprobe i2c-dev; modprobe i2c-regs chip_addr=0x48,0x50");
    let bus = guest.run(
        "cd /sys/bus/i2c/devices; for bus in i2c-*; do grep -q i2c-regs $bus/name && echo ${bus#i2c-}; done",
    );
    let bus = bus.trim();
    let ask = |task: &str| board.ask(&format!("i2c /dev/i2c-{bus} {task}"));
    let refuses = |task: &str, why: &str| board.refuses(&format!("i2c /dev/i2c-{bus} {task}"), why);

    // Several registers at once, over the last one; BusyBox reads and writes them in its own way.
    assert_eq!(ask("0x50 write 0xfe 0xab 205 0x01"), json!({ "register": 254, "written": 3 }));
    assert_eq!(ask("0x50 read 0xfe 3"), json!({ "register": 254, "bytes": [0xab, 205, 1] }));
    assert_eq!(guest.run(&format!("i2cget -y {bus} 0x50 0xff; i2cset -y {bus} 0x50 0xff 0x17")), "0xcd\n");
    assert_eq!(ask("80 read 0xff 1"), json!({ "register": 255, "bytes": [0x17] }));
    assert_eq!(
        ask("0x48 read 0xff 1"),
        json!({ "register": 255, "bytes": [0] }),
        "another chip is untouched"
    );

    // Refused: once by nobody, then by a chip that is told to refuse the next two transfers.
    refuses("0x51 read 0 1", "chip 0x51 on /dev/i2c-");
    refuses("0x51 read 0 1", ": NoAcknowledge(Address): ENXIO: No such device or address; is the chip there");
    refuses("0x51 write 0 1", ": NoAcknowledge(Address): ");
    refuses("0x51 thermometer", ": NoAcknowledge(Address): ");
    guest.run("echo 2 >/sys/module/i2c_regs/parameters/nak");
    refuses("0x50 write 0xff 0x99", ": NoAcknowledge(Address): ");
    refuses("0x50 read 0xff 1", ": NoAcknowledge(Address): ");
    assert_eq!(
        ask("0x50 read 0xff 1"),
        json!({ "register": 255, "bytes": [0x17] }),
        "what was refused is not done"
    );
    board.refuses("i2c /dev/i2c-99 0x50 read 0 1", "/dev/i2c-99: No such file or directory");

    // A thermometer by the driver that the daemon will use, and by the kernel's own, which then holds the chip.
    for (registers, celsius, kernel) in [("0x19 0x00", 25.0, "25000\n"), ("0xe7 0x80", -24.5, "-24500\n")] {
        ask(&format!("0x48 write 0 {registers}"));
        assert_eq!(ask("0x48 thermometer"), json!({ "celsius": celsius }), "{registers}");
        let hwmon = guest.run(&format!(
            "modprobe lm75; echo lm75 0x48 >/sys/bus/i2c/devices/i2c-{bus}/new_device
             cat /sys/bus/i2c/devices/{bus}-0048/hwmon/*/temp1_input"
        ));
        assert_eq!(hwmon, kernel, "{registers}");
        refuses(
            "0x48 thermometer",
            ": Bus: EBUSY: Device or resource busy; does a kernel driver hold the chip",
        );
        guest.run(&format!("echo 0x48 >/sys/bus/i2c/devices/i2c-{bus}/delete_device"));
    }
    guest.run("rmmod i2c-regs");
}
