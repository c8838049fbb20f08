//! The control socket's protocol: a question as a line of JSON, the answer as frames.
//!
//! `{"read":"samples","from_ns":0,"to_ns":1}` and a line feed ask for blocks. An answer is frames of a letter, a length
//! (u32, little-endian) and so many bytes:
//!
//! | letter | bytes | |
//! |---|---|---|
//! | `R` | device and inode of the ring's file, u64 each, little-endian | first, so that the asker knows which ring it is |
//! | `S` | a schema's or a dictionary's block | before the first block that refers to it |
//! | `B` | row (i64, little-endian) and block | oldest first |
//! | `E` | nothing | the end: that was all |
//! | `X` | UTF-8 | what went wrong; nothing follows |
//!
//! An answer that stops without `E` or `X` is cut off.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use store::block::{Kind, limits};
use store::ring::{Selection, StoredBlock};

/// Longest question, bytes.
pub const QUESTION_BYTES_MAX: usize = 4096;
/// Longest frame without letter and length, bytes: a block with its row.
const FRAME_BYTES_MAX: usize = limits::BLOCK_BYTES_MAX + ROW_BYTES;
const ROW_BYTES: usize = size_of::<i64>();

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Blocks with these records,
    pub read: Records,
    /// that touch the times from here, nanoseconds since 1970,
    #[serde(default = "earliest")]
    pub from_ns: i64,
    /// to here.
    #[serde(default = "latest")]
    pub to_ns: i64,
}

/// Kinds of records that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Records {
    Samples,
    Spans,
    Logs,
    Clocks,
    Frames,
}

const fn earliest() -> i64 {
    i64::MIN
}

const fn latest() -> i64 {
    i64::MAX
}

impl From<Question> for Selection {
    fn from(question: Question) -> Self {
        let kind = match question.read {
            Records::Samples => Kind::Samples,
            Records::Spans => Kind::Spans,
            Records::Logs => Kind::Logs,
            Records::Clocks => Kind::ClockMap,
            Records::Frames => Kind::Frames,
        };
        Self { kind, first_ns: question.from_ns, last_ns: question.to_ns }
    }
}

/// A piece of an answer; see the module.
pub enum Frame {
    /// Device and inode of the ring's file.
    Ring(u64, u64),
    /// A schema's or a dictionary's block, not yet checked.
    Named(Vec<u8>),
    /// A block.
    Block(StoredBlock),
    /// The end.
    End,
    /// What went wrong.
    Failed(String),
}

impl Frame {
    /// Appends the frame to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut put = |letter: u8, parts: [&[u8]; 2]| {
            out.push(letter);
            out.extend_from_slice(&(parts.iter().map(|part| part.len() as u32).sum::<u32>()).to_le_bytes());
            parts.iter().for_each(|part| out.extend_from_slice(part));
        };
        match self {
            Self::Ring(device, inode) => put(b'R', [&device.to_le_bytes(), &inode.to_le_bytes()]),
            Self::Named(bytes) => put(b'S', [bytes, &[]]),
            Self::Block(block) => put(b'B', [&block.id.to_le_bytes(), &block.bytes]),
            Self::End => put(b'E', [&[], &[]]),
            Self::Failed(text) => put(b'X', [text.as_bytes(), &[]]),
        }
    }

    /// Reads the next frame.
    ///
    /// # Errors
    /// The reader's own, [`io::ErrorKind::UnexpectedEof`] for one that is cut off, and [`io::ErrorKind::InvalidData`] for
    /// what is no frame.
    pub fn read(input: &mut impl Read) -> io::Result<Self> {
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
        let (mut letter, mut len) = ([0], [0; 4]);
        input.read_exact(&mut letter)?;
        input.read_exact(&mut len)?;
        let len = u32::from_le_bytes(len) as usize;
        if len > FRAME_BYTES_MAX {
            return Err(invalid(format!("a frame of {len} bytes, above the limit of {FRAME_BYTES_MAX}")));
        }
        let mut bytes = vec![0; len];
        input.read_exact(&mut bytes)?;
        match (letter[0], bytes.split_first_chunk::<ROW_BYTES>()) {
            (b'R', Some((device, rest))) => {
                let inode =
                    rest.try_into().map_err(|_| invalid("a ring's name of the wrong length".to_owned()))?;
                Ok(Self::Ring(u64::from_le_bytes(*device), u64::from_le_bytes(inode)))
            }
            (b'S', _) => Ok(Self::Named(bytes)),
            (b'B', Some((row, rest))) => {
                Ok(Self::Block(StoredBlock { id: i64::from_le_bytes(*row), bytes: rest.to_vec() }))
            }
            (b'E', _) => Ok(Self::End),
            (b'X', _) => Ok(Self::Failed(String::from_utf8_lossy(&bytes).into_owned())),
            (letter, _) => Err(invalid(format!("{len} bytes of {:?} are no frame", char::from(letter)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_and_cut_or_foreign_ones_are_errors() {
        let block = StoredBlock { id: -7, bytes: vec![1, 2, 3] };
        let frames = [
            Frame::Ring(1, 2),
            Frame::Named(vec![9]),
            Frame::Block(block),
            Frame::Failed("no".into()),
            Frame::End,
        ];
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| frame.write(&mut bytes));
        let mut input = bytes.as_slice();
        assert!(matches!(Frame::read(&mut input), Ok(Frame::Ring(1, 2))));
        assert!(matches!(Frame::read(&mut input), Ok(Frame::Named(bytes)) if bytes == [9]));
        let read = Frame::read(&mut input);
        assert!(matches!(read, Ok(Frame::Block(StoredBlock { id: -7, bytes })) if bytes == [1, 2, 3]));
        assert!(matches!(Frame::read(&mut input), Ok(Frame::Failed(text)) if text == "no"));
        assert!(matches!(Frame::read(&mut input), Ok(Frame::End)));
        let check = |mut bytes: &[u8], expected: io::ErrorKind| {
            let error = Frame::read(&mut bytes).err().map(|error| error.kind());
            assert_eq!(error, Some(expected), "{bytes:?}");
        };
        check(&[], io::ErrorKind::UnexpectedEof);
        check(b"B\x08\0\0\0\0\0", io::ErrorKind::UnexpectedEof);
        check(b"B\x02\0\0\0\0\0", io::ErrorKind::InvalidData);
        check(b"R\x09\0\0\x00ABCDEFGHI", io::ErrorKind::InvalidData);
        check(b"B\xFF\xFF\xFF\xFF", io::ErrorKind::InvalidData);
        check(b"HTTP/1.1 200 OK", io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_question_is_a_line_of_json() {
        let question: Question = serde_json::from_str(r#"{"read":"spans","to_ns":5}"#).unwrap();
        assert_eq!(question, Question { read: Records::Spans, from_ns: i64::MIN, to_ns: 5 });
        assert!(serde_json::from_str::<Question>(r#"{"read":"schemas"}"#).is_err());
        assert!(serde_json::from_str::<Question>(r#"{"read":"logs","write":1}"#).is_err());
    }
}
