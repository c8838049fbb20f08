//! What is expected of a bus's frames: cycles, counters and end-to-end protection, by the DBC files and by `[[bus.e2e]]`.

use std::ops::Range;

use can_decode::e2e::{Config, DataIdMode, Profile, Protection};
use can_decode::observe::{Expectation, Observer};
use can_decode::{DecodeTable, Message};
use toml::Spanned;

use super::{Check, raw};

/// Identifiers that are observed unless the configuration says otherwise: 200 kB of memory a bus when there are as many,
/// less by what is not there. The recordings that this was made with have 180 at most.
const IDENTIFIERS: u16 = 512;
/// Longest payload that comes in one piece where a message is of J1939.
const J1939_LEN_MAX: u8 = 8;

/// How a bus is observed.
#[derive(Clone, Debug)]
pub struct Observe {
    /// Most identifiers; 0 observes nothing.
    pub identifiers: u16,
    /// Whether /metrics has what was observed for each message, not only for the bus.
    pub by_message: bool,
    /// What is expected of the messages of the bus's decode table, in its order.
    pub expectations: Vec<Expectation>,
}

impl Observe {
    /// As the table's DBC files have it.
    pub fn of(table: &DecodeTable) -> Self {
        let expectations = table.messages().iter().map(Expectation::of).collect();
        Self { identifiers: IDENTIFIERS, by_message: true, expectations }
    }

    /// The observer, unless nothing is to be observed.
    pub fn observer(&self) -> Option<Observer> {
        (self.identifiers > 0).then(|| Observer::new(self.identifiers, self.expectations.iter().copied()))
    }

    /// Messages of `table` that are checked end to end, with their protection.
    pub fn protected<'a>(
        &'a self,
        table: &'a DecodeTable,
    ) -> impl Iterator<Item = (&'a Message, Protection)> {
        let messages = table.messages().iter().zip(&self.expectations);
        messages.filter_map(|(message, expected)| expected.e2e.map(|protection| (message, protection)))
    }
}

impl Check<'_> {
    /// A protection that cannot be used is left out and told: the bus runs without it.
    pub(super) fn observe(
        &mut self,
        raw: raw::Observe,
        e2e: Vec<Spanned<raw::E2e>>,
        table: &DecodeTable,
    ) -> Observe {
        let max = u32::from(Observer::CAPACITY_MAX);
        let range = "0 (off) to 65534";
        let identifiers = self.bounded(raw.identifiers, u32::from(IDENTIFIERS), 0..=max, range);
        let mut observe = Observe {
            identifiers: identifiers as u16,
            by_message: raw.by_message.unwrap_or(true),
            ..Observe::of(table)
        };
        let is_off = identifiers == 0 && !e2e.is_empty();
        let mut named = Vec::new();
        for entry in e2e {
            let (span, entry) = (entry.span(), entry.into_inner());
            let found = position(table, &entry.message);
            if is_off || named.contains(&entry.message) {
                let why = if is_off {
                    "nothing of this bus is observed; remove the entry, or `identifiers = 0`"
                } else {
                    "a second entry for this message; write one"
                };
                self.left_out(span, &entry.message, why);
                continue;
            }
            let protection = found.and_then(|(at, message)| Ok((at, protection(&entry, message)?)));
            match protection {
                Ok((at, protection)) => {
                    if let Some(expected) = observe.expectations.get_mut(at) {
                        expected.e2e = protection;
                    }
                }
                Err(why) => self.left_out(span, &entry.message, &why),
            }
            named.push(entry.message);
        }
        observe
    }

    fn left_out(&mut self, span: Range<usize>, message: &str, why: &str) {
        let text = format!("[[bus.e2e]] of message {message:?} is left out: {why}");
        self.tolerable.push(self.file.problem(Some(span), text));
    }
}

fn position<'a>(table: &'a DecodeTable, name: &str) -> Result<(usize, &'a Message), String> {
    let is_named = |message: &Message| message.name == name || message.long_name.as_deref() == Some(name);
    let mut messages = table.messages().iter().enumerate();
    let found = messages.find(|(_, message)| is_named(message));
    found.ok_or_else(|| {
        "no DBC file of this bus has it; look at its name there (BO_), and at `dbc =`".to_owned()
    })
}

/// The protection that `entry` and the DBC file make together; `None` where the entry says that there is none.
fn protection(entry: &raw::E2e, message: &Message) -> Result<Option<Protection>, String> {
    let declared = message.e2e.map(|config| (kind(&config.profile), config));
    let profile = entry.profile.or(declared.map(|(profile, _)| profile));
    let profile = profile.ok_or("the DBC file has no E2EProfile for it; add `profile = `")?;
    let mut entry = entry.clone();
    if let Some((_, config)) = declared.filter(|(declared, _)| *declared == profile) {
        complete(&mut entry, &config);
    }
    if message.j1939 && message.len > J1939_LEN_MAX {
        return Err(format!("it has {} bytes and comes in parts, which are not checked", message.len));
    }
    let Some(profile) = self::profile(&entry, profile)? else { return Ok(None) };
    let start_bytes = entry.start_bytes.unwrap_or(0);
    let len_bytes = entry.len_bytes.unwrap_or(message.len.saturating_sub(start_bytes));
    if usize::from(start_bytes) + usize::from(len_bytes) > usize::from(message.len) {
        return Err(format!(
            "the {len_bytes} bytes from byte {start_bytes} on are more than its {}; change `start_bytes` or `len_bytes`",
            message.len
        ));
    }
    let plain = Config::new(profile, len_bytes);
    let config = Config {
        start_bytes,
        max_delta_counter: entry.max_delta_counter.unwrap_or(plain.max_delta_counter),
        max_no_new_or_repeated: entry.max_no_new_or_repeated.unwrap_or(plain.max_no_new_or_repeated),
        sync_counter: entry.sync_counter.unwrap_or(plain.sync_counter),
        ..plain
    };
    config.checked().map(Some).map_err(|error| error.to_string())
}

/// The profile with its parameters, of which it must have a Data ID, and none that it does not know.
fn profile(entry: &raw::E2e, profile: raw::E2eProfile) -> Result<Option<Profile>, String> {
    let raw::E2e { data_id, data_ids, offset_bits, .. } = *entry;
    let is_p01 = profile == raw::E2eProfile::P01;
    let has_list = profile == raw::E2eProfile::P02;
    let foreign = [
        ("data_id", data_id.is_some() && has_list),
        ("data_ids", data_ids.is_some() && !has_list),
        ("data_id_mode", entry.data_id_mode.is_some() && !is_p01),
        ("crc_offset_bits", entry.crc_offset_bits.is_some() && !is_p01),
        ("counter_offset_bits", entry.counter_offset_bits.is_some() && !is_p01),
        ("nibble_offset_bits", entry.nibble_offset_bits.is_some() && !is_p01),
        ("offset_bits", offset_bits.is_some() && is_p01),
    ];
    if profile == raw::E2eProfile::None {
        return Ok(None);
    }
    if let Some((key, _)) = foreign.iter().find(|(_, is_foreign)| *is_foreign) {
        return Err(format!("its profile has no `{key}`; remove the key"));
    }
    let id = data_id.ok_or("it has no Data ID; add `data_id = `");
    let short_id =
        || u16::try_from(id?).map_err(|_| "`data_id` has more than the 16 bits of this profile".to_owned());
    let offset_bits = offset_bits.unwrap_or(0);
    Ok(Some(match profile {
        raw::E2eProfile::None => return Ok(None),
        raw::E2eProfile::P01 => Profile::P01 {
            data_id: short_id()?,
            data_id_mode: entry.data_id_mode.map_or(DataIdMode::Both, DataIdMode::from),
            crc_offset_bits: entry.crc_offset_bits.unwrap_or(0),
            counter_offset_bits: entry.counter_offset_bits.unwrap_or(8),
            nibble_offset_bits: entry.nibble_offset_bits.unwrap_or(12),
        },
        raw::E2eProfile::P02 => {
            let data_ids = data_ids.ok_or("it has no Data IDs; add `data_ids = ` with 16 bytes")?;
            Profile::P02 { data_ids, offset_bits }
        }
        raw::E2eProfile::P04 => Profile::P04 { data_id: id?, offset_bits },
        raw::E2eProfile::P05 => Profile::P05 { data_id: short_id()?, offset_bits },
    }))
}

/// Takes what the entry leaves out from what the DBC file has.
fn complete(entry: &mut raw::E2e, declared: &Config) {
    entry.start_bytes.get_or_insert(declared.start_bytes);
    entry.len_bytes.get_or_insert(declared.len_bytes);
    entry.max_delta_counter.get_or_insert(declared.max_delta_counter);
    entry.max_no_new_or_repeated.get_or_insert(declared.max_no_new_or_repeated);
    entry.sync_counter.get_or_insert(declared.sync_counter);
    match declared.profile {
        Profile::P01 { data_id, data_id_mode, crc_offset_bits, counter_offset_bits, nibble_offset_bits } => {
            entry.data_id.get_or_insert(data_id.into());
            entry.data_id_mode.get_or_insert(data_id_mode.into());
            entry.crc_offset_bits.get_or_insert(crc_offset_bits);
            entry.counter_offset_bits.get_or_insert(counter_offset_bits);
            entry.nibble_offset_bits.get_or_insert(nibble_offset_bits);
        }
        Profile::P02 { data_ids, offset_bits } => {
            entry.data_ids.get_or_insert(data_ids);
            entry.offset_bits.get_or_insert(offset_bits);
        }
        Profile::P04 { data_id, offset_bits } => {
            entry.data_id.get_or_insert(data_id);
            entry.offset_bits.get_or_insert(offset_bits);
        }
        Profile::P05 { data_id, offset_bits } => {
            entry.data_id.get_or_insert(data_id.into());
            entry.offset_bits.get_or_insert(offset_bits);
        }
    }
}

const fn kind(profile: &Profile) -> raw::E2eProfile {
    match profile {
        Profile::P01 { .. } => raw::E2eProfile::P01,
        Profile::P02 { .. } => raw::E2eProfile::P02,
        Profile::P04 { .. } => raw::E2eProfile::P04,
        Profile::P05 { .. } => raw::E2eProfile::P05,
    }
}

impl From<raw::DataIdMode> for DataIdMode {
    fn from(mode: raw::DataIdMode) -> Self {
        match mode {
            raw::DataIdMode::Both => Self::Both,
            raw::DataIdMode::Alt => Self::Alt,
            raw::DataIdMode::Low => Self::Low,
            raw::DataIdMode::Nibble => Self::Nibble,
        }
    }
}

impl From<DataIdMode> for raw::DataIdMode {
    fn from(mode: DataIdMode) -> Self {
        match mode {
            DataIdMode::Both => Self::Both,
            DataIdMode::Alt => Self::Alt,
            DataIdMode::Low => Self::Low,
            DataIdMode::Nibble => Self::Nibble,
        }
    }
}
