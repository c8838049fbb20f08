//! What others do with a card, to be measured beside the ring: a row for each sample in SQLite, or an append-only file,
//! which is the limit.
//!
//! Runs where the daemon runs. What reaches the card is for the device's own counters to tell.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use rusqlite::{Connection, params};

const HELP: &str = "\
card-peers: writes to a card as others do

  card-peers rows FILE --rate SAMPLES_PER_SECOND --every SECONDS --seconds N
      A row for each sample (time, signal, value) in SQLite: WAL, synchronous=FULL, a transaction every so many seconds.
  card-peers append FILE --rate BYTES_PER_SECOND --every SECONDS --seconds N
      Bytes that are added to a file, which is synced (fdatasync) every so many seconds.
Prints one line of JSON: what was written, in rows or bytes.
";
/// Signals that the rows are of.
const SIGNALS: i64 = 400;

struct Options {
    path: PathBuf,
    rate: u64,
    every: Duration,
    rounds: u64,
}

fn main() -> ExitCode {
    match run(lexopt::Parser::from_env()) {
        Ok(Some(count)) => {
            println!("{{\"count\":{count}}}");
            ExitCode::SUCCESS
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("card-peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: lexopt::Parser) -> Result<Option<u64>, Box<dyn Error>> {
    let (mut words, mut rate, mut every, mut seconds) = (Vec::new(), None, None, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(word) => words.push(word.string()?),
            Long("rate") => rate = Some(arguments.value()?.parse::<u64>()?),
            Long("every") => every = Some(arguments.value()?.parse::<f64>()?),
            Long("seconds") => seconds = Some(arguments.value()?.parse::<f64>()?),
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(None);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let (Some(rate), Some(every), Some(seconds)) = (rate, every, seconds) else {
        return Err("--rate, --every and --seconds are needed; see card-peers --help".into());
    };
    let rounds = (seconds / every) as u64;
    let options = |path: &str| -> Result<Options, Box<dyn Error>> {
        Ok(Options { path: PathBuf::from(path), rate, every: Duration::try_from_secs_f64(every)?, rounds })
    };
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["rows", path] => rows(&options(path)?).map(Some),
        ["append", path] => append(&options(path)?).map(Some),
        _ => Err("rows or append, and a file; see card-peers --help".into()),
    }
}

fn rows(options: &Options) -> Result<u64, Box<dyn Error>> {
    let connection = Connection::open(&options.path)?;
    connection.execute_batch(
        "PRAGMA page_size = 4096; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE IF NOT EXISTS sample (time INTEGER NOT NULL, signal INTEGER NOT NULL, value REAL NOT NULL);",
    )?;
    let mut random = Random(1);
    rounds(options, |count, sum| {
        let transaction = connection.unchecked_transaction()?;
        let mut insert = transaction.prepare_cached("INSERT INTO sample VALUES (?1, ?2, ?3)")?;
        for number in sum..sum + count {
            let time = 1_700_000_000_000_000_000 + (number * 1_000_000_000 / options.rate.max(1)) as i64;
            insert.execute(params![time, number as i64 % SIGNALS, random.next() as f64 / 1e15])?;
        }
        drop(insert);
        transaction.commit()?;
        Ok(())
    })
}

fn append(options: &Options) -> Result<u64, Box<dyn Error>> {
    let open = || OpenOptions::new().create(true).append(true).open(&options.path);
    let mut file = open().map_err(|error| named(&options.path, &error))?;
    let mut random = Random(1);
    rounds(options, |count, _| {
        // As blocks are: not to be compressed further, by whatever is below.
        let bytes: Vec<u8> = (0..count).map(|_| random.next() as u8).collect();
        let written = file.write_all(&bytes).and_then(|()| file.sync_data());
        written.map_err(|error| named(&options.path, &error).into())
    })
}

fn named(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}; is there room, and may it be written?", path.display())
}

/// Writes so many each round, at its end, and gives how many it were.
fn rounds(
    options: &Options,
    mut write: impl FnMut(u64, u64) -> Result<(), Box<dyn Error>>,
) -> Result<u64, Box<dyn Error>> {
    let count = (options.rate as f64 * options.every.as_secs_f64()) as u64;
    let started = Instant::now();
    for round in 0..options.rounds {
        let due = options.every.mul_f64((round + 1) as f64);
        sleep(due.saturating_sub(started.elapsed()));
        write(count, round * count)?;
    }
    Ok(options.rounds * count)
}

/// Knuth's MMIX generator, of which the upper bits are good.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(words: &[&str]) -> Result<Option<u64>, Box<dyn Error>> {
        run(lexopt::Parser::from_args(words.iter().map(|word| (*word).to_owned())))
    }

    #[test]
    fn rows_and_bytes_are_written_at_their_rate() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let timing = ["--rate", "1000", "--every", "0.01", "--seconds", "0.055"];
        for (what, name) in [("rows", "rows.db"), ("append", "file")] {
            let path = path(name);
            let words = [[what, &path].as_slice(), &timing].concat();
            assert_eq!(called(&words).unwrap(), Some(50), "{what}");
        }
        let count = "SELECT count(*), count(DISTINCT time) FROM sample";
        let rows = Connection::open(path("rows.db")).unwrap();
        let counts = rows.query_row(count, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        assert_eq!(counts.unwrap(), (50, 50));
        assert_eq!(std::fs::metadata(path("file")).unwrap().len(), 50);
    }

    #[test]
    fn what_is_missing_is_said() {
        for (words, said) in [
            (&["rows"][..], "--rate"),
            (&["cat", "f", "--rate", "1", "--every", "1", "--seconds", "0"], "rows or append"),
            (&["append", "/nowhere/file", "--rate", "1", "--every", "1", "--seconds", "1"], "/nowhere/file"),
        ] {
            let error = called(words).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
