//! The `traceparent` text (W3C Trace Context Level 2, §3.2).

use core::fmt;
use core::str::FromStr;

use heapless::String;

use super::{TraceContext, TraceError, TraceFlags};

/// Characters of a `traceparent` of version 00.
pub const TRACEPARENT_LEN: usize = 55;
const FORBIDDEN_VERSION: u8 = 0xFF;

impl TraceContext {
    /// The header's value, of version 00; reserved flags are zero.
    pub fn traceparent(&self) -> String<TRACEPARENT_LEN> {
        let mut text = String::new();
        // The parts have 2 + 1 + 32 + 1 + 16 + 1 + 2 characters, for which there is room.
        let _ = text.push_str("00-");
        push_hex(&mut text, &self.trace_id);
        let _ = text.push('-');
        push_hex(&mut text, &self.span_id);
        let _ = text.push('-');
        push_hex(&mut text, &[self.flags.known().0]);
        text
    }

    /// The trace id as logs and back ends write it: 32 lowercase hex digits.
    pub fn trace_id_text(&self) -> String<32> {
        let mut text = String::new();
        push_hex(&mut text, &self.trace_id);
        text
    }

    /// The span id as logs and back ends write it: 16 lowercase hex digits.
    pub fn span_id_text(&self) -> String<16> {
        let mut text = String::new();
        push_hex(&mut text, &self.span_id);
        text
    }

    /// Reads a header's value, without white space around it. Version 00 must be exactly of its form. Of higher versions
    /// the same fields are read where they are followed by nothing or by a dash and anything, and of their flags only
    /// the sampled one (§3.2.4).
    ///
    /// # Errors
    /// [`TraceError::Text`] with the byte that breaks the form, [`TraceError::Format`] for version ff,
    /// [`TraceError::ZeroTraceId`] and [`TraceError::ZeroSpanId`].
    pub fn parse_traceparent(value: &[u8]) -> Result<Self, TraceError> {
        let mut text = Text { value, at: 0 };
        let [version] = text.hex()?;
        if version == FORBIDDEN_VERSION {
            return Err(TraceError::Format(version));
        }
        text.dash()?;
        let trace_id = text.hex()?;
        text.dash()?;
        let span_id = text.hex()?;
        text.dash()?;
        let [flags] = text.hex()?;
        match value.get(text.at) {
            None => {}
            Some(b'-') if version > 0 => {}
            Some(_) => return Err(TraceError::Text(text.at)),
        }
        let flags = if version == 0 { flags } else { flags & TraceFlags::SAMPLED.0 };
        Self::new(trace_id, span_id, TraceFlags(flags))
    }
}

/// As `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.traceparent())
    }
}

/// From `traceparent`, see [`TraceContext::parse_traceparent`].
impl FromStr for TraceContext {
    type Err = TraceError;

    fn from_str(text: &str) -> Result<Self, TraceError> {
        Self::parse_traceparent(text.as_bytes())
    }
}

struct Text<'a> {
    value: &'a [u8],
    at: usize,
}

impl Text<'_> {
    fn take(&mut self) -> Result<u8, TraceError> {
        let byte = *self.value.get(self.at).ok_or(TraceError::Text(self.at))?;
        self.at += 1;
        Ok(byte)
    }

    fn dash(&mut self) -> Result<(), TraceError> {
        let at = self.at;
        if self.take()? == b'-' { Ok(()) } else { Err(TraceError::Text(at)) }
    }

    fn hex<const N: usize>(&mut self) -> Result<[u8; N], TraceError> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            for _ in 0..2 {
                let at = self.at;
                *byte = *byte << 4 | digit(self.take()?).ok_or(TraceError::Text(at))?;
            }
        }
        Ok(bytes)
    }
}

/// A lowercase hex digit; W3C Trace Context knows no others.
pub(super) const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn push_hex<const N: usize>(text: &mut String<N>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xF] {
            // Each caller's text has two characters for each of its bytes.
            let _ = text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(trace_id in 1..=u128::MAX, span_id in 1..=u64::MAX, flags: u8) {
            let flags = TraceFlags(flags);
            let context = TraceContext::new(trace_id.to_be_bytes(), span_id.to_be_bytes(), flags).unwrap();
            let text = context.traceparent().to_string();
            let expected = format!("00-{trace_id:032x}-{span_id:016x}-{:02x}", flags.known().0);
            prop_assert_eq!(&text, &expected);
            prop_assert_eq!(text.parse(), Ok(TraceContext { flags: flags.known(), ..context }));
            prop_assert_eq!(context.to_string(), expected);
            let ids = (context.trace_id_text().to_string(), context.span_id_text().to_string());
            prop_assert_eq!(ids, (text[3..35].to_owned(), text[36..52].to_owned()));
        }

        #[test]
        fn one_other_byte_is_another_context_or_an_error(at in 0..55_usize, byte: u8) {
            let mut text = *b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
            prop_assume!(text[at] != byte);
            let before = TraceContext::parse_traceparent(&text).unwrap();
            text[at] = byte;
            match TraceContext::parse_traceparent(&text) {
                // Another version with the same fields.
                Ok(context) if at < 2 => prop_assert_eq!(context, before),
                Ok(context) => prop_assert_ne!(context, before),
                Err(TraceError::Text(broken)) => prop_assert_eq!(broken, at),
                Err(error) => prop_assert_eq!(error, TraceError::Format(0xFF)),
            }
        }
    }
}
