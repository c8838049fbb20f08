//! The simulated drive as a recording: frames to the buses, log lines to the log socket.

use std::collections::VecDeque;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use can_decode::RealtimeNanos;
use ecu_core::{BusIndex, FrameRecord, Stamp};
use store::block::ClockSource;

use super::drive::{Drive, DriveLog};
use crate::capture::{Recorded, Recording};
use crate::inspect::hex;

/// Log lines that may wait for the socket. The drive writes about five a second.
const WAITING_MAX: usize = 1024;
/// How often, 10 ms apart, the last lines are tried.
const LAST_TRIES: usize = 100;

/// What the drive sent, for comparing with what arrived.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) frames: AtomicU64,
    pub(super) logs: AtomicU64,
    pub(super) logs_unsent: AtomicU64,
}

pub(super) struct DriveRecording {
    drive: Drive,
    /// Time at which the drive began.
    began: RealtimeNanos,
    path: PathBuf,
    socket: Option<UnixDatagram>,
    waiting: VecDeque<String>,
    sent: Arc<Sent>,
    /// Whether a frame was handed out that is not counted yet: it counts as sent when the next one is asked for.
    handed_out: bool,
}

impl DriveRecording {
    /// `drive` as of `began`, with its log lines to the datagram socket at `path`.
    pub(super) fn new(drive: Drive, began: RealtimeNanos, path: &Path, sent: Arc<Sent>) -> Self {
        let socket = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        Self {
            drive,
            began,
            path: path.to_owned(),
            socket: socket.ok(),
            waiting: VecDeque::new(),
            sent,
            handed_out: false,
        }
    }

    fn line(&self, log: &DriveLog) -> String {
        let seconds = (self.began.0 + log.at_ns) as f64 / 1e9;
        let mut line = serde_json::json!({
            "level": log.level, "service": log.service, "msg": log.message, "ts": seconds,
        });
        for (name, id) in
            [("trace_id", log.trace_id.map(|id| hex(&id))), ("span_id", log.span_id.map(|id| hex(&id)))]
        {
            if let Some(id) = id {
                line[name] = id.into();
            }
        }
        line.to_string()
    }

    fn send_logs(&mut self) {
        for log in self.drive.take_logs() {
            let line = self.line(&log);
            self.waiting.push_back(line);
            self.sent.logs.fetch_add(1, Relaxed);
            if self.waiting.len() > WAITING_MAX {
                self.waiting.pop_front();
                self.sent.logs_unsent.fetch_add(1, Relaxed);
            }
        }
        while let Some(line) = self.waiting.front() {
            let Some(Ok(_)) = self.socket.as_ref().map(|socket| socket.send_to(line.as_bytes(), &self.path))
            else {
                break;
            };
            self.waiting.pop_front();
        }
    }
}

impl Recording for DriveRecording {
    fn next(&mut self) -> Option<Recorded> {
        self.sent.frames.fetch_add(u64::from(self.handed_out), Relaxed);
        let timed = self.drive.next();
        self.handed_out = timed.is_some();
        self.send_logs();
        let Some(timed) = timed else {
            for _ in 0..LAST_TRIES {
                if self.waiting.is_empty() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
                self.send_logs();
            }
            self.sent.logs_unsent.fetch_add(self.waiting.len() as u64, Relaxed);
            return None;
        };
        Some(Recorded::Frame(FrameRecord {
            bus: BusIndex(timed.bus as u16),
            stamp: Stamp { ns: self.began.0 + timed.at_ns, clock: ClockSource::UserSpace },
            frame: timed.frame,
            follows_loss: false,
        }))
    }
}
