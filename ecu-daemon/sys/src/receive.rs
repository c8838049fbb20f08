//! Batched reception with stamps and drop counts.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use can_decode::{HwNanos, RealtimeNanos};

/// Packets taken in one system call.
pub const BATCH_MAX: usize = 64;
/// Bytes kept of a packet: a `struct canfd_frame`.
pub const MESSAGE_BYTES: usize = 72;
/// Room for one `scm_timestamping` (48 bytes) and one drop counter (4 bytes) with their headers, 16 bytes each.
const CONTROL_BYTES: usize = 128;

/// Control messages are aligned like `struct cmsghdr`.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

/// The buffers of a batch, allocated once.
pub struct Receiver {
    payloads: Box<[[u8; MESSAGE_BYTES]; BATCH_MAX]>,
    controls: Box<[Control; BATCH_MAX]>,
    lengths: [(usize, usize); BATCH_MAX],
    count: usize,
}

/// One packet of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Its bytes, at most [`MESSAGE_BYTES`].
    pub payload: &'a [u8],
    /// When the kernel took it from the driver, `CLOCK_REALTIME`.
    pub software: Option<RealtimeNanos>,
    /// When the controller received it, by the controller's own clock.
    pub hardware: Option<HwNanos>,
    /// Packets dropped by the kernel on this socket since it was opened, modulo 2³²; `None` while there were none.
    pub drops: Option<u32>,
}

impl Default for Receiver {
    fn default() -> Self {
        Self {
            payloads: Box::new([[0; MESSAGE_BYTES]; BATCH_MAX]),
            controls: Box::new([Control([0; CONTROL_BYTES]); BATCH_MAX]),
            lengths: [(0, 0); BATCH_MAX],
            count: 0,
        }
    }
}

impl Receiver {
    /// Takes what is waiting on `socket`, at most [`BATCH_MAX`] packets, without blocking. Gives how many.
    ///
    /// # Errors
    /// What `recvmmsg(2)` says; `WouldBlock` when nothing waits, `ENETDOWN` or `ENODEV` when the interface is gone.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.count = 0;
        let mut vectors: [libc::iovec; BATCH_MAX] = std::array::from_fn(|i| libc::iovec {
            iov_base: self.payloads[i].as_mut_ptr().cast(),
            iov_len: MESSAGE_BYTES,
        });
        // The headers are made anew for each call: the kernel writes lengths and flags into them, and reusing them
        // without restoring all of those loses the stamps from the second batch on.
        let mut headers: [libc::mmsghdr; BATCH_MAX] = std::array::from_fn(|i| libc::mmsghdr {
            // SAFETY: `msghdr` is plain data for which all zeros is a valid value (no name, no data, no control).
            msg_hdr: unsafe {
                libc::msghdr {
                    msg_iov: &raw mut vectors[i],
                    msg_iovlen: 1,
                    msg_control: self.controls[i].0.as_mut_ptr().cast(),
                    msg_controllen: CONTROL_BYTES as _,
                    ..std::mem::zeroed()
                }
            },
            msg_len: 0,
        });
        // SAFETY: the descriptor is open while `socket` is borrowed. Each header points to one vector, one payload
        // and one control buffer that live past the call, are not otherwise borrowed, and have the lengths given.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH_MAX as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            return Err(io::Error::last_os_error());
        };
        for (lengths, header) in self.lengths.iter_mut().zip(&headers[..count]) {
            *lengths = (header.msg_len as usize, header.msg_hdr.msg_controllen as usize);
        }
        self.count = count;
        Ok(count)
    }

    /// The packets of the last batch, in order of arrival.
    pub fn packets(&self) -> impl Iterator<Item = Received<'_>> {
        self.lengths[..self.count].iter().enumerate().map(|(i, &(len, control_len))| {
            let payload = &self.payloads[i][..len.min(MESSAGE_BYTES)];
            let control = &self.controls[i].0[..control_len.min(CONTROL_BYTES)];
            parse_control(payload, control)
        })
    }
}

/// Walks the control messages by their layout (`struct cmsghdr`: length, level, type, then data aligned to a word), in
/// safe code, so that whatever the kernel wrote is read within the buffer.
fn parse_control<'a>(payload: &'a [u8], mut control: &[u8]) -> Received<'a> {
    const WORD: usize = size_of::<usize>();
    const HEADER: usize = WORD + 8;
    let mut received = Received { payload, software: None, hardware: None, drops: None };
    while control.len() >= HEADER {
        let len = usize::from_ne_bytes(control[..WORD].try_into().unwrap_or_default());
        let level = i32::from_ne_bytes(control[WORD..WORD + 4].try_into().unwrap_or_default());
        let kind = i32::from_ne_bytes(control[WORD + 4..HEADER].try_into().unwrap_or_default());
        let Some(data) = control.get(HEADER..len) else { break };
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => {
                // Three timespecs: software, an obsolete one, raw hardware. Zero means that there is none.
                received.software = timespec(data, 0).map(|(s, ns)| RealtimeNanos::from_timespec(s, ns));
                received.hardware = timespec(data, 2).map(|(s, ns)| HwNanos::from_timespec(s, ns));
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                received.drops = data.first_chunk().copied().map(u32::from_ne_bytes);
            }
            _ => {}
        }
        control = control.get(len.next_multiple_of(WORD)..).unwrap_or_default();
    }
    received
}

fn timespec(data: &[u8], index: usize) -> Option<(i64, i64)> {
    const WORD: usize = size_of::<libc::c_long>();
    let word = |at: usize| {
        let bytes = data.get(at * WORD..(at + 1) * WORD)?;
        Some(libc::c_long::from_ne_bytes(bytes.try_into().ok()?) as i64)
    };
    Some((word(2 * index)?, word(2 * index + 1)?)).filter(|&time| time != (0, 0))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::*;
    use crate::{count_drops, stamp_arrivals};

    fn pair() -> (UdpSocket, UdpSocket) {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        stamp_arrivals(receiver.as_fd()).unwrap();
        count_drops(receiver.as_fd()).unwrap();
        // The kernel turns stamping on from a work queue: the first packets after the request may come without.
        let mut batch = Receiver::default();
        for _ in 0..1_000 {
            sender.send(&[0]).unwrap();
            std::thread::sleep(Duration::from_millis(1));
            if batch.receive(receiver.as_fd()).is_ok()
                && batch.packets().all(|packet| packet.software.is_some())
            {
                return (sender, receiver);
            }
        }
        panic!("the kernel does not stamp packets");
    }

    #[allow(clippy::disallowed_methods, reason = "the stamp is compared with the clock it was taken from")]
    /// The kernel's own network stack stands in for CAN where the host has none: the same call, the same messages.
    #[test]
    fn batches_arrive_whole_in_order_and_stamped_time_after_time() {
        let (sender, socket) = pair();
        let mut batch = Receiver::default();
        assert_eq!(batch.receive(socket.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(batch.packets().count(), 0);
        for round in 0..5_u8 {
            for packet in 0..40_u8 {
                sender.send(&[round, packet, 7]).unwrap();
            }
            let mut seen = 0;
            while seen < 40 {
                match batch.receive(socket.as_fd()) {
                    Ok(count) => assert!(count > 0),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    Err(error) => panic!("{error}"),
                }
                for packet in batch.packets() {
                    assert_eq!(packet.payload, [round, seen, 7]);
                    let stamp = packet.software.expect("the kernel stamps every packet");
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                    let age = now.as_nanos() as i64 - stamp.0;
                    assert!((-1_000_000_000..10_000_000_000).contains(&age), "{age} ns");
                    assert_eq!(packet.hardware, None, "loopback has no hardware clock");
                    seen += 1;
                }
            }
        }
    }

    #[test]
    fn the_kernel_says_how_many_it_dropped() {
        let (sender, socket) = pair();
        for _ in 0..20_000 {
            sender.send(&[0; 64]).unwrap();
        }
        let (mut batch, mut received, mut drops) = (Receiver::default(), 0, 0);
        // The counter rides on packets: one more after the flood brings the final figure.
        for last in [false, true] {
            if last {
                std::thread::sleep(Duration::from_millis(20));
                sender.send(&[1; 64]).unwrap();
                std::thread::sleep(Duration::from_millis(20));
            }
            while batch.receive(socket.as_fd()).is_ok() {
                for packet in batch.packets() {
                    received += 1;
                    drops = packet.drops.unwrap_or(drops);
                }
            }
        }
        assert!(drops > 0, "the flood should overflow the default receive buffer");
        assert_eq!(received + drops, 20_001);
    }

    /// As a CAN controller with a clock gives it: both stamps, and the kernel's count of what it dropped.
    #[test]
    fn both_stamps_and_the_drops_are_kept() {
        fn message(level: libc::c_int, kind: libc::c_int, data: &[u8]) -> Vec<u8> {
            let mut bytes = (size_of::<usize>() + 8 + data.len()).to_ne_bytes().to_vec();
            bytes.extend(level.to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(data);
            bytes.resize(bytes.len().next_multiple_of(size_of::<usize>()), 0);
            bytes
        }
        let stamps: [libc::c_long; 6] = [1_790_000_000, 5, 0, 0, 77, 999_999_999];
        let stamps: Vec<u8> = stamps.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let mut control = message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &7_u32.to_ne_bytes());
        control.extend(message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPING, &stamps));
        let received = parse_control(b"x", &control);
        assert_eq!(received.software, Some(RealtimeNanos(1_790_000_000_000_000_005)));
        assert_eq!(received.hardware, Some(HwNanos(77_999_999_999)));
        assert_eq!(received.drops, Some(7));
    }

    #[test]
    fn nonsense_in_control_messages_is_passed_over() {
        for control in [&[][..], &[0; 16], &[255; 64], &[16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 37, 0, 0, 0]] {
            let received = parse_control(b"x", control);
            assert_eq!((received.software, received.hardware), (None, None), "{control:?}");
        }
    }
}
