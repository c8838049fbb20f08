//! A SocketCAN interface: opened, read in batches, and opened again when it comes back.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use can_decode::{BootNanos, CanId, Frame, FrameFlags};
use ecu_core::clock::HwClock;
use ecu_core::{BusIndex, FrameRecord, Stamp};
use ecu_sys::{Received, Receiver, count_drops, stamp_arrivals, stamp_in_hardware, stamping};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use socketcan::{CanFdSocket, CanSocket, Socket as _, SocketOptions as _};
use store::block::ClockSource;
use tracing::{info, warn};

use super::Outlet;
use crate::clock;
use crate::status::BusCounters;
use crate::time::{Batch, Clocks};

/// How long to wait before an interface is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Receive buffer asked of the kernel, bytes; it gives at most `net.core.rmem_max`, twice of which it then uses. A frame
/// takes about 1 KiB of it.
const RECEIVE_BYTES: usize = 1 << 20;

/// `struct can_frame` and `struct canfd_frame` of linux/can.h.
const CAN_MTU: usize = 16;
const CANFD_MTU: usize = 72;
const CAN_RTR_FLAG: u32 = 0x4000_0000;
const CAN_ERR_FLAG: u32 = 0x2000_0000;
const CANFD_BRS: u8 = 1;
const CANFD_ESI: u8 = 2;

enum Open {
    Classic(CanSocket),
    Fd(CanFdSocket),
}

impl AsFd for Open {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Classic(socket) => socket.as_fd(),
            Self::Fd(socket) => socket.as_fd(),
        }
    }
}

/// One interface.
pub struct Socket {
    bus: usize,
    interface: String,
    fd: bool,
    open: Option<Open>,
    try_at: BootNanos,
    /// The last failure that was reported, so that a missing interface is not reported every second.
    reported: Option<String>,
    batch: Receiver,
    /// The kernel's drop counter when last seen.
    drops: u32,
    /// Whether frames may have been lost since the last one that was handed on.
    has_lost: bool,
    /// The clock of the controller's stamps, where it has any.
    stamper: Option<HwClock>,
    stamp_latency_ns: i64,
}

impl Socket {
    /// The interface named `interface` as the bus with index `bus`; with `fd`, CAN-FD frames too.
    pub fn new(bus: usize, interface: &str, fd: bool, stamp_latency_ns: i64) -> Self {
        Self {
            bus,
            interface: interface.to_owned(),
            fd,
            open: None,
            try_at: BootNanos(i64::MIN),
            reported: None,
            batch: Receiver::default(),
            drops: 0,
            has_lost: false,
            stamper: None,
            stamp_latency_ns,
        }
    }

    /// Its descriptor while it is open.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.open.as_ref().map(AsFd::as_fd)
    }

    /// Takes what is waiting, at most `rounds` batches. True when there may be more.
    pub fn receive(&mut self, now: BootNanos, queue: &mut Outlet<'_>, rounds: usize) -> bool {
        let counters = &queue.status.buses[self.bus];
        if self.open.is_none() && !self.try_open(now, counters, queue.clocks) {
            return false;
        }
        for _ in 0..rounds {
            let Some(open) = &self.open else { return false };
            match self.batch.receive(open.as_fd()) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
                Err(error) => {
                    self.close(now, &error, &queue.status.buses[self.bus], queue.clocks);
                    return false;
                }
            }
            let clocks = queue.clocks;
            let mut placing =
                self.stamper.map(|clock| clocks.batch(self.bus, clock, clock::boot(), clock::realtime()));
            for packet in self.batch.packets() {
                if let Some(drops) = packet.drops {
                    let new = u64::from(drops.wrapping_sub(self.drops));
                    self.drops = drops;
                    let counters = &queue.status.buses[self.bus];
                    counters.received.fetch_add(new, Relaxed);
                    counters.dropped_kernel.fetch_add(new, Relaxed);
                    self.has_lost |= new > 0;
                }
                match parse(packet.payload) {
                    Some(frame) => {
                        let (bus, stamp) = (BusIndex(self.bus as u16), stamp(&packet, placing.as_mut()));
                        let follows_loss = std::mem::take(&mut self.has_lost);
                        queue.push(FrameRecord { bus, stamp, frame, follows_loss });
                    }
                    None => {
                        let counters = &queue.status.buses[self.bus];
                        counters.received.fetch_add(1, Relaxed);
                        counters.malformed.fetch_add(1, Relaxed);
                    }
                }
            }
        }
        true
    }

    fn try_open(&mut self, now: BootNanos, counters: &BusCounters, clocks: &Clocks) -> bool {
        if now < self.try_at {
            return false;
        }
        match open(&self.interface, self.fd) {
            Ok(open) => {
                info!(interface = self.interface, fd = matches!(open, Open::Fd(_)), "bus open");
                self.stamper = stamper(open.as_fd(), &self.interface, self.bus);
                clocks.stamp(self.bus, self.stamper, self.stamp_latency_ns);
                self.open = Some(open);
                self.drops = 0;
                self.has_lost = true;
                self.reported = None;
                counters.open.store(true, Relaxed);
                counters.opens.fetch_add(1, Relaxed);
                true
            }
            Err(error) => {
                self.retry(now, format!("{error}"), "cannot open");
                false
            }
        }
    }

    fn close(&mut self, now: BootNanos, error: &io::Error, counters: &BusCounters, clocks: &Clocks) {
        (self.open, self.stamper) = (None, None);
        clocks.stamp(self.bus, None, self.stamp_latency_ns);
        counters.open.store(false, Relaxed);
        self.retry(now, format!("{error}"), "lost");
    }

    fn retry(&mut self, now: BootNanos, error: String, what: &str) {
        self.try_at = BootNanos(now.0.saturating_add(RETRY_AFTER.as_nanos() as i64));
        if self.reported.as_deref() != Some(error.as_str()) {
            let interface = &self.interface;
            warn!(
                "{what} {interface}: {error}; is it there and up (`ip link set {interface} up`)? Trying every second"
            );
            self.reported = Some(error);
        }
    }
}

/// A raw socket that takes every frame, error frames included, stamps arrivals and counts drops.
fn open(interface: &str, fd: bool) -> io::Result<Open> {
    let open = if fd {
        let socket = CanFdSocket::open(interface)?;
        socket.set_nonblocking(true)?;
        socket.set_error_filter_accept_all()?;
        Open::Fd(socket)
    } else {
        let socket = CanSocket::open(interface)?;
        socket.set_nonblocking(true)?;
        socket.set_error_filter_accept_all()?;
        Open::Classic(socket)
    };
    stamp_arrivals(open.as_fd())?;
    count_drops(open.as_fd())?;
    // Without CAP_NET_ADMIN there is at most net.core.rmem_max, by default enough for 400 frames: too few for a busy bus
    // on a busy machine. A smaller buffer than asked for is no reason to do without the bus.
    let _: Result<(), Errno> = set_socket_recv_buffer_size_force(open.as_fd(), RECEIVE_BYTES)
        .or_else(|_| set_socket_recv_buffer_size(open.as_fd(), RECEIVE_BYTES));
    Ok(open)
}

/// Asks for the controller's stamps, where it has any; gives the clock that they are of.
fn stamper(socket: BorrowedFd<'_>, interface: &str, bus: usize) -> Option<HwClock> {
    // A driver that does not say has none.
    let offered = stamping(socket, interface).ok().filter(|offered| offered.hardware)?;
    let clock = match offered.phc {
        Some(number) => HwClock::Phc(number),
        None => HwClock::Timer(u8::try_from(bus).ok()?),
    };
    match stamp_in_hardware(socket, interface) {
        Ok(()) => info!(interface, ?clock, "the controller stamps the frames"),
        // Some drivers stamp always, and somebody may have turned it on before.
        Err(error) => info!(
            interface,
            ?clock,
            "cannot turn the controller's stamps on: {error}; `hwstamp_ctl -i {interface} -t 1 -r 1` does, unless they are"
        ),
    }
    Some(clock)
}

/// The controller's stamp, where its clock is known to truth; the kernel's software stamp; the daemon's own clock where there
/// is none.
fn stamp(packet: &Received<'_>, placing: Option<&mut Batch<'_>>) -> Stamp {
    let placed = placing.zip(packet.hardware).and_then(|(batch, stamp)| batch.place(stamp, packet.software));
    if let Some(ns) = placed {
        return Stamp { ns, clock: ClockSource::Hardware };
    }
    match packet.software {
        Some(time) => Stamp { ns: time.0, clock: ClockSource::KernelSoftware },
        None => Stamp { ns: clock::realtime().0, clock: ClockSource::UserSpace },
    }
}

/// A `struct can_frame` or `struct canfd_frame` in the machine's byte order; `None` for anything else.
fn parse(packet: &[u8]) -> Option<Frame> {
    let (head, data) = packet.split_at_checked(8)?;
    let word = u32::from_ne_bytes(head[..4].try_into().ok()?);
    let (len, fd_flags) = (usize::from(head[4]), head[5]);
    let id = if word & CanId::EXTENDED_BIT != 0 {
        CanId::Extended(word & CanId::EXTENDED_MAX)
    } else {
        CanId::Standard((word & u32::from(CanId::STANDARD_MAX)) as u16)
    };
    match packet.len() {
        CAN_MTU if word & CAN_ERR_FLAG != 0 => Some(Frame::error(word, data.try_into().ok()?)),
        CAN_MTU if word & CAN_RTR_FLAG != 0 => Some(Frame::remote(id, len as u8)),
        CAN_MTU => Frame::classic(id, data.get(..len)?).ok(),
        CANFD_MTU => {
            let mut flags = FrameFlags::default();
            for (bit, flag) in [(CANFD_BRS, FrameFlags::BRS), (CANFD_ESI, FrameFlags::ESI)] {
                if fd_flags & bit != 0 {
                    flags = flags.union(flag);
                }
            }
            Frame::fd(id, flags, data.get(..len)?).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(word: u32, len: u8, flags: u8, size: usize) -> Vec<u8> {
        let mut packet = word.to_ne_bytes().to_vec();
        packet.extend([len, flags, 0, 0]);
        packet.resize(size, 0x5A);
        packet
    }

    #[test]
    fn kernel_frames_become_frames() {
        let standard = CanId::Standard(0x123);
        assert_eq!(parse(&packet(0x123, 3, 0, CAN_MTU)), Frame::classic(standard, &[0x5A; 3]).ok());
        assert_eq!(parse(&packet(0x4000_0123, 8, 0, CAN_MTU)), Some(Frame::remote(standard, 8)));
        let extended = CanId::Extended(0x18FE_F100);
        assert_eq!(
            parse(&packet(0x98FE_F100, 12, CANFD_BRS, CANFD_MTU)),
            Frame::fd(extended, FrameFlags::BRS, &[0x5A; 12]).ok()
        );
        assert_eq!(parse(&packet(0x2000_0040, 8, 0, CAN_MTU)), Some(Frame::error(0x40, [0x5A; 8])));
    }

    #[test]
    fn what_no_kernel_sends_is_malformed() {
        for packet in [
            vec![],
            vec![0; 7],
            packet(0x123, 9, 0, CAN_MTU),
            packet(0x123, 9, 0, CANFD_MTU),
            packet(0x123, 65, 0, CANFD_MTU),
            packet(0x123, 1, 0, 20),
        ] {
            assert_eq!(parse(&packet), None, "{packet:?}");
        }
    }
}
