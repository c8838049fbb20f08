//! linuxptp's management messages (IEEE 1588-2019 §15, and linuxptp's own `TIME_STATUS_NP`): is the PTP clock synchronised?
//!
//! Requests and answers are datagrams on ptp4l's socket, by default `/var/run/ptp4l`; the socket is the daemon's.

use super::sync::{Sync, SyncSource, TaiUtc, TaiUtcSource, Timescale};

/// Bytes of a request.
pub const REQUEST_LEN: usize = HEADER_LEN + BODY_LEN + TLV_LEN;

/// `struct ptp_header`.
const HEADER_LEN: usize = 34;
/// Target port, hops, action.
const BODY_LEN: usize = 14;
/// Type, length and management id.
const TLV_LEN: usize = 6;
const MANAGEMENT: u8 = 0xD;
const PTP_VERSION: u8 = 2;
const ACTION_GET: u8 = 0;
const ACTION_RESPONSE: u8 = 2;
const TLV_MANAGEMENT: u16 = 1;
const TLV_MANAGEMENT_ERROR: u16 = 2;
/// Bits of `flags` in `TIME_PROPERTIES_DATA_SET`.
const UTC_OFFSET_VALID: u8 = 1 << 2;
const PTP_TIMESCALE: u8 = 1 << 3;
/// Ports that a clock is asked for, at most: answers of others are passed over.
const PORTS_MAX: u16 = 64;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// `TIME_STATUS_NP`: the offset from the master, and whether there is a grandmaster.
    TimeStatus,
    /// `CURRENT_DATA_SET`: the delay of the path to the master.
    Current,
    /// `TIME_PROPERTIES_DATA_SET`: the timescale, and TAI minus UTC.
    TimeProperties,
    /// `PORT_DATA_SET`: the state of each port; one answer a port.
    Port,
}

impl Query {
    /// All, in the order in which [`PtpStatus`] wants them.
    pub const ALL: [Self; 4] = [Self::TimeStatus, Self::Current, Self::TimeProperties, Self::Port];

    const fn id(self) -> u16 {
        match self {
            Self::TimeStatus => 0xC000,
            Self::Current => 0x2001,
            Self::TimeProperties => 0x2003,
            Self::Port => 0x2004,
        }
    }
}

/// Where to ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requester {
    /// The PTP domain: ptp4l's `domainNumber`.
    pub domain: u8,
    /// ptp4l's `transportSpecific` (0 to 15): 1 for 802.1AS.
    pub transport_specific: u8,
    /// Names the asking process, as pmc does with its process id.
    pub port: u16,
}

impl Requester {
    /// A request; `sequence` comes back in the answer.
    pub fn get(&self, query: Query, sequence: u16) -> [u8; REQUEST_LEN] {
        let mut bytes = [0; REQUEST_LEN];
        bytes[0] = (self.transport_specific << 4) | MANAGEMENT;
        bytes[1] = PTP_VERSION;
        bytes[2..4].copy_from_slice(&(REQUEST_LEN as u16).to_be_bytes());
        bytes[4] = self.domain;
        bytes[28..30].copy_from_slice(&self.port.to_be_bytes());
        bytes[30..32].copy_from_slice(&sequence.to_be_bytes());
        // Management messages are class 4, and keep no interval.
        bytes[32] = 4;
        bytes[33] = 0x7F;
        // To every port of the clock behind the socket, and not beyond: no hops.
        bytes[34..44].fill(0xFF);
        bytes[46] = ACTION_GET;
        bytes[48..50].copy_from_slice(&TLV_MANAGEMENT.to_be_bytes());
        bytes[50..52].copy_from_slice(&2_u16.to_be_bytes());
        bytes[52..54].copy_from_slice(&query.id().to_be_bytes());
        bytes
    }
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request's.
    pub sequence: u16,
    /// The port that answers, from 1; 0 for the clock as a whole.
    pub port: u16,
    /// What it says.
    pub content: Content,
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// See [`Query::TimeStatus`].
    TimeStatus {
        /// The clock minus its master, nanoseconds, at the last measurement.
        master_offset_ns: i64,
        /// Whether there is a grandmaster other than this clock.
        has_grandmaster: bool,
        /// The grandmaster's EUI-64.
        grandmaster: [u8; 8],
    },
    /// See [`Query::Current`].
    Current {
        /// The mean delay of the path to the master, nanoseconds, rounded up.
        path_delay_ns: u64,
    },
    /// See [`Query::TimeProperties`].
    TimeProperties {
        /// TAI minus UTC in seconds, where the grandmaster vouches for it.
        tai_utc_s: Option<i16>,
        /// Whether it counts TAI; else a timescale of its own, which is UTC by custom.
        is_ptp_timescale: bool,
    },
    /// See [`Query::Port`].
    Port(PortState),
    /// The clock refuses to say, with this `managementErrorId`.
    Refused(u16),
}

/// The state of a port (IEEE 1588-2019, table 20), as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortState {
    /// It follows a master.
    Slave,
    /// It is about to: a master is there, the offset not yet settled.
    Uncalibrated,
    /// It is a master, or has no part in the clock.
    Other(u8),
}

/// Why a datagram is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Cut off.
    #[error("{0} bytes are too few for a PTP management message")]
    Short(usize),
    /// Another kind of message, or another version of PTP.
    #[error("not a PTP version 2 management response")]
    Kind,
    /// Its length fields contradict the datagram or the standard.
    #[error("the length fields of the management message contradict each other")]
    Length,
    /// Something that was not asked.
    #[error("management id {0:#06x} was not asked for")]
    Id(u16),
}

/// Reads a datagram.
///
/// # Errors
/// [`NoAnswer`]; such datagrams are to be passed over.
pub fn parse(datagram: &[u8]) -> Result<Answer, NoAnswer> {
    let len = datagram.len();
    let (Some(head), Some(tlv)) = (
        datagram.first_chunk::<HEADER_LEN>(),
        datagram.get(HEADER_LEN + BODY_LEN..).filter(|tlv| tlv.len() >= TLV_LEN),
    ) else {
        return Err(NoAnswer::Short(len));
    };
    let action = datagram[HEADER_LEN + 12] & 0xF;
    if head[0] & 0xF != MANAGEMENT || head[1] & 0xF != PTP_VERSION || action != ACTION_RESPONSE {
        return Err(NoAnswer::Kind);
    }
    let word = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    if usize::from(word(head, 2)) > len {
        return Err(NoAnswer::Length);
    }
    // The length counts what follows it: the id and the data.
    let data = tlv.get(TLV_LEN..4 + usize::from(word(tlv, 2))).ok_or(NoAnswer::Length)?;
    let content = match word(tlv, 0) {
        TLV_MANAGEMENT => content(word(tlv, 4), data)?,
        TLV_MANAGEMENT_ERROR => Content::Refused(word(tlv, 4)),
        _ => return Err(NoAnswer::Kind),
    };
    Ok(Answer { sequence: word(head, 30), port: word(head, 28), content })
}

fn content(id: u16, data: &[u8]) -> Result<Content, NoAnswer> {
    fn at<const N: usize>(data: &[u8], at: usize) -> Result<[u8; N], NoAnswer> {
        data.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(NoAnswer::Length)
    }
    Ok(match id {
        id if id == Query::TimeStatus.id() => Content::TimeStatus {
            master_offset_ns: i64::from_be_bytes(at(data, 0)?),
            has_grandmaster: i32::from_be_bytes(at(data, 38)?) != 0,
            grandmaster: at(data, 42)?,
        },
        id if id == Query::Current.id() => Content::Current {
            // A TimeInterval has 16 bits behind the point.
            path_delay_ns: (i64::from_be_bytes(at(data, 10)?).max(0) as u64).div_ceil(1 << 16),
        },
        id if id == Query::TimeProperties.id() => {
            let [flags] = at(data, 2)?;
            let tai_utc_s = i16::from_be_bytes(at(data, 0)?);
            Content::TimeProperties {
                tai_utc_s: (flags & UTC_OFFSET_VALID != 0).then_some(tai_utc_s),
                is_ptp_timescale: flags & PTP_TIMESCALE != 0,
            }
        }
        id if id == Query::Port.id() => {
            let [state] = at(data, 10)?;
            Content::Port(match state {
                9 => PortState::Slave,
                8 => PortState::Uncalibrated,
                other => PortState::Other(other),
            })
        }
        other => return Err(NoAnswer::Id(other)),
    })
}

/// What a round of answers adds up to. Begin each round with a new one: what is not answered is not so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PtpStatus {
    master_offset_ns: Option<i64>,
    has_grandmaster: bool,
    path_delay_ns: Option<u64>,
    tai_utc_s: Option<i16>,
    is_ptp_timescale: bool,
    is_slave: bool,
}

impl PtpStatus {
    /// Takes an answer.
    pub fn take(&mut self, answer: &Answer) {
        match answer.content {
            Content::TimeStatus { master_offset_ns, has_grandmaster, .. } => {
                (self.master_offset_ns, self.has_grandmaster) = (Some(master_offset_ns), has_grandmaster);
            }
            Content::Current { path_delay_ns } => self.path_delay_ns = Some(path_delay_ns),
            Content::TimeProperties { tai_utc_s, is_ptp_timescale } => {
                (self.tai_utc_s, self.is_ptp_timescale) = (tai_utc_s, is_ptp_timescale);
            }
            Content::Port(PortState::Slave) if answer.port <= PORTS_MAX => self.is_slave = true,
            Content::Port(_) | Content::Refused(_) => {}
        }
    }

    /// Whether, and how well, the clock is synchronised: a grandmaster is there and a port follows it. The bound is the
    /// offset last measured, and the whole path delay, by which the offset is wrong if all of the way there and back is one way; a
    /// measured or configured `asymmetry_ns` takes the latter's place. How right the grandmaster is nobody here knows.
    pub fn sync(&self, asymmetry_ns: Option<u64>) -> Option<Sync> {
        let offset_ns =
            self.master_offset_ns.filter(|_| self.has_grandmaster && self.is_slave)?.unsigned_abs();
        let path_ns = asymmetry_ns.or(self.path_delay_ns)?;
        let told = |seconds| TaiUtc { seconds: i32::from(seconds), source: TaiUtcSource::Ptp };
        Some(Sync {
            source: SyncSource::Ptp,
            timescale: if self.is_ptp_timescale { Timescale::Tai } else { Timescale::Utc },
            error_ns: offset_ns.saturating_add(path_ns),
            tai_utc: self.tai_utc_s.map_or(TaiUtc::BUILT_IN, told),
        })
    }
}
