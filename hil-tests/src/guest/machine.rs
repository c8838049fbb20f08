//! The machine: started, cut off, started again.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::ops::Deref;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::panicking;
use std::time::{Duration, Instant};

use super::agent::Agent;
use super::can::Can;
use super::card::Card;
use super::commands::{Ecu, Places};
use super::qmp::Qmp;
use super::setup::Cache;
use super::systemd;
use crate::process::Process;
use crate::{Bench, say, until};

const SOCKETS_WITHIN: Duration = Duration::from_secs(20);
const READY_WITHIN: Duration = Duration::from_secs(120);
const OFF_WITHIN: Duration = Duration::from_secs(20);
/// Where the daemon in the guest serves its metrics.
const METRICS_PORT: u16 = 9464;
/// Lines of the console that are shown when a test fails.
const TAIL_LINES: usize = 30;

/// How the guest's clock goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Time {
    /// With this machine's. For everything that talks to this machine.
    #[default]
    Real,
    /// One nanosecond an instruction while it is busy, real time while it is idle: a processor of 1 GHz, however slow
    /// this machine is. Instruction counts repeat.
    Metered,
    /// One nanosecond an instruction, and idle time passes at once: an hour of sleep takes seconds. Whatever waits for
    /// this machine sees it as infinitely slow.
    Virtual,
}

/// What is to be booted.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The clock.
    pub time: Time,
    /// The SD card, if there is one.
    pub card: Option<Card>,
    /// A TCP port of this machine's loopback address that leads to this port of the guest.
    pub forward: Option<(u16, u16)>,
    /// Whether systemd runs the guest, as on an ECU; else only the bench's own agent does.
    pub systemd: bool,
    /// More arguments for QEMU.
    pub extra: Vec<String>,
}

/// A running guest: an [`Ecu`] whose power, link and card can be had, too.
pub struct Guest {
    options: Options,
    folder: PathBuf,
    // Dropped before the agent: what is not on the card then is gone, as with `cut_power`.
    power: Option<Power>,
    agent: Arc<Agent>,
    ecu: Ecu,
    boots: usize,
    /// From start to ready.
    pub boot_time: Duration,
}

/// What there is while it has power.
struct Power {
    qemu: Arc<Mutex<Process>>,
    qmp: Mutex<Qmp>,
}

impl Deref for Guest {
    type Target = Ecu;

    fn deref(&self) -> &Ecu {
        &self.ecu
    }
}

impl Guest {
    /// Boots it and waits until it takes commands.
    pub fn boot(bench: &Bench, options: Options) -> Self {
        let agent = Arc::new(Agent::new(bench.folder().join("share")));
        // The ring is on the card; what the guest is to leave behind, in the folder that both have.
        let places = Places {
            work: "/ecu".to_owned(),
            kept: "/host".to_owned(),
            ring: "/card/ring.db".to_owned(),
            metrics_port: METRICS_PORT,
        };
        let mut guest = Self {
            options,
            folder: bench.folder().to_owned(),
            agent: Arc::clone(&agent),
            ecu: Ecu { transport: agent, places, can: Can::default() },
            power: None,
            boots: 0,
            boot_time: Duration::ZERO,
        };
        guest.restart();
        guest
    }

    /// Boots it again after [`Self::cut_power`] or [`Self::power_off`]. Its card is what it was; all else is new.
    pub fn restart(&mut self) {
        assert!(self.power.is_none(), "the guest has power already");
        self.boots += 1;
        let cache = Cache::ready();
        let started = Instant::now();
        for socket in ["control", "qmp"] {
            // From the boot before.
            let _ = fs::remove_file(self.folder.join(socket));
        }
        let command = self.command(cache);
        let mut qemu = Process::start("qemu", &command, &self.folder);
        let control = connect(&mut qemu, &self.folder.join("control"));
        let qmp = Qmp::new(connect(&mut qemu, &self.folder.join("qmp")));
        let limit = control.set_read_timeout(Some(READY_WITHIN));
        limit.unwrap_or_else(|error| panic!("control channel: {error}"));
        let mut line = String::new();
        let read = control.try_clone().and_then(|control| BufReader::new(control).read_line(&mut line));
        let ready = line.trim_end() == "ready";
        assert!(ready, "the guest did not boot ({read:?}, {line:?}); its console:\n{}", self.console_tail());
        self.boot_time = started.elapsed();
        let qemu = Arc::new(Mutex::new(qemu));
        self.agent.connect(control, Arc::clone(&qemu));
        self.power = Some(Power { qemu, qmp: Mutex::new(qmp) });
    }

    /// Takes the power away: whatever was not on the card is gone.
    pub fn cut_power(&mut self) {
        self.end(Process::kill);
    }

    /// Ends it in good order.
    pub fn power_off(&mut self) {
        self.start("sync; poweroff -f");
        self.end(|qemu| {
            qemu.wait(OFF_WITHIN);
        });
    }

    /// The address under which the guest sees this machine's loopback address: a server here at `address` is there for
    /// the guest.
    pub fn address_of(address: SocketAddr) -> SocketAddr {
        ([10, 0, 2, 2], address.port()).into()
    }

    /// What the kernel and its first process have printed, in all boots.
    pub fn console(&self) -> String {
        let logs = (1..=self.boots).map(|boot| self.folder.join(format!("console-{boot}.log")));
        logs.map(|log| String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()).collect()
    }

    /// Asks QEMU itself. See its QMP reference.
    pub fn qmp(&self, command: &str, arguments: &serde_json::Value) -> serde_json::Value {
        lock(&self.powered().qmp).execute(command, arguments)
    }

    fn powered(&self) -> &Power {
        self.power.as_ref().unwrap_or_else(|| panic!("the guest has no power"))
    }

    /// Ends QEMU, and then the connections to it: the guest would notice that nobody talks to it any more.
    fn end(&mut self, end: impl FnOnce(&mut Process)) {
        let power = self.power.take().unwrap_or_else(|| panic!("the guest has no power"));
        end(&mut lock(&power.qemu));
        self.agent.disconnect();
    }

    fn console_tail(&self) -> String {
        let console = self.console();
        let lines: Vec<&str> = console.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// Every device stands here.
    fn command(&self, cache: &Cache) -> Command {
        let mut command = Command::new(cache.program("qemu-system-aarch64"));
        let path = |name: &str| self.folder.join(name).display().to_string();
        let mut add = |option: &str, value: String| {
            command.args([option, &value]);
        };
        add("-machine", "virt".to_owned());
        add("-cpu", "cortex-a53".to_owned());
        add("-smp", "2".to_owned());
        add("-m", "512".to_owned());
        add("-kernel", cache.file("vmlinuz").display().to_string());
        add("-initrd", cache.file("initramfs.gz").display().to_string());
        let systemd = if self.options.systemd { systemd::kernel_arguments() } else { String::new() };
        add("-append", format!("console=ttyAMA0 quiet panic=-1 {systemd}"));
        if self.options.systemd {
            let image = systemd::image(cache).display().to_string();
            add("-drive", format!("if=none,id=root,format=raw,readonly=on,file={image}"));
            add("-device", "virtio-blk-pci,drive=root".to_owned());
        }
        add("-chardev", format!("file,id=console,path={}", path(&format!("console-{}.log", self.boots))));
        add("-serial", "chardev:console".to_owned());
        add("-device", "virtio-serial-pci".to_owned());
        add("-chardev", format!("socket,id=control,path={},server=on,wait=off", path("control")));
        add("-device", "virtserialport,chardev=control,name=ctl".to_owned());
        add("-qmp", format!("unix:{},server=on,wait=off", path("qmp")));
        add("-fsdev", format!("local,id=host,path={},security_model=none", self.agent.share().display()));
        add("-device", "virtio-9p-pci,fsdev=host,mount_tag=host".to_owned());
        add("-object", "rng-random,id=random,filename=/dev/urandom".to_owned());
        add("-device", "virtio-rng-pci,rng=random".to_owned());
        let forward =
            self.options.forward.map(|(here, there)| format!(",hostfwd=tcp:127.0.0.1:{here}-:{there}"));
        add("-netdev", format!("user,id=link{}", forward.unwrap_or_default()));
        // Without the boot ROM, which is a package of its own.
        add("-device", "virtio-net-pci,netdev=link,id=link0,romfile=".to_owned());
        match self.options.time {
            Time::Real => {}
            Time::Metered => add("-icount", "shift=0".to_owned()),
            Time::Virtual => add("-icount", "shift=0,sleep=off".to_owned()),
        }
        command.args(self.options.card.iter().flat_map(Card::arguments));
        command.args(["-display", "none", "-no-reboot", "-nodefaults"]).args(&self.options.extra);
        command
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if panicking() {
            say(&format!("--- last lines of the guest's console ---\n{}\n", self.console_tail()));
        }
    }
}

fn connect(qemu: &mut Process, path: &Path) -> UnixStream {
    until("QEMU listens", SOCKETS_WITHIN, || {
        assert!(qemu.ended().is_none(), "QEMU ended at once: {}", qemu.log());
        UnixStream::connect(path).ok()
    })
}

/// A panic while one was held leaves nothing half done that matters.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file of a fixed size, filled with nothing.
pub(super) fn sparse_file(path: &Path, bytes: u64) {
    let file = File::create(path).and_then(|file| file.set_len(bytes));
    file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
