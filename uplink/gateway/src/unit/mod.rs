//! Units: what a DBC file writes, what OpenTelemetry wants (UCUM), and what Prometheus names end with.
//!
//! The names follow the OpenTelemetry specification on compatibility with Prometheus: abbreviations become
//! full words, `foo/bar` becomes `foo_per_bar`, annotations in braces are left out, `1` becomes `ratio`. Where the
//! published translators know a unit the words are theirs; they leave `km/h` at `km_per_hour`, which is not what the
//! specification asks for, so a Prometheus that receives OTLP itself names such signals differently.

mod table;

use std::borrow::Cow;

/// Longest annotation made of an unknown unit, bytes.
const ANNOTATION_BYTES_MAX: usize = 64;

/// The unit of a signal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unit {
    ucum: Cow<'static, str>,
    words: &'static str,
}

impl Unit {
    /// From the text in a DBC file. A text that is not known becomes an annotation (UCUM §6), such as `{pulses}`.
    pub fn from_dbc(text: &str) -> Self {
        let text = plain(text);
        if text.is_empty() {
            return Self { ucum: Cow::Borrowed(""), words: "" };
        }
        let lower = text.to_lowercase();
        let exact = || table::UNITS.iter().find(|row| row.exact.contains(&text.as_str()));
        let any_case = || table::UNITS.iter().find(|row| row.any_case.contains(&lower.as_str()));
        match exact().or_else(any_case) {
            Some(row) => Self { ucum: Cow::Borrowed(row.ucum), words: row.words },
            None => Self { ucum: Cow::Owned(annotation(&text)), words: "" },
        }
    }

    /// Its UCUM code; empty when the signal has no unit.
    pub fn ucum(&self) -> &str {
        &self.ucum
    }

    /// The Prometheus name of the metric `can.signal` in this unit.
    pub fn metric_name(&self) -> String {
        if self.words.is_empty() { "can_signal".to_owned() } else { format!("can_signal_{}", self.words) }
    }
}

/// One spelling for what people write in many: `m/s^2` and `m/s²` alike, micro signs as `u`, no parentheses around it.
fn plain(text: &str) -> String {
    // UTF-8 that was once read as Latin-1 is common in DBC files.
    let text = text.replace("Â°", "°");
    let text = text.trim();
    let inner = |open, close| text.strip_prefix(open).and_then(|text| text.strip_suffix(close));
    let text = inner('(', ')').or_else(|| inner('[', ']')).unwrap_or(text);
    text.trim()
        .chars()
        .filter(|&letter| letter != '^')
        .map(|letter| match letter {
            '²' => '2',
            '³' => '3',
            'µ' | 'μ' => 'u',
            '·' | '*' => '.',
            'º' | '˚' => '°',
            // The ohm sign is a letter of its own in Unicode.
            '\u{2126}' => '\u{3A9}',
            letter => letter,
        })
        .collect()
}

/// Annotations are of printable ASCII without braces.
fn annotation(text: &str) -> String {
    let allowed = |letter: &char| letter.is_ascii_graphic() && !matches!(letter, '{' | '}');
    let spaced = text.chars().map(|letter| if letter == ' ' { '_' } else { letter });
    let kept: String = spaced.filter(allowed).take(ANNOTATION_BYTES_MAX).collect();
    if kept.is_empty() { kept } else { format!("{{{kept}}}") }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn check(dbc: &str, ucum: &str, name: &str) {
        let unit = Unit::from_dbc(dbc);
        assert_eq!((unit.ucum(), unit.metric_name().as_str()), (ucum, name), "{dbc:?}");
    }

    #[test]
    fn units_as_dbc_files_write_them() {
        for (texts, ucum, suffix) in [
            (&["km/h", "kph", "KPH", "Kph", "km/H", " km/h "][..], "km/h", "_kilometers_per_hour"),
            (&["mph", "MPH"], "[mi_i]/h", "_miles_per_hour"),
            (&["m/s", "m/sec"], "m/s", "_meters_per_second"),
            (&["m/s2", "m/s^2", "m/s²", "(m/s^2)"], "m/s2", "_meters_per_second_squared"),
            (&["degC", "°C", "C", "deg C", "DegC", "Â°C", "(°C)", "ºC"], "Cel", "_celsius"),
            (&["deg", "°", "Deg", "degrees", "[deg]"], "deg", "_degrees"),
            (&["deg/s", "°/s"], "deg/s", "_degrees_per_second"),
            (&["rpm", "RPM", "1/min"], "rpm", "_rpm"),
            (&["%", "percent", "(%)"], "%", "_percent"),
            (&["V", "volts", "Volts"], "V", "_volts"),
            (&["mV", "(mV)"], "mV", "_millivolts"),
            (&["A", "Amps"], "A", "_amperes"),
            (&["mA"], "mA", "_milliamperes"),
            (&["kW"], "kW", "_kilowatts"),
            (&["kWh", "KWh"], "kW.h", "_kilowatt_hours"),
            (&["Ah"], "A.h", "_ampere_hours"),
            (&["Nm", "N*m", "N·m"], "N.m", "_newton_meters"),
            (&["bar", "Bar"], "bar", "_bar"),
            (&["kPa"], "kPa", "_kilopascals"),
            (&["s", "sec", "seconds"], "s", "_seconds"),
            (&["ms"], "ms", "_milliseconds"),
            (&["us", "µs", "μs"], "us", "_microseconds"),
            (&["min", "Minutes"], "min", "_minutes"),
            (&["h", "hour"], "h", "_hours"),
            (&["km"], "km", "_kilometers"),
            (&["m", "meter"], "m", "_meters"),
            (&["mm"], "mm", "_millimeters"),
            (&["l", "L"], "L", "_liters"),
            (&["L/h", "l/h"], "L/h", "_liters_per_hour"),
            (&["Hz"], "Hz", "_hertz"),
            (&["", " ", "-", "unitless", "SED", "1", "Bool"], "", ""),
            (&["ratio"], "1", "_ratio"),
            (&["\u{2126}", "\u{3A9}", "Ohm"], "Ohm", "_ohms"),
        ] {
            for text in texts {
                check(text, ucum, &format!("can_signal{suffix}"));
            }
        }
    }

    #[test]
    fn capitals_that_change_the_unit_are_not_passed_over() {
        check("M", "{M}", "can_signal");
        check("MV", "{MV}", "can_signal");
        check("S", "{S}", "can_signal");
        // Nanometre, nautical mile or torque: nobody can tell.
        check("NM", "{NM}", "can_signal");
        check("nm", "{nm}", "can_signal");
    }

    #[test]
    fn unknown_units_become_annotations_without_a_suffix() {
        check("pulse count", "{pulse_count}", "can_signal");
        check("{x}", "{x}", "can_signal");
        check("キロ", "", "can_signal");
        assert_eq!(Unit::from_dbc(&"x".repeat(999)).ucum().len(), ANNOTATION_BYTES_MAX + 2);
    }

    #[test]
    fn no_text_means_two_units_and_every_suffix_is_a_prometheus_name() {
        let mut seen = HashSet::new();
        for row in table::UNITS {
            for text in row.exact.iter().chain(row.any_case) {
                assert!(seen.insert(*text), "{text} stands twice");
                assert_eq!(plain(text), *text, "the table is written in plain spelling");
            }
            assert!(row.any_case.iter().all(|text| text.to_lowercase() == *text), "{}", row.ucum);
            let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(row.words.bytes().all(valid), "{}", row.words);
            assert!(!row.words.contains("__") && row.words.is_empty() == row.ucum.is_empty(), "{}", row.ucum);
        }
    }
}
