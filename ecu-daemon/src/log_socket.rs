//! Log lines of the ECU's services: JSON objects on a Unix datagram socket, one a datagram.
//!
//! `{"level":"error","service":"camera","msg":"no frames","ts":1763640000.25,"trace_id":"…","span_id":"…"}`; `level`
//! and `msg` must be there, `ts` is seconds since 1970.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use serde::Deserialize;
use store::block::{ClockSource, LogRecord, Severity};
use tokio::net::UnixDatagram;
use tracing::warn;

use crate::clock;
use crate::status::Status;
use crate::stop::Stop;

/// Largest datagram taken, bytes; a longer one is cut and then malformed.
const LINE_BYTES_MAX: usize = 16 << 10;
/// Records between the socket and the engine.
pub const QUEUE_LOGS: usize = 1024;
/// Malformed lines that are reported one by one; the rest are counted.
const REPORTS_MAX: u64 = 5;

/// The listening socket; its file is removed with it.
pub struct LogSocket {
    socket: UnixDatagram,
    path: PathBuf,
}

#[derive(Deserialize)]
struct Line {
    level: String,
    msg: String,
    #[serde(default)]
    service: Option<String>,
    #[serde(default)]
    ts: Option<f64>,
    #[serde(default)]
    trace_id: Option<String>,
    #[serde(default)]
    span_id: Option<String>,
}

impl LogSocket {
    /// Listens at `path`; a socket left there by a process that is gone is replaced.
    ///
    /// # Errors
    /// When the folder is not there or not writable, or another file is in the way.
    pub fn bind(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::FileTypeExt;
        let left_over = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
        let removed = if left_over { std::fs::remove_file(path) } else { Ok(()) };
        let socket = removed.and_then(|()| UnixDatagram::bind(path)).map_err(|error| {
            let text = format!(
                "cannot listen on {}: {error}; going on without; check [logs] socket",
                path.display()
            );
            io::Error::new(error.kind(), text)
        })?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Takes lines until `end`, and then what is still waiting. Dropping `engine` tells the engine that no more come.
    pub async fn run(self, engine: SyncSender<LogRecord>, status: &Status, end: &Stop) {
        let mut line = vec![0; LINE_BYTES_MAX];
        let mut end = pin!(end.wait());
        loop {
            let received = tokio::select! {
                received = self.socket.recv(&mut line) => received,
                () = &mut end => break,
            };
            match received {
                Ok(len) => self.take(&line[..len], &engine, status),
                Err(error) => {
                    warn!(%error, socket = %self.path.display(), "log socket");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        // Bounded: a sender that never stops does not keep the service from stopping.
        for _ in 0..QUEUE_LOGS {
            let Ok(len) = self.socket.try_recv(&mut line) else { break };
            self.take(&line[..len], &engine, status);
        }
    }

    fn take(&self, line: &[u8], engine: &SyncSender<LogRecord>, status: &Status) {
        let counters = &status.logs;
        counters.received.fetch_add(1, Relaxed);
        match parse(line) {
            Ok(record) => {
                if engine.try_send(record).is_err() {
                    counters.dropped.fetch_add(1, Relaxed);
                }
            }
            Err(reason) => {
                if counters.malformed.fetch_add(1, Relaxed) < REPORTS_MAX {
                    warn!("{}: {reason}; the line is left out and counted", self.path.display());
                }
            }
        }
    }
}

impl Drop for LogSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn parse(bytes: &[u8]) -> Result<LogRecord, String> {
    let line: Line = serde_json::from_slice(bytes)
        .map_err(|error| format!("not a JSON object with \"level\" and \"msg\": {error}"))?;
    let severity = Severity::from_name(&line.level).ok_or_else(|| {
        format!("unknown level {:?}; use trace, debug, info, warn, error or fatal", line.level)
    })?;
    let (time_ns, clock) = match line.ts {
        // Seconds as a float keep microseconds until 2255; a writer's stamp is no better.
        Some(ts) if ts.is_finite() && ts.abs() < 9e9 => ((ts * 1e6) as i64 * 1_000, ClockSource::Recorded),
        Some(ts) => return Err(format!("ts {ts} is not seconds since 1970")),
        None => (clock::realtime().0, ClockSource::UserSpace),
    };
    let trace = match (line.trace_id, line.span_id) {
        (None, _) => None,
        (Some(trace_id), span_id) => {
            let bad = |name| format!("{name} is not the hex digits of W3C Trace Context");
            let trace_id = hex::<16>(&trace_id).ok_or_else(|| bad("trace_id"))?;
            let span_id = span_id.map_or(Some([0; 8]), |id| hex::<8>(&id)).ok_or_else(|| bad("span_id"))?;
            Some((trace_id, span_id))
        }
    };
    let service = line.service.unwrap_or_else(|| "unknown".to_owned());
    Ok(LogRecord { time_ns, clock, severity, service, body: line.msg, trace })
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_records() {
        let record = parse(
            br#"{"level":"WARN","service":"camera","msg":"late","ts":1763640000.25,"domain":"adas",
                "trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331"}"#,
        )
        .unwrap();
        assert_eq!((record.severity, record.service.as_str()), (Severity::WARN, "camera"));
        assert_eq!(record.time_ns, 1_763_640_000_250_000_000);
        assert_eq!(record.trace.map(|(trace, span)| (trace[0], span[7])), Some((0x0A, 0x31)));
        let bare = parse(br#"{"level":"info","msg":"hello"}"#).unwrap();
        assert_eq!((bare.service.as_str(), bare.clock), ("unknown", ClockSource::UserSpace));
    }

    #[test]
    fn lines_that_are_none_say_why() {
        for (line, word) in [
            (&b"hello"[..], "JSON"),
            (b"{\"level\":\"info\"}", "msg"),
            (b"{\"level\":\"loud\",\"msg\":\"\"}", "unknown level \"loud\""),
            (b"{\"level\":\"info\",\"msg\":\"\",\"ts\":1e300}", "seconds"),
            (b"{\"level\":\"info\",\"msg\":\"\",\"trace_id\":\"12\"}", "trace_id"),
            (b"{\"level\":\"info\",\"msg\":\"\",\"trace_id\":\"\xC3\xA4\"}", "trace_id"),
            (b"\xFF\xFE", "JSON"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
