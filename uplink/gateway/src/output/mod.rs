//! Where opened blocks go. Each output takes a block whole; what is not yet sent is sent by [`Outputs::flush`].

mod otlp;
mod parcel;
mod post;
mod print;
mod receiver;
mod remote_write;

use std::io;
use std::sync::Arc;
use std::time::Instant;

pub(crate) use post::jitter;

use self::otlp::Otlp;
use self::post::Mailbox;
use self::print::Printer;
use self::receiver::Protocol;
use crate::counters::Counters;
use crate::opened::{Content, NamedFrames, Opened};
use crate::options::Options;
use crate::quiet::Quiet;

/// Ids as text: hex digits in lower case (W3C Trace Context §3.2.2).
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// All outputs that were asked for.
pub(crate) struct Outputs {
    job: String,
    counters: Arc<Counters>,
    remote_write: Option<Mailbox>,
    otlp: Option<Otlp>,
    printer: Option<Printer>,
    formless_log: Quiet,
}

impl Outputs {
    /// As the options say; printed lines go to `lines` rather than the standard output when that is given.
    pub(crate) fn new(
        options: &Options,
        lines: Option<Box<dyn io::Write + Send>>,
        counters: &Arc<Counters>,
    ) -> Result<Self, reqwest::Error> {
        let client = post::client(&options.patience)?;
        let mailbox = |protocol, url| {
            Mailbox::new(protocol, client.clone(), url, options.patience, Arc::clone(counters))
        };
        let lines =
            lines.or_else(|| options.print.then(|| Box::new(io::stdout()) as Box<dyn io::Write + Send>));
        Ok(Self {
            job: options.job.clone(),
            counters: Arc::clone(counters),
            remote_write: options.remote_write.as_ref().map(|url| mailbox(Protocol::RemoteWrite, url.url())),
            otlp: options.otlp.as_ref().map(|base| Otlp {
                metrics: mailbox(Protocol::OtlpMetrics, base.below("v1/metrics")),
                traces: mailbox(Protocol::OtlpTraces, base.below("v1/traces")),
                logs: mailbox(Protocol::OtlpLogs, base.below("v1/logs")),
            }),
            printer: lines.map(Printer::new),
            formless_log: Quiet::default(),
        })
    }

    /// Gives a block to every output. Returns late when a receiver is not available, and does not give up.
    ///
    /// # Errors
    /// When the reader of the printed lines is gone.
    pub(crate) async fn put(&mut self, block: &Opened) -> io::Result<()> {
        if let Content::Frames(frames) = &block.content {
            self.keep_back(frames);
        }
        let remote_write = async {
            if let Some(mailbox) = &mut self.remote_write {
                remote_write::put(block, &self.job, mailbox, &self.counters).await;
            }
            Ok(())
        };
        let otlp = async {
            if let Some(otlp) = &mut self.otlp {
                otlp.put(block, &self.job).await;
            }
            Ok(())
        };
        let print = async {
            match &mut self.printer {
                Some(printer) => printer.put(block).await,
                None => Ok(()),
            }
        };
        tokio::try_join!(print, remote_write, otlp).map(|_| ())
    }

    /// Counts raw frames that receivers do not get, and says so now and then.
    fn keep_back(&mut self, frames: &NamedFrames) {
        if self.otlp.is_none() && self.remote_write.is_none() {
            return;
        }
        self.counters.frames_without_form.add(frames.len() as u64);
        if let Some(suppressed) = self.formless_log.pass(Instant::now()) {
            let frames = frames.len();
            tracing::warn!(
                frames,
                suppressed,
                "raw frames are printed only: OTLP and remote-write have no form for them"
            );
        }
    }

    /// Returns when every receiver has taken or refused everything that was put.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        let remote_write = async {
            if let Some(mailbox) = &mut self.remote_write {
                mailbox.post().await;
            }
            Ok(())
        };
        let otlp = async {
            if let Some(otlp) = &mut self.otlp {
                otlp.flush().await;
            }
            Ok(())
        };
        let print = async {
            match &mut self.printer {
                Some(printer) => printer.flush().await,
                None => Ok(()),
            }
        };
        tokio::try_join!(print, remote_write, otlp).map(|_| ())
    }
}
