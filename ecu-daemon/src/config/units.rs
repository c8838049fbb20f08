//! Durations and sizes as people write them: `5s`, `500ms`, `64 KiB`.

use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};

/// A duration such as `250us`, `500ms`, `5s`, `10min`, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

/// A size such as `4096`, `64 KiB`, `256 MiB`, `2 GiB`, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

/// How long something is kept: a duration, or `none` for as long as there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Age(pub(crate) Option<Duration>);

impl Size {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = text[..digits].parse().ok()?;
        let shift = match text[digits..].trim_start() {
            "" | "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            "TiB" => 40,
            _ => return None,
        };
        number.checked_mul(1 << shift).map(Self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        duration(&String::deserialize(deserializer)?, "us, ms, s, min or h").map(Self)
    }
}

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "none" => Ok(Self(None)),
            text => duration(text, "min, h or d, or \"none\"").map(|age| Self(Some(age))),
        }
    }
}

fn duration<E: Error>(text: &str, units: &str) -> Result<Duration, E> {
    humantime::parse_duration(text).map_err(|error| {
        E::custom(format!("{text:?} is not a duration ({error}); write a whole number and {units}"))
    })
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is not a size; write a whole number and B, KiB, MiB, GiB or TiB"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_write_them() {
        for (text, bytes) in
            [("4096", 4096), ("64 KiB", 65_536), ("2GiB", 2 << 30), ("9 TiB", 9 << 40), ("7 B", 7)]
        {
            assert_eq!(Size::parse(text), Some(Size(bytes)), "{text}");
        }
        for text in ["", "KiB", "1 KB", "1.5 MiB", "18446744073709551615 GiB"] {
            assert_eq!(Size::parse(text), None, "{text}");
        }
    }
}
