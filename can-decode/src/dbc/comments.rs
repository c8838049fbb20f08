//! Comments on the file, on messages and on signals (`CM_`).

use alloc::string::ToString;

use super::cursor::{Cursor, Fault};
use super::references::{SignalKey, message_id, unescaped};
use crate::database::Comments;
use crate::frame::CanId;

/// What a comment is about.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    File,
    Message(CanId),
    Signal(SignalKey<'a>),
}

/// A comment on something that bears on frames.
#[derive(Clone, Copy)]
pub(super) struct CommentStatement<'a> {
    subject: Subject<'a>,
    text: &'a str,
}

impl<'a> CommentStatement<'a> {
    /// Reads what follows `CM_`; `None` for a comment on a node or an environment variable, or on what no frame is.
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Option<Self>, Fault> {
        let start = *cursor;
        let subject = match cursor.word() {
            "" => Some(Subject::File),
            "BO_" => message_id(cursor)?.map(Subject::Message),
            "SG_" => {
                let id = message_id(cursor)?;
                // Without a signal's name it is one on the message.
                let signal = cursor.word();
                let subject =
                    |id| if signal.is_empty() { Subject::Message(id) } else { Subject::Signal((id, signal)) };
                id.map(subject)
            }
            "BU_" | "EV_" => {
                cursor.name()?;
                None
            }
            // Some tools leave out `BO_`.
            _ => {
                *cursor = start;
                message_id(cursor)?.map(Subject::Message)
            }
        };
        let text = cursor.quoted()?;
        cursor.end()?;
        Ok(subject.map(|subject| Self { subject, text }))
    }
}

/// The comments by what they are about; of several on one thing the last counts.
pub(super) fn collect(statements: &[CommentStatement<'_>]) -> Comments {
    let mut comments = Comments::default();
    for CommentStatement { subject, text } in statements {
        let text = unescaped(text);
        match subject {
            Subject::File => comments.file = Some(text),
            Subject::Message(id) => {
                comments.messages.insert(*id, text);
            }
            Subject::Signal((id, signal)) => {
                comments.signals.entry(*id).or_default().insert((*signal).to_string(), text);
            }
        }
    }
    comments
}
