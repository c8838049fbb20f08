//! An interface, for the few messages of the chain.

use std::io;
use std::time::Duration;

use can_decode::{CanId, Frame, FrameFlags};
use socketcan::id::FdFlags;
use socketcan::{
    CanAnyFrame, CanFdFrame, CanFdSocket, CanFilter, CanFrame, EmbeddedFrame as _, Frame as _, Socket as _,
    SocketOptions as _, StandardId,
};

/// Identifiers of the messages.
pub(crate) const PEDAL: u16 = 0x201;
pub(crate) const PEDAL_DONE: u16 = 0x202;
pub(crate) const BRAKE_COMMAND: u16 = 0x101;
/// Of the gateway's context frames.
pub(crate) const CONTEXTS: u16 = 0x6A0;
/// Where PEDAL and `PEDAL_DONE` have their contexts.
pub(crate) const CONTEXT_AT: usize = 4;
/// Their length.
pub(crate) const PEDAL_BYTES: usize = 32;

const PATIENCE: Duration = Duration::from_secs(60);
const STANDARD_MASK: u32 = 0x7FF;

pub(crate) struct Bus(CanFdSocket);

impl Bus {
    /// Opens an interface that hears these identifiers only.
    pub(crate) fn open(interface: &str, heard: &[u16]) -> io::Result<Self> {
        let socket = CanFdSocket::open(interface)?;
        let filters: Vec<CanFilter> =
            heard.iter().map(|id| CanFilter::new(u32::from(*id), STANDARD_MASK)).collect();
        socket.set_filters(&filters)?;
        socket.set_read_timeout(PATIENCE)?;
        Ok(Self(socket))
    }

    pub(crate) fn receive(&self) -> io::Result<Frame> {
        let (id, frame) = match self.0.read_frame()? {
            CanAnyFrame::Normal(frame) => {
                (frame.raw_id(), Frame::classic(standard(frame.raw_id()), frame.data()))
            }
            CanAnyFrame::Fd(frame) => {
                (frame.raw_id(), Frame::fd(standard(frame.raw_id()), FrameFlags::default(), frame.data()))
            }
            other => return Err(io::Error::other(format!("{other:?} is no data frame"))),
        };
        frame.map_err(|error| io::Error::other(format!("{id:X}: {error}")))
    }

    pub(crate) fn send(&self, frame: &Frame) -> io::Result<()> {
        let id = StandardId::new(frame.id().raw() as u16).ok_or(io::ErrorKind::InvalidInput)?;
        let any = if frame.is_fd() {
            CanFdFrame::with_flags(id, frame.data(), FdFlags::FDF).map(CanAnyFrame::from)
        } else {
            CanFrame::new(id, frame.data()).map(CanAnyFrame::from)
        };
        self.0.write_frame(&any.ok_or(io::ErrorKind::InvalidInput)?)
    }
}

/// The chain has no others; the filters see to it.
fn standard(raw: u32) -> CanId {
    CanId::Standard((raw & STANDARD_MASK) as u16)
}
