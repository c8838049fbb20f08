//! A slot of 32 bytes in the header of a shared-memory segment: the context of what the segment holds at the moment.
//!
//! One process writes, others read, and none of them waits (a *seqlock*: H.-J. Boehm, "Can Seqlocks Get Along With
//! Programming Language Memory Models?", MSPC 2012). The first word counts writings; it is odd while one is going on. The
//! other seven are a sealed context, whose checksum covers the count, too: bytes of two writings do not pass for one,
//! whatever a reader's copy was made with.
//!
//! Words, not bytes, are what atomics work on; each holds four bytes in the order in which they stand in memory. How the
//! memory becomes `&[AtomicU32; 8]` is the matter of who maps it.

use core::sync::atomic::{AtomicU32, Ordering, fence};

use super::sealed::{self, SEALED_LEN};
use super::{TraceContext, TraceError};

/// Words of a slot.
pub const SLOT_WORDS: usize = 1 + SEALED_LEN / 4;
/// Bytes of a slot.
pub const SLOT_LEN: usize = SLOT_WORDS * 4;
/// How often [`read`] looks before it gives up. A writing takes a few dozen instructions; a writer that was interrupted in
/// the midst of one, or died, is not waited for.
const LOOKS_MAX: u32 = 16;
const VERSION: u8 = 0;

const _: () = assert!(SLOT_LEN == 32);

type Slot = [AtomicU32; SLOT_WORDS];

/// Puts a context into the slot. Only one thread of one process may write a slot; after its death another may go on.
pub fn write(slot: &Slot, context: &TraceContext) {
    put(slot, |count| sealed::seal(context, VERSION, &key(count)));
}

/// Leaves the slot zero: nothing is traced.
pub fn clear(slot: &Slot) {
    put(slot, |_| [0; SEALED_LEN]);
}

/// The context in the slot.
///
/// # Errors
/// [`TraceError::Absent`] where nothing was written, [`TraceError::Unsettled`] where each look fell into a writing,
/// [`TraceError::Checksum`], [`TraceError::Format`], [`TraceError::ZeroTraceId`] and [`TraceError::ZeroSpanId`].
pub fn read(slot: &Slot) -> Result<TraceContext, TraceError> {
    for _ in 0..LOOKS_MAX {
        let before = slot[0].load(Ordering::Acquire);
        let words: [u32; SLOT_WORDS] = core::array::from_fn(|at| slot[at].load(Ordering::Relaxed));
        // What was loaded above is no younger than what is loaded below.
        fence(Ordering::Acquire);
        if before.is_multiple_of(2) && slot[0].load(Ordering::Relaxed) == before {
            return open(before, &bytes(&words));
        }
        core::hint::spin_loop();
    }
    Err(TraceError::Unsettled)
}

/// The context in a copy of a slot's bytes, however it was made: read from a file, say.
///
/// # Errors
/// As [`read`]; [`TraceError::Unsettled`] for a copy made in the midst of a writing.
pub fn read_bytes(copy: &[u8; SLOT_LEN]) -> Result<TraceContext, TraceError> {
    let [a, b, c, d, ..] = *copy;
    let count = u32::from_ne_bytes([a, b, c, d]);
    if !count.is_multiple_of(2) {
        return Err(TraceError::Unsettled);
    }
    open(count, copy)
}

fn put(slot: &Slot, sealed: impl FnOnce(u32) -> [u8; SEALED_LEN]) {
    // Odd already, where a writer died: that writing ends with this one.
    let during = slot[0].load(Ordering::Relaxed) | 1;
    let after = during.wrapping_add(1);
    slot[0].store(during, Ordering::Relaxed);
    // Whoever sees one of the words below sees the odd count, too.
    fence(Ordering::Release);
    for (word, bytes) in slot[1..].iter().zip(sealed(after).as_chunks::<4>().0) {
        word.store(u32::from_ne_bytes(*bytes), Ordering::Relaxed);
    }
    slot[0].store(after, Ordering::Release);
}

fn open(count: u32, bytes: &[u8; SLOT_LEN]) -> Result<TraceContext, TraceError> {
    let Some(sealed) = bytes.last_chunk::<SEALED_LEN>() else { return Err(TraceError::Truncated(0)) };
    let context = sealed::open(sealed, &key(count))?;
    match sealed::tag(sealed) {
        VERSION => Ok(context),
        version => Err(TraceError::Format(version)),
    }
}

const fn key(count: u32) -> [u8; 5] {
    let [a, b, c, d] = count.to_be_bytes();
    [b'S', a, b, c, d]
}

fn bytes(words: &[u32; SLOT_WORDS]) -> [u8; SLOT_LEN] {
    let mut bytes = [0; SLOT_LEN];
    for (place, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *place = word.to_ne_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceFlags;

    /// Ids that all say the same number, so that a mixture shows.
    fn context(number: u64) -> TraceContext {
        let mut trace_id = [0; 16];
        trace_id[..8].copy_from_slice(&number.to_be_bytes());
        trace_id[8..].copy_from_slice(&number.to_be_bytes());
        TraceContext::new(trace_id, number.to_be_bytes(), TraceFlags(number as u8 & 3)).unwrap()
    }

    fn copy(slot: &Slot) -> [u8; SLOT_LEN] {
        bytes(&core::array::from_fn(|at| slot[at].load(Ordering::Relaxed)))
    }

    #[test]
    fn a_slot_holds_what_was_written_last() {
        let slot = Slot::default();
        let check = |expected| assert_eq!((read(&slot), read_bytes(&copy(&slot))), (expected, expected));
        check(Err(TraceError::Absent));
        write(&slot, &context(1));
        check(Ok(context(1)));
        write(&slot, &context(2));
        check(Ok(context(2)));
        clear(&slot);
        check(Err(TraceError::Absent));
        assert_eq!(slot[0].load(Ordering::Relaxed), 6);
        // A writer dies in the midst of its work, and another one goes on.
        slot[0].store(7, Ordering::Relaxed);
        check(Err(TraceError::Unsettled));
        write(&slot, &context(3));
        check(Ok(context(3)));
        slot[4].fetch_xor(0x100, Ordering::Relaxed);
        check(Err(TraceError::Checksum));
        // The count runs over its end.
        slot[0].store(u32::MAX - 1, Ordering::Relaxed);
        write(&slot, &context(4));
        check(Ok(context(4)));
        assert_eq!(slot[0].load(Ordering::Relaxed), 0);
        let newer = sealed::seal(&context(5), 1, &key(0));
        for (word, bytes) in slot[1..].iter().zip(newer.as_chunks::<4>().0) {
            word.store(u32::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        check(Err(TraceError::Format(1)));
    }

    #[test]
    fn a_copy_of_words_from_before_and_after_a_writing_is_not_a_context() {
        let slot = Slot::default();
        write(&slot, &context(1));
        let before = copy(&slot);
        write(&slot, &context(2));
        let after = copy(&slot);
        // Every way to have each of the eight words from before or after.
        for choice in 0..256_u32 {
            let mut mixed = before;
            for word in (0..SLOT_WORDS).filter(|word| choice >> word & 1 != 0) {
                mixed[word * 4..][..4].copy_from_slice(&after[word * 4..][..4]);
            }
            let expected = match mixed {
                same if same == before => Ok(context(1)),
                same if same == after => Ok(context(2)),
                _ => Err(TraceError::Checksum),
            };
            assert_eq!(read_bytes(&mixed), expected, "{choice:#b}");
        }
    }

    #[test]
    fn readers_beside_a_writer_see_whole_contexts_only() {
        let slot = Slot::default();
        write(&slot, &context(1));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut last = 0;
                    for _ in 0..20_000 {
                        match read(&slot) {
                            Ok(got) => {
                                let number = u64::from_be_bytes(got.span_id);
                                assert_eq!(got, context(number));
                                assert!(number >= last, "{number} after {last}");
                                last = number;
                            }
                            Err(error) => assert_eq!(error, TraceError::Unsettled),
                        }
                    }
                });
            }
            (2..20_000).for_each(|number| write(&slot, &context(number)));
        });
        assert_eq!(read(&slot), Ok(context(19_999)));
    }
}
