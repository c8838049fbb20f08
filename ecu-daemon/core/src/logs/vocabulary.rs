//! Words that tell the masker what they are, or what follows them. None of them belongs to one log only.

/// Truth values and the absent value. `none`, `on`, `no` are left out: too often they are part of the sentence.
pub(super) fn is_truth_value(word: &[u8]) -> bool {
    (4..=5).contains(&word.len())
        && [&b"true"[..], b"false", b"null"].iter().any(|value| value.eq_ignore_ascii_case(word))
}

/// Words after which a user's name stands.
pub(super) fn announces_user(word: &[u8]) -> bool {
    [&b"user"[..], b"username", b"login"].iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Words that hold a sentence together, and are never a value.
pub(super) fn is_function_word(word: &[u8]) -> bool {
    const WORDS: [&[u8]; 24] = [
        b"a", b"an", b"and", b"as", b"at", b"by", b"for", b"from", b"has", b"id", b"in", b"is", b"are",
        b"name", b"no", b"not", b"of", b"on", b"or", b"request", b"the", b"to", b"was", b"with",
    ];
    WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Words before a CAN identifier: `id 0x18F`, `CAN ID 0x310`, `frame id=0x2A3`.
pub(super) fn announces_can_id(word: &[u8]) -> bool {
    [&b"id"[..], b"canid", b"can_id", b"can"].iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Keys whose value is the message itself (logfmt, structured loggers), not a parameter of it.
pub(super) fn announces_message(key: &[u8]) -> bool {
    [&b"msg"[..], b"message", b"event"].iter().any(|known| known.eq_ignore_ascii_case(key))
}

/// `Mon` to `Sun`.
pub(super) fn is_weekday(word: &[u8]) -> bool {
    matches!(word, b"Mon" | b"Tue" | b"Wed" | b"Thu" | b"Fri" | b"Sat" | b"Sun")
}

/// `Jan` to `Dec`.
pub(super) fn is_month(word: &[u8]) -> bool {
    const MONTHS: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    word.len() == 3 && MONTHS.contains(&word)
}

/// Symbols of units that may follow a number after a blank; a line may give the same figure in B, kB or MB.
pub(super) fn is_unit(word: &[u8]) -> bool {
    const UNITS: [&[u8]; 38] = [
        b"B", b"kB", b"KB", b"MB", b"GB", b"TB", b"KiB", b"MiB", b"GiB", b"kbps", b"Mbps", b"Gbps", b"ns",
        b"us", b"ms", b"s", b"sec", b"secs", b"min", b"mins", b"h", b"hr", b"hrs", b"Hz", b"kHz", b"MHz",
        b"GHz", b"V", b"mV", b"A", b"mA", b"W", b"kW", b"C", b"K", b"Pa", b"kPa", b"bar",
    ];
    word.len() <= 4 && UNITS.contains(&word)
}

/// Last labels of host names. A dotted word without one of them may as well be a class or a file.
pub(super) fn is_top_level_domain(label: &[u8]) -> bool {
    const LABELS: [&[u8]; 44] = [
        b"com",
        b"net",
        b"org",
        b"edu",
        b"gov",
        b"int",
        b"mil",
        b"info",
        b"biz",
        b"arpa",
        b"local",
        b"lan",
        b"localdomain",
        b"internal",
        b"corp",
        b"home",
        b"cn",
        b"de",
        b"fr",
        b"uk",
        b"us",
        b"jp",
        b"kr",
        b"tw",
        b"hk",
        b"br",
        b"ru",
        b"it",
        b"es",
        b"nl",
        b"pl",
        b"se",
        b"ch",
        b"at",
        b"be",
        b"au",
        b"ca",
        b"mx",
        b"ar",
        b"tr",
        b"eu",
        b"il",
        b"cz",
        b"in",
    ];
    (2..=11).contains(&label.len()) && LABELS.iter().any(|known| known.eq_ignore_ascii_case(label))
}
