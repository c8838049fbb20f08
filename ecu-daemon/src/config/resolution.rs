//! `resolution` of a bus: how finely the times of its messages' samples are kept.

use std::time::Duration;

use can_decode::DecodeTable;
use toml::Spanned;

use super::{Check, raw};
use crate::glob;

/// Steps of time by message of the bus's decode table, nanoseconds; `None`: that of `[blocks] resolution`.
pub type Steps = Vec<Option<i64>>;

impl Check<'_> {
    /// The first pattern that matches a message decides.
    pub(super) fn steps(&mut self, raw: Vec<Spanned<raw::Resolution>>, table: &DecodeTable) -> Steps {
        let mut steps = vec![None; table.messages().len()];
        for one in raw {
            let span = one.span();
            let raw::Resolution { message: pattern, step } = one.into_inner();
            let step = Spanned::new(step.span(), step.get_ref().0);
            let allowed = Duration::from_nanos(1)..=Duration::from_secs(1);
            let step = self.bounded(Some(step), Duration::from_micros(1), allowed, "1ns to 1s");
            let mut is_known = false;
            for (of_message, message) in steps.iter_mut().zip(table.messages()) {
                let long = message.long_name.as_ref().unwrap_or(&message.name);
                if glob::matches(&pattern, &message.name) || glob::matches(&pattern, long) {
                    is_known = true;
                    of_message.get_or_insert(step.as_nanos() as i64);
                }
            }
            if !is_known {
                let text = format!("resolution: no message of this bus's DBC files is named {pattern:?}");
                self.tolerable.push(self.file.problem(Some(span), text));
            }
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Config;

    const DBC: &str = "VERSION \"\"\nBU_: ECU\nBO_ 1 GPS_POSITION: 8 ECU\n SG_ A : 0|8@1+ (1,0) [0|0] \"\" ECU\n\
                       BO_ 2 GPS_SPEED: 8 ECU\n SG_ A : 0|8@1+ (1,0) [0|0] \"\" ECU\nBO_ 3 WHEEL: 8 ECU\n";

    fn parse(keys: &str) -> Result<(Config, Vec<String>), Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("car.dbc"), DBC).unwrap();
        let text = format!("[[bus]]\nkind = 'socketcan'\ninterface = 'can0'\ndbc = ['car.dbc']\n{keys}");
        let texts = |problems: Vec<super::super::Problem>| problems.iter().map(ToString::to_string).collect();
        match Config::parse("car.toml", &text, folder.path()) {
            Ok((config, problems)) => Ok((config, texts(problems))),
            Err(problems) => Err(texts(problems)),
        }
    }

    #[test]
    fn the_first_pattern_that_matches_decides() {
        let gps = "resolution = [{ message = 'GPS_S*', step = '10ms' }, { message = 'GPS*', step = '1ms' }]";
        for (keys, expected) in [
            ("", [None; 3]),
            (gps, [Some(1_000_000), Some(10_000_000), None]),
            ("resolution = [{ message = '*', step = '25ns' }]", [Some(25); 3]),
        ] {
            let (config, problems) = parse(keys).unwrap();
            assert_eq!(config.buses[0].steps, expected, "{keys}");
            assert!(!problems.iter().any(|problem| problem.contains("resolution")), "{problems:?}");
        }
    }

    #[test]
    fn what_matches_nothing_or_is_out_of_range_is_told_with_its_line() {
        let (_, problems) = parse("resolution = [{ message = 'GPSS', step = '1ms' }]").unwrap();
        assert!(
            problems.iter().any(|problem| problem.starts_with("car.toml:5:") && problem.contains("\"GPSS\""))
        );
        let problems = parse("resolution = [{ message = '*', step = '2s' }]").unwrap_err();
        assert!(problems[0].contains("allowed is 1ns to 1s"), "{problems:?}");
        assert!(parse("resolution = [{ message = '*' }]").is_err());
    }
}
