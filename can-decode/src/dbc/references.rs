//! Statements that speak of a signal from outside of its message: `VAL_`, `SIG_VALTYPE_`, `SG_MUL_VAL_`; and the
//! tables (`VAL_TABLE_`) that a `VAL_` may name.

use alloc::string::String;
use alloc::vec::Vec;
use std::collections::HashMap;

use super::cursor::{Cursor, Fault};
use crate::frame::CanId;

/// A signal by its message and its name in the file.
pub(super) type SignalKey<'a> = (CanId, &'a str);

/// Value and name, as the file writes it.
pub(super) type Label<'a> = (i64, &'a str);

/// `SIG_VALTYPE_`: how a signal's bits are a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueType {
    Integer,
    F32,
    F64,
}

/// `SG_MUL_VAL_`: a multiplexor by name, and its values for which a signal is present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MuxRanges<'a> {
    pub(super) multiplexor: &'a str,
    /// First and last value of each, both included.
    pub(super) ranges: Vec<(u64, u64)>,
}

/// A statement, what it is about and where it stands; no signal for an identifier that no frame has.
pub(super) struct About<'a, T> {
    pub(super) line: u32,
    pub(super) key: Option<SignalKey<'a>>,
    pub(super) what: T,
}

/// What a `VAL_` gives.
pub(super) enum Labels<'a> {
    Listed(Vec<Label<'a>>),
    /// The name of a `VAL_TABLE_`, which may follow later.
    Table(&'a str),
}

/// The statements in the order of the file.
#[derive(Default)]
pub(super) struct ReferenceStatements<'a> {
    pub(super) labels: Vec<About<'a, Labels<'a>>>,
    pub(super) tables: HashMap<&'a str, Vec<Label<'a>>>,
    pub(super) value_types: Vec<About<'a, ValueType>>,
    pub(super) mux_ranges: Vec<About<'a, MuxRanges<'a>>>,
}

impl<'a> ReferenceStatements<'a> {
    /// What follows `VAL_`. Labels of an environment variable, which has no message, are read and dropped.
    pub(super) fn read_labels(&mut self, line: u32, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        let mut subject = *cursor;
        let id = subject.digits().map(|number| number.and_then(can_id));
        if id.is_ok() {
            *cursor = subject;
        }
        let signal = cursor.name()?;
        let key = id.ok().flatten().map(|id| (id, signal));
        let mut table = *cursor;
        let is_same_line = !table.skip_blanks();
        let is_name = table.peek().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let what = if is_same_line && is_name {
            *cursor = table;
            Labels::Table(cursor.name()?)
        } else {
            Labels::Listed(labels(cursor)?)
        };
        cursor.end()?;
        self.labels.push(About { line, key, what });
        Ok(())
    }

    /// What follows `VAL_TABLE_`.
    pub(super) fn read_table(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        let name = cursor.name()?;
        let labels = labels(cursor)?;
        cursor.end()?;
        self.tables.insert(name, labels);
        Ok(())
    }

    /// What follows `SIG_VALTYPE_`. The specification has no colon in it, and every tool writes one.
    pub(super) fn read_value_type(&mut self, line: u32, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        let key = signal_key(cursor)?;
        cursor.take(b':');
        cursor.skip_blanks();
        let unknown = cursor.fault("no value type (0 integer, 1 float, 2 double)");
        let what = match cursor.digits()? {
            Some(0) => ValueType::Integer,
            Some(1) => ValueType::F32,
            Some(2) => ValueType::F64,
            _ => return Err(unknown),
        };
        cursor.end()?;
        self.value_types.push(About { line, key, what });
        Ok(())
    }

    /// What follows `SG_MUL_VAL_`.
    pub(super) fn read_mux_ranges(&mut self, line: u32, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        let key = signal_key(cursor)?;
        let multiplexor = cursor.name()?;
        let mut ranges = Vec::new();
        loop {
            let first = mux_value(cursor)?;
            if !cursor.take(b'-') {
                return Err(cursor.fault("no - between the first and the last value"));
            }
            ranges.push((first, mux_value(cursor)?));
            if !cursor.take(b',') {
                break;
            }
        }
        cursor.end()?;
        self.mux_ranges.push(About { line, key, what: MuxRanges { multiplexor, ranges } });
        Ok(())
    }
}

/// A value of a multiplexor.
fn mux_value(cursor: &mut Cursor<'_>) -> Result<u64, Fault> {
    cursor.skip_blanks();
    let beyond = cursor.fault("a value of more than 64 bits");
    cursor.digits()?.ok_or(beyond)
}

/// Numbers and names up to something else.
fn labels<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<Label<'a>>, Fault> {
    let mut labels = Vec::new();
    loop {
        // Behind a line break stands the next statement where the `;` is missing.
        let mut next = *cursor;
        next.skip_blanks();
        if !next.peek().is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-')) {
            return Ok(labels);
        }
        let no_integer = next.fault("no whole number of 64 bits");
        let number = next.number()?;
        // Values above `i64::MAX` have the same bits as a negative number.
        let value = number.parse().or_else(|_| number.parse::<u64>().map(|value| value as i64));
        labels.push((value.map_err(|_| no_integer)?, next.quoted()?));
        *cursor = next;
    }
}

/// The identifier of a message; `None` for one that no frame has.
pub(super) fn message_id(cursor: &mut Cursor<'_>) -> Result<Option<CanId>, Fault> {
    Ok(cursor.digits()?.and_then(can_id))
}

pub(super) fn signal_key<'a>(cursor: &mut Cursor<'a>) -> Result<Option<SignalKey<'a>>, Fault> {
    let id = message_id(cursor)?;
    let signal = cursor.name()?;
    Ok(id.map(|id| (id, signal)))
}

/// The identifier that a DBC number means: bit 31 or a value above `0x7FF` makes it a 29-bit one.
pub(super) fn can_id(number: u64) -> Option<CanId> {
    let number = u32::try_from(number).ok()?;
    if number & CanId::EXTENDED_BIT != 0 {
        return CanId::extended(number & !CanId::EXTENDED_BIT);
    }
    u16::try_from(number).ok().and_then(CanId::standard).or_else(|| CanId::extended(number))
}

/// A quoted text without the backslashes in front of its quotes.
pub(super) fn unescaped(text: &str) -> String {
    // Looked for first, because hardly a text has one.
    if text.contains('\\') { text.replace("\\\"", "\"") } else { text.into() }
}
