//! Names with `*` and `?`.

/// Whether `name` is what `pattern` says: `*` is any text, `?` any character, the rest itself, case aside.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let fold = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<Vec<_>>();
    let (pattern, name) = (fold(pattern), fold(name));
    let (mut p, mut n) = (0, 0);
    // Where to go on when the text after the last `*` does not fit: one character further.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((star, at)) => {
                    retry = Some((star, at + 1));
                    p = star + 1;
                    n = at + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        let cases = [
            ("*", "", true),
            ("speed", "SPEED", true),
            ("wheel*", "WHEEL_SPEEDS.FL", true),
            ("*.fl", "WHEEL_SPEEDS.FL", true),
            ("wheel_?peeds.*", "WHEEL_SPEEDS.FL", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b", "aXbY", false),
            ("", "x", false),
            ("?", "", false),
            ("****x", &"y".repeat(200), false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
