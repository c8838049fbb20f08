//! What a packet costs on the wire: MQTT, TLS, TCP and IP with the acknowledgements that come back.
//!
//! Meant for a bill: both directions, from the IP header on, as carriers count. The estimate is of a path without
//! loss; what the kernel retransmits is told apart (`TCP_INFO`, `tcpi_bytes_retrans`) and spent on top.

/// IP and TCP headers of one segment: IPv6 40, TCP 20, its time stamps 12 (RFC 7323 §3.2). IPv4 is 20 less.
const HEADERS_V6: u64 = 72;
const HEADERS_V4: u64 = 52;
/// Payload of a full segment on a cellular link with an MTU of 1400.
const SEGMENT_PAYLOAD: u64 = 1400 - HEADERS_V6;
/// A TLS 1.3 record besides its content: header 5, content type 1, AEAD tag 16 (RFC 8446 §5.2).
const RECORD_OVERHEAD: u64 = 22;
/// Most content in a record (RFC 8446 §5.1).
const RECORD_CONTENT: u64 = 1 << 14;
/// A full TLS 1.3 handshake, both ways, with a chain of two certificates on either side: about 1.3 KB of ours, 3 KB of
/// the broker's, session tickets.
const HANDSHAKE_SENT: u64 = 2000;
const HANDSHAKE_RECEIVED: u64 = 4500;
/// CONNECT with a will, names and properties, and CONNACK.
const CONNECT: u64 = 400;
const CONNACK: u64 = 60;
/// PUBACK with a reason code and without a reason string.
const PUBACK: u64 = 6;

/// The manner of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Whether by IPv6; take `true` when unknown, it costs more.
    pub ipv6: bool,
}

impl Wire {
    const fn headers(self) -> u64 {
        if self.ipv6 { HEADERS_V6 } else { HEADERS_V4 }
    }

    /// Bytes for `content` application bytes in one direction, with the acknowledgements of the other.
    pub const fn one_way(self, content: u64) -> u64 {
        if content == 0 {
            return 0;
        }
        let records = if self.tls { content.div_ceil(RECORD_CONTENT) * RECORD_OVERHEAD } else { 0 };
        let stream = content + records;
        let segments = stream.div_ceil(SEGMENT_PAYLOAD);
        // One acknowledgement for every other segment (RFC 5681 §4.2), at least one.
        stream + (segments + segments.div_ceil(2)) * self.headers()
    }

    /// Bytes for a PUBLISH of `packet` MQTT bytes and its PUBACK.
    pub const fn publish(self, packet: u64) -> u64 {
        self.one_way(packet) + self.one_way(PUBACK)
    }

    /// Bytes for PINGREQ and PINGRESP.
    pub const fn ping(self) -> u64 {
        2 * self.one_way(2)
    }

    /// Bytes for a connection until its CONNACK, and for its end.
    pub const fn connect(self) -> u64 {
        // SYN, SYN-ACK, ACK; FIN and ACK either way. SYNs carry up to 20 bytes of options instead of 12.
        let tcp = 7 * self.headers() + 16;
        let tls = if self.tls { self.one_way(HANDSHAKE_SENT) + self.one_way(HANDSHAKE_RECEIVED) } else { 0 };
        tcp + tls + self.one_way(CONNECT) + self.one_way(CONNACK)
    }
}

/// How a PUBLISH names its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicForm {
    /// In full, this many bytes.
    Full(usize),
    /// In full, this many bytes, with the alias by which it is known from then on.
    Introduced(usize),
    /// By its alias alone (MQTT 5 §3.3.2.3.4).
    Alias,
}

/// Bytes of a PUBLISH at QoS 1 (MQTT 5 §3.3). `properties` says whether it is MQTT 5, `expiry` whether it has a message
/// expiry interval.
pub const fn publish_packet(topic: TopicForm, payload: usize, properties: bool, expiry: bool) -> u64 {
    let (name, alias) = match topic {
        TopicForm::Full(bytes) => (bytes, 0),
        TopicForm::Introduced(bytes) => (bytes, 3),
        TopicForm::Alias => (0, 3),
    };
    let expiry = if expiry { 5 } else { 0 };
    let properties = if properties { 1 + alias + expiry } else { 0 };
    let remaining = 2 + name + 2 + properties + payload;
    let length = match remaining {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    };
    (1 + length + remaining) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_counted_to_the_byte() {
        // By hand from MQTT 5 §3.3: type 1, length 1, topic 2+5, id 2, properties 1, payload 10.
        assert_eq!(publish_packet(TopicForm::Full(5), 10, true, false), 22);
        assert_eq!(publish_packet(TopicForm::Full(5), 10, false, false), 21);
        assert_eq!(publish_packet(TopicForm::Introduced(5), 10, true, true), 30);
        assert_eq!(publish_packet(TopicForm::Alias, 10, true, false), 20);
        assert_eq!(publish_packet(TopicForm::Full(5), 119, false, false), 1 + 2 + 128);
    }

    #[test]
    fn overhead_counts_segments_records_and_acknowledgements() {
        let plain = Wire { tls: false, ipv6: false };
        let tls = Wire { tls: true, ipv6: true };
        assert_eq!(plain.one_way(0), 0);
        assert_eq!(plain.one_way(100), 100 + 2 * 52);
        assert_eq!(tls.one_way(100), 100 + 22 + 2 * 72);
        assert_eq!(plain.one_way(4000), 4000 + (4 + 2) * 52, "1328 bytes a segment");
        assert_eq!(tls.one_way(16_385), 16_385 + 44 + (13 + 7) * 72);
        assert_eq!(plain.ping(), 2 * (2 + 104));
        assert!(tls.connect() > plain.connect() + 6500);
    }
}
