//! One connection in a task of its own: it reads, writes and pings, and tells what comes.
//!
//! rumqttc's event loop is not used: it numbers packets itself, drops or repeats what was under way when it reconnects
//! by itself, pings on busy links, and takes no TLS stream but its own, of an old webpki. Its encoders and decoders
//! are.

use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::codec::{self, Incoming, Outgoing};
use super::error::{LinkError, text};
use super::link::{Link, Protocol};
use super::stream::{self, Socket, Stream};
use crate::session::BrokerLimits;

/// How long a broker keeps the session of a client that is away (MQTT 5 §3.1.2.11.2): a week.
const SESSION_SECONDS: u32 = 7 * 86_400;
/// Dialling, TLS and CONNACK together may take this long: ten round trips of three seconds.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);
/// Events that the task may be ahead of its reader. The reader only moves them on, so few suffice.
const EVENTS_MAX: usize = 256;
/// Requests are taken while fewer bytes than this wait to be written.
const WRITE_AHEAD: usize = 64 << 10;
const READ_BYTES: usize = 16 << 10;

/// What the task tells.
#[derive(Debug)]
pub(super) enum Told {
    Connected {
        session_present: bool,
        limits: BrokerLimits,
        socket: Option<Socket>,
    },
    /// Any packet but CONNACK, PINGRESP, DISCONNECT.
    Packet(Incoming),
    /// PINGRESP after this long.
    Pong(Duration),
}

/// Bytes of MQTT over this connection, before TLS and TCP.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
}

pub(super) struct Connection {
    requests: mpsc::Sender<Outgoing>,
    told: mpsc::Receiver<Result<Told, LinkError>>,
    task: JoinHandle<()>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) broker: String,
}

impl Connection {
    /// Starts to connect. At most `requests_max` packets wait for the task.
    pub(super) fn open(link: &Link, requests_max: usize) -> Self {
        let (requests, taken) = mpsc::channel(requests_max.max(1));
        let (tell, told) = mpsc::channel(EVENTS_MAX);
        let traffic = Arc::new(Traffic::default());
        let task = tokio::spawn(run(link.clone(), taken, tell, Arc::clone(&traffic)));
        Self { requests, told, task, traffic, broker: link.broker() }
    }

    /// Hands a packet over; `false` when there is no room or the connection is gone.
    pub(super) fn send(&self, packet: Outgoing) -> bool {
        self.requests.try_send(packet).is_ok()
    }

    /// The next thing told. May be cancelled.
    pub(super) async fn next(&mut self) -> Result<Told, LinkError> {
        let told = self.told.recv().await;
        told.unwrap_or_else(|| Err(LinkError::Closed(self.broker.clone())))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Tell = mpsc::Sender<Result<Told, LinkError>>;

async fn run(link: Link, requests: mpsc::Receiver<Outgoing>, tell: Tell, traffic: Arc<Traffic>) {
    let connected = timeout(CONNECT_WITHIN, greet(&link, &traffic)).await;
    let silent = || LinkError::Silent { broker: link.broker(), what: "CONNECT" };
    let ended = match connected.unwrap_or_else(|_| Err(silent())) {
        Ok((pump, told)) => {
            if tell.send(Ok(told)).await.is_err() {
                return;
            }
            Pump { requests, tell: tell.clone(), traffic, ..pump }.run().await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        let _ = tell.send(Err(error)).await;
    }
}

/// Dials, and says CONNECT until CONNACK.
async fn greet(link: &Link, traffic: &Arc<Traffic>) -> Result<(Pump, Told), LinkError> {
    let (stream, socket) = stream::dial(link).await?;
    let (reader, writer) = tokio::io::split(stream);
    let (requests, tell) = (mpsc::channel(1).1, mpsc::channel(1).0);
    let mut pump = Pump {
        reader,
        writer,
        input: BytesMut::with_capacity(READ_BYTES),
        output: BytesMut::new(),
        unflushed: false,
        requests,
        tell,
        traffic: Arc::clone(traffic),
        protocol: link.protocol,
        packet_bytes_max: link.packet_bytes_max,
        keep_alive: link.keep_alive.max(Duration::from_secs(1)),
        broker: link.broker(),
    };
    codec::write_connect(link, SESSION_SECONDS, &mut pump.output)
        .map_err(|what| pump.protocol_error(what))?;
    pump.write_all().await?;
    let (session_present, code, reason, limits) = loop {
        match codec::read(&mut pump.input, pump.protocol, pump.packet_bytes_max) {
            Ok(Some(Incoming::Connack { session_present, code, reason, limits })) => {
                break (session_present, code, reason, limits);
            }
            Ok(Some(_)) => return Err(pump.protocol_error("a packet before CONNACK".into())),
            Ok(None) => pump.read_more().await?,
            Err(what) => return Err(pump.protocol_error(what)),
        }
    };
    if code != 0 {
        return Err(LinkError::Refused { broker: link.broker(), code, text: text(code, reason) });
    }
    // What the broker imposes holds (MQTT 5 §3.2.2.3.14); 0 turns it off.
    match limits.keep_alive {
        Some(Duration::ZERO) => pump.keep_alive = Duration::from_secs(u64::from(u16::MAX)),
        Some(keep_alive) => pump.keep_alive = keep_alive,
        None => {}
    }
    Ok((pump, Told::Connected { session_present, limits, socket }))
}

/// Writes a part of what waits; with nothing left, flushes what TLS holds. Gives the bytes written.
async fn push(writer: &mut WriteHalf<Box<dyn Stream>>, output: &mut BytesMut) -> io::Result<usize> {
    if output.has_remaining() { writer.write_buf(output).await } else { writer.flush().await.map(|()| 0) }
}

struct Pump {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    input: BytesMut,
    output: BytesMut,
    unflushed: bool,
    requests: mpsc::Receiver<Outgoing>,
    tell: Tell,
    traffic: Arc<Traffic>,
    protocol: Protocol,
    packet_bytes_max: u32,
    keep_alive: Duration,
    broker: String,
}

impl Pump {
    fn protocol_error(&self, what: String) -> LinkError {
        LinkError::Protocol { broker: self.broker.clone(), what }
    }

    fn broken(&self, source: io::Error) -> LinkError {
        stream::sort(self.broker.clone(), source)
    }

    async fn read_more(&mut self) -> Result<(), LinkError> {
        self.input.reserve(READ_BYTES);
        match self.reader.read_buf(&mut self.input).await {
            Ok(0) => Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(bytes) => {
                self.traffic.received.fetch_add(bytes as u64, Relaxed);
                Ok(())
            }
            Err(error) => Err(self.broken(error)),
        }
    }

    async fn write_all(&mut self) -> Result<(), LinkError> {
        while self.output.has_remaining() {
            match self.writer.write_buf(&mut self.output).await {
                Ok(bytes) => self.traffic.sent.fetch_add(bytes as u64, Relaxed),
                Err(error) => return Err(self.broken(error)),
            };
        }
        self.writer.flush().await.map_err(|error| self.broken(error))
    }

    /// Until the connection ends. Every branch may be cancelled by another without loss.
    async fn run(mut self) -> Result<(), LinkError> {
        let mut said = Instant::now();
        let mut asked: Option<Instant> = None;
        loop {
            let (writing, room) = (self.output.has_remaining(), self.output.len() < WRITE_AHEAD);
            let ping_at = asked.map_or(said, |asked| asked) + self.keep_alive;
            self.input.reserve(READ_BYTES);
            tokio::select! {
                read = self.reader.read_buf(&mut self.input) => {
                    let bytes = read.map_err(|error| self.broken(error))?;
                    if bytes == 0 {
                        return Err(self.broken(io::ErrorKind::UnexpectedEof.into()));
                    }
                    self.traffic.received.fetch_add(bytes as u64, Relaxed);
                    if !self.tell_packets(&mut asked).await? {
                        return Ok(());
                    }
                }
                pushed = push(&mut self.writer, &mut self.output), if writing || self.unflushed => {
                    let bytes = pushed.map_err(|error| self.broken(error))?;
                    self.traffic.sent.fetch_add(bytes as u64, Relaxed);
                    self.unflushed = writing;
                }
                request = self.requests.recv(), if room => {
                    let Some(packet) = request else { return Ok(()) };
                    let goodbye = matches!(packet, Outgoing::Disconnect);
                    codec::write(packet, self.protocol, &mut self.output)
                        .map_err(|what| self.protocol_error(what))?;
                    said = Instant::now();
                    if goodbye {
                        self.write_all().await?;
                        let _ = self.writer.shutdown().await;
                        return Ok(());
                    }
                }
                () = sleep_until(ping_at) => {
                    if asked.is_some() {
                        return Err(LinkError::Silent { broker: self.broker.clone(), what: "PINGREQ" });
                    }
                    codec::write(Outgoing::Ping, self.protocol, &mut self.output)
                        .map_err(|what| self.protocol_error(what))?;
                    said = Instant::now();
                    asked = Some(said);
                }
            }
        }
    }

    /// Tells what was read; `false` when nobody listens any more.
    async fn tell_packets(&mut self, asked: &mut Option<Instant>) -> Result<bool, LinkError> {
        loop {
            let told = match codec::read(&mut self.input, self.protocol, self.packet_bytes_max) {
                Ok(None) => return Ok(true),
                Ok(Some(Incoming::Pong)) => match asked.take() {
                    Some(asked) => Told::Pong(asked.elapsed()),
                    None => continue,
                },
                Ok(Some(Incoming::Disconnect { code, reason })) => {
                    let text = text(code, reason);
                    return Err(LinkError::Disconnected { broker: self.broker.clone(), code, text });
                }
                Ok(Some(Incoming::Other)) => continue,
                Ok(Some(packet)) => Told::Packet(packet),
                Err(what) => return Err(self.protocol_error(what)),
            };
            if self.tell.send(Ok(told)).await.is_err() {
                return Ok(false);
            }
        }
    }
}
