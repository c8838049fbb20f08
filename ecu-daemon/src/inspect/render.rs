//! Values as JSON and as text, exactly.

use std::io::{self, Write};

use can_decode::{Frame, FrameFlags, Raw, Signal, ValueKind};

/// A JSON string.
pub(super) fn json_text(out: &mut impl Write, text: &str) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

/// A JSON number; NaN and infinities, which JSON does not have, as null. The shortest digits that give the same f64.
pub(super) fn json_float(out: &mut impl Write, value: f64) -> io::Result<()> {
    if value.is_finite() { write!(out, "{value:?}") } else { out.write_all(b"null") }
}

/// The raw value: an integer exactly, the IEEE bits of a float.
pub(super) fn raw_integer(out: &mut impl Write, kind: ValueKind, raw: u64) -> io::Result<()> {
    if kind == ValueKind::Signed { write!(out, "{}", raw as i64) } else { write!(out, "{raw}") }
}

/// Nanoseconds as seconds: six digits, nine where they are needed, as candump writes them.
pub(super) fn seconds(out: &mut impl Write, ns: i64) -> io::Result<()> {
    let (sign, ns) = if ns < 0 { ("-", ns.unsigned_abs()) } else { ("", ns.unsigned_abs()) };
    let (whole, part) = (ns / 1_000_000_000, ns % 1_000_000_000);
    if part % 1_000 == 0 {
        write!(out, "{sign}{whole}.{:06}", part / 1_000)
    } else {
        write!(out, "{sign}{whole}.{part:09}")
    }
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What kind of frame it is.
pub(super) const fn frame_kind(frame: &Frame) -> &'static str {
    if frame.flags().contains(FrameFlags::ERROR) {
        "error"
    } else if frame.flags().contains(FrameFlags::REMOTE) {
        "remote"
    } else if frame.is_fd() {
        "fd"
    } else {
        "classic"
    }
}

/// `"NAME":{"raw":…,"value":…,"unit":…,"label":…}` of a signal.
pub(super) fn json_signal(out: &mut impl Write, signal: &Signal, raw: Raw) -> io::Result<()> {
    json_text(out, &signal.name)?;
    out.write_all(b":{\"raw\":")?;
    raw_integer(out, signal.kind, raw.0)?;
    out.write_all(b",\"value\":")?;
    json_float(out, signal.physical(raw))?;
    out.write_all(b",\"unit\":")?;
    json_text(out, &signal.unit)?;
    if let Some(label) = signal.label(raw) {
        out.write_all(b",\"label\":")?;
        json_text(out, label)?;
    }
    out.write_all(b"}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_exact() {
        for (value, expected) in
            [(-2.5, "-2.5"), (0.1, "0.1"), (1e300, "1e300"), (f64::NAN, "null"), (3.0, "3.0")]
        {
            assert_eq!(text(|out| json_float(out, value)), expected);
        }
        assert_eq!(text(|out| raw_integer(out, ValueKind::Signed, -5_i64 as u64)), "-5");
        assert_eq!(text(|out| raw_integer(out, ValueKind::Unsigned, u64::MAX)), "18446744073709551615");
        for (ns, expected) in [
            (1_533_201_287_000_013_000, "1533201287.000013"),
            (1, "0.000000001"),
            (-1_500_000_000, "-1.500000"),
            (i64::MIN, "-9223372036.854775808"),
        ] {
            assert_eq!(text(|out| seconds(out, ns)), expected);
        }
    }
}
