//! Contexts in the headers of HTTP requests and the metadata of gRPC calls.

use heapless::String;

use super::{BINARY_LEN, TraceContext, TraceError};

/// The header of W3C Trace Context (§3.2.1), also used as gRPC metadata.
pub const TRACEPARENT: &str = "traceparent";
/// gRPC's metadata with the binary form in Base64.
pub const GRPC_TRACE_BIN: &str = "grpc-trace-bin";
/// Characters of the binary form in Base64 without padding, which gRPC asks of senders.
pub const GRPC_TRACE_BIN_LEN: usize = (BINARY_LEN * 8).div_ceil(6);
/// Longer values are cut here: fields of a later day are not looked at.
const BASE64_MAX: usize = 64;

impl TraceContext {
    /// The value of [`GRPC_TRACE_BIN`].
    pub fn grpc_trace_bin(&self) -> String<GRPC_TRACE_BIN_LEN> {
        let mut text = String::new();
        for chunk in self.binary().chunks(3) {
            let mut group = [0; 4];
            group[1..=chunk.len()].copy_from_slice(chunk);
            let bits = u32::from_be_bytes(group);
            for sextet in 0..=chunk.len() {
                let digit = BASE64[(bits >> (18 - 6 * sextet)) as usize & 63];
                // 29 bytes are 39 characters, for which there is room.
                let _ = text.push(char::from(digit));
            }
        }
        text
    }

    /// Reads the value of [`GRPC_TRACE_BIN`], padded or not.
    ///
    /// # Errors
    /// [`TraceError::Text`] with the character that is not of Base64, and those of [`TraceContext::parse_binary`].
    pub fn parse_grpc_trace_bin(value: &[u8]) -> Result<Self, TraceError> {
        let value = value.strip_suffix(b"==").or_else(|| value.strip_suffix(b"=")).unwrap_or(value);
        let value = value.get(..BASE64_MAX).unwrap_or(value);
        let mut bytes = [0; BASE64_MAX / 4 * 3];
        let (mut bits, mut len) = (0_u32, 0);
        for (at, character) in value.iter().enumerate() {
            let digit = BASE64.iter().position(|digit| digit == character).ok_or(TraceError::Text(at))?;
            bits = bits << 6 | digit as u32;
            // Each character but the first of four completes a byte.
            if at % 4 != 0
                && let Some(byte) = bytes.get_mut(len)
            {
                *byte = (bits >> (6 - 2 * (at % 4))) as u8;
                len += 1;
            }
        }
        Self::parse_binary(bytes.get(..len).unwrap_or_default())
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The context that `headers` (names and values) bring; `None` where they bring none. `traceparent` goes before
/// `grpc-trace-bin`, even when it is damaged: a sender that writes both means the same.
///
/// # Errors
/// [`TraceError::Several`] where one of the two stands there twice, and those of [`TraceContext::parse_traceparent`] and
/// [`TraceContext::parse_grpc_trace_bin`].
pub fn find<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Option<Result<TraceContext, TraceError>> {
    let (mut text, mut binary) = (None, None);
    for (name, value) in headers {
        if name.eq_ignore_ascii_case(TRACEPARENT) {
            once(&mut text, || TraceContext::parse_traceparent(trim(value)));
        } else if name.eq_ignore_ascii_case(GRPC_TRACE_BIN) {
            once(&mut binary, || TraceContext::parse_grpc_trace_bin(trim(value)));
        }
    }
    text.or(binary)
}

fn once(
    found: &mut Option<Result<TraceContext, TraceError>>,
    parse: impl FnOnce() -> Result<TraceContext, TraceError>,
) {
    *found = Some(if found.is_none() { parse() } else { Err(TraceError::Several) });
}

/// Without the white space that HTTP allows around a value (RFC 9110 §5.5): spaces and tabs.
fn trim(value: &[u8]) -> &[u8] {
    let is_solid = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = value.iter().position(is_solid).unwrap_or(value.len());
    let end = value.iter().rposition(is_solid).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}
