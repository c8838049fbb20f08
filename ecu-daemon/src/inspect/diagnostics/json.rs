//! Diagnostic messages as JSON.

use std::io::{self, Write};

use can_decode::isotp::{Abandoned, Direction, Endpoint, Message};
use can_decode::uds::{Diagnostic, Kind, Nrc, Pdu, Service};

use crate::inspect::render::{hex, json_float, json_text};

/// The object of a message with its meaning.
pub(super) fn message(
    out: &mut impl Write,
    message: &Message<'_>,
    diagnostic: &Diagnostic<'_>,
) -> io::Result<()> {
    let pdu = &diagnostic.pdu;
    let (kind, code) = match pdu.kind {
        Kind::Request => ("request", None),
        Kind::Positive => ("response", None),
        Kind::Negative(code) if code == Nrc::RESPONSE_PENDING => ("pending", Some(code)),
        Kind::Negative(code) => ("negative", Some(code)),
        Kind::Unrecognised => ("unrecognised", None),
    };
    write!(out, "{{\"kind\":\"{kind}\",\"service\":")?;
    json_name(out, pdu.service.and_then(Service::name))?;
    if let Some(service) = pdu.service {
        write!(out, ",\"sid\":{}", service.0)?;
        if let Some(protocol) = service.protocol() {
            write!(out, ",\"protocol\":\"{}\"", protocol.name())?;
        }
    }
    parameters(out, pdu)?;
    if let Some(code) = code {
        out.write_all(b",\"nrc\":")?;
        json_name(out, code.name())?;
        write!(out, ",\"nrc_code\":{}", code.0)?;
    }
    let functional = message.route.direction == Direction::FunctionalRequest;
    if functional || diagnostic.answer.is_some_and(|answer| answer.functional) {
        out.write_all(b",\"functional\":true")?;
    }
    if matches!(pdu.kind, Kind::Positive | Kind::Negative(_)) {
        answer(out, diagnostic)?;
    }
    transport(out, message)?;
    write!(out, ",\"data\":\"{}\"}}", hex(message.data))
}

fn parameters(out: &mut impl Write, pdu: &Pdu<'_>) -> io::Result<()> {
    if let Some(sub_function) = pdu.sub_function {
        write!(out, ",\"sub_function\":{sub_function}")?;
    }
    if pdu.suppresses_response {
        out.write_all(b",\"suppress_response\":true")?;
    }
    // The first one; the others of a request stand in its data.
    if let (Some(kind), Some(first)) = (pdu.identifiers.kind(), pdu.identifiers.iter().next()) {
        write!(out, ",\"{}\":{first}", kind.name())?;
    }
    Ok(())
}

/// Which request a response is to; null where that was not seen.
fn answer(out: &mut impl Write, diagnostic: &Diagnostic<'_>) -> io::Result<()> {
    let Some(answer) = diagnostic.answer else {
        return out.write_all(b",\"request\":null,\"latency_ms\":null");
    };
    write!(out, ",\"request\":\"{}\",\"latency_ms\":", hex(answer.request.bytes()))?;
    match answer.latency_ns {
        Some(ns) => millis(out, ns)?,
        None => out.write_all(b"null")?,
    }
    if answer.pending > 0 {
        write!(out, ",\"pending\":{}", answer.pending)?;
    }
    Ok(())
}

/// How the message travelled, where it took more than one frame.
fn transport(out: &mut impl Write, message: &Message<'_>) -> io::Result<()> {
    address(out, message.route.sender)?;
    if message.frames > 1 {
        write!(out, ",\"frames\":{},\"duration_ms\":", message.frames)?;
        millis(out, message.completed.since(message.started).max(0).unsigned_abs())?;
    }
    let flow = message.flow;
    if flow.continues + flow.waits > 0 {
        write!(
            out,
            ",\"flow_control\":{{\"block_size\":{},\"st_min_us\":{},\"waits\":{}}}",
            flow.block_size,
            flow.separation.micros(),
            flow.waits
        )?;
    }
    write!(out, ",\"length\":{}", message.len)?;
    if message.is_truncated() {
        out.write_all(b",\"truncated\":true")?;
    }
    Ok(())
}

/// The object of a message that was given up; a comma before it where it is not the first.
pub(super) fn abandoned(out: &mut Vec<u8>, abandoned: &Abandoned<'_>) -> io::Result<()> {
    if !out.is_empty() {
        out.push(b',');
    }
    let id = abandoned.route.sender.id;
    write!(out, "{{\"id\":{},\"extended\":{}", id.raw(), id.is_extended())?;
    address(out, abandoned.route.sender)?;
    write!(
        out,
        ",\"reason\":\"{}\",\"length\":{},\"received\":{},\"data\":\"{}\"}}",
        abandoned.reason,
        abandoned.len,
        abandoned.received,
        hex(abandoned.data)
    )
}

fn address(out: &mut impl Write, sender: Endpoint) -> io::Result<()> {
    match sender.address {
        Some(address) => write!(out, ",\"address\":{address}"),
        None => Ok(()),
    }
}

fn json_name(out: &mut impl Write, name: Option<&str>) -> io::Result<()> {
    match name {
        Some(name) => json_text(out, name),
        None => out.write_all(b"null"),
    }
}

fn millis(out: &mut impl Write, ns: u64) -> io::Result<()> {
    json_float(out, ns as f64 / 1e6)
}
