//! linuxptp's management socket: asked whether, and how well, its clock is synchronised.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ecu_core::clock::Sync;
use ecu_core::clock::management::{PtpStatus, Query, Requester, parse};

use crate::clock;

/// How long a round waits for answers.
const ANSWERS_WITHIN: Duration = Duration::from_millis(200);
/// Answers of a round that are read at most: one a port and a few more.
const ANSWERS_MAX: usize = 128;
/// No answer is longer.
const ANSWER_BYTES: usize = 1500;

/// A connection to ptp4l.
pub(super) struct Ptp4l {
    path: PathBuf,
    requester: Requester,
    socket: Option<UnixDatagram>,
    sequence: u16,
}

impl Ptp4l {
    pub(super) fn new(path: &Path, requester: Requester) -> Self {
        Self { path: path.to_owned(), requester, socket: None, sequence: 0 }
    }

    /// What it says now; `None` when its clock is not synchronised.
    ///
    /// # Errors
    /// When it cannot be asked; the error names the socket.
    pub(super) fn ask(&mut self) -> io::Result<Option<Sync>> {
        let status = self.round().map_err(|error| {
            self.socket = None;
            let text =
                format!("{}: {error}; does ptp4l run, and may the service write to it?", self.path.display());
            io::Error::new(error.kind(), text)
        })?;
        Ok(status.sync(None))
    }

    fn round(&mut self) -> io::Result<PtpStatus> {
        let socket = match &self.socket {
            Some(socket) => socket,
            None => self.socket.insert(open()?),
        };
        for query in Query::ALL {
            self.sequence = self.sequence.wrapping_add(1);
            socket.send_to(&self.requester.get(query, self.sequence), &self.path)?;
        }
        let first = self.sequence.wrapping_sub(Query::ALL.len() as u16 - 1);
        let mut status = PtpStatus::default();
        let mut answer = [0; ANSWER_BYTES];
        let until = Instant::now() + ANSWERS_WITHIN;
        for _ in 0..ANSWERS_MAX {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left))?;
            let len = match socket.recv(&mut answer) {
                Ok(len) => len,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            // Answers that came too late for their round say nothing of this one.
            let of_this_round = |sequence: u16| sequence.wrapping_sub(first) < Query::ALL.len() as u16;
            match parse(&answer[..len]) {
                Ok(answer) if of_this_round(answer.sequence) => status.take(&answer),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(status)
    }
}

/// A socket that answers can be sent to: with a name that is no file, so that it needs no folder and leaves nothing behind.
fn open() -> io::Result<UnixDatagram> {
    let name = format!("ecu-daemon-{}-{:08x}", std::process::id(), clock::jitter());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
    socket.set_write_timeout(Some(ANSWERS_WITHIN))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use ecu_core::clock::SyncSource;

    use super::*;

    /// Answers as ptp4l does: the request, as a response, with the data behind it.
    fn answer(request: &[u8], data: &[u8]) -> Vec<u8> {
        let mut bytes = request.to_vec();
        bytes[46] = 2;
        let id = [bytes[52], bytes[53]];
        bytes.truncate(48);
        bytes.extend(1_u16.to_be_bytes());
        bytes.extend((2 + data.len() as u16).to_be_bytes());
        bytes.extend(id);
        bytes.extend(data);
        let len = (bytes.len() as u16).to_be_bytes();
        bytes[2..4].copy_from_slice(&len);
        bytes
    }

    fn data(id: u16) -> Vec<u8> {
        match id {
            0xC000 => {
                let mut data = (-70_i64).to_be_bytes().to_vec();
                data.extend([0; 30]);
                data.extend(1_i32.to_be_bytes());
                data.extend([1; 8]);
                data
            }
            0x2001 => {
                [&1_u16.to_be_bytes()[..], &0_i64.to_be_bytes(), &(400_i64 << 16).to_be_bytes()].concat()
            }
            0x2003 => vec![0, 37, 0x0C, 0x20],
            _ => {
                let mut data = vec![0; 26];
                data[10] = 9;
                data
            }
        }
    }

    #[test]
    fn a_slave_of_a_grandmaster_is_synchronised() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ptp4l");
        let server = UnixDatagram::bind(&path).unwrap();
        let serve = std::thread::spawn(move || {
            let mut request = [0; 100];
            for _ in Query::ALL {
                let (len, from) = server.recv_from(&mut request).unwrap();
                let id = u16::from_be_bytes([request[52], request[53]]);
                server.send_to_addr(&answer(&request[..len], &data(id)), &from).unwrap();
            }
        });
        let mut ptp4l = Ptp4l::new(&path, Requester { port: 1, ..Requester::default() });
        let sync = ptp4l.ask().unwrap().expect("it is synchronised");
        serve.join().unwrap();
        assert_eq!((sync.source, sync.error_ns, sync.tai_utc.seconds), (SyncSource::Ptp, 470, 37));
        std::fs::remove_file(&path).unwrap();
        let error = ptp4l.ask().unwrap_err().to_string();
        assert!(error.contains("does ptp4l run"), "{error}");
    }
}
