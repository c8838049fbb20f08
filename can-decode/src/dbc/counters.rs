//! Which signal of a message is its alive counter.

use crate::observe::AliveCounter;
use crate::signal::Signal;

/// What counters are called, in lower case and without underscores; in files of opendbc, Hyundai (`AlvCnt`), Ford
/// (`_No_Cnt`), General Motors (`RollingCounter`), New Eagle (`RollingCntr`) and others.
const PARTS: [&str; 6] = ["counter", "alivecnt", "alvcnt", "rollingcnt", "rollingcount", "msgcnt"];
/// What their names end with: `_BZ` is Volkswagen's (Botschaftszähler).
const ENDS: [&str; 3] = ["_bz", "_cnt", "_ctr"];
/// What decides between several.
const PREFERRED: [&str; 5] = ["alive", "alv", "rolling", "message", "msg"];

/// Index of the signal that may be the alive counter: the one that the file says is (`SigType` `MessageCounter`), else one
/// that is called so. Whether it counts, the frames have to show.
pub(super) fn alive_counter(signals: &[Signal], is_message_counter: impl Fn(&str) -> bool) -> Option<usize> {
    let candidates = || signals.iter().enumerate().filter(|(_, signal)| AliveCounter::of(signal).is_some());
    let declared = candidates().find(|(_, signal)| is_message_counter(&signal.name));
    // Of several, those with the plainest names; `max_by_key` would take the last of equals.
    let named = || candidates().rev().max_by_key(|(_, signal)| rank(&signal.name));
    let (index, _) = declared.or_else(|| named().filter(|(_, signal)| rank(&signal.name) > 0))?;
    Some(index)
}

/// How much a name is that of an alive counter; 0 for not at all.
fn rank(name: &str) -> u8 {
    let name = name.to_ascii_lowercase();
    let plain = name.replace('_', "");
    let is_counter =
        PARTS.iter().any(|part| plain.contains(part)) || ENDS.iter().any(|end| name.ends_with(end));
    match plain.as_str() {
        "counter" | "cnt" | "bz" => 3,
        _ if !is_counter => 0,
        _ if PREFERRED.iter().any(|part| plain.contains(part)) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::tests::plain;

    #[test]
    fn counters_are_known_by_their_names() {
        let check = |names: &[&str], expected: Option<usize>| {
            let signals: Vec<Signal> = names.iter().map(|name| plain(name, 0, 4)).collect();
            assert_eq!(alive_counter(&signals, |_| false), expected, "{names:?}");
        };
        check(&["SPEED", "CHECKSUM"], None);
        check(&["CHECKSUM", "COUNTER"], Some(1));
        check(&["COUNTER_PEDAL", "COUNTER", "SPEED"], Some(1));
        check(&["UI_falseTouchCounter", "DAS_statusCounter"], Some(0));
        check(&["DBW_BrakeRollingCntr", "DBW_ErrorCounter"], Some(0));
        for name in
            ["ESP_15_BZ", "FR_CMR_AlvCnt1Val", "WhlRotatRr_No_Cnt", "RollingCounter", "CF_AliveCounter"]
        {
            check(&["A", name], Some(1));
        }
        check(&["DISCOUNT", "CountryCode", "Center", "ENCOUNT"], None);
    }

    #[test]
    fn only_small_whole_numbers_that_are_always_there_count() {
        let wide = plain("COUNTER", 0, 16);
        let bit = plain("COUNTER", 0, 1);
        let signed = Signal { kind: crate::signal::ValueKind::Signed, ..plain("COUNTER", 0, 4) };
        assert_eq!(alive_counter(&[wide, bit, signed], |_| true), None);
        assert_eq!(
            alive_counter(&[plain("COUNTER", 0, 4), plain("SEQ", 4, 4)], |name| name == "SEQ"),
            Some(1)
        );
    }
}
