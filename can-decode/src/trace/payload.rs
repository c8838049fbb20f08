//! A context at a byte offset of a payload: a CAN-FD frame's, or a whole ISO-TP message's. The 25 bytes bare.

use super::{TraceContext, TraceError};

/// Puts `context` into `payload` at `offset`; the bytes around it are left alone.
///
/// # Errors
/// [`TraceError::Truncated`] with the bytes that there are from `offset` on, fewer than 25.
pub fn write(payload: &mut [u8], offset: usize, context: &TraceContext) -> Result<(), TraceError> {
    place(payload, offset)?.copy_from_slice(&context.write());
    Ok(())
}

/// Leaves the place zero: nothing is traced.
///
/// # Errors
/// As [`write()`].
pub fn clear(payload: &mut [u8], offset: usize) -> Result<(), TraceError> {
    place(payload, offset)?.fill(0);
    Ok(())
}

/// The context at `offset`.
///
/// # Errors
/// As [`TraceContext::parse`].
pub fn read(payload: &[u8], offset: usize) -> Result<TraceContext, TraceError> {
    TraceContext::parse(payload.get(offset..).unwrap_or_default())
}

fn place(payload: &mut [u8], offset: usize) -> Result<&mut [u8], TraceError> {
    let there = payload.len().saturating_sub(offset);
    let end = offset.saturating_add(TraceContext::WIRE_LEN);
    payload.get_mut(offset..end).ok_or(TraceError::Truncated(there))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceFlags;

    #[test]
    fn a_context_lies_at_every_offset_where_it_fits() {
        let context = TraceContext::new([1; 16], [2; 8], TraceFlags(1)).unwrap();
        for offset in (0..70).chain([usize::MAX]) {
            let mut payload = [0xEE; 64];
            let written = write(&mut payload, offset, &context);
            if offset > 39 {
                let there = 64_usize.saturating_sub(offset);
                assert_eq!(written, Err(TraceError::Truncated(there)));
                assert_eq!(read(&payload, offset), Err(TraceError::Truncated(there)));
                assert_eq!(payload, [0xEE; 64]);
                continue;
            }
            assert_eq!((written, read(&payload, offset)), (Ok(()), Ok(context)));
            let others = payload[..offset].iter().chain(&payload[offset + 25..]);
            assert!(others.clone().all(|byte| *byte == 0xEE));
            clear(&mut payload, offset).unwrap();
            assert_eq!(read(&payload, offset), Err(TraceError::Absent));
        }
    }
}
