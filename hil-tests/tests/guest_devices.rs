//! What the guest has, beside CAN: clocks, a card, GPIO, I²C, a link.

use hil_tests::guest::shared;

#[test]
fn it_boots_and_runs_commands() {
    let guest = shared();
    hil_tests::say(&format!("guest ready after {:?}: {}", guest.boot_time, guest.run("uname -srm").trim()));
    assert_eq!(guest.run("echo hello"), "hello\n");
    let failed = guest.attempt("echo why >&2; exit 3", hil_tests::guest::WITHIN);
    assert_eq!((failed.status, failed.text.as_str()), (3, "why\n"));
}
