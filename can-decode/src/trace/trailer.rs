//! A context behind a message of any length: an ISO-TP message or a Unix datagram. 28 sealed bytes and 4 bytes that say
//! that they are there.
//!
//! Only where both sides know of it: a UDS server refuses a request that is longer than it should be.

use super::sealed::{self, SEALED_LEN};
use super::{TraceContext, TraceError};
use crate::frame::CanId;

/// Bytes behind the message.
pub const TRAILER_LEN: usize = SEALED_LEN + MAGIC.len();
/// No UTF-8 text ends like this, so that text without a context is never taken for one with a damaged one.
const MAGIC: [u8; 4] = [0xC0, b'T', b'C', 0x19];
/// Of what is in front of the magic bytes; another one is a format of a later day.
const VERSION: u8 = 0;

const _: () = assert!(TRAILER_LEN == 32);

/// What the message is. A context that was taken from one and put behind another does not pass for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// An ISO-TP message, with the identifier of its sender's frames.
    IsoTp(CanId),
    /// A datagram between processes of one machine.
    Datagram,
}

impl Envelope {
    fn key(self) -> [u8; 5] {
        let (kind, [a, b, c, d]) = match self {
            Self::IsoTp(id) => (b'I', id.with_extended_bit().to_be_bytes()),
            Self::Datagram => (b'D', [0; 4]),
        };
        [kind, a, b, c, d]
    }
}

/// The bytes to append to a message.
pub fn write(context: &TraceContext, envelope: Envelope) -> [u8; TRAILER_LEN] {
    let mut bytes = [0; TRAILER_LEN];
    bytes[..SEALED_LEN].copy_from_slice(&sealed::seal(context, VERSION, &envelope.key()));
    bytes[SEALED_LEN..].copy_from_slice(&MAGIC);
    bytes
}

/// Takes a message apart: what was sent, and the context behind it. `None` where there is no trailer.
///
/// With an error the message is whole, the bytes of the supposed trailer included: they may be the sender's own.
pub fn split(message: &[u8], envelope: Envelope) -> (&[u8], Option<Result<TraceContext, TraceError>>) {
    let parts = message.split_last_chunk::<{ MAGIC.len() }>().filter(|(_, magic)| **magic == MAGIC);
    let Some((rest, _)) = parts else { return (message, None) };
    let Some((payload, bytes)) = rest.split_last_chunk::<SEALED_LEN>() else {
        return (message, Some(Err(TraceError::Truncated(rest.len()))));
    };
    match (sealed::open(bytes, &envelope.key()), sealed::tag(bytes)) {
        (Ok(context), VERSION) => (payload, Some(Ok(context))),
        (Ok(_), version) => (message, Some(Err(TraceError::Format(version)))),
        (Err(error), _) => (message, Some(Err(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceFlags;
    use proptest::prelude::*;

    const ENVELOPES: [Envelope; 3] = [
        Envelope::Datagram,
        Envelope::IsoTp(CanId::Standard(0x7E0)),
        Envelope::IsoTp(CanId::Extended(0x7E0)),
    ];

    fn context() -> TraceContext {
        TraceContext::new([7; 16], [8; 8], TraceFlags(1)).unwrap()
    }

    #[test]
    fn damaged_foreign_and_absent_trailers_leave_the_message_whole() {
        let check = |message: &[u8], expected| {
            assert_eq!(split(message, Envelope::Datagram), (message, expected), "{message:02X?}");
        };
        let good = write(&context(), Envelope::Datagram);
        check(b"", None);
        check(br#"{"msg":"no trailer"}"#, None);
        check(&good[1..], Some(Err(TraceError::Truncated(27))));
        check(&MAGIC, Some(Err(TraceError::Truncated(0))));
        check(&write(&context(), ENVELOPES[1]), Some(Err(TraceError::Checksum)));
        let mut zero = good;
        zero[..SEALED_LEN].fill(0);
        check(&zero, Some(Err(TraceError::Absent)));
        let mut newer = good;
        newer[..SEALED_LEN].copy_from_slice(&sealed::seal(&context(), 1, &Envelope::Datagram.key()));
        check(&newer, Some(Err(TraceError::Format(1))));
    }

    proptest! {
        #[test]
        fn no_text_is_taken_for_a_trailer(text: String, at in 0..4_usize, other: u8) {
            let mut bytes = text.into_bytes();
            bytes.extend(MAGIC);
            prop_assert!(core::str::from_utf8(&bytes).is_err());
            let end = bytes.len() - MAGIC.len();
            prop_assert_eq!(split(&bytes[..end], Envelope::Datagram), (&bytes[..end], None));
            prop_assume!(MAGIC[at] != other);
            bytes[end + at] = other;
            prop_assert_eq!(split(&bytes, Envelope::Datagram).1, None);
        }

        #[test]
        fn what_is_appended_is_split_off_again_and_fits_one_envelope(
            payload: Vec<u8>, sent in 0..3_usize, read in 0..3_usize, at in 0..32_usize, flip in 1..=255_u8
        ) {
            let mut message = payload.clone();
            message.extend(write(&context(), ENVELOPES[sent]));
            let got = split(&message, ENVELOPES[read]);
            let expected = if sent == read {
                (&payload[..], Some(Ok(context())))
            } else {
                (&message[..], Some(Err(TraceError::Checksum)))
            };
            prop_assert_eq!(got, expected);
            let mut damaged = message.clone();
            damaged[payload.len() + at] ^= flip;
            let (whole, context) = split(&damaged, ENVELOPES[sent]);
            prop_assert_eq!(whole, &damaged[..]);
            prop_assert!(context.is_none_or(|context| context.is_err()));
        }
    }
}
