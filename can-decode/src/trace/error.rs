//! Why there is no trace context to be had.

use core::fmt;

/// Why something is no trace context. None of these keeps a frame's signals from being decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceError {
    /// This many bytes, fewer than the form needs: 25, or 29 in the binary form.
    Truncated(usize),
    /// All zero: the place is there, and its sender traces nothing.
    Absent,
    /// The trace id is all zero, which W3C reserves as invalid (§3.2.2.3).
    ZeroTraceId,
    /// The span id is all zero, which W3C reserves as invalid (§3.2.2.4).
    ZeroSpanId,
    /// The checksum of a sealed context is of other bytes, or of another place or sender.
    Checksum,
    /// A version or field number that is not known, with its value.
    Format(u8),
    /// Text that breaks its form at this byte.
    Text(usize),
    /// Two contexts where one is allowed, so that none can be trusted.
    Several,
    /// A shared slot was being written each time it was looked at.
    Unsettled,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Truncated(len) => {
                return write!(
                    f,
                    "trace context: {len} bytes where 25 are needed (29 in the binary form); check the offset \
                     (TraceContextOffset) and the length"
                );
            }
            Self::Format(value) => {
                return write!(
                    f,
                    "trace context: version or field number {value:#04x} is not known; the sender is newer, or these \
                     bytes are something else"
                );
            }
            Self::Text(at) => {
                return write!(
                    f,
                    "trace context: not of the form 00-<32 hex digits>-<16>-<2> at byte {at}; hex digits are lowercase"
                );
            }
            Self::Absent => "trace context: all zero; the sender traces nothing",
            Self::ZeroTraceId => "trace context: the trace id is all zero; the sender has no trace",
            Self::ZeroSpanId => "trace context: the span id is all zero; the sender has no span",
            Self::Checksum => {
                "trace context: the checksum is of something else; bytes were damaged or mixed, or sender and reader \
                 are configured differently"
            }
            Self::Several => "trace context: given more than once; the sender may name one only",
            Self::Unsettled => {
                "trace context: its slot was being written each time; its writer is busy or has died"
            }
        };
        f.write_str(text)
    }
}

impl core::error::Error for TraceError {}
