//! The service that acts: on an ECU with an operating system.

use std::error::Error;
use std::os::unix::net::UnixDatagram;
use std::thread::sleep;
use std::time::Duration;

use can_decode::extract::Extractor;
use can_decode::trace::classic::{ClassicReader, Limits, Target};
use can_decode::trace::{SpanIds, payload};
use can_decode::{ByteOrder, CanId, Frame, FrameFlags, RealtimeNanos, TraceContext};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

use crate::bus::{BRAKE_COMMAND, Bus, CONTEXT_AT, CONTEXTS, PEDAL_BYTES, PEDAL_DONE};
use crate::otlp::{Span, send};
use crate::{Options, random};

/// How long the brake takes.
const WORK: Duration = Duration::from_millis(20);
/// Where `BRAKE_COMMAND` has its alive counter.
const ALIVE_BIT: u16 = 24;

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let otlp = options.otlp.ok_or("the service needs --otlp ADDRESS:PORT")?;
    let log = options.log.as_deref().ok_or("the service needs --log SOCKET")?;
    let from = Bus::open(&options.from, &[CONTEXTS, BRAKE_COMMAND])?;
    let to = Bus::open(&options.to, &[])?;
    let target = Target {
        context_id: CanId::Standard(CONTEXTS),
        tag: 0,
        id: CanId::Standard(BRAKE_COMMAND),
        counter: Extractor::new(ALIVE_BIT, 4, ByteOrder::Intel, false),
    };
    let mut reader = ClassicReader::<1, 1>::new([target], Limits::default())?;
    let mut ids = SpanIds::new(random()?);
    println!("ready");
    let mut done = 0;
    while done < options.count {
        let frame = from.receive()?;
        let start_ns = now_ns();
        let Some(context) = reader.take(&frame, start_ns as i64) else { continue };
        let own = context.child(ids.next_id())?;
        let line = json!({
            "level": "info", "service": "brake", "msg": "brake applied", "ts": start_ns as f64 / 1e9,
            "trace_id": own.trace_id_text().as_str(), "span_id": own.span_id_text().as_str(),
        });
        UnixDatagram::unbound()?.send_to(line.to_string().as_bytes(), log)?;
        sleep(WORK);
        to.send(&answer(&frame, &own)?)?;
        let span = Span {
            service: "brake",
            name: "apply brake",
            parent: &context,
            own: &own,
            start_ns,
            end_ns: now_ns(),
        };
        send(otlp, &span)?;
        println!("{own}");
        done += 1;
    }
    Ok(())
}

/// `PEDAL_DONE` for a command: its number, and that all is well.
fn answer(command: &Frame, own: &TraceContext) -> Result<Frame, Box<dyn Error>> {
    let mut bytes = [0; PEDAL_BYTES];
    bytes[..2].copy_from_slice(command.data().get(..2).unwrap_or(&[0, 0]));
    payload::write(&mut bytes, CONTEXT_AT, own)?;
    Ok(Frame::fd(CanId::Standard(PEDAL_DONE), FrameFlags::default(), &bytes)?)
}

fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    RealtimeNanos::from_timespec(now.tv_sec, now.tv_nsec).0 as u64
}
