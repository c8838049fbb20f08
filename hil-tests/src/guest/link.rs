//! The link to the outside: `eth0` in the guest, with this machine at 10.0.2.2.

use serde_json::json;

use super::machine::Guest;

/// By its path: the shell would take busybox's own, which knows no netem.
const TC: &str = "/usr/bin/tc";
/// Packets that wait in each direction at most.
const QUEUE_PACKETS: u32 = 200;

/// A weak link, the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weak {
    /// Kilobits a second.
    pub rate_kbit: u32,
    /// Delay of each packet, milliseconds; the round trip takes twice that.
    pub delay_ms: u32,
    /// Packets lost at random, percent.
    pub loss_percent: u32,
}

impl Guest {
    /// Brings the link up, with the address that QEMU's network gives.
    pub fn connect_link(&self) {
        self.run(
            "modprobe virtio_net; ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0 && \
             ip route add default via 10.0.2.2",
        );
    }

    /// Pulls the cable, or plugs it in again: the guest sees the carrier go and come.
    pub fn set_link(&self, up: bool) {
        self.qmp("set_link", &json!({ "name": "link0", "up": up }));
    }

    /// Makes the link weak.
    pub fn weaken_link(&self, weak: Weak) {
        self.strengthen_link();
        let Weak { rate_kbit, delay_ms, loss_percent } = weak;
        let netem = format!(
            "root netem rate {rate_kbit}kbit delay {delay_ms}ms loss {loss_percent}% limit {QUEUE_PACKETS}"
        );
        // What comes in has no queue of its own: it is led through a device that has one.
        self.run(&format!(
            "modprobe -a sch_netem sch_ingress act_mirred cls_matchall ifb; set -e
             ip link show ifb0 >/dev/null 2>&1 || ip link add ifb0 type ifb
             ip link set ifb0 up
             {TC} qdisc add dev eth0 {netem}
             {TC} qdisc add dev eth0 handle ffff: ingress
             {TC} filter add dev eth0 parent ffff: matchall action mirred egress redirect dev ifb0
             {TC} qdisc add dev ifb0 {netem}"
        ));
    }

    /// Makes the link as good as it was.
    pub fn strengthen_link(&self) {
        self.run(&format!(
            "{TC} qdisc del dev eth0 root; {TC} qdisc del dev eth0 ingress; {TC} qdisc del dev ifb0 root; true"
        ));
    }
}
