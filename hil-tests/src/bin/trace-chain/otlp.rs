//! A span in OTLP/HTTP, written by hand: field numbers of opentelemetry-proto's `trace/v1/trace.proto`.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use can_decode::TraceContext;

const PATIENCE: Duration = Duration::from_secs(10);
const KIND_SERVER: u8 = 2;
const STATUS_OK: u8 = 1;

/// What is sent.
pub(crate) struct Span<'a> {
    pub(crate) service: &'a str,
    pub(crate) name: &'a str,
    pub(crate) parent: &'a TraceContext,
    pub(crate) own: &'a TraceContext,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
}

/// Sends it, and waits for the answer that all of it was taken.
pub(crate) fn send(address: SocketAddr, span: &Span<'_>) -> io::Result<()> {
    let body = request(span);
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST /v1/traces HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-protobuf\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    // An empty body is an empty message: nothing was rejected.
    if answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n") {
        return Ok(());
    }
    Err(io::Error::other(format!("{address} answers {answer:?}")))
}

fn request(span: &Span<'_>) -> Vec<u8> {
    let name = [bytes(1, b"service.name"), bytes(2, &bytes(1, span.service.as_bytes()))].concat();
    let resource = bytes(1, &name);
    let message = [
        bytes(1, &span.own.trace_id),
        bytes(2, &span.own.span_id),
        bytes(4, &span.parent.span_id),
        bytes(5, span.name.as_bytes()),
        vec![6 << 3, KIND_SERVER],
        fixed64(7, span.start_ns),
        fixed64(8, span.end_ns),
        bytes(15, &[3 << 3, STATUS_OK]),
    ]
    .concat();
    let scope = bytes(2, &message);
    bytes(1, &[bytes(1, &resource), bytes(2, &scope)].concat())
}

/// A field of bytes, text, or a message; shorter than 2^14 bytes.
fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2];
    if content.len() > 0x7F {
        out.push(content.len() as u8 | 0x80);
        out.push((content.len() >> 7) as u8);
    } else {
        out.push(content.len() as u8);
    }
    out.extend_from_slice(content);
    out
}

fn fixed64(field: u8, value: u64) -> Vec<u8> {
    [&[field << 3 | 1][..], &value.to_le_bytes()].concat()
}
