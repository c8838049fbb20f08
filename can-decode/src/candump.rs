//! Text of `candump -L` (can-utils): one frame a line, read and written without a heap.
//!
//! `(1533201287.000013) can0 2C1#0014DF14BBCA3A91` is a data frame with a standard identifier; eight hex digits are
//! an extended one. `##` and a hex digit begin a CAN-FD frame (bit 0 of the digit BRS, bit 1 ESI), `#R` and a length
//! a remote request, and an identifier with bit `0x2000_0000` is a driver's error frame. A classical frame's raw
//! length code above 8 (`_9` to `_F` behind the data) is accepted and not kept.

mod cursor;
mod error;

use core::fmt;

use crate::frame::{CLASSIC_LEN_MAX, CanId, FD_LEN_MAX, Frame, FrameFlags};
use crate::time::RealtimeNanos;
use cursor::Cursor;
pub use error::{LineError, LinePart};

/// Linux's `CAN_ERR_FLAG`: marks an error frame.
const ERROR_BIT: u32 = 0x2000_0000;

/// One line, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// When the frame was received.
    pub time: RealtimeNanos,
    /// Name of the interface, as written.
    pub interface: &'a str,
    /// The frame.
    pub frame: Frame,
}

/// Reads one line; a line break at its end is allowed.
///
/// # Errors
/// [`LineError`] with the column and the part that is wrong.
pub fn parse_line(line: &str) -> Result<LogLine<'_>, LineError> {
    let mut cursor = Cursor::new(line.trim_end());
    cursor.skip_blanks();
    let time = parse_time(&mut cursor)?;
    cursor.skip_blanks();
    let interface = cursor.word();
    if interface.is_empty() {
        return Err(cursor.error(LinePart::Interface));
    }
    cursor.skip_blanks();
    let frame = parse_frame(&mut cursor)?;
    cursor.skip_blanks();
    if matches!(cursor.peek(), Some(b'R' | b'T')) {
        cursor.advance();
    }
    if cursor.peek().is_some() {
        return Err(cursor.error(LinePart::Trailer));
    }
    Ok(LogLine { time, interface, frame })
}

/// `(seconds.fraction)` with 1 to 9 digits of fraction, kept exactly.
fn parse_time(cursor: &mut Cursor<'_>) -> Result<RealtimeNanos, LineError> {
    const FRACTION_DIGITS_MAX: u32 = 9;
    let start = cursor.error(LinePart::Time);
    if !cursor.take(b'(') {
        return Err(start);
    }
    let negative = cursor.take(b'-');
    let mut seconds: i64 = 0;
    let mut digits = 0;
    while let Some(digit) = cursor.decimal_digit() {
        seconds = seconds.checked_mul(10).and_then(|s| s.checked_add(i64::from(digit))).ok_or(start)?;
        digits += 1;
    }
    if digits == 0 || !cursor.take(b'.') {
        return Err(start);
    }
    let mut nanoseconds: i64 = 0;
    digits = 0;
    while let Some(digit) = cursor.decimal_digit() {
        nanoseconds = nanoseconds * 10 + i64::from(digit);
        digits += 1;
        if digits > FRACTION_DIGITS_MAX {
            return Err(start);
        }
    }
    if digits == 0 || !cursor.take(b')') {
        return Err(start);
    }
    nanoseconds *= 10_i64.pow(FRACTION_DIGITS_MAX - digits);
    // Built negative, because that side of the range reaches one nanosecond further.
    let below_zero =
        (-seconds).checked_mul(1_000_000_000).and_then(|ns| ns.checked_sub(nanoseconds)).ok_or(start)?;
    let time = if negative { Some(below_zero) } else { below_zero.checked_neg() };
    time.map(RealtimeNanos).ok_or(start)
}

fn parse_frame(cursor: &mut Cursor<'_>) -> Result<Frame, LineError> {
    let (number, digits, id_error) = parse_id(cursor)?;
    if !cursor.take(b'#') {
        return Err(cursor.error(LinePart::Separator));
    }
    let id = match digits {
        3 => u16::try_from(number).ok().and_then(CanId::standard),
        _ if number & ERROR_BIT != 0 => return parse_error_frame(cursor, number, id_error),
        _ => CanId::extended(number),
    };
    let id = id.ok_or(id_error)?;
    if cursor.take(b'#') {
        return parse_fd(cursor, id);
    }
    if cursor.take(b'R') || cursor.take(b'r') {
        return parse_remote(cursor, id);
    }
    let start = cursor.error(LinePart::ClassicData);
    let mut payload = [0; CLASSIC_LEN_MAX];
    let len = cursor.hex_bytes(&mut payload).ok_or(start)?;
    parse_raw_dlc(cursor, len)?;
    Frame::classic(id, &payload[..len]).map_err(|_| start)
}

/// The identifier's number and how many digits it had: 3 or 8.
fn parse_id(cursor: &mut Cursor<'_>) -> Result<(u32, u32, LineError), LineError> {
    let start = cursor.error(LinePart::Identifier);
    let (mut number, mut digits) = (0_u32, 0);
    while let Some(digit) = cursor.hex_digit() {
        digits += 1;
        if digits > 8 {
            return Err(start);
        }
        number = number << 4 | u32::from(digit);
    }
    if digits == 3 || digits == 8 { Ok((number, digits, start)) } else { Err(start) }
}

fn parse_error_frame(cursor: &mut Cursor<'_>, number: u32, id_error: LineError) -> Result<Frame, LineError> {
    let class = number & !ERROR_BIT;
    if class > CanId::EXTENDED_MAX {
        return Err(id_error);
    }
    let start = cursor.error(LinePart::ClassicData);
    let mut detail = [0; CLASSIC_LEN_MAX];
    cursor.hex_bytes(&mut detail).ok_or(start)?;
    Ok(Frame::error(class, detail))
}

fn parse_fd(cursor: &mut Cursor<'_>, id: CanId) -> Result<Frame, LineError> {
    let bits = cursor.hex_digit().ok_or(cursor.error(LinePart::FdFlags))?;
    let mut flags = FrameFlags::FD;
    for (bit, flag) in [(1, FrameFlags::BRS), (2, FrameFlags::ESI)] {
        if bits & bit != 0 {
            flags = flags.union(flag);
        }
    }
    let start = cursor.error(LinePart::FdData);
    let mut payload = [0; FD_LEN_MAX];
    let len = cursor.hex_bytes(&mut payload).ok_or(start)?;
    Frame::fd(id, flags, &payload[..len]).map_err(|_| start)
}

fn parse_remote(cursor: &mut Cursor<'_>, id: CanId) -> Result<Frame, LineError> {
    let start = cursor.error(LinePart::RemoteLength);
    let len = cursor.hex_digit().unwrap_or(0);
    if usize::from(len) > CLASSIC_LEN_MAX {
        return Err(start);
    }
    parse_raw_dlc(cursor, usize::from(len))?;
    Ok(Frame::remote(id, len))
}

/// The length code a controller put on the bus when it was above 8 (`len8_dlc`): the payload is 8 bytes all the same.
fn parse_raw_dlc(cursor: &mut Cursor<'_>, len: usize) -> Result<(), LineError> {
    let start = cursor.error(LinePart::RawDlc);
    if cursor.take(b'_') && !(len == CLASSIC_LEN_MAX && cursor.hex_digit().is_some_and(|code| code > 8)) {
        return Err(start);
    }
    Ok(())
}

/// Writes one line as candump does, without a line break: six digits of fraction, or nine where six would lose some.
///
/// # Errors
/// Only what `out` itself refuses.
pub fn write_line(
    out: &mut impl fmt::Write,
    time: RealtimeNanos,
    interface: &str,
    frame: &Frame,
) -> fmt::Result {
    write_time(out, time)?;
    write!(out, " {interface} ")?;
    let flags = frame.flags();
    if flags.contains(FrameFlags::ERROR) {
        write!(out, "{:08X}#", frame.id().raw() | ERROR_BIT)?;
    } else {
        write!(out, "{}#", frame.id())?;
    }
    if flags.contains(FrameFlags::REMOTE) {
        // An empty request has no digit, as in can-utils.
        return if frame.is_empty() { out.write_char('R') } else { write!(out, "R{}", frame.len()) };
    }
    if frame.is_fd() {
        let bits = u8::from(flags.contains(FrameFlags::BRS)) | u8::from(flags.contains(FrameFlags::ESI)) << 1;
        write!(out, "#{bits:X}")?;
    }
    frame.data().iter().try_for_each(|byte| write!(out, "{byte:02X}"))
}

fn write_time(out: &mut impl fmt::Write, time: RealtimeNanos) -> fmt::Result {
    let sign = if time.0 < 0 { "-" } else { "" };
    let magnitude = time.0.unsigned_abs();
    let (seconds, nanoseconds) = (magnitude / 1_000_000_000, magnitude % 1_000_000_000);
    write!(out, "({sign}{seconds:010}.")?;
    if nanoseconds % 1000 == 0 {
        write!(out, "{:06})", nanoseconds / 1000)
    } else {
        write!(out, "{nanoseconds:09})")
    }
}

#[cfg(test)]
mod tests;
