//! A prototype of the columns of a log block: template numbers, and each hole's values by themselves.
//!
//! It shows what size is within reach; the block's own form is `store`'s. Columns of a log are many and short, and
//! each has a distribution of its own, which one Huffman table for all of them blurs. So numbers and references are
//! charged what an adaptive range coder with a model for each column needs (the sum of `-log2 p`, models empty at the
//! start of each chunk); texts are really compressed, all of a chunk together, by zstd.

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
    /// Bytes of the block.
    pub(crate) fn size(&self) -> usize {
        let mut texts = self.texts.values().cloned().collect::<Vec<_>>().join(&b'\n');
        let order: Vec<Vec<u8>> = self.order.iter().map(|id| id.number().to_be_bytes().to_vec()).collect();
        let mut bits = sequence(&order).0;
        // Columns of one kind, such as the time at the head of each line, go on from line to line.
        let columns = self.by_place();
        for values in &columns {
            bits += column(values, &mut texts);
        }
        zstd::bulk::compress(&texts, 19).unwrap().len() + (bits / 8.0).ceil() as usize
    }

    /// The first hole of all lines as one column when every line has it, the other holes by template.
    fn by_place(&self) -> Vec<Vec<Vec<u8>>> {
        let mut columns = Vec::new();
        let shared = self.texts.keys().all(|&id| self.values.contains_key(&(id, 0)));
        if shared {
            let mut next: HashMap<TemplateId, usize> = HashMap::new();
            let in_order = |&id: &TemplateId| {
                let at = next.entry(id).or_default();
                *at += 1;
                self.values[&(id, 0)][*at - 1].clone()
            };
            columns.push(self.order.iter().map(in_order).collect());
        }
        for &id in self.texts.keys() {
            for hole in usize::from(shared).. {
                let Some(values) = self.values.get(&(id, hole)) else { break };
                columns.push(values.clone());
            }
        }
        columns
    }
}

/// Bits of a column, or of several when all values have the same text between their digits: addresses, times, paths.
/// What must be written as text goes to `texts`.
fn column(values: &[Vec<u8>], texts: &mut Vec<u8>) -> f64 {
    let whole = simple(values);
    let parts = parts(values).map(|(skeleton, columns)| {
        let columns: Vec<Form> = columns.iter().map(|values| simple(values)).collect();
        (skeleton, columns)
    });
    let (mut text, mut bits) = whole.clone();
    if let Some((skeleton, columns)) = parts {
        let split_bits = columns.iter().map(|(_, bits)| bits).sum::<f64>();
        let split_text = skeleton.len() + columns.iter().map(|(text, _)| text.len()).sum::<usize>();
        // A byte of text is charged as four bits here: zstd finds what is alike.
        if split_bits + 4.0 * (split_text as f64) < bits + 4.0 * (text.len() as f64) {
            (text, bits) = (skeleton, split_bits);
            columns.into_iter().for_each(|(part, _)| text.extend(part));
        }
    }
    texts.extend(text);
    bits
}

/// Values of one hole, line by line.
type Column = Vec<Vec<u8>>;

/// The text between the digits that all values share, and the columns of digits.
fn parts(values: &[Vec<u8>]) -> Option<(Vec<u8>, Vec<Column>)> {
    let runs = |value: &[u8]| -> Vec<Vec<u8>> {
        value.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()).map(<[u8]>::to_vec).collect()
    };
    let rows: Vec<Vec<Vec<u8>>> = values.iter().map(|value| runs(value)).collect();
    let skeleton = |row: &[Vec<u8>]| -> Vec<Vec<u8>> {
        row.iter().map(|run| if run[0].is_ascii_digit() { Vec::new() } else { run.clone() }).collect()
    };
    let first = skeleton(&rows[0]);
    if first.len() < 2 || rows.iter().any(|row| skeleton(row) != first) {
        return None;
    }
    let digits = (0..first.len()).filter(|&run| first[run].is_empty());
    let columns = digits.map(|run| rows.iter().map(|row| row[run].clone()).collect()).collect();
    Some((first.join(&1), columns))
}

/// Text that a column needs, and bits of the rest.
type Form = (Vec<u8>, f64);

/// The smallest of the forms that give the values back.
fn simple(values: &[Vec<u8>]) -> Form {
    let (bits, mut distinct) = sequence(values);
    distinct.push(0);
    let mut best = (distinct, bits);
    if let Some((head, numbers)) = numbers(values) {
        let least = numbers.iter().copied().min().unwrap_or(0);
        let mut last = least;
        let deltas: Vec<u64> = numbers
            .iter()
            .map(|&number| {
                let delta = number.wrapping_sub(std::mem::replace(&mut last, number)) as i64;
                ((delta << 1) ^ (delta >> 63)) as u64
            })
            .collect();
        let above: Vec<u64> = numbers.iter().map(|number| number - least).collect();
        for column in [deltas, above] {
            let bits = magnitudes(&column) + 16.0 + f64::from(64 - least.leading_zeros());
            if bits + 4.0 * (head.len() as f64) < best.1 + 4.0 * (best.0.len() as f64) {
                best = (head.clone(), bits);
            }
        }
    }
    best
}

/// Bits of a sequence of references to what came before, and the text of what is new. The better of two models:
/// how often each came, or how often after the one before it.
fn sequence(values: &[Vec<u8>]) -> (f64, Vec<u8>) {
    let mut text = Vec::new();
    let (mut plain, mut after) = (0.0, 0.0);
    let (mut seen, mut pairs) = (HashMap::<&[u8], f64>::new(), HashMap::<&[u8], HashMap<&[u8], f64>>::new());
    let mut last: &[u8] = &[];
    for (count, value) in values.iter().enumerate() {
        let (total, distinct) = (count as f64, seen.len() as f64);
        // A new one comes with the probability with which new ones came so far (PPM's method C, halved).
        let news = (distinct * 0.5 + 0.5) / (total + 1.0);
        let share = match seen.get(value.as_slice()) {
            Some(times) => (1.0 - news) * times / total,
            None => {
                text.extend_from_slice(value);
                text.push(b'\n');
                news
            }
        };
        plain -= share.log2();
        let row = pairs.entry(last).or_default();
        let row_total: f64 = row.values().sum();
        let weight = row_total / (row_total + 1.0 + row.len() as f64);
        let times = row.get(value.as_slice()).copied().unwrap_or(0.0);
        after -=
            ((1.0 - weight) * share + if row_total > 0.0 { weight * times / row_total } else { 0.0 }).log2();
        *row.entry(value).or_default() += 1.0;
        *seen.entry(value).or_default() += 1.0;
        last = value;
    }
    (plain.min(after) + 1.0, text)
}

/// Bits of numbers: their magnitude and the three bits below its first are modelled, the rest is taken as chance.
fn magnitudes(numbers: &[u64]) -> f64 {
    let mut models: HashMap<u64, [f64; 2]> = HashMap::new();
    let mut bits = 0.0;
    let mut code = |context: u64, bit: u64| {
        let counts = models.entry(context).or_insert([0.4, 0.4]);
        bits -= (counts[bit as usize] / (counts[0] + counts[1])).log2();
        counts[bit as usize] += 1.0;
    };
    let mut chance = 0.0;
    for &number in numbers {
        let magnitude = u64::from(64 - number.leading_zeros());
        (0..magnitude).for_each(|below| code(below, 1));
        code(magnitude, 0);
        let mut node = 1;
        for place in (0..magnitude.saturating_sub(1)).rev() {
            if magnitude - place > 4 {
                chance += 1.0;
                continue;
            }
            let bit = number >> place & 1;
            code(1_000 + magnitude * 64 + node, bit);
            node = node * 2 + bit;
        }
    }
    bits + chance
}

/// Values that are one number each in the same form: a common text before it, so many digits after the point, decimal
/// or hexadecimal of a common width. The form comes first.
fn numbers(values: &[Vec<u8>]) -> Option<(Vec<u8>, Vec<u64>)> {
    let first = values.first()?;
    let prefix = first.len()
        - first.iter().rev().take_while(|byte| byte.is_ascii_hexdigit() || **byte == b'.').count();
    for (radix, fixed) in [(10, false), (10, true), (16, false), (16, true)] {
        let point = first.iter().rev().position(|&byte| byte == b'.').filter(|_| prefix < first.len());
        let read = |value: &Vec<u8>| -> Option<u64> {
            let digits = value.strip_prefix(&first[..prefix])?;
            let text: String =
                digits.iter().filter(|byte| **byte != b'.').map(|&byte| char::from(byte)).collect();
            let number = u64::from_str_radix(&text, radix).ok()?;
            // Written again it must be the same text.
            let width = if fixed {
                first.len() - prefix - usize::from(point.is_some())
            } else {
                point.map_or(0, |at| at + 1)
            };
            let back = if radix == 10 { format!("{number:0width$}") } else { format!("{number:0width$x}") };
            (digits.iter().rev().position(|&byte| byte == b'.') == point && back == text).then_some(number)
        };
        if let Some(numbers) = values.iter().map(read).collect::<Option<Vec<_>>>() {
            let mut head = first[..prefix].to_vec();
            head.extend([0, radix as u8, u8::from(fixed)]);
            return Some((head, numbers));
        }
    }
    None
}
