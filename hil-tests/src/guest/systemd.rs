//! The guest that systemd runs.

use std::path::PathBuf;
use std::sync::OnceLock;

use super::setup::{self, Cache};

/// What an ECU of the bench has no use for, and what takes longest under emulation.
const MASKED: [&str; 24] = [
    "systemd-udev-trigger.service",
    "systemd-udevd.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-logind.service",
    "systemd-modules-load.service",
    "systemd-random-seed.service",
    "systemd-remount-fs.service",
    "systemd-update-utmp.service",
    "systemd-machine-id-commit.service",
    "systemd-binfmt.service",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "e2scrub_reap.service",
    "getty.target",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-kernel-config.mount",
    "sys-fs-fuse-connections.mount",
    "modprobe@configfs.service",
    "modprobe@drm.service",
    "kmod-static-nodes.service",
];

/// What the kernel's command line says beyond that of other guests.
pub(super) fn kernel_arguments() -> String {
    let masks: Vec<String> = MASKED.iter().map(|unit| format!("systemd.mask={unit}")).collect();
    format!("bench.systemd systemd.unit=bench.target {}", masks.join(" "))
}

/// The root file system, made when it is first asked for.
pub(super) fn image(cache: &Cache) -> PathBuf {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| setup::run("hil-tests/bench/setup-systemd"));
    cache.file("systemd.img")
}
