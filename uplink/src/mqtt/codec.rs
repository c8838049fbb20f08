//! Packets of MQTT 5 and 3.1.1 in one form, by rumqttc's encoders and decoders.

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::{self as v4bytes, v4};
use rumqttc::v5::mqttbytes::{QoS, v5};

use super::link::{Link, Protocol};
use crate::session::BrokerLimits;

/// What a broker sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Connack {
        session_present: bool,
        code: u8,
        reason: Option<String>,
        limits: BrokerLimits,
    },
    Puback {
        packet_id: u16,
        code: u8,
        reason: Option<String>,
    },
    Publish {
        topic: Bytes,
        payload: Bytes,
        packet_id: u16,
    },
    Suback {
        refused: bool,
    },
    Pong,
    Disconnect {
        code: u8,
        reason: Option<String>,
    },
    /// Of no interest.
    Other,
}

/// What a client sends.
#[derive(Debug)]
pub(super) enum Outgoing {
    Publish(Publish),
    Puback(u16),
    Subscribe { packet_id: u16, filters: Vec<String> },
    Unsubscribe { packet_id: u16, filter: String },
    Ping,
    Disconnect,
}

/// A PUBLISH at QoS 1.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) topic: String,
    /// With a topic: introduces the alias; without one: stands for it.
    pub(super) alias: Option<u16>,
    pub(super) expiry_s: Option<u32>,
    pub(super) retain: bool,
    pub(super) packet_id: u16,
    pub(super) payload: Bytes,
}

/// Reads one packet off the front of `stream`; `None` when it is not yet there in full.
///
/// # Errors
/// In words, what is wrong with it.
pub(super) fn read(
    stream: &mut BytesMut,
    protocol: Protocol,
    bytes_max: u32,
) -> Result<Option<Incoming>, String> {
    if stream.starts_with(&[0xE0, 0]) {
        // rumqttc asks for a reason, which MQTT 5 §3.14.2.1 lets a broker leave out.
        let _ = stream.split_to(2);
        return Ok(Some(Incoming::Disconnect { code: 0, reason: None }));
    }
    // Reason codes are taken as they stand on the wire: rumqttc's types have names for them and no numbers.
    let head: Vec<u8> = stream.iter().copied().take(8).collect();
    match protocol {
        Protocol::V5 => match v5::Packet::read(stream, Some(bytes_max)) {
            Ok(packet) => Ok(Some(incoming_5(packet, &head))),
            Err(rumqttc::v5::mqttbytes::Error::InsufficientBytes(_)) => Ok(None),
            Err(error) => Err(error.to_string()),
        },
        Protocol::V311 => match v4::Packet::read(stream, bytes_max as usize) {
            Ok(packet) => Ok(Some(incoming_4(packet, &head))),
            Err(v4bytes::Error::InsufficientBytes(_)) => Ok(None),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// The byte at `offset` of a packet's variable header; 0 where the packet is shorter.
fn code_at(head: &[u8], offset: usize) -> u8 {
    let length_bytes = head.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let remaining = head.get(1).copied().unwrap_or_default();
    if length_bytes == 1 && usize::from(remaining) <= offset {
        return 0;
    }
    head.get(1 + length_bytes + offset).copied().unwrap_or_default()
}

fn incoming_5(packet: v5::Packet, head: &[u8]) -> Incoming {
    match packet {
        v5::Packet::ConnAck(ack) => {
            let properties = ack.properties.as_ref();
            let mut limits = BrokerLimits::default();
            if let Some(properties) = properties {
                limits.packet_bytes_max =
                    properties.max_packet_size.map_or(limits.packet_bytes_max, u64::from);
                limits.receive_max = properties.receive_max.unwrap_or(limits.receive_max);
                limits.topic_aliases_max = properties.topic_alias_max.unwrap_or_default();
                limits.retain = properties.retain_available != Some(0);
                limits.keep_alive =
                    properties.server_keep_alive.map(|s| core::time::Duration::from_secs(s.into()));
            }
            Incoming::Connack {
                session_present: ack.session_present,
                code: code_at(head, 1),
                reason: ack.properties.and_then(|properties| properties.reason_string),
                limits,
            }
        }
        v5::Packet::PubAck(ack) => Incoming::Puback {
            packet_id: ack.pkid,
            code: code_at(head, 2),
            reason: ack.properties.and_then(|properties| properties.reason_string),
        },
        v5::Packet::Publish(publish) => {
            Incoming::Publish { topic: publish.topic, payload: publish.payload, packet_id: publish.pkid }
        }
        v5::Packet::SubAck(ack) => {
            let success =
                |code: &v5::SubscribeReasonCode| matches!(code, v5::SubscribeReasonCode::Success(_));
            Incoming::Suback { refused: !ack.return_codes.iter().all(success) }
        }
        v5::Packet::PingResp(_) => Incoming::Pong,
        v5::Packet::Disconnect(disconnect) => Incoming::Disconnect {
            code: code_at(head, 0),
            reason: disconnect.properties.and_then(|properties| properties.reason_string),
        },
        _ => Incoming::Other,
    }
}

fn incoming_4(packet: v4::Packet, head: &[u8]) -> Incoming {
    match packet {
        v4::Packet::ConnAck(ack) => Incoming::Connack {
            session_present: ack.session_present,
            code: connack_code_4(code_at(head, 1)),
            reason: None,
            limits: BrokerLimits::default(),
        },
        v4::Packet::PubAck(ack) => Incoming::Puback { packet_id: ack.pkid, code: 0, reason: None },
        v4::Packet::Publish(publish) => Incoming::Publish {
            topic: publish.topic.into(),
            payload: publish.payload,
            packet_id: publish.pkid,
        },
        v4::Packet::SubAck(ack) => {
            let success =
                |code: &v4::SubscribeReasonCode| matches!(code, v4::SubscribeReasonCode::Success(_));
            Incoming::Suback { refused: !ack.return_codes.iter().all(success) }
        }
        v4::Packet::PingResp => Incoming::Pong,
        _ => Incoming::Other,
    }
}

/// A return code of MQTT 3.1.1 §3.2.2.3 as the reason code of MQTT 5 §3.2.2.2 that means the same.
const fn connack_code_4(code: u8) -> u8 {
    match code {
        0 => 0,
        1 => 0x84,
        2 => 0x85,
        3 => 0x88,
        4 => 0x86,
        5 => 0x87,
        _ => 0x80,
    }
}

/// Appends the CONNECT of a link.
///
/// # Errors
/// In words, what does not fit into a packet.
pub(super) fn write_connect(link: &Link, session_s: u32, out: &mut BytesMut) -> Result<(), String> {
    let keep_alive = link.keep_alive.as_secs().clamp(1, u16::MAX.into()) as u16;
    match link.protocol {
        Protocol::V5 => {
            let properties = v5::ConnectProperties {
                session_expiry_interval: Some(session_s),
                max_packet_size: Some(link.packet_bytes_max),
                ..v5::ConnectProperties::new()
            };
            let connect = v5::Connect {
                keep_alive,
                client_id: link.client_id.clone(),
                clean_start: false,
                properties: Some(properties),
            };
            let will = link.will.as_ref().map(|(topic, payload)| {
                let delay = link.will_delay.as_secs().min(u32::MAX.into()) as u32;
                let properties = (delay > 0).then(|| v5::LastWillProperties {
                    delay_interval: Some(delay),
                    payload_format_indicator: None,
                    message_expiry_interval: None,
                    content_type: None,
                    response_topic: None,
                    correlation_data: None,
                    user_properties: Vec::new(),
                });
                v5::LastWill::new(topic.clone(), payload.clone(), QoS::AtLeastOnce, true, properties)
            });
            let login = link
                .credentials
                .as_ref()
                .map(|credentials| v5::Login::new(&credentials.username, &credentials.password));
            let packet = v5::Packet::Connect(connect, will, login);
            packet.write(out, None).map_err(|error| error.to_string())?;
        }
        Protocol::V311 => {
            let mut connect = v4::Connect::new(&link.client_id);
            (connect.keep_alive, connect.clean_session) = (keep_alive, false);
            connect.last_will = link.will.as_ref().map(|(topic, payload)| {
                v4::LastWill::new(topic, payload.clone(), v4bytes::QoS::AtLeastOnce, true)
            });
            if let Some(credentials) = &link.credentials {
                connect.set_login(&credentials.username, &credentials.password);
            }
            v4::Packet::Connect(connect).write(out, usize::MAX).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// Appends a packet.
///
/// # Errors
/// In words, what does not fit into it.
pub(super) fn write(packet: Outgoing, protocol: Protocol, out: &mut BytesMut) -> Result<(), String> {
    match protocol {
        Protocol::V5 => outgoing_5(packet).write(out, None).map_err(|error| error.to_string())?,
        Protocol::V311 => outgoing_4(packet).write(out, usize::MAX).map_err(|error| error.to_string())?,
    };
    Ok(())
}

fn outgoing_5(packet: Outgoing) -> v5::Packet {
    match packet {
        Outgoing::Publish(publish) => {
            let properties = v5::PublishProperties {
                topic_alias: publish.alias,
                message_expiry_interval: publish.expiry_s,
                ..v5::PublishProperties::default()
            };
            let mut packet =
                v5::Publish::new(publish.topic, QoS::AtLeastOnce, publish.payload, Some(properties));
            (packet.pkid, packet.retain) = (publish.packet_id, publish.retain);
            v5::Packet::Publish(packet)
        }
        Outgoing::Puback(packet_id) => v5::Packet::PubAck(v5::PubAck::new(packet_id, None)),
        Outgoing::Subscribe { packet_id, filters } => {
            let filters = filters.into_iter().map(|filter| v5::Filter::new(filter, QoS::AtLeastOnce));
            let mut packet = v5::Subscribe::new_many(filters, None);
            packet.pkid = packet_id;
            v5::Packet::Subscribe(packet)
        }
        Outgoing::Unsubscribe { packet_id, filter } => {
            let mut packet = v5::Unsubscribe::new(filter, None);
            packet.pkid = packet_id;
            v5::Packet::Unsubscribe(packet)
        }
        Outgoing::Ping => v5::Packet::PingReq(v5::PingReq),
        Outgoing::Disconnect => {
            v5::Packet::Disconnect(v5::Disconnect::new(v5::DisconnectReasonCode::NormalDisconnection))
        }
    }
}

fn outgoing_4(packet: Outgoing) -> v4::Packet {
    match packet {
        Outgoing::Publish(publish) => {
            let mut packet =
                v4::Publish::from_bytes(publish.topic, v4bytes::QoS::AtLeastOnce, publish.payload);
            (packet.pkid, packet.retain) = (publish.packet_id, publish.retain);
            v4::Packet::Publish(packet)
        }
        Outgoing::Puback(packet_id) => v4::Packet::PubAck(v4::PubAck::new(packet_id)),
        Outgoing::Subscribe { packet_id, filters } => {
            let filters =
                filters.into_iter().map(|path| v4::SubscribeFilter::new(path, v4bytes::QoS::AtLeastOnce));
            let mut packet = v4::Subscribe::new_many(filters);
            packet.pkid = packet_id;
            v4::Packet::Subscribe(packet)
        }
        Outgoing::Unsubscribe { packet_id, filter } => {
            let mut packet = v4::Unsubscribe::new(filter);
            packet.pkid = packet_id;
            v4::Packet::Unsubscribe(packet)
        }
        Outgoing::Ping => v4::Packet::PingReq,
        Outgoing::Disconnect => v4::Packet::Disconnect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(bytes: &[u8], protocol: Protocol, expected: Incoming) {
        let mut stream = BytesMut::from(bytes);
        assert_eq!(read(&mut stream, protocol, 1000), Ok(Some(expected)), "{bytes:02x?}");
        assert!(stream.is_empty());
        for cut in 0..bytes.len() {
            let mut stream = BytesMut::from(&bytes[..cut]);
            assert_eq!(read(&mut stream, protocol, 1000), Ok(None), "{bytes:02x?} cut at {cut}");
        }
    }

    #[test]
    fn codes_are_those_of_the_wire() {
        let puback = |code| Incoming::Puback { packet_id: 7, code, reason: None };
        check(&[0x40, 2, 0, 7], Protocol::V5, puback(0));
        check(&[0x40, 3, 0, 7, 0x10], Protocol::V5, puback(0x10));
        check(&[0x40, 4, 0, 7, 0x97, 0], Protocol::V5, puback(0x97));
        check(&[0x40, 2, 0, 7], Protocol::V311, puback(0));
        check(&[0xE0, 0], Protocol::V5, Incoming::Disconnect { code: 0, reason: None });
        check(&[0xE0, 2, 0x8E, 0], Protocol::V5, Incoming::Disconnect { code: 0x8E, reason: None });
        let connack = |code| Incoming::Connack {
            session_present: false,
            code,
            reason: None,
            limits: BrokerLimits::default(),
        };
        check(&[0x20, 3, 0, 0x87, 0], Protocol::V5, connack(0x87));
        check(&[0x20, 2, 0, 5], Protocol::V311, connack(0x87));
        check(&[0xD0, 0], Protocol::V311, Incoming::Pong);
    }

    #[test]
    fn limits_are_read_from_connack() {
        let bytes = [0x20, 14, 1, 0, 11, 0x21, 0, 20, 0x27, 0, 0, 4, 0, 0x22, 0, 10];
        let mut stream = BytesMut::from(&bytes[..]);
        let Ok(Some(Incoming::Connack { limits, session_present, .. })) = read(&mut stream, Protocol::V5, 99)
        else {
            panic!("not a CONNACK");
        };
        assert!(session_present);
        assert_eq!((limits.receive_max, limits.packet_bytes_max, limits.topic_aliases_max), (20, 1024, 10));
    }

    #[test]
    fn a_packet_above_the_limit_is_an_error_before_it_is_there() {
        let mut stream = BytesMut::from(&[0x30, 0xFF, 0xFF, 0x7F][..]);
        assert!(read(&mut stream, Protocol::V5, 1000).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), five in any::<bool>()) {
            let mut stream = BytesMut::from(&bytes[..]);
            let protocol = if five { Protocol::V5 } else { Protocol::V311 };
            for _ in 0..60 {
                if !matches!(read(&mut stream, protocol, 1000), Ok(Some(_))) {
                    break;
                }
            }
        }
    }
}
