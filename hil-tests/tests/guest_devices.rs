//! That the bench itself can be relied on: commands, files, clocks, stamps, links. The board has tests of its
//! own (`guest_board`), and so has the card (`guest_card`).

use std::fs;
use std::time::{Duration, Instant};

use hil_tests::guest::{Guest, Options, Time, WITHIN, Weak, emulated_bench, shared};
use hil_tests::{Bench, say};

#[test]
fn commands_run_and_files_are_copied() {
    if !emulated_bench() {
        return;
    }
    let guest = shared();
    say(&format!("guest ready after {:?}: {}", guest.boot_time, guest.run("uname -srm").trim()));
    assert_eq!(guest.run("echo hello"), "hello\n");
    let failed = guest.attempt("echo why >&2; exit 3", WITHIN);
    assert_eq!((failed.status, failed.text.as_str()), (3, "why\n"));
    let late = guest.attempt("sleep 60", Duration::from_secs(1));
    assert_eq!(late.status, 137, "a command that takes too long is killed");

    let bench = Bench::new("copies");
    let (there, back) = (bench.folder().join("there"), bench.folder().join("back"));
    let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    fs::write(&there, &bytes).expect("a file");
    guest.copy_in(&there, "/tmp/copy");
    guest.copy_out("/tmp/copy", &back);
    assert!(fs::read(&back).expect("the copy") == bytes);
}

#[test]
fn can_frames_carry_stamps_of_a_hardware_clock() {
    if !emulated_bench() {
        return;
    }
    let guest = shared();
    // An hour early: no other clock says that.
    guest.run("modprobe hwvcan early_ns=3600000000000; ip link add hw0 type hwvcan; ip link set hw0 up");
    assert_eq!(guest.run("cat /sys/class/ptp/ptp0/clock_name; ls /dev/ptp0"), "hwvcan\n/dev/ptp0\n");
    let offered = guest.run("ethtool -T hw0");
    for line in ["hardware-receive", "hardware-raw-clock", "PTP Hardware Clock: 0"] {
        assert!(offered.contains(line), "{line} is missing:\n{offered}");
    }
    let dump = guest.run(
        "candump -H -t a -n 2 hw0 >/tmp/stamps & sleep 0.5; cansend hw0 123#01; cansend hw0 124##102; wait
         cat /tmp/stamps; date +%s; ip link del hw0; rmmod hwvcan",
    );
    let numbers: Vec<f64> = dump
        .lines()
        .filter_map(|line| line.trim().trim_start_matches('(').split([')', ' ']).next()?.parse().ok())
        .collect();
    let [classic, fd, now] = numbers[..] else { panic!("two stamps and the time: {dump}") };
    assert!(classic <= fd, "{dump}");
    for stamp in [classic, fd] {
        assert!((now - stamp - 3600.0).abs() < 5.0, "the stamp is the hardware's: {dump}");
    }
}

#[test]
fn a_link_can_be_weak_and_cut() {
    if !emulated_bench() {
        return;
    }
    let guest = shared();
    guest.connect_link();
    let ping = |guest: &Guest| {
        let text = guest.attempt("ping -c 4 -i 0.2 -W 3 10.0.2.2", WITHIN).text;
        // round-trip min/avg/max = 0.5/0.9/1.8 ms
        let times = text.split_once("min/avg/max = ")?.1;
        times.split('/').next()?.parse::<f64>().ok()
    };
    let good = ping(&guest).expect("this machine answers");
    guest.weaken_link(Weak { rate_kbit: 100, delay_ms: 150, loss_percent: 0 });
    let weak = ping(&guest).expect("this machine answers on a weak link");
    guest.strengthen_link();
    assert!(good < 100.0 && weak > 300.0, "round trips of {good} ms and, weak, {weak} ms");
    guest.set_link(false);
    assert_eq!(guest.run("sleep 0.5; cat /sys/class/net/eth0/carrier"), "0\n");
    assert_eq!(ping(&guest), None);
    guest.set_link(true);
    assert_eq!(guest.run("sleep 0.5; cat /sys/class/net/eth0/carrier"), "1\n");
    assert!(ping(&guest).is_some());
    guest.run("ip link set eth0 down; ip addr flush dev eth0");
}

#[test]
fn an_hour_of_virtual_time_takes_seconds_and_no_qemu_stays() {
    if !emulated_bench() {
        return;
    }
    let bench = Bench::new("hour");
    let guest = Guest::boot(&bench, Options { time: Time::Virtual, ..Options::default() });
    let started = Instant::now();
    guest.run_within("sleep 3600", Duration::from_secs(4000));
    let uptime = guest.run("cut -d . -f 1 /proc/uptime");
    say(&format!("an hour of virtual time took {:?}", started.elapsed()));
    assert!(uptime.trim().parse::<u32>().is_ok_and(|seconds| seconds >= 3600), "{uptime}");
    assert!(started.elapsed() < Duration::from_secs(60));

    let folder = bench.folder().display().to_string();
    assert_eq!(processes_that_name(&folder), 1, "QEMU runs");
    drop(guest);
    assert_eq!(processes_that_name(&folder), 0, "QEMU has gone");
}

fn processes_that_name(text: &str) -> usize {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let commands = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    commands.filter(|command| String::from_utf8_lossy(command).contains(text)).count()
}
