//! A command's side of the control socket.

use std::io::{self, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::wire::{Frame, Question};

/// A service that says nothing for this long does not answer: its writer may wait for a card that hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The answer to a question, frame by frame.
pub struct Answer {
    input: BufReader<UnixStream>,
    /// Device and inode of the ring's file.
    pub ring: (u64, u64),
}

/// Asks the service that listens at `socket`.
///
/// # Errors
/// When nobody listens there, or it is no control socket.
pub fn ask(socket: &Path, question: &Question) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    let mut line = serde_json::to_vec(question)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut input = BufReader::with_capacity(64 << 10, stream);
    match Frame::read(&mut input)? {
        Frame::Ring(device, inode) => Ok(Answer { input, ring: (device, inode) }),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it is no control socket of ecu-daemon")),
    }
}

impl Answer {
    /// The next frame.
    ///
    /// # Errors
    /// When the service has gone away in the middle, or says that it failed.
    pub fn next_frame(&mut self) -> io::Result<Frame> {
        match Frame::read(&mut self.input) {
            Ok(Frame::Failed(text)) => Err(io::Error::other(text)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(io::Error::new(
                error.kind(),
                "the service went away in the middle of its answer; ask again",
            )),
            other => other,
        }
    }
}
