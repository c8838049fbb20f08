//! Where records are read from: the file of a stopped ring or of a copy, or the service that owns a live one.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use store::block::{self, BlockHeader, Dictionaries, Kind, Records, Schema, SchemaHash};
use store::ring::{RingError, RingReader, Selection, StoredBlock};

use super::times::Times;
use crate::cli::{Failure, exit};
use crate::control;
use crate::control::client::{self, Answer};
use crate::control::wire::{self, Frame};

/// Bytes of blocks held at once while a file is read.
const PAGE_BYTES: usize = 1 << 20;

/// Where a ring is to be found.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Its file.
    pub store: Option<PathBuf>,
    /// The control socket of its service; [`control::DEFAULT_PATH`] when absent.
    pub control: Option<PathBuf>,
}

/// A ring to read. Schemas and dictionaries are read once.
pub(super) struct Source {
    from: From,
    schemas: RefCell<BTreeMap<SchemaHash, Option<Rc<Schema>>>>,
    times: OnceCell<Rc<Times>>,
    dictionaries: RefCell<Dictionaries>,
}

enum From {
    File(RingReader),
    Live(PathBuf),
}

impl Place {
    /// Opens the ring: its file, and when a service owns that, the service.
    ///
    /// # Errors
    /// [`exit::NO_INPUT`] with what to do.
    pub(super) fn open(&self) -> Result<Rc<Source>, Failure> {
        let socket = self.control.as_deref().unwrap_or(Path::new(control::DEFAULT_PATH));
        let from = match (&self.store, &self.control) {
            (None, None) => {
                let text = "--store DB or --control SOCKET is needed; see ecu-daemon --help";
                return Err(Failure::new(exit::USAGE, text));
            }
            (None, Some(_)) => From::Live(socket.to_owned()),
            (Some(store), _) => match RingReader::open(store) {
                Ok(reader) => From::File(reader),
                Err(RingError::Busy(_)) => live(store, socket)?,
                Err(error) => return Err(refused(&error)),
            },
        };
        let dictionaries = match &from {
            From::File(reader) => reader.dictionaries().map_err(|error| refused(&error))?,
            // The service sends them before the blocks that need them.
            From::Live(_) => Dictionaries::default(),
        };
        let dictionaries = RefCell::new(dictionaries);
        Ok(Rc::new(Source { from, schemas: RefCell::default(), times: OnceCell::new(), dictionaries }))
    }

    /// Takes an option of the command line; false when it is another one.
    ///
    /// # Errors
    /// [`exit::USAGE`]
    pub(super) fn take(&mut self, option: &str, arguments: &mut lexopt::Parser) -> Result<bool, Failure> {
        match option {
            "store" => self.store = Some(arguments.value()?.into()),
            "control" => self.control = Some(arguments.value()?.into()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn refused(error: &dyn std::error::Error) -> Failure {
    Failure::new(exit::NO_INPUT, error)
}

/// The service at `socket`, if it is the one that owns `store`.
fn live(store: &Path, socket: &Path) -> Result<From, Failure> {
    let owned = format!("ring file {} is in use by a running service", store.display());
    // Any question tells which ring it is; this one has an empty answer.
    let probe = wire::Question { read: wire::Records::Logs, from_ns: 0, to_ns: i64::MIN };
    let answer = client::ask(socket, &probe).map_err(|error| {
        let text = format!(
            "{owned}, which cannot be asked at {}: {error}; name its control socket with --control, become root or a \
             member of its group, or query a copy of the file and its -wal",
            socket.display()
        );
        Failure::new(exit::NO_INPUT, text)
    })?;
    let file = std::fs::metadata(store).map_err(|error| refused(&error))?;
    if (file.dev(), file.ino()) != answer.ring {
        let text = format!(
            "{owned}, and {} is the socket of another one; name the right one with --control",
            socket.display()
        );
        return Err(Failure::new(exit::NO_INPUT, text));
    }
    Ok(From::Live(socket.to_owned()))
}

impl Source {
    /// The blocks of a kind that touch some time, oldest first. Ends after an error.
    pub(super) fn blocks(self: &Rc<Self>, selection: Selection) -> Blocks {
        let state = State::Asked(VecDeque::new(), Some(i64::MIN));
        Blocks { source: Rc::clone(self), selection, state }
    }

    /// What puts the times of its records right; read once.
    pub(super) fn times(self: &Rc<Self>) -> Rc<Times> {
        Rc::clone(self.times.get_or_init(|| Rc::new(Times::read(self))))
    }

    /// A schema that a block of [`Self::blocks`] names, or what is wrong with it.
    pub(super) fn schema(&self, hash: SchemaHash) -> Result<Rc<Schema>, String> {
        let known = self.schemas.borrow().get(&hash).cloned();
        let schema = match (known, &self.from) {
            (Some(schema), _) => schema,
            (None, From::Live(_)) => None,
            (None, From::File(reader)) => {
                let schema = reader.schema(hash).map_err(|error| error.to_string())?.map(Rc::new);
                self.schemas.borrow_mut().insert(hash, schema.clone());
                schema
            }
        };
        schema.ok_or_else(|| format!("its schema {hash} is not in the ring"))
    }

    /// Keeps a schema or a dictionary.
    fn keep(&self, bytes: &[u8]) {
        match block::open(bytes) {
            Ok((_, Records::Schema(hash, schema))) => {
                self.schemas.borrow_mut().insert(hash, Some(Rc::new(schema)));
            }
            Ok((_, Records::Dictionary(dictionary))) => self.dictionaries.borrow_mut().insert(dictionary),
            // What does not open is missed by the block that names it.
            _ => {}
        }
    }
}

/// See [`Source::blocks`].
pub(super) struct Blocks {
    source: Rc<Source>,
    selection: Selection,
    state: State,
}

enum State {
    /// A file: blocks of the last page, and where the next one begins. A service: nothing was asked yet.
    Asked(VecDeque<StoredBlock>, Option<i64>),
    /// A service's answer.
    Answer(Answer),
    Ended,
}

impl Iterator for Blocks {
    type Item = io::Result<StoredBlock>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.state = State::Ended;
        }
        next
    }
}

impl Blocks {
    fn advance(&mut self) -> io::Result<Option<StoredBlock>> {
        if let (From::Live(socket), State::Asked(..)) = (&self.source.from, &self.state) {
            self.state = State::Answer(client::ask(socket, &question(&self.selection)?)?);
        }
        match (&mut self.state, &self.source.from) {
            (State::Asked(page, after), From::File(reader)) => {
                while page.is_empty() {
                    let Some(from) = *after else { return Ok(None) };
                    let read = reader.page(&self.selection, from, PAGE_BYTES).map_err(io::Error::other)?;
                    (*page, *after) = (read.blocks.into(), read.next);
                }
                Ok(page.pop_front())
            }
            (State::Answer(answer), _) => loop {
                match answer.next_frame()? {
                    Frame::Block(block) => return Ok(Some(block)),
                    Frame::Named(bytes) => self.source.keep(&bytes),
                    Frame::End => return Ok(None),
                    Frame::Ring(..) | Frame::Failed(_) => {
                        return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer of two rings"));
                    }
                }
            },
            (State::Ended | State::Asked(..), _) => Ok(None),
        }
    }
}

fn question(selection: &Selection) -> io::Result<wire::Question> {
    let read = match selection.kind {
        Kind::Samples => wire::Records::Samples,
        Kind::Spans => wire::Records::Spans,
        Kind::Logs => wire::Records::Logs,
        Kind::ClockMap => wire::Records::Clocks,
        Kind::Frames => wire::Records::Frames,
        Kind::Schema | Kind::Dictionary | Kind::Histograms => {
            return Err(io::Error::other(
                "only samples, spans, logs, frames and clock maps can be asked for",
            ));
        }
    };
    Ok(wire::Question { read, from_ns: selection.first_ns, to_ns: selection.last_ns })
}

/// A block's header and records with its schema, where it has one; or what is wrong with it.
pub(super) fn open(
    source: &Source,
    stored: &StoredBlock,
) -> Result<(BlockHeader, Records, Rc<Schema>), String> {
    let opened = block::open_with(&stored.bytes, &source.dictionaries.borrow());
    let (header, records) = opened.map_err(|error| error.to_string())?;
    // Logs refer to no names of a DBC file.
    let schema =
        if matches!(records, Records::Logs(_)) { Rc::default() } else { source.schema(header.schema)? };
    Ok((header, records, schema))
}
