//! What each byte means to the masker. Bytes, not characters: logs are not always UTF-8.

/// A letter, an underscore, or any byte beyond ASCII.
pub(super) const LETTER: u8 = 1;
/// 0 to 9.
pub(super) const DIGIT: u8 = 1 << 1;
/// A sign that holds the parts of one word together: `. - : + @ # % & ~ * $ |`.
pub(super) const JOINER: u8 = 1 << 2;
/// `/` and `\`.
pub(super) const SLASH: u8 = 1 << 3;
/// Blank, tab, line ends.
pub(super) const SPACE: u8 = 1 << 4;
/// A sign that stands for itself and ends a word.
pub(super) const PUNCTUATION: u8 = 1 << 5;
/// A control byte: this is no text.
pub(super) const CONTROL: u8 = 1 << 6;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [PUNCTUATION; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => LETTER,
            b'0'..=b'9' => DIGIT,
            b'.' | b'-' | b':' | b'+' | b'@' | b'#' | b'%' | b'&' | b'~' | b'*' | b'$' | b'|' => JOINER,
            b'/' | b'\\' => SLASH,
            b' ' | b'\t' | b'\n' | b'\r' => SPACE,
            0..=0x1F | 0x7F => CONTROL,
            _ => PUNCTUATION,
        };
        byte += 1;
    }
    classes
}

/// The class of `byte`: exactly one of the bits above.
#[inline]
pub(super) const fn class(byte: u8) -> u8 {
    CLASSES[byte as usize]
}

/// The byte at `at`, or a line end beyond the line.
#[inline]
pub(super) fn peek(line: &[u8], at: usize) -> u8 {
    line.get(at).copied().unwrap_or(b'\n')
}

/// End of the run of bytes from `from` on whose class is among `classes`.
pub(super) fn run(line: &[u8], from: usize, classes: u8) -> usize {
    line[from..]
        .iter()
        .position(|&byte| class(byte) & classes == 0)
        .map_or(line.len(), |length| from + length)
}
