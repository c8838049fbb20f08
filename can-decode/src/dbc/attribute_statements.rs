//! Attributes as a file sets them: `BA_`, `BA_DEF_`, `BA_DEF_DEF_`.

use alloc::vec::Vec;

use super::cursor::{Cursor, Fault};
use super::references::{SignalKey, message_id, signal_key};
use crate::frame::CanId;

/// What an attribute is set to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum AttributeValue<'a> {
    Uint(u64),
    Int(i64),
    Double(f64),
    String(&'a str),
}

/// An attribute of something, and its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Attribute<'a, T> {
    pub(super) name: &'a str,
    pub(super) of: T,
    pub(super) value: AttributeValue<'a>,
}

/// The statements in the order of the file. Those of nodes and environment variables say nothing about frames.
#[derive(Default)]
pub(super) struct AttributeStatements<'a> {
    pub(super) network: Vec<Attribute<'a, ()>>,
    pub(super) messages: Vec<Attribute<'a, CanId>>,
    pub(super) signals: Vec<Attribute<'a, SignalKey<'a>>>,
    pub(super) defaults: Vec<Attribute<'a, ()>>,
    /// Names and texts of enumerated attributes.
    pub(super) enums: Vec<(&'a str, Vec<&'a str>)>,
}

impl<'a> AttributeStatements<'a> {
    /// What follows `BA_`.
    pub(super) fn read_value(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        let name = cursor.quoted()?;
        let start = *cursor;
        match cursor.word() {
            "BO_" => {
                let id = message_id(cursor)?;
                let value = last_value(cursor)?;
                self.messages.extend(id.map(|of| Attribute { name, of, value }));
            }
            "SG_" => {
                let key = signal_key(cursor)?;
                let value = last_value(cursor)?;
                self.signals.extend(key.map(|of| Attribute { name, of, value }));
            }
            "BU_" | "EV_" => {
                cursor.name()?;
                last_value(cursor)?;
            }
            _ => {
                *cursor = start;
                self.network.push(Attribute { name, of: (), value: last_value(cursor)? });
            }
        }
        Ok(())
    }

    /// What follows `BA_DEF_`.
    pub(super) fn read_definition(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        let start = *cursor;
        if !matches!(cursor.word(), "BU_" | "BO_" | "SG_" | "EV_") {
            *cursor = start;
        }
        let name = cursor.quoted()?;
        cursor.skip_blanks();
        let unknown = cursor.fault("no type of attributes");
        match cursor.word() {
            "STRING" => {}
            "INT" | "HEX" | "FLOAT" => {
                cursor.number()?;
                cursor.number()?;
            }
            "ENUM" => {
                let mut texts = Vec::from([cursor.quoted()?]);
                while cursor.take(b',') {
                    texts.push(cursor.quoted()?);
                }
                self.enums.push((name, texts));
            }
            _ => return Err(unknown),
        }
        cursor.end()
    }

    /// What follows `BA_DEF_DEF_`.
    pub(super) fn read_default(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        let name = cursor.quoted()?;
        self.defaults.push(Attribute { name, of: (), value: last_value(cursor)? });
        Ok(())
    }
}

/// The value at the end of a statement.
fn last_value<'a>(cursor: &mut Cursor<'a>) -> Result<AttributeValue<'a>, Fault> {
    cursor.skip_blanks();
    let value = match cursor.peek() {
        Some(b'"') => AttributeValue::String(cursor.quoted()?),
        _ => {
            let number = cursor.number()?;
            let whole =
                number.parse().map(AttributeValue::Uint).or_else(|_| number.parse().map(AttributeValue::Int));
            // A number is a sign, digits, a fraction and an exponent, which all are a float.
            whole.unwrap_or_else(|_| AttributeValue::Double(number.parse().unwrap_or_default()))
        }
    };
    cursor.end()?;
    Ok(value)
}
