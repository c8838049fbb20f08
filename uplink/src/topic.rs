//! Topic names.
//!
//! ```text
//! {prefix}/{vehicle}/blocks/{class}     batches of blocks, QoS 1
//! {prefix}/{vehicle}/status             retained; also the will
//! {prefix}/{vehicle}/clock/{boot}       retained: how the clocks ran in that boot, as one block in short
//! {prefix}/schema/{hash}                retained, the same for a whole fleet
//! {prefix}/dictionary/{hash}            retained, the same
//! ```

use core::fmt;

use store::block::{BootId, Class, DictionaryHash, SchemaHash};

/// Longest prefix or vehicle id, bytes: topics stay far below MQTT's 65,535.
pub const NAME_BYTES_MAX: usize = 128;

/// A vehicle id: an opaque name from the configuration, one level of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VehicleId(String);

/// A topic prefix: one or more levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} {text:?} must be 1 to {NAME_BYTES_MAX} bytes of letters, digits, '-', '_', '.' or ':'{slash}"
)]
pub struct NameError {
    what: &'static str,
    text: String,
    slash: &'static str,
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(allowed)
}

impl VehicleId {
    /// Checks a name.
    ///
    /// # Errors
    /// [`NameError`] when it is empty, too long, or has characters with a meaning in topics.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if is_name(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError { what: "vehicle id", text: text.to_owned(), slash: "" })
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VehicleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Prefix {
    /// Checks a prefix: names with slashes between them.
    ///
    /// # Errors
    /// [`NameError`] as for [`VehicleId::new`], for any level.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.len() <= NAME_BYTES_MAX && text.split('/').all(is_name) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError { what: "topic prefix", text: text.to_owned(), slash: ", with '/' between levels" })
        }
    }

    /// Where a vehicle's blocks of a class go.
    pub fn blocks(&self, vehicle: &VehicleId, class: Class) -> String {
        format!("{}/{vehicle}/blocks/{}", self.0, class.number())
    }

    /// What gateways of `group` subscribe to: all blocks of all vehicles, shared among them (MQTT 5 §4.8.2; brokers
    /// offer it to MQTT 3.1.1 clients too).
    pub fn blocks_shared(&self, group: &str) -> String {
        format!("$share/{group}/{}/+/blocks/+", self.0)
    }

    /// Where a vehicle says whether it is online.
    pub fn status(&self, vehicle: &VehicleId) -> String {
        format!("{}/{vehicle}/status", self.0)
    }

    /// Where a vehicle's clock map of a boot is kept.
    pub fn clock(&self, vehicle: &VehicleId, boot: BootId) -> String {
        format!("{}/{vehicle}/clock/{boot}", self.0)
    }

    /// Where a schema is kept.
    pub fn schema(&self, hash: SchemaHash) -> String {
        format!("{}/schema/{hash}", self.0)
    }

    /// Where a dictionary is kept.
    pub fn dictionary(&self, hash: DictionaryHash) -> String {
        format!("{}/dictionary/{hash}", self.0)
    }

    /// What a received topic is, or `None` for one that is not ours.
    pub fn parse(&self, topic: &str) -> Option<Topic> {
        let rest = topic.strip_prefix(&self.0)?.strip_prefix('/')?;
        let mut levels = rest.split('/');
        let parsed = match (levels.next()?, levels.next()?, levels.next()) {
            ("schema", hash, None) => Topic::Schema(hash.parse().ok()?),
            ("dictionary", hash, None) => Topic::Dictionary(hash.parse().ok()?),
            (vehicle, "status", None) => Topic::Status(VehicleId::new(vehicle).ok()?),
            (vehicle, "clock", Some(boot)) => {
                Topic::ClockMap(VehicleId::new(vehicle).ok()?, boot.parse().ok()?)
            }
            (vehicle, "blocks", Some(class)) => {
                let class = Class::from_number(class.parse().ok()?).ok()?;
                Topic::Blocks(VehicleId::new(vehicle).ok()?, class)
            }
            _ => return None,
        };
        levels.next().is_none().then_some(parsed)
    }
}

/// A topic of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A batch of blocks of one class.
    Blocks(VehicleId, Class),
    /// A vehicle's status.
    Status(VehicleId),
    /// A vehicle's clock map of a boot.
    ClockMap(VehicleId, BootId),
    /// A schema.
    Schema(SchemaHash),
    /// A dictionary.
    Dictionary(DictionaryHash),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_come_back() {
        let prefix = Prefix::new("fleet/eu").unwrap();
        let vehicle = VehicleId::new("WVW-1.a:2_3").unwrap();
        let hash = SchemaHash([0xAB; 16]);
        assert_eq!(prefix.blocks(&vehicle, Class::Live), "fleet/eu/WVW-1.a:2_3/blocks/2");
        assert_eq!(
            prefix.parse("fleet/eu/WVW-1.a:2_3/blocks/2"),
            Some(Topic::Blocks(vehicle.clone(), Class::Live))
        );
        let boot = BootId([0xB0; 16]);
        let topic = prefix.clock(&vehicle, boot);
        assert_eq!(prefix.parse(&topic), Some(Topic::ClockMap(vehicle.clone(), boot)));
        assert_eq!(prefix.parse(&prefix.status(&vehicle)), Some(Topic::Status(vehicle)));
        assert_eq!(prefix.parse(&prefix.schema(hash)), Some(Topic::Schema(hash)));
        let hash = DictionaryHash([0xCD; 16]);
        assert_eq!(prefix.parse(&prefix.dictionary(hash)), Some(Topic::Dictionary(hash)));
    }

    #[test]
    fn what_is_not_ours_is_none() {
        let prefix = Prefix::new("ecu").unwrap();
        let strangers = [
            "",
            "ecu",
            "ecu/",
            "ecux/v/blocks/1",
            "ecu/v/blocks/9",
            "ecu/v/blocks/1/more",
            "ecu/v/blocks",
            "ecu/v/clock",
            "ecu/v/clock/1",
            "ecu//status",
            "ecu/schema/12",
            "ecu/dictionary",
            "ecu/dictionary/12",
            "other/v/status",
        ];
        for topic in strangers {
            assert_eq!(prefix.parse(topic), None, "{topic}");
        }
    }

    #[test]
    fn names_with_a_meaning_in_topics_are_refused() {
        for name in ["", "a/b", "+", "#", "a b", "é", &"x".repeat(129)] {
            assert!(VehicleId::new(name).is_err(), "{name}");
        }
        for prefix in ["", "/a", "a//b", "$share/x", "a/#"] {
            assert!(Prefix::new(prefix).unwrap_err().to_string().contains("topic prefix"), "{prefix}");
        }
    }
}
