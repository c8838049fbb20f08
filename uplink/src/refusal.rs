//! What a broker says when it does not take something, and what to do about it.

use core::time::Duration;

/// A PUBACK's reason code other than success (MQTT 5 §3.4.2.1), by its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub u8);

/// What follows from a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The block is sound: send it again after a pause that starts with `first` and doubles up to `cap`.
    Later {
        /// The first pause.
        first: Duration,
        /// The longest pause.
        cap: Duration,
    },
    /// As `Later`, and send more slowly.
    Slower {
        /// The first pause.
        first: Duration,
        /// The longest pause.
        cap: Duration,
    },
    /// Perhaps something in the batch is not to the broker's liking: halve it until the block is found, and set that
    /// aside after a few tries.
    Suspect,
    /// The two ends disagree on the state of the session: connect anew.
    Reconnect,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Refusal {
    /// Nobody is subscribed.
    pub const NO_MATCHING_SUBSCRIBERS: Self = Self(0x10);
    /// The broker does not say why.
    pub const UNSPECIFIED: Self = Self(0x80);
    /// For a reason of this broker's.
    pub const IMPLEMENTATION: Self = Self(0x83);
    /// This client may not publish there.
    pub const NOT_AUTHORIZED: Self = Self(0x87);
    /// The broker does not accept the topic.
    pub const TOPIC_NAME_INVALID: Self = Self(0x90);
    /// The packet id is still in use.
    pub const PACKET_ID_IN_USE: Self = Self(0x91);
    /// A limit of the broker or of an administrator.
    pub const QUOTA_EXCEEDED: Self = Self(0x97);
    /// The payload is not what was announced.
    pub const PAYLOAD_FORMAT_INVALID: Self = Self(0x99);

    /// What to do.
    pub const fn verdict(self) -> Verdict {
        match self {
            // Until a gateway is back, blocks are ours to keep.
            Self::NO_MATCHING_SUBSCRIBERS => Verdict::Later { first: seconds(2), cap: seconds(60) },
            // Somebody has to change a configuration; the block is not to blame.
            Self::NOT_AUTHORIZED | Self::TOPIC_NAME_INVALID => {
                Verdict::Later { first: seconds(30), cap: seconds(900) }
            }
            Self::QUOTA_EXCEEDED => Verdict::Slower { first: seconds(5), cap: seconds(300) },
            Self::PACKET_ID_IN_USE => Verdict::Reconnect,
            // 0x80, 0x83, 0x99, and what a later standard may add.
            _ => Verdict::Suspect,
        }
    }

    /// In words, with the remedy.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NO_MATCHING_SUBSCRIBERS => "nobody is subscribed; is a gateway running?",
            Self::UNSPECIFIED => "the broker refuses it without saying why; see the broker's log",
            Self::IMPLEMENTATION => "the broker refuses it for a reason of its own; see the broker's log",
            Self::NOT_AUTHORIZED => "not authorised to publish here; see the broker's access list",
            Self::TOPIC_NAME_INVALID => {
                "the broker does not accept the topic; see `prefix` and its access list"
            }
            Self::PACKET_ID_IN_USE => "the packet id is in use; connecting anew",
            Self::QUOTA_EXCEEDED => "the broker's quota is exceeded; sending more slowly",
            Self::PAYLOAD_FORMAT_INVALID => "the broker finds the payload invalid",
            _ => "the broker refuses it with an unknown code",
        }
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} (reason code 0x{:02x})", self.text(), self.0)
    }
}

/// How long the reason for a failed connection is likely to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No route, no answer, broken off, a broker that starts or is busy: try again with growing pauses.
    Passing,
    /// Credentials, certificates, client id, protocol: somebody has to change something; try again slowly.
    Lasting,
}

/// Of a CONNACK's or DISCONNECT's reason code (MQTT 5 §3.2.2.2, §3.14.2.1).
pub const fn failure(code: u8) -> Failure {
    match code {
        // Unsupported version, client id, name or password, not authorised, banned, authentication method, session
        // taken over by a client of the same name, topic, QoS or retain not supported, moved.
        0x84..=0x87 | 0x8A | 0x8C | 0x8E | 0x90 | 0x9A..=0x9D => Failure::Lasting,
        _ => Failure::Passing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_standard_has_a_verdict_and_a_remedy() {
        let known = [0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
        for code in known {
            let text = Refusal(code).to_string();
            assert!(!text.contains("unknown") && text.contains(&format!("0x{code:02x}")), "{text}");
        }
        let verdicts = known.map(|code| match Refusal(code).verdict() {
            Verdict::Later { first, .. } => format!("later {}", first.as_secs()),
            Verdict::Slower { first, .. } => format!("slower {}", first.as_secs()),
            Verdict::Suspect => "suspect".into(),
            Verdict::Reconnect => "reconnect".into(),
        });
        let expected =
            ["later 2", "suspect", "suspect", "later 30", "later 30", "reconnect", "slower 5", "suspect"];
        assert_eq!(verdicts, expected);
        assert_eq!(Refusal(0xF0).verdict(), Verdict::Suspect);
    }

    #[test]
    fn a_busy_broker_passes_and_a_wrong_password_lasts() {
        for code in [0x80, 0x88, 0x89, 0x8B, 0x8D, 0x93, 0x95, 0x97, 0x9F] {
            assert_eq!(failure(code), Failure::Passing, "{code:02x}");
        }
        for code in [0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x8E, 0x9C, 0x9D] {
            assert_eq!(failure(code), Failure::Lasting, "{code:02x}");
        }
    }
}
