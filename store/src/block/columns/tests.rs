use proptest::prelude::*;

use super::super::areas::AreasReader;
use super::super::read::Shape;
use super::*;

fn written(values: &[u64], role: Role) -> Vec<u8> {
    let mut areas = AreasWriter::default();
    if !values.is_empty() {
        ColumnWriter::default().put(&mut areas, values, false, role);
    }
    let mut out = Vec::new();
    areas.finish(&mut out);
    out
}

fn comes_back(values: &[u64], role: Role) {
    let out = written(values, role);
    let mut areas = AreasReader::new(&out).unwrap();
    if !values.is_empty() {
        let shape = Shape::read(&mut areas).unwrap();
        assert_eq!(shape.values(&mut areas, values.len()).unwrap(), values);
    }
    areas.end().unwrap();
}

proptest! {
    #[test]
    fn any_column_comes_back(
        values in prop::collection::vec(any::<i64>(), 0..200), shift in 0_u32..64, step in 1_u64..1000, least: u64
    ) {
        for role in [Role::Times, Role::Values] {
            let made = |value: &i64| ((value >> shift) as u64).wrapping_mul(step).wrapping_add(least);
            comes_back(&values.iter().map(made).collect::<Vec<_>>(), role);
        }
    }

    #[test]
    fn a_residual_is_at_most_the_span_and_gives_the_value_back(a: u64, b: u64, shift in 0_u32..64) {
        let span = u64::MAX >> shift;
        prop_assume!(span == u64::MAX || span < RANGE_END);
        let (value, guess) = (a & span, b & span);
        let left = residual(value, guess, span);
        prop_assert!(left <= span);
        prop_assert_eq!(restore(left, guess, span), value);
    }
}

#[test]
fn the_ends_of_the_numbers_come_back() {
    let ends = [0, 1, u64::MAX, i64::MAX as u64, i64::MIN as u64, RANGE_END, RANGE_END - 1];
    for a in ends {
        for b in ends {
            comes_back(&[a, b], Role::Values);
            comes_back(&[a, a, b, b, a], Role::Values);
        }
    }
}

#[test]
fn a_column_takes_what_its_values_need() {
    let check = |what, values: Vec<u64>, bytes_max: usize| {
        let len = written(&values, Role::Values).len();
        assert!(len <= bytes_max, "{what}: {len} bytes");
        comes_back(&values, Role::Values);
    };
    check("constant", vec![7; 10_000], 5);
    check("counter that wraps", (0..1000).map(|row| row % 16).collect(), 2 * 125 + 20);
    check("flag", (0..1000).map(|row| u64::from(row / 100 % 2 == 0)).collect(), 125 + 20);
    check("walk of steps of 50", (0..1000).map(|row| (row % 7 + row / 10) * 50).collect(), 1000 + 20);
    check("checksum", (0..1000_u64).map(|row| ((row * row * 97) >> 3) & 0xFF).collect(), 1000 + 20);
    let noise = |row: u64| (row.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60) + 1000;
    check("noise of four bits around a level", (0..1000).map(noise).collect(), 500 + 20);
}
