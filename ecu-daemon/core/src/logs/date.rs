//! Dates in words: `Sun Jul 10 03:55:15 2005`, `Jun 14 15:16:01`, `Thu Jul  7 23:13:01 EDT 2005`.

use super::bytes::{DIGIT, LETTER, SPACE, class, run};
use super::vocabulary;

/// Where the date ends that begins with the word `start..end`, if one begins there.
pub(super) fn written_out(line: &[u8], start: usize, end: usize) -> Option<usize> {
    let word = &line[start..end];
    if word.len() != 3 {
        return None;
    }
    let month = if vocabulary::is_month(word) {
        (start, end)
    } else if vocabulary::is_weekday(word) {
        let next = piece(line, skip_comma(line, end))?;
        vocabulary::is_month(&line[next.0..next.1]).then_some(next)?
    } else {
        return None;
    };
    let day = piece(line, month.1).filter(|&day| is_day(&line[day.0..day.1]))?;
    let mut after = day.1;
    // Time of day, zone and year, in any order; each may be missing.
    for _ in 0..3 {
        let Some((from, to)) = piece(line, after) else { break };
        let text = &line[from..to];
        if is_time(text) || is_year(text) || is_zone(text) {
            after = to;
        } else {
            break;
        }
    }
    Some(after)
}

fn skip_comma(line: &[u8], at: usize) -> usize {
    at + usize::from(line.get(at) == Some(&b','))
}

/// The next word behind one or two blanks.
fn piece(line: &[u8], at: usize) -> Option<(usize, usize)> {
    let from = run(line, at, SPACE);
    let mut to = from;
    while line.get(to).is_some_and(|&byte| class(byte) & (DIGIT | LETTER) != 0 || byte == b':') {
        to += 1;
    }
    ((1..=2).contains(&(from - at)) && to > from).then_some((from, to))
}

fn is_day(text: &[u8]) -> bool {
    text.len() <= 2 && text.iter().all(u8::is_ascii_digit)
}

fn is_time(text: &[u8]) -> bool {
    text.contains(&b':') && text.iter().all(|&byte| byte.is_ascii_digit() || byte == b':')
}

fn is_year(text: &[u8]) -> bool {
    text.len() == 4 && text.iter().all(u8::is_ascii_digit)
}

fn is_zone(text: &[u8]) -> bool {
    matches!(text.len(), 3..=4)
        && text.iter().all(u8::is_ascii_uppercase)
        && matches!(text.last(), Some(b'T' | b'C' | b'Z'))
}
