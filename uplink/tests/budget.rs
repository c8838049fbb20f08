//! Budgets hold in every interval, over restarts, and whatever the wall clock says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::time::Duration;

use proptest::prelude::*;
use store::block::{BootId, Class};
use uplink::budget::{Budget, BudgetState, CONFIRM, Limits, Now, Permit, StateError};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// A wall clock that is right.
const EPOCH: u64 = 1_700_000_000;

fn at(boot: u8, seconds: u64, wall: Option<u64>) -> Now {
    Now {
        boot: BootId([boot; 16]),
        boottime: Duration::from_secs(seconds),
        wall: wall.map(Duration::from_secs),
    }
}

fn limits(second: Option<u64>, day: Option<u64>, month: Option<u64>) -> Limits {
    Limits { second, day, month, critical_per_mille: 100 }
}

/// Permits as the daemon asks for them: a save that is asked for is made.
fn permit(budget: &mut Budget, class: Class, bytes: u64) -> Permit {
    match budget.permit(class, bytes, 0) {
        Permit::Save(need) => {
            let state = budget.save(need);
            budget.saved(&state);
            budget.permit(class, bytes, 0)
        }
        permit => permit,
    }
}

#[test]
fn a_second_is_a_bucket() {
    let mut budget = Budget::new(limits(Some(1000), None, None), None, at(1, 0, None));
    assert_eq!(budget.burst(), Some(2000));
    assert_eq!(budget.permit(Class::Live, 2000, 0), Permit::Granted);
    budget.spend(2000);
    let Permit::After(wait) = budget.permit(Class::Critical, 1000, 0) else { panic!("granted") };
    assert!((1.0..1.1).contains(&wait.as_secs_f64()), "{wait:?}");
    budget.advance(at(1, 1, None));
    assert_eq!(budget.permit(Class::Critical, 1000, 0), Permit::Granted);
    // A block larger than the burst goes when the bucket is full, and is paid for afterwards.
    budget.advance(at(1, 2, None));
    assert_eq!(budget.permit(Class::Live, 5000, 0), Permit::Granted);
    budget.spend(5000);
    budget.advance(at(1, 4, None));
    assert!(matches!(budget.permit(Class::Live, 1, 0), Permit::After(_)));
}

#[test]
fn critical_has_a_reserve_and_nobody_has_more() {
    let mut budget = Budget::new(limits(None, Some(1000), Some(10_000)), None, at(1, 0, None));
    assert_eq!(permit(&mut budget, Class::Live, 900), Permit::Granted);
    assert!(matches!(permit(&mut budget, Class::Live, 901), Permit::After(_)));
    budget.spend(900);
    assert_eq!(permit(&mut budget, Class::Critical, 100), Permit::Granted);
    budget.spend(100);
    let Permit::After(wait) = permit(&mut budget, Class::Critical, 1) else { panic!("granted") };
    assert_eq!(wait, Duration::from_secs(HOUR));
    // The hour in which it was spent must have left the sum of 24 hours.
    budget.advance(at(1, 24 * HOUR, None));
    assert!(matches!(permit(&mut budget, Class::Critical, 1), Permit::After(_)));
    budget.advance(at(1, 25 * HOUR, None));
    assert_eq!(permit(&mut budget, Class::Live, 900), Permit::Granted);
    assert_eq!(budget.spent(), (0, 1000));
}

#[test]
fn nothing_goes_that_is_not_written_down_first() {
    let limits = limits(None, Some(1 << 30), None);
    let mut budget = Budget::new(limits, None, at(1, 0, None));
    assert_eq!(budget.permit(Class::Live, 1, 0), Permit::Save(1));
    assert!(budget.save_due());
    let first = budget.save(0);
    budget.saved(&first);
    assert!(!budget.save_due());
    // More is spent while the next save is on its way to the card than it knew of.
    let second = budget.save(0);
    budget.spend(1_000_000);
    budget.saved(&second);
    assert_eq!(budget.permit(Class::Live, 3_194_304, 0), Permit::Granted);
    assert_eq!(budget.permit(Class::Live, 3_194_305, 0), Permit::Save(3_194_305));
    // A crash right after counts what was written ahead; an orderly stop only what was spent.
    let crashed = Budget::new(limits, Some(&second), at(2, 0, None));
    assert_eq!(crashed.spent().0, 4_194_304);
    let stopped = Budget::new(limits, Some(&budget.close()), at(2, 0, None));
    assert_eq!(stopped.spent().0, 1_000_000);
}

/// A car that spends its day's budget, is off for two days, and comes back with this wall clock.
fn refilled_after(wall_before: Option<u64>, wall_after: impl Fn(u64) -> Option<u64>) -> bool {
    let limits = limits(None, Some(1000), None);
    let mut budget = Budget::new(limits, None, at(1, 0, wall_before));
    budget.advance(at(1, 100, wall_before.map(|wall| wall + 100)));
    budget.spend(1000);
    let kept = BudgetState::from_bytes(&budget.close().to_bytes()).unwrap();
    let mut budget = Budget::new(limits, Some(&kept), at(2, 5, wall_after(5)));
    for seconds in 6..6 + CONFIRM.as_secs() {
        budget.advance(at(2, seconds, wall_after(seconds)));
    }
    permit(&mut budget, Class::Critical, 1000) == Permit::Granted
}

#[test]
fn time_that_the_machine_was_off_counts_when_both_clocks_agree() {
    let back = EPOCH + 100 + 2 * DAY;
    assert!(refilled_after(Some(EPOCH), |seconds| Some(back + seconds)), "in step before and after");
    assert!(!refilled_after(Some(EPOCH), |_| None), "not synchronised now");
    assert!(!refilled_after(None, |seconds| Some(back + seconds)), "not synchronised then");
    assert!(!refilled_after(Some(EPOCH), |seconds| Some(EPOCH - DAY + seconds)), "wall clock went back");
    assert!(!refilled_after(Some(EPOCH), |seconds| Some(back + seconds * 60)), "wall clock runs away");
    assert!(
        !refilled_after(Some(EPOCH), |seconds| Some(
            EPOCH + 100 + seconds + if seconds > 40 { 2 * DAY } else { 0 }
        )),
        "wall clock jumped a moment ago"
    );
}

#[test]
fn within_a_boot_the_wall_clock_counts_for_nothing() {
    let mut budget = Budget::new(limits(None, Some(1000), None), None, at(1, 0, Some(EPOCH)));
    budget.spend(1000);
    for step in 1..200 {
        budget.advance(at(1, step, Some(EPOCH + step * DAY)));
    }
    assert!(matches!(permit(&mut budget, Class::Critical, 1), Permit::After(_)));
    // Nor does another boot's time, nor an earlier one.
    budget.advance(at(9, 99 * DAY, None));
    budget.advance(at(1, 0, None));
    assert!(matches!(permit(&mut budget, Class::Critical, 1), Permit::After(_)));
}

#[test]
fn a_service_that_restarts_in_the_same_boot_goes_on_counting() {
    let limits = limits(None, Some(1000), None);
    let mut budget = Budget::new(limits, None, at(1, 1000, None));
    budget.spend(1000);
    let kept = budget.close();
    let mut again = Budget::new(limits, Some(&kept), at(1, 1000 + 25 * HOUR, None));
    assert_eq!(permit(&mut again, Class::Live, 900), Permit::Granted);
}

proptest! {
    #[test]
    fn a_state_comes_back_and_what_is_not_one_is_an_error(
        spends in prop::collection::vec((0..20 * HOUR, 0..u64::from(u32::MAX)), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut budget = Budget::new(limits(None, Some(1), None), None, at(1, 0, None));
        let mut seconds = 0;
        for (pause, bytes) in spends {
            seconds += pause;
            budget.advance(at(1, seconds, Some(EPOCH + seconds)));
            budget.spend(bytes);
        }
        let state = budget.close();
        let bytes = state.to_bytes();
        let back = BudgetState::from_bytes(&bytes).unwrap();
        prop_assert_eq!(back.to_bytes(), bytes.clone());
        let again = Budget::new(limits(None, Some(1), None), Some(&back), at(1, seconds, None));
        prop_assert_eq!(again.spent(), budget.spent());
        let cut = cut.index(bytes.len());
        prop_assert_eq!(BudgetState::from_bytes(&bytes[..cut]), Err(StateError::Length(cut)));
    }

    #[test]
    fn no_interval_carries_more_than_its_limit(
        steps in prop::collection::vec((0..6 * HOUR, 1..400_u64, 0..10_u8), 1..400),
    ) {
        let limits = Limits { second: None, day: Some(1000), month: Some(5000), critical_per_mille: 50 };
        let (mut boot, mut boottime, mut real) = (1_u8, 0, EPOCH);
        let mut budget = Budget::new(limits, None, at(boot, boottime, Some(real)));
        let mut sent: Vec<(u64, u64)> = Vec::new();
        for (pause, bytes, dice) in steps {
            (real, boottime) = (real + pause, boottime + pause);
            if dice == 0 {
                // Off for a while, with an orderly stop.
                let kept = budget.close();
                (boot, boottime, real) = (boot.wrapping_add(1), 0, real + 5 * pause);
                budget = Budget::new(limits, Some(&kept), at(boot, boottime, Some(real)));
            }
            budget.advance(at(boot, boottime, Some(real)));
            let class = if dice < 5 { Class::Critical } else { Class::Bulk };
            if permit(&mut budget, class, bytes) == Permit::Granted {
                budget.spend(bytes);
                sent.push((real, bytes));
            }
        }
        for (index, &(from, _)) in sent.iter().enumerate() {
            let within = |span: u64| -> u64 {
                sent[index..].iter().take_while(|(time, _)| *time < from + span).map(|(_, bytes)| bytes).sum()
            };
            prop_assert!(within(DAY) <= 1000, "a day from {}", from);
            prop_assert!(within(31 * DAY) <= 5000, "a month from {}", from);
        }
    }
}
