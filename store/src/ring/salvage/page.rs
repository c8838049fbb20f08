//! Pages of a SQLite file, read without trusting any of them (sqlite.org/fileformat2.html).

/// The ring's page size, bytes; what is of another size is not a ring's.
pub(in super::super) const PAGE_BYTES: usize = 4096;
/// Payload in an overflow page: all but the number of the next one.
const OVERFLOW_BYTES: usize = PAGE_BYTES - 4;
/// What stays in a leaf of a payload that overflows, at least (§1.6, M).
const LOCAL_MIN: usize = (PAGE_BYTES - 12) * 32 / 255 - 23;
const LEAF_TABLE: u8 = 13;
const LEAF_INDEX: u8 = 10;
/// The longest record looked at: a block of the largest size, and its header.
const PAYLOAD_MAX: usize = crate::block::limits::BLOCK_BYTES_MAX + 64;

/// A page's content.
pub(in super::super) type Page = [u8; PAGE_BYTES];

/// One record in a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell<'a> {
    /// Its row in a table; 0 in an index.
    pub rowid: i64,
    /// Bytes of the whole record.
    pub len: usize,
    /// What of it is in the leaf.
    pub local: &'a [u8],
    /// The page with the rest; 0 for none.
    pub overflow: u32,
}

/// The cells of a leaf page; none of any other page.
pub(super) fn cells(page: &Page) -> impl Iterator<Item = Cell<'_>> {
    let kind = page[0];
    // §1.6, X: what a cell holds before it overflows.
    let (is_leaf, local_max) = match kind {
        LEAF_TABLE => (true, PAGE_BYTES - 35),
        LEAF_INDEX => (true, (PAGE_BYTES - 12) * 64 / 255 - 23),
        _ => (false, 0),
    };
    let count = if is_leaf { usize::from(u16::from_be_bytes([page[3], page[4]])) } else { 0 };
    // Two bytes a cell: more than fit is damage.
    let count = count.min((PAGE_BYTES - 8) / 2);
    (0..count).filter_map(move |number| {
        let at = 8 + 2 * number;
        let start = usize::from(u16::from_be_bytes([page[at], page[at + 1]]));
        let mut rest = page.get(start..)?;
        let len = usize::try_from(varint(&mut rest)?).ok().filter(|len| *len <= PAYLOAD_MAX)?;
        let rowid = if kind == LEAF_TABLE { varint(&mut rest)? as i64 } else { 0 };
        if len <= local_max {
            return Some(Cell { rowid, len, local: rest.get(..len)?, overflow: 0 });
        }
        let k = LOCAL_MIN + (len - LOCAL_MIN) % OVERFLOW_BYTES;
        let (local, rest) = rest.split_at_checked(if k <= local_max { k } else { LOCAL_MIN })?;
        Some(Cell { rowid, len, local, overflow: number32(rest, 0)? })
    })
}

impl Cell<'_> {
    /// The whole record, with what `page` gives of its overflow pages; what is missing makes it `None`.
    pub(super) fn payload(&self, mut page: impl FnMut(u32) -> Option<Box<Page>>) -> Option<Vec<u8>> {
        let mut payload = Vec::with_capacity(self.len);
        payload.extend_from_slice(self.local);
        let mut next = self.overflow;
        while payload.len() < self.len {
            let content = page(next).filter(|_| next > 0)?;
            next = number32(&content[..], 0)?;
            let want = (self.len - payload.len()).min(OVERFLOW_BYTES);
            payload.extend_from_slice(&content[4..4 + want]);
        }
        Some(payload)
    }
}

/// A value of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Integer(i64),
    /// Where a blob begins, and how much of it is there.
    Blob {
        /// Its whole length.
        len: usize,
        /// What of it is in the leaf.
        local: &'a [u8],
    },
    Other,
}

/// The first columns of a record (§2.1), as many as there are and fit into `values`; gives how many the record has. A
/// blob may be cut off, which ends it.
pub(super) fn columns<'a>(local: &'a [u8], values: &mut [Value<'a>]) -> Option<usize> {
    let mut rest = local;
    let header_len = usize::try_from(varint(&mut rest)?).ok()?;
    let mut types = local.get(local.len() - rest.len()..header_len)?;
    let mut content = local.get(header_len..)?;
    let mut count = 0;
    while !types.is_empty() {
        let kind = varint(&mut types)?;
        let value = read_value(kind, &mut content);
        if let Some(slot) = values.get_mut(count) {
            *slot = value?;
        }
        count += 1;
    }
    Some(count)
}

fn read_value<'a>(kind: u64, content: &mut &'a [u8]) -> Option<Value<'a>> {
    let mut take = |len: usize| {
        let (head, tail) = content.split_at(len.min(content.len()));
        *content = tail;
        head
    };
    let mut integer = |len: usize| {
        let bytes = take(len);
        let first = if *bytes.first()? & 0x80 == 0 { 0 } else { -1_i64 };
        (bytes.len() == len)
            .then(|| Value::Integer(bytes.iter().fold(first, |sum, byte| sum << 8 | i64::from(*byte))))
    };
    match kind {
        0 => Some(Value::Null),
        1..=4 => integer(kind as usize),
        5 => integer(6),
        6 => integer(8),
        8 => Some(Value::Integer(0)),
        9 => Some(Value::Integer(1)),
        12.. => {
            let len = usize::try_from((kind - 12) / 2).ok()?;
            let local = take(len);
            Some(if kind.is_multiple_of(2) { Value::Blob { len, local } } else { Value::Other })
        }
        _ => {
            take(8);
            Some(Value::Other)
        }
    }
}

/// A variable-length integer, big-endian (§1.6), taken off the front.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for at in 0..9 {
        let byte = *bytes.get(at)?;
        if at == 8 {
            value = value << 8 | u64::from(byte);
        } else {
            value = value << 7 | u64::from(byte & 0x7F);
        }
        if at == 8 || byte & 0x80 == 0 {
            *bytes = &bytes[at + 1..];
            return Some(value);
        }
    }
    None
}

/// The big-endian number at `at`.
pub(super) fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_sqlite_writes_them() {
        // Header of 7 bytes: null, i8, i16, 0, 1, blob of 2.
        let record = [7, 0, 1, 2, 8, 9, 16, 0xFE, 0x01, 0x02, 0xAA, 0xBB];
        let mut values = [Value::Other; 6];
        assert_eq!(columns(&record, &mut values), Some(6));
        let blob = Value::Blob { len: 2, local: &[0xAA, 0xBB] };
        let expected = [
            Value::Null,
            Value::Integer(-2),
            Value::Integer(0x0102),
            Value::Integer(0),
            Value::Integer(1),
            blob,
        ];
        assert_eq!(values, expected);
        assert_eq!(columns(&record[..4], &mut values), None, "cut off in its header");
    }

    #[test]
    fn numbers_of_every_length() {
        for (bytes, expected) in [
            (&[0x7F][..], Some(0x7F)),
            (&[0x81, 0x00], Some(0x80)),
            (&[0xFF; 9], Some(u64::MAX)),
            (&[0x80, 0x80], None),
            (&[], None),
        ] {
            assert_eq!(varint(&mut &*bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn no_page_makes_it_panic() {
        let mut state = 7_u64;
        for round in 0..2_000 {
            let mut page = [0; PAGE_BYTES];
            for byte in &mut page {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = (state >> 56) as u8;
            }
            page[0] = if round % 2 == 0 { LEAF_TABLE } else { LEAF_INDEX };
            let mut values = [Value::Other; 16];
            for cell in cells(&page) {
                let _ = columns(cell.local, &mut values);
                let mut pages = 0;
                let _ = cell.payload(|_| {
                    pages += 1;
                    (pages < 5).then(|| Box::new(page))
                });
            }
        }
    }
}
