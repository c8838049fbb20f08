//! The way to a real ECU. One with an ssh server stands for it that is emulated, and reached by ssh alone; the bench's
//! own way to it shows what is left behind.

mod guest_path;

use std::fs;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use guest_path::Path as Whole;
use hil_tests::guest::{Access, Can, Guest, Options, Remote, WITHIN};
use hil_tests::{Bench, debian, until};

const GONE_WITHIN: Duration = Duration::from_secs(60);
const SSH: u16 = 22;

/// An ssh server that lets root in with the key in `authorized`, and says its own key.
const SERVE: &str = r"mkdir -p /root/.ssh /etc/dropbear && chmod 700 /root /root/.ssh
echo 'root::0:0:root:/root:/bin/sh' >/etc/passwd
echo '{authorized}' >/root/.ssh/authorized_keys && chmod 600 /root/.ssh/authorized_keys
dropbearkey -t ed25519 -f /etc/dropbear/key >/etc/dropbear/public 2>&1 || exit
dropbear -s -r /etc/dropbear/key -p 22 || exit
grep '^ssh-ed25519' /etc/dropbear/public";

/// What somebody at the ECU can see of tests: folders, processes, interfaces, open ports but the server's own.
const LEFT: &str = r"ls -d /tmp/ecu-bench-* 2>/dev/null
grep -l ECU_BENCH= /proc/[0-9]*/environ 2>/dev/null
ls /sys/class/net | grep vcan
netstat -ltn | grep LISTEN | grep -v ':22 '
true";

/// The ECU as its owner knows it, and how one gets in.
struct Served {
    ecu: Guest,
    access: Access,
    // The key, and the guest's console.
    _bench: Bench,
}

impl Served {
    fn start(test: &str) -> Self {
        let bench = Bench::new(test);
        let (key, authorized) = new_key(bench.folder());
        let port = bench.free_port();
        let ecu = Guest::boot(&bench, Options { forward: Some((port, SSH)), ..Options::default() });
        ecu.connect_link();
        let own = ecu.run(&SERVE.replace("{authorized}", authorized.trim()));
        let known = bench.folder().join("known_hosts");
        fs::write(&known, format!("[127.0.0.1]:{port} {own}")).expect("known hosts");
        let config = bench.folder().join("ssh_config");
        let (key, known) = (key.display(), known.display());
        let text = format!("IdentityFile {key}\nIdentitiesOnly yes\nUserKnownHostsFile {known}\n");
        fs::write(&config, text).expect("an ssh configuration");
        let mut access = Access::to(&format!("ssh://root@{}", SocketAddr::from(([127, 0, 0, 1], port))));
        access.ssh_config = Some(config);
        Self { ecu, access, _bench: bench }
    }

    fn until_as_found(&self) {
        let mut left = String::new();
        let gone = || {
            left = self.ecu.run(LEFT);
            left.is_empty().then_some(())
        };
        until("nothing is left on the ECU", GONE_WITHIN, gone);
    }
}

/// A private key's file, and the public key.
fn new_key(folder: &Path) -> (PathBuf, String) {
    let key = folder.join("key");
    let mut command = Command::new(debian("ssh-keygen", "openssh-client"));
    let made = command.args(["-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f"]).arg(&key).status();
    assert!(made.is_ok_and(|status| status.success()), "ssh-keygen makes no key");
    let public = fs::read_to_string(key.with_extension("pub")).expect("a public key");
    (key, public)
}

/// Processes here that have this in their command line.
fn processes_here(text: &str) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = processes.filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(text)
    })
    .collect()
}

#[test]
fn a_real_ecu_is_tested_over_ssh_and_left_as_it_was_found() {
    let served = Served::start("ssh");
    served.until_as_found();

    let mut path = Whole::on("over-ssh", &served.access);
    let traffic =
        path.send("--rate 500 --seconds 5 --mix classic=60,fd=25,traced=5,unmatched=5,remote=3,error=2");
    path.check_all(&traffic);
    // What listens at the tunnel's end here goes and comes.
    path.broker.kill();
    path.broker.restart();
    path.daemon().stop();
    path.daemon().restart();
    let again = path.send("--rate 500 --seconds 2 --mix classic=1");
    path.until_acknowledged(again.count("frames"));
    assert!(path.ecu.made_can());
    // An end that is not in good order is seen.
    path.ecu.run(&format!("kill -KILL $(cat {})", path.ecu.path("daemon.pid")));
    let stopped = catch_unwind(AssertUnwindSafe(|| path.daemon().stop()));
    let said = stopped.err().and_then(|panic| panic.downcast::<String>().ok()).expect("a text");
    assert!(said.contains("137") && said.contains("exit status"), "{said}");
    path.daemon().restart();
    let there = served.ecu.run(LEFT);
    for part in ["/tmp/ecu-bench-", "/environ", "vcan0", "LISTEN"] {
        assert!(there.contains(part), "what is looked for afterwards is seen now: {part} in {there}");
    }

    // The daemon still runs, and so does a command.
    path.ecu.begin("sleep 1000 & exec sleep 1000", Duration::from_secs(2000));
    let socket = path.bench.folder().join("commands").display().to_string();
    assert!(!processes_here(&socket).is_empty());
    drop(path);
    assert_eq!(processes_here(&socket), [0; 0]);
    assert_eq!(served.ecu.run(LEFT), "");
}

#[test]
fn commands_and_files_pass_over_ssh_and_a_killed_test_leaves_nothing() {
    let served = Served::start("ssh-killed");
    let bench = Bench::new("ssh-commands");
    let can = Can { listen: "vcan7".to_owned(), send: "vcan7".to_owned(), rate_max: Some(100) };
    let ecu = Remote::connect(&bench, &Access { can, ..served.access.clone() });
    assert_eq!(ecu.run("echo \"it's\" '$HOME'; echo two >&2"), "it's $HOME\ntwo\n");
    assert_eq!(ecu.attempt("exit 3", WITHIN).status, 3);
    assert_eq!(ecu.attempt("exit 255", WITHIN).status, 255, "the command's own");
    assert_eq!(ecu.attempt("sleep 60", Duration::from_secs(1)).status, 137, "killed: it takes too long");
    // What stays in the background does not hold the command up.
    assert_eq!(ecu.run("sleep 1000 & echo on"), "on\n");
    let both = ["1", "2"].map(|number| ecu.begin(&format!("sleep 1; echo {number}"), WITHIN));
    assert_eq!(both.map(|running| ecu.finish(&running, WITHIN).text), ["1\n", "2\n"]);

    let (there, back) = (bench.folder().join("there"), bench.folder().join("back"));
    let bytes: Vec<u8> = (0..300_000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    fs::write(&there, &bytes).expect("a file");
    let copy = ecu.path("a copy");
    ecu.copy_in(&there, &copy);
    ecu.copy_out(&copy, &back);
    assert!(fs::read(&back).expect("the copy") == bytes);
    ecu.write(&copy, "text");
    assert_eq!(ecu.run(&format!("cat '{copy}'; stat -c ' %a' '{copy}'")), "text 644\n");

    // The test is killed: its ssh goes without a word.
    hil_tests::guest::GuestDaemon::install(&ecu);
    assert!(
        ecu.made_can() && ecu.can_traffic("--rate 9999 --frames 1").ends_with("vcan7 --rate 100 --frames 1")
    );
    assert!(served.ecu.run(LEFT).contains("vcan7"));
    for pid in processes_here(&bench.folder().join("commands").display().to_string()) {
        let killed = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()));
    }
    served.until_as_found();
}

#[test]
fn no_way_in_is_said_at_once() {
    let bench = Bench::new("ssh-nobody");
    let nobody = Access::to(&format!("ssh://root@127.0.0.1:{}", bench.free_port()));
    let refused = catch_unwind(|| Remote::connect(&bench, &nobody));
    let text = refused.err().and_then(|panic| panic.downcast::<String>().ok()).expect("a text");
    assert!(text.contains("no way to ssh://root@127.0.0.1") && text.contains("refused"), "{text}");
}
