//! A file's text taken apart into statements.
//!
//! Messages with their signals are cut out as text, for crate can-dbc to read (`grammar`). The statements that speak
//! of them from outside are a keyword, names, numbers and quoted texts, and are read here: they are most of the text of
//! many files, and one that is illegible must not cost the messages.

use alloc::vec::Vec;

use super::Findings;
use super::attribute_statements::AttributeStatements;
use super::comments::CommentStatement;
use super::cursor::{Cursor, Fault, is_keyword};
use super::grammar::MessageText;
use super::references::ReferenceStatements;

/// Everything in a file that bears on frames, in its order.
#[derive(Default)]
pub(super) struct Statements<'a> {
    pub(super) messages: Vec<MessageText<'a>>,
    pub(super) references: ReferenceStatements<'a>,
    pub(super) attributes: AttributeStatements<'a>,
    pub(super) comments: Vec<CommentStatement<'a>>,
}

/// Takes `text` apart. A statement that bears on values has to be legible; another one is left out if it is not.
pub(super) fn read<'a>(text: &'a str, findings: &mut Findings) -> Result<Statements<'a>, Fault> {
    let mut cursor = Cursor::new(text);
    let mut statements = Statements::default();
    loop {
        cursor.skip_blanks();
        if cursor.is_at_end() {
            return Ok(statements);
        }
        let start = cursor;
        let keyword = cursor.word();
        match statements.read(keyword, start, &mut cursor) {
            Ok(()) => {}
            Err(Fault::Misplaced { .. }) if is_dispensable(keyword) => {
                let text = "this comment, attribute or value table is no DBC statement";
                findings.left_out(Some(start.line()), text);
                cursor = start;
                cursor.skip_statement();
            }
            Err(fault) => return Err(fault),
        }
    }
}

/// Whether a statement has no bearing on raw and physical values.
fn is_dispensable(keyword: &str) -> bool {
    matches!(keyword, "CM_" | "BA_" | "BA_DEF_" | "BA_DEF_DEF_" | "VAL_" | "VAL_TABLE_")
}

impl<'a> Statements<'a> {
    /// Reads what follows `keyword`, which stands at `start`.
    fn read(&mut self, keyword: &str, start: Cursor<'a>, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        match keyword {
            "BO_" => self.messages.push(MessageText::read(start, cursor)?),
            "VAL_" => self.references.read_labels(start.line(), cursor)?,
            "VAL_TABLE_" => self.references.read_table(cursor)?,
            "SIG_VALTYPE_" => self.references.read_value_type(start.line(), cursor)?,
            "SG_MUL_VAL_" => self.references.read_mux_ranges(start.line(), cursor)?,
            "CM_" => self.comments.extend(CommentStatement::read(cursor)?),
            "BA_" => self.attributes.read_value(cursor)?,
            "BA_DEF_" => self.attributes.read_definition(cursor)?,
            "BA_DEF_DEF_" => self.attributes.read_default(cursor)?,
            "VERSION" | "BS_" => cursor.skip_line()?,
            "BU_" => {
                cursor.skip_line()?;
                cursor.skip_indented_names();
            }
            "NS_" => {
                cursor.take(b':');
                cursor.skip_names();
                cursor.skip_indented_names();
            }
            "SG_" => return Err(start.fault("a signal without a message in the lines above")),
            "FILTER" => cursor.skip_statement(),
            // One too many behind a statement.
            "" if cursor.take(b';') => {}
            other if is_keyword(other) => cursor.skip_statement(),
            _ => return Err(start.fault("no DBC statement")),
        }
        Ok(())
    }
}
