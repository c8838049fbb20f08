//! Two GPIO lines that are wired together: one is driven, the other is read and watched.

use std::error::Error;
use std::time::{Duration, Instant};

use embedded_hal::digital::{InputPin, OutputPin, PinState};
use linux_embedded_hal::CdevPin;
use linux_embedded_hal::gpio_cdev::{
    self, Chip, EventRequestFlags, EventType, Line, LineEventHandle, LineRequestFlags,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::json;

/// Who holds a line, as `gpioinfo` and `/sys/kernel/debug/gpio` show it.
const CONSUMER: &str = "board-io";
/// When no edge came for this long after the last expected one, no more will.
const QUIET: Duration = Duration::from_millis(20);

/// The two ends.
pub(crate) struct Loop<'a> {
    /// A device's path, or a chip's label: numbers of chips change from boot to boot, labels do not.
    pub(crate) chip: &'a str,
    /// The line that is driven.
    pub(crate) out: u32,
    /// The line that should follow it.
    pub(crate) input: u32,
}

impl Loop<'_> {
    /// Drives `count` levels twice, high first: once to read them, once to see their edges, which have `wait` to come.
    pub(crate) fn run(&self, count: usize, wait: Duration) -> Result<String, Box<dyn Error>> {
        let mut chip = open(self.chip)?;
        let mut out = pin(&line(&mut chip, self.out)?, LineRequestFlags::OUTPUT)?;
        let input_line = line(&mut chip, self.input)?;
        let mut input = pin(&input_line, LineRequestFlags::INPUT)?;
        let read = drive_and_read(&mut out, &mut input, count)
            .map_err(|error| format!("lines {} and {} of {}: {error}", self.out, self.input, self.chip))?;
        // A line is either read or watched, and the watch is to begin with a low level.
        drop(input);
        out.set_low()?;
        let watched = input_line.events(LineRequestFlags::INPUT, EventRequestFlags::BOTH_EDGES, CONSUMER);
        let mut watched = watched.map_err(|error| refused(&input_line, &error))?;
        let edges = drive_and_watch(&mut out, &mut watched, count, wait)?;
        let levels: Vec<u8> = read.into_iter().map(u8::from).collect();
        let edges: Vec<&str> = edges.into_iter().map(name).collect();
        Ok(json!({ "levels": levels, "edges": edges }).to_string())
    }
}

fn open(name: &str) -> Result<Chip, String> {
    if name.contains('/') {
        return Chip::new(name).map_err(|error| format!("{name}: {error}; is there a GPIO chip?"));
    }
    let chips = gpio_cdev::chips().map_err(|error| format!("/dev: {error}"))?;
    let mut others = Vec::new();
    for chip in chips {
        match chip {
            Ok(chip) if chip.label() == name => return Ok(chip),
            Ok(chip) => others.push(chip.label().to_owned()),
            Err(error) => others.push(format!("one that cannot be opened: {error}")),
        }
    }
    Err(format!("no GPIO chip is labelled {name:?}; there are: {}", others.join(", ")))
}

fn line(chip: &mut Chip, offset: u32) -> Result<Line, String> {
    let name = format!("{} ({})", chip.path().display(), chip.label());
    chip.get_line(offset)
        .map_err(|error| format!("line {offset} of {name}: {error}; it has {} lines", chip.num_lines()))
}

/// A line as embedded-hal knows it; an output is low at first.
fn pin(line: &Line, flags: LineRequestFlags) -> Result<CdevPin, String> {
    line.request(flags, 0, CONSUMER).and_then(CdevPin::new).map_err(|error| refused(line, &error))
}

/// The kernel's error with who holds the line, which is the usual reason.
fn refused(line: &Line, error: &gpio_cdev::Error) -> String {
    let holder = match line.info() {
        Ok(info) if info.is_used() => format!("; {:?} holds it", info.consumer().unwrap_or("the kernel")),
        _ => String::new(),
    };
    format!("line {} of {}: {error}{holder}", line.offset(), line.chip().label())
}

/// High, low, high ...
fn levels(count: usize) -> impl Iterator<Item = PinState> {
    [PinState::High, PinState::Low].into_iter().cycle().take(count)
}

fn drive_and_read<O, I>(out: &mut O, input: &mut I, count: usize) -> Result<Vec<bool>, Box<dyn Error>>
where
    O: OutputPin<Error: Error + 'static>,
    I: InputPin<Error: Error + 'static>,
{
    let mut read = Vec::new();
    for level in levels(count) {
        out.set_state(level)?;
        read.push(input.is_high()?);
    }
    Ok(read)
}

/// One level after the other, each when the edge of the last was seen: two that come at once are one interrupt.
fn drive_and_watch<O>(
    out: &mut O,
    watched: &mut LineEventHandle,
    count: usize,
    wait: Duration,
) -> Result<Vec<EventType>, Box<dyn Error>>
where
    O: OutputPin<Error: Error + 'static>,
{
    let started = Instant::now();
    let mut edges = Vec::new();
    for level in levels(count) {
        out.set_state(level)?;
        edges.extend(next_edge(watched, wait.saturating_sub(started.elapsed()))?);
    }
    // None should come that nobody made. Bounded: a line that flutters never becomes quiet.
    while let Some(edge) = next_edge(watched, QUIET)? {
        edges.push(edge);
        if edges.len() > 2 * count {
            break;
        }
    }
    Ok(edges)
}

/// The next edge, or `None` when there is none within the time.
fn next_edge(watched: &mut LineEventHandle, within: Duration) -> Result<Option<EventType>, Box<dyn Error>> {
    let within = Timespec::try_from(within)?;
    let ready = poll(&mut [PollFd::new(watched, PollFlags::IN)], Some(&within))?;
    if ready == 0 { Ok(None) } else { Ok(Some(watched.get_event()?.event_type())) }
}

fn name(edge: EventType) -> &'static str {
    match edge {
        EventType::RisingEdge => "rising",
        EventType::FallingEdge => "falling",
    }
}
