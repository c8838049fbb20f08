//! The service's side of the control socket.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use store::block::{BlockHeader, DictionaryHash, SchemaHash};
use store::ring::{RingError, Selection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};
use tracing::{debug, info, warn};

use super::wire::{Frame, QUESTION_BYTES_MAX, Question};
use crate::inbox::{Inbox, Request};

/// Askers at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 4;
/// An asker has this long to send its question.
const QUESTION_WITHIN: Duration = Duration::from_secs(5);
/// An asker that takes nothing for this long is gone.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);
/// About so many bytes of blocks are read and sent at once. The writer reads for as long as that takes.
const PAGE_BYTES: usize = 256 << 10;
/// Owner and group may ask.
const MODE: u32 = 0o660;

/// The listening socket; its file is removed with it.
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the ring's file.
    ring: (u64, u64),
}

impl Control {
    /// Listens at `path`, for readers of the ring whose file is `ring`; a socket left there by a process that is gone is
    /// replaced.
    ///
    /// # Errors
    /// When the folder is not there or not writable, another process answers there, or another file is in the way.
    pub fn bind(path: &Path, ring: &Path) -> io::Result<Self> {
        let bound = Self::bind_anew(path).and_then(|listener| {
            let ring = std::fs::metadata(ring)?;
            Ok(Self { listener, path: path.to_owned(), ring: (ring.dev(), ring.ino()) })
        });
        let control = bound.map_err(|error| {
            let text = format!(
                "cannot listen on {}: {error}; going on, but the live ring cannot be queried; check [control] socket",
                path.display()
            );
            io::Error::new(error.kind(), text)
        })?;
        info!("control socket {}", path.display());
        Ok(control)
    }

    fn bind_anew(path: &Path) -> io::Result<UnixListener> {
        let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
        if is_socket {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process answers there"));
            }
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))?;
        Ok(listener)
    }

    /// Serves for ever.
    pub async fn run(self, inbox: Arc<Inbox>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let mut stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "cannot accept a connection at the control socket");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (inbox, ring) = (Arc::clone(&inbox), self.ring);
            tokio::spawn(async move {
                let peer = stream.peer_cred().ok();
                if let Err(error) = serve(&mut stream, &inbox, ring).await {
                    debug!(%error, ?peer, "control socket");
                }
                drop(place);
            });
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Somebody else may have removed it already.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn serve(stream: &mut UnixStream, inbox: &Inbox, (device, inode): (u64, u64)) -> io::Result<()> {
    let mut out = Vec::new();
    Frame::Ring(device, inode).write(&mut out);
    let question = match read_question(stream).await? {
        Ok(question) => question,
        Err(text) => {
            Frame::Failed(text).write(&mut out);
            return send(stream, &mut out).await;
        }
    };
    let mut answer = Answer {
        inbox,
        selection: question.into(),
        known: BTreeSet::new(),
        known_dictionaries: BTreeSet::from([DictionaryHash::default()]),
    };
    let mut after = i64::MIN;
    loop {
        match answer.page(after, &mut out).await {
            Ok(Some(next)) => after = next,
            Ok(None) => {
                Frame::End.write(&mut out);
                return send(stream, &mut out).await;
            }
            Err(text) => {
                Frame::Failed(text).write(&mut out);
                return send(stream, &mut out).await;
            }
        }
        send(stream, &mut out).await?;
    }
}

/// The question, or what is wrong with it.
async fn read_question(stream: &mut UnixStream) -> io::Result<Result<Question, String>> {
    let mut line = Vec::new();
    let read = async {
        let mut part = [0; 512];
        while !line.contains(&b'\n') && line.len() <= QUESTION_BYTES_MAX {
            match stream.read(&mut part).await? {
                0 => break,
                len => line.extend_from_slice(&part[..len]),
            }
        }
        Ok::<_, io::Error>(())
    };
    if tokio::time::timeout(QUESTION_WITHIN, read).await.is_err() {
        return Ok(Err(format!("no question within {QUESTION_WITHIN:?}")));
    }
    let Some(end) = line.iter().position(|&byte| byte == b'\n').filter(|&end| end <= QUESTION_BYTES_MAX)
    else {
        return Ok(Err(format!("a question is a line of at most {QUESTION_BYTES_MAX} bytes")));
    };
    Ok(serde_json::from_slice(&line[..end])
        .map_err(|error| format!("the question is not understood: {error}")))
}

async fn send(stream: &mut UnixStream, out: &mut Vec<u8>) -> io::Result<()> {
    let gone = |_| io::Error::new(io::ErrorKind::TimedOut, "the asker takes nothing");
    tokio::time::timeout(TAKEN_WITHIN, stream.write_all(out)).await.map_err(gone)??;
    out.clear();
    Ok(())
}

/// The way of an answer from the writer to an asker.
struct Answer<'a> {
    inbox: &'a Inbox,
    selection: Selection,
    /// Schemas that the asker has.
    known: BTreeSet<SchemaHash>,
    /// Dictionaries that the asker has, and the name that stands for none.
    known_dictionaries: BTreeSet<DictionaryHash>,
}

impl Answer<'_> {
    /// Appends the frames of the page behind row `after`; gives where the next one begins. The error is for the asker.
    async fn page(&mut self, after: i64, out: &mut Vec<u8>) -> Result<Option<i64>, String> {
        let selection = self.selection;
        let page = self.ask(|reply| Request::Page(selection, after, PAGE_BYTES, reply)).await?;
        for block in page.blocks {
            // What is no block is handed on as it is: who opens it says what is wrong.
            let header = BlockHeader::read(&block.bytes).map(|(header, _)| header);
            if let Ok(header) = &header
                && self.known_dictionaries.insert(header.dictionary)
                && let Some(dictionary) =
                    self.ask(|reply| Request::DictionaryBlock(header.dictionary, reply)).await?
            {
                Frame::Named(dictionary).write(out);
            }
            if let Ok(header) = header
                && self.known.insert(header.schema)
                && let Some(schema) = self.ask(|reply| Request::SchemaBlock(header.schema, reply)).await?
            {
                Frame::Named(schema).write(out);
            }
            Frame::Block(block).write(out);
        }
        Ok(page.next)
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, RingError>>) -> Request,
    ) -> Result<T, String> {
        let (reply, answer) = oneshot::channel();
        self.inbox.ask(request(reply));
        match answer.await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err("the service is stopping; query the ring's file when it has stopped".to_owned()),
        }
    }
}
