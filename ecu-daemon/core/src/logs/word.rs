//! What a single word is: a number, an address, a path, or text with numbers in it.

use super::bytes::{DIGIT, JOINER, LETTER, PUNCTUATION, SLASH, SPACE, class, peek};
use super::mask::{Kind, Span};
use super::vocabulary;

/// Whether `word` is a host name or a mail address that ends in a known domain.
pub(super) fn is_host(word: &[u8]) -> bool {
    let word = match word.iter().rposition(|&byte| byte == b':') {
        Some(colon) if word[colon + 1..].iter().all(u8::is_ascii_digit) => &word[..colon],
        _ => word,
    };
    let Some(dot) = word.iter().rposition(|&byte| byte == b'.') else { return false };
    // `org.apache.http` ends in no domain, `a.in` is too short to say.
    dot >= 2
        && vocabulary::is_top_level_domain(&word[dot + 1..])
        && word[..dot]
            .iter()
            .all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'@'))
        && (word[dot + 1..].len() > 2 || word[..dot].contains(&b'.'))
}

/// Whether `word` names a file, a URL or a registry key.
fn is_path(word: &[u8]) -> bool {
    let slashes = word.iter().filter(|&&byte| class(byte) == SLASH).count();
    match word {
        [b'/' | b'\\', rest @ ..] => !rest.is_empty(),
        [b'.' | b'~', b'/', ..] | [b'.', b'.', b'/', ..] | [_, b':', b'\\' | b'/', ..] => true,
        // `com.example/.Activity`: a package and what is in it.
        _ if slashes == 1 && word.iter().filter(|&&byte| byte == b'.').count() >= 2 => true,
        _ => slashes >= 2 || word.windows(3).any(|three| three == b"://") || word.contains(&b'\\'),
    }
}

/// What a whole word looks like that is known to be variable.
pub(super) fn kind(word: &[u8], announced_as_id: bool) -> Kind {
    let digits = word.strip_prefix(b"-").or_else(|| word.strip_prefix(b"+")).unwrap_or(word);
    if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
        return Kind::Integer;
    }
    if let Some(hex) = digits.strip_prefix(b"0x").or_else(|| digits.strip_prefix(b"0X"))
        && !hex.is_empty()
        && hex.iter().all(u8::is_ascii_hexdigit)
    {
        return if announced_as_id && fits_can_id(hex) { Kind::CanId } else { Kind::Hex };
    }
    if vocabulary::is_truth_value(word) {
        return Kind::Truth;
    }
    let dots = word.iter().filter(|&&byte| byte == b'.').count();
    let numeric = digits.iter().all(|&byte| byte.is_ascii_digit() || byte == b'.');
    if numeric && dots == 1 && digits.first() != Some(&b'.') {
        return Kind::Decimal;
    }
    if is_path(word) {
        return Kind::Path;
    }
    if is_host(word) || is_ip(word) || is_mac(word) {
        return Kind::Address;
    }
    if is_time(word) {
        return Kind::Time;
    }
    if word.windows(3).any(|three| three == b"+0x") {
        return Kind::Symbol;
    }
    if word.len() >= 4 && word.iter().any(u8::is_ascii_digit) && word.iter().all(u8::is_ascii_hexdigit) {
        return if announced_as_id && fits_can_id(word) { Kind::CanId } else { Kind::Hex };
    }
    if word.iter().any(u8::is_ascii_digit) { Kind::Identifier } else { Kind::Text }
}

/// At most 29 bits (ISO 11898-1).
fn fits_can_id(hex: &[u8]) -> bool {
    hex.len() <= 8 && (hex.len() < 8 || matches!(hex[0], b'0' | b'1'))
}

/// `10.0.0.1`, `10.0.0.1:80`; `host/10.0.0.1:80` as Java writes it.
fn is_ip(word: &[u8]) -> bool {
    let word = word.iter().rposition(|&byte| byte == b'/').map_or(word, |slash| &word[slash + 1..]);
    let host = word.split(|&byte| byte == b':').next().unwrap_or_default();
    let mut labels = 0;
    let numeric = host.split(|&byte| byte == b'.').all(|label| {
        labels += 1;
        (1..=3).contains(&label.len()) && label.iter().all(u8::is_ascii_digit)
    });
    numeric && labels == 4
}

/// `00:1a:2b:3c:4d:5e`, and IPv6: hexadecimal groups and at least two colons.
fn is_mac(word: &[u8]) -> bool {
    word.iter().filter(|&&byte| byte == b':').count() >= 5
        && word.iter().all(|&byte| byte.is_ascii_hexdigit() || byte == b':')
}

/// Digits in groups with colons, or in three groups with hyphens or slashes.
fn is_time(word: &[u8]) -> bool {
    let of = |sign: u8| word.iter().filter(|&&byte| byte == sign).count();
    word.first().is_some_and(u8::is_ascii_digit)
        && word.iter().all(|&byte| byte.is_ascii_digit() || b":.-/TZ+".contains(&byte))
        && (of(b':') >= 1 || of(b'-') == 2 || of(b'/') == 2)
}

/// Whether all parts between joiners are hexadecimal: a UUID, a MAC address, a hash in groups.
fn is_grouped_hex(word: &[u8]) -> bool {
    let joiners = word.iter().filter(|&&byte| matches!(byte, b'-' | b':')).count();
    joiners >= 2 && word.iter().all(|&byte| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b':'))
}

/// Length of a label at the beginning: `index:` of `index:25`. A URL's scheme and a drive are none.
fn label(word: &[u8]) -> usize {
    match word.iter().position(|&byte| class(byte) != LETTER) {
        Some(at @ 2..) if word[at] == b':' && word.len() > at + 1 && class(word[at + 1]) != SLASH => at + 1,
        _ => 0,
    }
}

/// Names with two dots or more, and a number somewhere: classes, packages, stack frames.
fn is_qualified(word: &[u8]) -> bool {
    let labels = || word.split(|&byte| byte == b'.');
    labels().count() >= 3 && labels().all(|label| !label.is_empty())
}

/// A name with a number in it and an extension: `job_17.jar`.
fn is_file(word: &[u8]) -> bool {
    let Some(dot) = word.iter().rposition(|&byte| byte == b'.') else { return false };
    let extension = &word[dot + 1..];
    (1..=4).contains(&extension.len())
        && extension.iter().all(u8::is_ascii_alphabetic)
        && dot > 0
        && class(word[dot - 1]) & (LETTER | DIGIT) != 0
}

/// Puts the variables of the word `start..end` (which holds a digit or a slash) into `spans`.
/// Gives where the scan goes on: a URL runs beyond the word.
pub(super) fn split(
    line: &[u8],
    start: usize,
    end: usize,
    seen: u8,
    announced_as_id: bool,
    spans: &mut Vec<Span>,
) -> usize {
    let label = label(&line[start..end]);
    let start = start + label;
    let word = &line[start..end];
    if seen & SLASH != 0 {
        if let Some(scheme) = word.windows(3).position(|three| three == b"://") {
            let mut far = end.max(start + scheme + 3);
            while class(peek(line, far)) != SPACE
                && !matches!(peek(line, far), b'"' | b'\'' | b'>' | b')' | b']' | b',')
            {
                far += 1;
            }
            spans.push(Span::new(start, far, Kind::Path));
            return far;
        }
        // `/path`, `key:/path`, and paths with blanks are beyond us.
        if is_path(word) || is_ip(word) {
            spans.push(Span::new(start, end, kind(word, announced_as_id)));
            return end;
        }
        if let Some(colon) = word.windows(2).position(|two| two == b":/") {
            spans.push(Span::new(start + colon + 1, end, Kind::Path));
            return end;
        }
        if seen & DIGIT == 0 {
            return end;
        }
    }
    let whole = is_host(word)
        || is_grouped_hex(word)
        || is_qualified(word)
        || is_file(word)
        || word.windows(3).any(|three| three == b"+0x");
    if whole {
        spans.push(Span::new(start, end, kind(word, announced_as_id)));
    } else {
        parts(line, start, end, announced_as_id, spans);
    }
    end
}

/// The parts with digits; neighbours are joined: `10.0.0.1:80`, `R02-M1-N0-C:J12`.
fn parts(line: &[u8], start: usize, end: usize, announced_as_id: bool, spans: &mut Vec<Span>) {
    let first_span = spans.len();
    let mut open: Option<(usize, usize)> = None;
    // A text part, `blk_` of `blk_-123`, that belongs to the number behind it.
    let mut prefix: Option<usize> = None;
    let mut at = start;
    while at < end {
        let joiners = at;
        while at < end && class(line[at]) & (LETTER | DIGIT) == 0 {
            at += 1;
        }
        let from = at;
        let mut digits = false;
        while at < end && class(line[at]) & (LETTER | DIGIT | PUNCTUATION) != 0 {
            digits |= class(line[at]) == DIGIT;
            at += 1;
        }
        let gap = from - joiners;
        if !digits {
            // A short text between numbers is part of them: `N0-C:J12`.
            let short = at - from <= 2 && at < end && gap == 1 && open.is_some_and(|(_, to)| to == joiners);
            if short {
                open = open.map(|(first, _)| (first, at));
            } else {
                prefix = (at > from && line[at - 1] == b'_').then_some(from);
            }
            continue;
        }
        // A percent sign belongs to its number.
        let to = if peek(line, at) == b'%' && at < end { at + 1 } else { at };
        let signed = gap > 0
            && matches!(line[from - 1], b'-' | b'+')
            && (from - 1 == start || class(line[from - 2]) & (JOINER | SLASH) != 0);
        let first = match prefix.take() {
            Some(first) if gap <= 1 => first,
            _ if signed => from - 1,
            _ => from,
        };
        open = match open {
            Some((begin, last)) if last == joiners && gap <= 2 => Some((begin, to)),
            Some((begin, last)) => {
                spans.push(Span::new(begin, last, kind(&line[begin..last], announced_as_id)));
                Some((first, to))
            }
            None => Some((first, to)),
        };
        at = to;
    }
    if let Some((begin, last)) = open {
        spans.push(Span::new(begin, last, kind(&line[begin..last], announced_as_id)));
    }
    // Several numbers in one word, `Package-7-SRV08~31bf~7.1`: the words between them are part of the name.
    if spans.len() > first_span + 1 && !line[start..end].contains(&b':') {
        spans.truncate(first_span);
        spans.push(Span::new(start, end, Kind::Identifier));
    }
}
