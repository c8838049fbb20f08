//! Conditions under which a class may travel: only on Wi-Fi, only at night, only while charging.
//!
//! What is not known is taken as not fulfilled: a window is there to save money or a battery.

use core::fmt;
use core::str::FromStr;

const MINUTES_A_DAY: u16 = 24 * 60;

/// What carries the route to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// No route.
    None,
    /// A route of which nothing is known.
    Unknown,
    /// A modem: metered.
    Cellular,
    /// Wireless LAN, such as at home or in a workshop.
    Wifi,
    /// A cable.
    Ethernet,
}

/// What is the case now, as the caller finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// From the interface that has the route.
    pub network: Network,
    /// Local time of day in minutes, `0..1440`, when the clock is to be trusted.
    pub minute: Option<u16>,
    /// Whether the vehicle charges, when a file or command says so.
    pub charging: Option<bool>,
}

impl Default for Conditions {
    /// A route, and nothing known of it.
    fn default() -> Self {
        Self { network: Network::Unknown, minute: None, charging: None }
    }
}

/// A daily interval, from a minute to before another; it may pass midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    from: u16,
    until: u16,
}

/// Why a text is not an interval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("hours {0:?} are not of the form HH:MM-HH:MM with two different times, such as \"22:00-06:00\"")]
pub struct HoursError(String);

impl Hours {
    /// Whether `minute` of the day lies in it.
    pub const fn contain(self, minute: u16) -> bool {
        if self.from < self.until {
            self.from <= minute && minute < self.until
        } else {
            minute >= self.from || minute < self.until
        }
    }
}

impl FromStr for Hours {
    type Err = HoursError;

    /// From `"22:00-06:00"`.
    fn from_str(text: &str) -> Result<Self, HoursError> {
        let time = |text: &str| {
            let (hours, minutes) = text.trim().split_once(':')?;
            let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            let (hours, minutes): (u16, u16) = (digits(hours) && digits(minutes))
                .then(|| Some((hours.parse().ok()?, minutes.parse().ok()?)))??;
            let all = hours * 60 + minutes;
            (minutes < 60 && all < MINUTES_A_DAY).then_some(all)
        };
        text.split_once('-')
            .and_then(|(from, until)| Some(Self { from: time(from)?, until: time(until)? }))
            .filter(|hours| hours.from != hours.until)
            .ok_or_else(|| HoursError(text.to_owned()))
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

/// What must be the case; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Only on Wi-Fi or a cable.
    pub unmetered: bool,
    /// Only at these hours.
    pub hours: Option<Hours>,
    /// Only while charging.
    pub charging: bool,
}

impl Window {
    /// Whether it is open.
    pub fn open(&self, now: &Conditions) -> bool {
        let network = match now.network {
            Network::None => false,
            Network::Wifi | Network::Ethernet => true,
            Network::Unknown | Network::Cellular => !self.unmetered,
        };
        let hours = self.hours.is_none_or(|hours| now.minute.is_some_and(|minute| hours.contain(minute)));
        network && hours && (!self.charging || now.charging == Some(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_may_pass_midnight() {
        let night: Hours = "22:00-06:00".parse().unwrap();
        let day: Hours = "06:00-22:00".parse().unwrap();
        for minute in 0..MINUTES_A_DAY {
            assert!(night.contain(minute) != day.contain(minute), "{minute}");
        }
        assert!(night.contain(22 * 60) && night.contain(0) && !night.contain(6 * 60));
        assert_eq!(night.to_string(), "22:00-06:00");
        for text in
            ["", "22:00", "22-06", "24:00-06:00", "22:60-06:00", "1:00-2:00", "06:00-06:00", "+1:00-02:00"]
        {
            assert!(text.parse::<Hours>().unwrap_err().to_string().contains("HH:MM"), "{text}");
        }
    }

    #[test]
    fn a_window_opens_when_all_is_known_and_true() {
        let any = Window::default();
        let wifi = Window { unmetered: true, ..any };
        let night = Window { hours: Some("22:00-06:00".parse().unwrap()), ..any };
        let plugged = Window { charging: true, ..any };
        let now = |network, minute, charging| Conditions { network, minute, charging };
        let cases = [
            (any, now(Network::Unknown, None, None), true),
            (any, now(Network::None, Some(0), Some(true)), false),
            (wifi, now(Network::Unknown, None, None), false),
            (wifi, now(Network::Cellular, None, None), false),
            (wifi, now(Network::Wifi, None, None), true),
            (wifi, now(Network::Ethernet, None, None), true),
            (night, now(Network::Cellular, None, None), false),
            (night, now(Network::Cellular, Some(60), None), true),
            (night, now(Network::Cellular, Some(720), None), false),
            (plugged, now(Network::Cellular, None, None), false),
            (plugged, now(Network::Cellular, None, Some(false)), false),
            (plugged, now(Network::Cellular, None, Some(true)), true),
        ];
        for (window, conditions, expected) in cases {
            assert_eq!(window.open(&conditions), expected, "{window:?} {conditions:?}");
        }
    }
}
