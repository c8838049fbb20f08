//! The socket.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread::sleep;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};
use socketcan::{CanFdSocket, CanSocket, Socket as _, SocketOptions as _};

use crate::frame::Packet;

/// Frames in one system call at most.
pub(crate) const BATCH_MAX: usize = 64;
/// How long to wait when the interface's queue is full.
const FULL_FOR: Duration = Duration::from_micros(200);

enum Open {
    Classic(CanSocket),
    Fd(CanFdSocket),
}

/// A raw socket that sends and takes nothing.
pub(crate) struct Sender {
    open: Open,
}

impl Sender {
    /// Opens `interface`, for CAN FD too when `fd`.
    pub(crate) fn open(interface: &str, fd: bool) -> io::Result<Self> {
        let open = if fd {
            let socket = CanFdSocket::open(interface)?;
            socket.set_filter_drop_all()?;
            Open::Fd(socket)
        } else {
            let socket = CanSocket::open(interface)?;
            socket.set_filter_drop_all()?;
            Open::Classic(socket)
        };
        Ok(Self { open })
    }

    /// Sends all of `packets`, at most [`BATCH_MAX`], in one call when the kernel takes them. Gives how often the
    /// interface's queue was full.
    pub(crate) fn send(&self, packets: &[Packet]) -> io::Result<u64> {
        let (mut sent, mut full) = (0, 0);
        while sent < packets.len() {
            match send_some(self.fd(), &packets[sent..]) {
                Ok(count) => sent += count,
                Err(Errno::NOBUFS | Errno::AGAIN) => {
                    full += 1;
                    sleep(FULL_FOR);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(full)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &self.open {
            Open::Classic(socket) => socket.as_fd(),
            Open::Fd(socket) => socket.as_fd(),
        }
    }
}

fn send_some(fd: BorrowedFd<'_>, packets: &[Packet]) -> rustix::io::Result<usize> {
    let slices: Vec<[IoSlice<'_>; 1]> = packets.iter().map(|packet| [IoSlice::new(packet.bytes())]).collect();
    let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
        packets.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let mut messages: Vec<MMsgHdr<'_>> =
        slices.iter().zip(&mut controls).map(|(slice, control)| MMsgHdr::new(slice, control)).collect();
    sendmmsg(fd, &mut messages, SendFlags::empty())
}
