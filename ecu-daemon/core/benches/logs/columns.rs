//! A prototype of the columns of a log block: template numbers, and each hole's values by themselves.
//!
//! It shows what size is within reach; the block's own form is `store`'s. Each chunk carries its templates' texts.

use std::collections::{BTreeMap, HashMap, HashSet};

use ecu_core::logs::{Miner, TemplateId};

use crate::labelled::Labelled;

/// Lines of one block.
#[derive(Default)]
pub(crate) struct Chunk {
    /// The lines as text, one a row: what the columns are compared with.
    pub(crate) text: Vec<u8>,
    order: Vec<TemplateId>,
    texts: BTreeMap<TemplateId, Vec<u8>>,
    values: HashMap<(TemplateId, usize), Vec<Vec<u8>>>,
}

/// Mines the lines of a set and cuts them into chunks of at most `bytes`.
///
/// `known` says that a template's text is written with the first chunk that needs it only, as a schema block is.
pub(crate) fn chunks(set: &Labelled, bytes: usize, known: bool) -> Vec<Chunk> {
    let mut written = HashSet::new();
    let mut miner = Miner::default();
    let mut chunks = vec![Chunk::default()];
    for (line, &origin) in set.lines.iter().zip(&set.origins) {
        if chunks.last().unwrap().text.len() + line.len() > bytes {
            chunks.push(Chunk::default());
        }
        let chunk = chunks.last_mut().unwrap();
        chunk.text.extend_from_slice(line);
        chunk.text.push(b'\n');
        let mined = miner.mine(origin, line);
        let id = mined.template;
        chunk.order.push(id);
        for (hole, span) in mined.variables.iter().enumerate() {
            chunk.values.entry((id, hole)).or_default().push(span.of(line).to_vec());
        }
        let template = miner.template(id).unwrap();
        let text = || template.pieces().collect::<Vec<_>>().join(&0);
        let first = written.insert(id);
        chunk.texts.entry(id).or_insert_with(|| if known && !first { Vec::new() } else { text() });
    }
    chunks
}

impl Chunk {
    /// Bytes of the block: columns one after another, then zstd.
    pub(crate) fn size(&self) -> usize {
        let mut out = self.texts.values().cloned().collect::<Vec<_>>().join(&b'\n');
        let numbers: HashMap<TemplateId, u64> = self.texts.keys().copied().zip(0..).collect();
        planes(&self.order.iter().map(|id| numbers[id]).collect::<Vec<_>>(), &mut out);
        for &id in self.texts.keys() {
            for hole in 0.. {
                let Some(values) = self.values.get(&(id, hole)) else { break };
                column(values, &mut out);
            }
        }
        zstd::bulk::compress(&out, 19).unwrap().len()
    }
}

/// A column, or several when all values have the same text between their digits: addresses, times, paths.
fn column(values: &[Vec<u8>], out: &mut Vec<u8>) {
    let runs = |value: &[u8]| -> Vec<Vec<u8>> {
        value.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()).map(<[u8]>::to_vec).collect()
    };
    let rows: Vec<Vec<Vec<u8>>> = values.iter().map(|value| runs(value)).collect();
    let skeleton = |row: &[Vec<u8>]| -> Vec<Vec<u8>> {
        row.iter().map(|run| if run[0].is_ascii_digit() { Vec::new() } else { run.clone() }).collect()
    };
    let first = skeleton(&rows[0]);
    if first.len() < 2 || rows.iter().any(|row| skeleton(row) != first) {
        return simple(values, out);
    }
    out.extend(first.join(&1));
    for run in (0..first.len()).filter(|&run| first[run].is_empty()) {
        simple(&rows.iter().map(|row| row[run].clone()).collect::<Vec<_>>(), out);
    }
}

/// The smallest of the forms that give the values back.
fn simple(values: &[Vec<u8>], out: &mut Vec<u8>) {
    let mut forms: Vec<Vec<u8>> = Vec::new();
    let mut joined = values.join(&b'\n');
    joined.push(0);
    forms.push(joined);
    if let Some((head, numbers)) = numbers(values) {
        for deltas in [false, true] {
            let mut form = head.clone();
            let mut last = 0;
            let column: Vec<u64> = numbers
                .iter()
                .map(|&number| {
                    let delta = number.wrapping_sub(std::mem::replace(&mut last, number)) as i64;
                    if deltas { ((delta << 1) ^ (delta >> 63)) as u64 } else { number }
                })
                .collect();
            planes(&column, &mut form);
            forms.push(form);
        }
    }
    let mut distinct: Vec<&Vec<u8>> = values.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let mut form = distinct.iter().map(|value| value.as_slice()).collect::<Vec<_>>().join(&b'\n');
    form.push(0);
    planes(
        &values.iter().map(|value| distinct.binary_search(&value).unwrap() as u64).collect::<Vec<_>>(),
        &mut form,
    );
    forms.push(form);
    let size = |form: &Vec<u8>| zstd::bulk::compress(form, 3).map_or(usize::MAX, |bytes| bytes.len());
    out.extend(forms.into_iter().min_by_key(size).unwrap());
}

/// Values that are one number each in the same form: a common text before it, so many digits after the point, decimal
/// or hexadecimal of a common width. The form is written first.
fn numbers(values: &[Vec<u8>]) -> Option<(Vec<u8>, Vec<u64>)> {
    let first = values.first()?;
    let prefix = first.len()
        - first.iter().rev().take_while(|byte| byte.is_ascii_hexdigit() || **byte == b'.').count();
    for (radix, fixed) in [(10, false), (10, true), (16, false), (16, true)] {
        let read = |value: &Vec<u8>| -> Option<u64> {
            let digits = value.strip_prefix(&first[..prefix])?;
            let text: String =
                digits.iter().filter(|byte| **byte != b'.').map(|&byte| char::from(byte)).collect();
            let number = u64::from_str_radix(&text, radix).ok()?;
            let point = digits.iter().rev().position(|&byte| byte == b'.');
            let same_point =
                point == first.iter().rev().position(|&byte| byte == b'.').filter(|_| prefix < first.len());
            // Written again it must be the same text.
            let width = if fixed || point.is_some() { text.len() } else { 0 };
            let back = if radix == 10 { format!("{number:0width$}") } else { format!("{number:0width$x}") };
            let same_width = if fixed {
                value.len() == first.len()
            } else {
                point.is_none() || !text.starts_with('0') || text.len() == point? + 1
            };
            (same_point && same_width && back == text).then_some(number)
        };
        if let Some(numbers) = values.iter().map(read).collect::<Option<Vec<_>>>() {
            let mut head = first[..prefix].to_vec();
            head.extend([0, radix as u8, u8::from(fixed)]);
            return Some((head, numbers));
        }
    }
    None
}

/// Numbers as byte planes, as many as the largest needs.
fn planes(numbers: &[u64], out: &mut Vec<u8>) {
    let widest = numbers.iter().max().map_or(0, |largest| 8 - largest.leading_zeros() / 8);
    out.push(widest as u8);
    for plane in 0..widest {
        out.extend(numbers.iter().map(|number| (number >> (8 * plane)) as u8));
    }
}
