//! A place in a DBC text: takes names, numbers and quoted texts from left to right, and knows its line.

/// Why a statement cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The quoted text that begins in this line does not end.
    Unclosed { line: u32 },
    /// What stands at a place is not what belongs there.
    Misplaced { reason: &'static str, line: u32, at: usize },
}

/// Steps byte by byte and stops only at ASCII characters or at the end, which are whole ones in UTF-8.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    line: u32,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    /// Number of the line, from 1.
    pub(super) const fn line(&self) -> u32 {
        self.line
    }

    /// Bytes from the start of the text.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// The text from a place before this one up to here.
    pub(super) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// What is wrong with what stands here.
    pub(super) const fn fault(&self, reason: &'static str) -> Fault {
        Fault::Misplaced { reason, line: self.line, at: self.at }
    }

    /// Steps over blanks, comments (`//`) and line breaks; whether there was a line break.
    pub(super) fn skip_blanks(&mut self) -> bool {
        let mut is_new_line = false;
        loop {
            match self.peek() {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\n' | b'\r') => {
                    self.line_break();
                    is_new_line = true;
                }
                Some(b'/') if self.is_at_comment() => self.skip_comment(),
                _ => return is_new_line,
            }
        }
    }

    /// Steps over blanks, comments and line breaks, then over `byte` if it is the next one.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// The next name: letters, digits and `_`. Empty where there is none.
    pub(super) fn word(&mut self) -> &'a str {
        self.skip_blanks();
        self.take_while(is_word)
    }

    /// The next name, and nothing else.
    pub(super) fn name(&mut self) -> Result<&'a str, Fault> {
        self.skip_blanks();
        let missing = self.fault("no name");
        Some(self.word()).filter(|word| !word.is_empty()).ok_or(missing)
    }

    /// The next whole number without a sign; `None` in it where it is beyond 64 bits.
    pub(super) fn digits(&mut self) -> Result<Option<u64>, Fault> {
        self.skip_blanks();
        let missing = self.fault("no whole number");
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() { Err(missing) } else { Ok(digits.parse().ok()) }
    }

    /// The next number as it is written: sign, digits, fraction, exponent; one of digits and fraction may be missing.
    pub(super) fn number(&mut self) -> Result<&'a str, Fault> {
        self.skip_blanks();
        let missing = self.fault("no number");
        let start = self.at;
        self.take_sign();
        let is_digit = |byte: u8| byte.is_ascii_digit();
        let mut digits = self.take_while(is_digit).len();
        if self.peek() == Some(b'.') {
            self.at += 1;
            digits += self.take_while(is_digit).len();
        }
        if digits == 0 {
            return Err(missing);
        }
        let mantissa = self.at;
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.take_sign();
            if self.take_while(is_digit).is_empty() {
                self.at = mantissa;
            }
        }
        Ok(self.since(start))
    }

    /// The next quoted text without its quotes; `\"` inside does not end it, and stays as it is.
    pub(super) fn quoted(&mut self) -> Result<&'a str, Fault> {
        if !self.take(b'"') {
            return Err(self.fault("no quoted text"));
        }
        let (start, line) = (self.at, self.line);
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        // The quote in front is no backslash, so that a first byte is never escaped.
        let is_end = |at: usize| rest[at] == b'"' && (at == 0 || rest[at - 1] != b'\\');
        let len = (0..rest.len()).find(|at| is_end(*at)).ok_or(Fault::Unclosed { line })?;
        self.at += len;
        let quoted = self.since(start);
        self.line += quoted.bytes().filter(|byte| *byte == b'\n').count() as u32;
        self.at += 1;
        Ok(quoted)
    }

    /// Ends a statement: with `;`, or without one at the end of its line, as some tools leave it out.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        let is_new_line = self.skip_blanks();
        if self.take(b';') || is_new_line || self.is_at_end() {
            return Ok(());
        }
        Err(self.fault("no ; at the end"))
    }

    /// Goes to the end of the line, past quoted texts with line breaks inside. A statement that begins on the way is
    /// an error: nobody would read it.
    pub(super) fn skip_line(&mut self) -> Result<(), Fault> {
        loop {
            match self.peek() {
                None | Some(b'\n' | b'\r') => return Ok(()),
                Some(b'"') => {
                    self.quoted()?;
                }
                Some(b'/') if self.is_at_comment() => self.skip_comment(),
                Some(byte) if is_word(byte) => {
                    let start = *self;
                    if is_keyword(self.word()) {
                        let reason =
                            "a statement begins in mid-line; put every statement on a line of its own";
                        return Err(start.fault(reason));
                    }
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// Goes behind the statement, whatever it is: behind its `;`, or to a line that begins with a keyword. Quotes are
    /// not relied on across such a line, because a stray one is what spoils a statement most often.
    pub(super) fn skip_statement(&mut self) {
        let mut is_quoted = false;
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' | b'\r' => {
                    self.skip_blanks();
                    let mut next = *self;
                    if is_keyword(next.word()) {
                        return;
                    }
                }
                b';' if !is_quoted => {
                    self.at += 1;
                    return;
                }
                b'"' => {
                    is_quoted = !is_quoted;
                    self.at += 1;
                }
                b'\\' if self.text.as_bytes().get(self.at + 1) == Some(&b'"') => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    /// Goes over the lines that hold names and nothing else and are indented: how lists of nodes and keywords go on.
    pub(super) fn skip_indented_names(&mut self) {
        loop {
            let mut line = *self;
            if !line.skip_blanks() {
                *self = line;
                return;
            }
            let is_indented = line
                .at
                .checked_sub(1)
                .is_some_and(|before| matches!(self.text.as_bytes()[before], b' ' | b'\t'));
            let begin = line;
            let names = line.skip_names();
            let is_list = names > 0 && matches!(line.peek(), None | Some(b'\n' | b'\r' | b'/'));
            // A keyword alone in its line is one of the list, also where the list is not indented.
            let is_keyword = names == 1 && is_keyword(begin.clone().word());
            if !(is_list && (is_indented || is_keyword)) {
                return;
            }
            *self = line;
        }
    }

    /// Goes over the names in the rest of the line; how many they are.
    pub(super) fn skip_names(&mut self) -> usize {
        let mut names = 0;
        loop {
            self.take_while(|byte| matches!(byte, b' ' | b'\t'));
            if self.take_while(is_word).is_empty() {
                return names;
            }
            names += 1;
        }
    }

    /// `+` or `-`.
    fn take_sign(&mut self) {
        self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
    }

    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(&belongs) {
            self.at += 1;
        }
        self.since(start)
    }

    fn line_break(&mut self) {
        self.line += u32::from(self.peek() == Some(b'\n'));
        self.at += 1;
    }

    fn is_at_comment(&self) -> bool {
        self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(b"//"))
    }

    /// To the line break behind it.
    fn skip_comment(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether a word begins a statement. `VERSION` and `FILTER` do, too, and are names of signals as well.
pub(super) fn is_keyword(word: &str) -> bool {
    word.ends_with('_')
        && matches!(
            word,
            "NS_"
                | "NS_DESC_"
                | "BS_"
                | "BU_"
                | "BO_"
                | "SG_"
                | "BO_TX_BU_"
                | "CM_"
                | "BA_"
                | "BA_DEF_"
                | "BA_DEF_DEF_"
                | "BA_REL_"
                | "BA_DEF_REL_"
                | "BA_DEF_DEF_REL_"
                | "BA_SGTYPE_"
                | "BA_DEF_SGTYPE_"
                | "VAL_"
                | "VAL_TABLE_"
                | "SIG_GROUP_"
                | "SIG_VALTYPE_"
                | "SIG_TYPE_REF_"
                | "SIGTYPE_VALTYPE_"
                | "SGTYPE_"
                | "SGTYPE_VAL_"
                | "SG_MUL_VAL_"
                | "EV_"
                | "EV_DATA_"
                | "ENVVAR_DATA_"
                | "CAT_"
                | "CAT_DEF_"
        )
}

#[cfg(test)]
mod tests;
