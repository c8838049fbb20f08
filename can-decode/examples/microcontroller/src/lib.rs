//! A brake sensor on a microcontroller: no operating system, no heap. Each pedal event begins a trace, and the frame that
//! tells of it takes the context along, on CAN FD beside the signals, on classical CAN in four frames ahead.
//!
//! What is left to the board: sending a payload, and a hardware random number generator.
//!
//! To be built in this folder: `cargo build --locked --target thumbv7em-none-eabihf`
#![no_std]
#![forbid(unsafe_code)]

use can_decode::CanId;
use can_decode::trace::{SpanIds, TraceContext, TraceError, TraceFlags, classic, payload};

/// `BO_ 513 BRAKE_PEDAL: 32` with `BA_ "TraceContextOffset" BO_ 513 4`.
pub const BRAKE_PEDAL: CanId = CanId::Standard(0x201);
/// Where the database has the context.
pub const CONTEXT_OFFSET: usize = 4;
/// The contexts of what this sensor sends on its classical bus.
pub const CONTEXTS: CanId = CanId::Standard(0x6A1);

/// What a board can do.
pub trait Board {
    /// Why a frame was not sent.
    type Error;

    /// Sends a CAN-FD frame.
    ///
    /// # Errors
    /// When the controller does not take it.
    fn send_fd(&mut self, id: CanId, payload: &[u8; 32]) -> Result<(), Self::Error>;

    /// Sends a classical frame.
    ///
    /// # Errors
    /// When the controller does not take it.
    fn send_classic(&mut self, id: CanId, payload: &[u8; 8]) -> Result<(), Self::Error>;

    /// 16 bytes of the hardware random number generator.
    fn random(&mut self) -> [u8; 16];
}

/// The sensor.
pub struct BrakeSensor {
    spans: SpanIds,
    /// Counts the frames of the classical bus; its lowest four bits say which frame a context is of.
    alive: u8,
}

impl BrakeSensor {
    /// After a start.
    pub fn new(board: &mut impl Board) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = board.random();
        Self { spans: SpanIds::new(u64::from_le_bytes([a, b, c, d, e, f, g, h])), alive: 0 }
    }

    /// The context of a new trace, sampled, its id random.
    ///
    /// # Errors
    /// [`TraceError::ZeroTraceId`] when the generator gives zeros only: it is broken.
    pub fn begin(&mut self, board: &mut impl Board) -> Result<TraceContext, TraceError> {
        let flags = TraceFlags(TraceFlags::SAMPLED.0 | TraceFlags::RANDOM.0);
        TraceContext::new(board.random(), self.spans.next_id(), flags)
    }

    /// Sends the pedal's travel in 0.01 mm on CAN FD; without a context its place is zero.
    ///
    /// # Errors
    /// The board's.
    pub fn send<B: Board>(
        &mut self,
        board: &mut B,
        travel: u16,
        context: Option<&TraceContext>,
    ) -> Result<(), B::Error> {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&travel.to_le_bytes());
        if let Some(context) = context {
            // 4 + 25 bytes lie in 32.
            let _ = payload::write(&mut bytes, CONTEXT_OFFSET, context);
        }
        board.send_fd(BRAKE_PEDAL, &bytes)
    }

    /// The same on classical CAN: four frames with the context, then the frame, whose last byte is its alive counter.
    ///
    /// # Errors
    /// The board's.
    pub fn send_classic<B: Board>(
        &mut self,
        board: &mut B,
        travel: u16,
        context: Option<&TraceContext>,
    ) -> Result<(), B::Error> {
        self.alive = self.alive.wrapping_add(1) & 0xF;
        if let Some(context) = context {
            for part in classic::write(context, BRAKE_PEDAL, 0, self.alive) {
                board.send_classic(CONTEXTS, &part)?;
            }
        }
        let [low, high] = travel.to_le_bytes();
        board.send_classic(BRAKE_PEDAL, &[low, high, 0, 0, 0, 0, 0, self.alive])
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use can_decode::extract::Extractor;
    use can_decode::trace::classic::{ClassicReader, Limits, Target};
    use can_decode::{ByteOrder, Frame, FrameFlags};
    use std::vec::Vec;

    use super::*;

    struct Bench(Vec<Frame>);

    impl Board for Bench {
        type Error = can_decode::FrameError;

        fn send_fd(&mut self, id: CanId, payload: &[u8; 32]) -> Result<(), Self::Error> {
            self.0.push(Frame::fd(id, FrameFlags::BRS, payload)?);
            Ok(())
        }

        fn send_classic(&mut self, id: CanId, payload: &[u8; 8]) -> Result<(), Self::Error> {
            self.0.push(Frame::classic(id, payload)?);
            Ok(())
        }

        fn random(&mut self) -> [u8; 16] {
            [0x5A; 16]
        }
    }

    #[test]
    fn both_buses_carry_the_context() {
        let mut board = Bench(Vec::new());
        let mut sensor = BrakeSensor::new(&mut board);
        let context = sensor.begin(&mut board).unwrap();
        sensor.send(&mut board, 1234, Some(&context)).unwrap();
        sensor.send(&mut board, 1234, None).unwrap();
        assert_eq!(payload::read(board.0[0].data(), CONTEXT_OFFSET), Ok(context));
        assert_eq!(payload::read(board.0[1].data(), CONTEXT_OFFSET), Err(TraceError::Absent));

        board.0.clear();
        sensor.send_classic(&mut board, 1234, Some(&context)).unwrap();
        let counter = Extractor::new(56, 4, ByteOrder::Intel, false);
        let target = Target { context_id: CONTEXTS, tag: 0, id: BRAKE_PEDAL, counter };
        let mut reader = ClassicReader::<1, 1>::new([target], Limits::default()).unwrap();
        let got: Vec<_> = board.0.iter().filter_map(|frame| reader.take(frame, 0)).collect();
        assert_eq!((got, board.0.len()), (std::vec![context], 5));
    }
}
