//! A column of integers: the first value, then zigzag deltas in byte planes.
//!
//! The planes put all low bytes together, then all second bytes: what changes little becomes runs that zstd folds.
//! Measured better than bit-packing before zstd, and far simpler.

use super::BlockError;
use super::wire::{Reader, put_varint, unzigzag, zigzag};

/// Appends `values` to `out`. A column whose values are all equal takes the width byte and that value only.
pub(super) fn put(out: &mut Vec<u8>, values: &[u64]) {
    let Some((&first, rest)) = values.split_first() else { return };
    let mut previous = first;
    let mut all = 0;
    for &value in rest {
        all |= delta(previous, value);
        previous = value;
    }
    let width = (64 - all.leading_zeros()).div_ceil(8) as usize;
    out.push(width as u8);
    put_varint(out, zigzag(first as i64));
    let planes_at = out.len();
    out.resize(planes_at + width * rest.len(), 0);
    let planes = &mut out[planes_at..];
    previous = first;
    for (row, &value) in rest.iter().enumerate() {
        let bytes = delta(previous, value).to_le_bytes();
        for plane in 0..width {
            planes[plane * rest.len() + row] = bytes[plane];
        }
        previous = value;
    }
}

const fn delta(previous: u64, value: u64) -> u64 {
    zigzag(value.wrapping_sub(previous) as i64)
}

/// Reads `count` values. The planes must be there before the column is allocated.
pub(super) fn read(reader: &mut Reader<'_>, count: usize) -> Result<Vec<u64>, BlockError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let width = usize::from(reader.byte()?);
    if width > 8 {
        return Err(BlockError::Field { field: "column width", value: width as u64 });
    }
    let mut value = unzigzag(reader.varint()?) as u64;
    let rest = count - 1;
    let planes = reader.bytes(width * rest)?;
    let mut values = Vec::with_capacity(count);
    values.push(value);
    for row in 0..rest {
        let mut bytes = [0; 8];
        for plane in 0..width {
            bytes[plane] = planes[plane * rest + row];
        }
        value = value.wrapping_add(unzigzag(u64::from_le_bytes(bytes)) as u64);
        values.push(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_column_comes_back(values in prop::collection::vec(any::<u64>(), 0..200), shift in 0_u32..64) {
            let values: Vec<u64> = values.into_iter().map(|value| value >> shift).collect();
            let mut out = Vec::new();
            put(&mut out, &values);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(read(&mut reader, values.len()).unwrap(), values);
            prop_assert!(reader.end().is_ok());
        }
    }

    #[test]
    fn a_constant_column_costs_its_value_only() {
        let mut out = Vec::new();
        put(&mut out, &vec![7; 10_000]);
        assert_eq!(out.len(), 2);
    }

    #[test]
    fn a_small_walk_takes_one_byte_a_value() {
        let walk: Vec<u64> = (0..1000_i64).map(|i| (i % 50 - 25) as u64).collect();
        let mut out = Vec::new();
        put(&mut out, &walk);
        assert!(out.len() < 1010, "{}", out.len());
    }
}
