//! The interface that frames are put on.

use std::io;
use std::thread::sleep;
use std::time::Duration;

use can_decode::{CanId, Frame, FrameFlags};
use socketcan::id::FdFlags;
use socketcan::{
    CanAnyFrame, CanFdFrame, CanFdSocket, CanFrame, EmbeddedFrame as _, ExtendedId, Id, Socket as _,
    SocketOptions as _, StandardId,
};

/// Tries to send a frame while the interface's queue is full, and the time between two of them.
const TRIES_MAX: u32 = 500;
const TRY_EVERY: Duration = Duration::from_millis(2);

/// A raw socket that sends and takes nothing.
pub(super) struct Bus {
    socket: CanFdSocket,
    interface: String,
}

impl Bus {
    pub(super) fn open(interface: &str) -> Result<Self, String> {
        let open = CanFdSocket::open(interface).and_then(|socket| {
            socket.set_filter_drop_all()?;
            Ok(socket)
        });
        let socket = open.map_err(|error| {
            format!("cannot open {interface}: {error}; is it there and up (ip link set {interface} up)?")
        })?;
        Ok(Self { socket, interface: interface.to_owned() })
    }

    /// Sends a data frame, and waits a second at most where the interface's queue is full.
    pub(super) fn send(&self, frame: &Frame) -> Result<(), String> {
        let interface = &self.interface;
        let any = any(frame).ok_or_else(|| format!("{frame:?} is no frame that {interface} could send"))?;
        for _ in 0..TRIES_MAX {
            match self.socket.write_frame(&any) {
                Ok(()) => return Ok(()),
                Err(error) if is_full(&error) => sleep(TRY_EVERY),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let fd = if frame.is_fd() {
                        "; CAN-FD frames need an interface that takes them (mtu 72)"
                    } else {
                        ""
                    };
                    return Err(format!("{interface} does not take the frame: {error}{fd}"));
                }
            }
        }
        Err(format!("the queue of {interface} stays full; is there somebody on the bus who acknowledges?"))
    }
}

fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error())
}

fn any(frame: &Frame) -> Option<CanAnyFrame> {
    let id: Id = match frame.id() {
        CanId::Standard(id) => StandardId::new(id)?.into(),
        CanId::Extended(id) => ExtendedId::new(id)?.into(),
    };
    if !frame.is_fd() {
        return CanFrame::new(id, frame.data()).map(CanAnyFrame::from);
    }
    let mut flags = FdFlags::FDF;
    flags.set(FdFlags::BRS, frame.flags().contains(FrameFlags::BRS));
    flags.set(FdFlags::ESI, frame.flags().contains(FrameFlags::ESI));
    CanFdFrame::with_flags(id, frame.data(), flags).map(CanAnyFrame::from)
}
