//! `cargo bench -p can-decode --bench load`: how long a DBC file takes to load, in this thread's processor time.
//!
//! First the whole load (bytes to findings and table) beside crate can-dbc alone, which only parses, on the largest real
//! file at hand: their quotient must not be above 1, or this ends with an error. Then files of the largest size that is
//! read, each the worst there is for one part of the reader; all but can-dbc's part has to be linear.

use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;

use can_decode::dbc::{self, FILE_BYTES_MAX};
use can_decode::{DecodeTable, Matching};
use rustix::time::{ClockId, clock_gettime};

/// Measurements of each of the two, in turns; the middle one counts.
const PASSES: usize = 15;
/// What the whole load may take, as a share of can-dbc alone.
const RATIO_MAX: f64 = 1.0;

fn main() -> ExitCode {
    let model3 =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/can/dbc/model3dbc/Model3CAN.dbc"));
    let (name, bytes) = match fs::read(model3) {
        Ok(bytes) => ("Model3CAN.dbc", bytes),
        Err(_) => {
            println!("absent: Model3CAN.dbc; a generated file of its size and kind is taken instead");
            ("generated", vehicle(380_000).into_bytes())
        }
    };
    let ratio = compare(name, &bytes);
    for (name, text) in worst_cases() {
        let started = cpu_ms();
        let outcome = match dbc::read(name, text.as_bytes()) {
            Ok((database, findings)) => {
                let (table, _) = DecodeTable::compile(&[database], Matching::Auto);
                format!("{} messages, {} findings", table.messages().len(), findings.len())
            }
            Err(error) => error.to_string(),
        };
        println!("worst case: {} MiB of {name}: {:.0} ms, {outcome}", text.len() >> 20, cpu_ms() - started);
    }
    if ratio > RATIO_MAX {
        println!("too slow: {ratio:.2} is above {RATIO_MAX}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The quotient of our load and can-dbc's parse of one file.
fn compare(name: &str, bytes: &[u8]) -> f64 {
    let text = String::from_utf8_lossy(bytes).into_owned() + "\n";
    let (mut ours, mut parser) = (Vec::new(), Vec::new());
    let mut counts = (0, 0);
    for _ in 0..PASSES {
        let started = cpu_ms();
        let parsed = can_dbc::Dbc::try_from(black_box(text.as_str()));
        let between = cpu_ms();
        let (database, _) = dbc::read(name, black_box(bytes)).expect("a file that loads");
        let (table, _) = DecodeTable::compile(&[database], Matching::Auto);
        ours.push(cpu_ms() - between);
        parser.push(between - started);
        drop(black_box(parsed));
        counts = (table.messages().len(), table.messages().iter().map(|message| message.signals.len()).sum());
    }
    let (ours, parser) = (median(ours), median(parser));
    let ratio = ours / parser;
    let (messages, signals) = counts;
    println!("{name}: {} bytes, {messages} messages, {signals} signals", bytes.len());
    println!("whole load {ours:.1} ms, can-dbc alone {parser:.1} ms, quotient {ratio:.2}");
    ratio
}

/// A file of `bytes` bytes as vehicles have them: half messages and signals, half labels, some comments.
fn vehicle(bytes: usize) -> String {
    let (mut messages, mut rest) =
        (String::from("VERSION \"\"\n\nBS_:\n\nBU_: Gateway Body Engine\n\n"), String::new());
    for message in 0.. {
        if messages.len() + rest.len() >= bytes {
            break;
        }
        let id = 0x8000_0000_u32 + message;
        let _ = writeln!(messages, "BO_ {id} ID{message:X}Status: 8 Gateway");
        for signal in 0..20 {
            let start = signal * 3;
            let _ = writeln!(
                messages,
                " SG_ ID{message:X}_value{signal} : {start}|3@1+ (0.125,-40) [-40|215] \"km/h\"  Body,Engine"
            );
            if signal % 3 == 0 {
                let _ = write!(rest, "VAL_ {id} ID{message:X}_value{signal} ");
                for value in 0..7 {
                    let _ = write!(rest, "{value} \"STATE_NUMBER_{value}\" ");
                }
                rest.push_str(";\n");
            }
        }
        let _ = writeln!(rest, "CM_ BO_ {id} \"What this is for\";");
        messages.push('\n');
    }
    messages + &rest
}

/// Files of 16 MiB, with their names.
fn worst_cases() -> Vec<(&'static str, String)> {
    let signals = |message: usize, signal: &dyn Fn(usize) -> String| {
        let mut text = format!("BO_ {message} M{message}: 8 N\n");
        (0..4096).for_each(|number| text.push_str(&signal(number)));
        text
    };
    let plain = " SG_ S : 0|8@1+ (1,0) [0|0] \"\" N\n";
    let branch = |number: usize| match number {
        0 => " SG_ Page M : 0|16@1+ (1,0) [0|0] \"\" N\n".to_string(),
        _ => format!(" SG_ S{number} m{number} : 16|8@1+ (1,0) [0|0] \"\" N\n"),
    };
    let paged =
        "BO_ 1 M: 8 N\n SG_ Page M : 0|16@1+ (1,0) [0|0] \"\" N\n SG_ S m0 : 16|8@1+ (1,0) [0|0] \"\" N\n";
    vec![
        ("a vehicle's messages, repeated", vehicle(FILE_BYTES_MAX - 8192)),
        ("messages without signals", fill("", &|number| format!("BO_ {number} A: 8 N\n"))),
        ("signals of one name", fill("", &|number| signals(number, &|_| plain.to_string()))),
        ("signals in branches of their own", fill("", &|number| signals(number, &branch))),
        (
            "ranges of a branch",
            fill(&format!("{paged}SG_MUL_VAL_ 1 S Page 0-0"), &|n| format!(",{0}-{0}", n * 2)),
        ),
        ("labels of one signal", fill(&format!("{paged}VAL_ 1 S"), &|number| format!(" {number} \"\""))),
        ("labels of signals that are not there", fill("", &|_| "VAL_ 1 S 1 \"\";\n".to_string())),
        ("illegible comments", fill("", &|_| "CM_ oops\n".to_string())),
        ("blank lines behind an illegible comment", fill("CM_ oops", &|_| "\n".to_string())),
        (
            "attributes",
            fill("BA_DEF_ BO_ \"A\" INT 0 0;\n", &|number| format!("BA_ \"A\" BO_ {number} 1;\n")),
        ),
        ("blank lines", fill("", &|_| "\n".to_string())),
        ("one text", format!("CM_ \"{}\";", "\\\"".repeat(FILE_BYTES_MAX / 2 - 8))),
    ]
}

/// `start`, and pieces as long as the file may be.
fn fill(start: &str, piece: &dyn Fn(usize) -> String) -> String {
    let mut text = start.to_string();
    for number in 0.. {
        let piece = piece(number);
        if text.len() + piece.len() >= FILE_BYTES_MAX {
            break;
        }
        text.push_str(&piece);
    }
    text
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Milliseconds that this thread has had a processor for.
fn cpu_ms() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}
