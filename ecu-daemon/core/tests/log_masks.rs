//! What the masker takes for variable, and what kind of variable it is.

use ecu_core::logs::{Kind, mask};

use Kind::{Address, CanId, Decimal, Hex, Identifier, Integer, Opaque, Path, Symbol, Text, Time, Truth};

fn check(line: &str, text: &str, kinds: &[Kind]) {
    let mut spans = Vec::new();
    mask(line.as_bytes(), &mut spans);
    let (mut masked, mut at) = (String::new(), 0);
    for span in &spans {
        masked += &line[at..span.start as usize];
        masked += "<*>";
        at = span.end as usize;
    }
    masked += &line[at..];
    let found: Vec<Kind> = spans.iter().map(|span| span.kind).collect();
    assert_eq!((masked.as_str(), found.as_slice()), (text, kinds), "{line}");
}

#[test]
fn numbers_and_identifiers() {
    for (line, text, kinds) in [
        ("took 12 ms, -3.5 V at 45%", "took <*> ms, <*> V at <*>", &[Integer, Decimal, Identifier][..]),
        ("timeout for CAN ID 0x18F on can0", "timeout for CAN ID <*> on <*>", &[CanId, Identifier]),
        ("frame id=0x2A3 data=0x1582a417", "frame id=<*> data=<*>", &[CanId, Hex]),
        ("id 0x2000000000 is no CAN id", "id <*> is no CAN id", &[Hex]),
        ("generating core.2275", "generating core.<*>", &[Integer]),
        ("block blk_-123 deleted", "block <*> deleted", &[Identifier]),
        ("rank 0, symbol 5,", "rank <*>, symbol <*>,", &[Integer, Integer]),
        ("node R02-M1-N0-C:J12-U11 down", "node <*> down", &[Identifier]),
    ] {
        check(line, text, kinds);
    }
}

#[test]
fn addresses_paths_and_times() {
    for (line, text, kinds) in [
        ("src: /10.250.19.102:54106 dest", "src: <*> dest", &[Path][..]),
        ("from 10.0.0.1:80 and 00:1a:2b:3c:4d:5e", "from <*> and <*>", &[Address, Address]),
        ("host ota.example.com:443 is up", "host <*> is up", &[Address]),
        ("see http://a.b/c?x=1&y=2 there", "see <*> there", &[Path]),
        ("rotated /var/log/a.log.", "rotated <*>.", &[Path]),
        ("key C:\\Windows\\x.dll", "key <*>", &[Path]),
        ("force load/store alignment", "force load/store alignment", &[]),
        ("at Sun Jul 10 03:55:15 2005", "at <*>", &[Time]),
        ("at 2026-11-20 12:00:00.5", "at <*> <*>", &[Time, Time]),
        ("it may be Mon or May", "it may be Mon or May", &[]),
        ("at do_exit+0x1c/0x40", "at <*>", &[Symbol]),
    ] {
        check(line, text, kinds);
    }
}

#[test]
fn keys_quotes_and_words_that_announce() {
    for (line, text, kinds) in [
        ("uid=0 tty=ssh ruser= rhost=x", "uid=<*> tty=<*> ruser= rhost=<*>", &[Integer, Text, Text][..]),
        ("on = false, ws=Work{7} t=Rec{a b}", "on = <*>, ws=<*> t=Rec{a b}", &[Truth, Identifier]),
        ("level=info msg=\"cannot open it\"", "level=<*> msg=\"cannot open it\"", &[Text]),
        ("removed 'a b' but can't", "removed '<*>' but can't", &[Text]),
        ("session opened for user root by me", "session opened for user <*> by me", &[Text]),
        ("a user of it, a == b", "a user of it, a == b", &[]),
        ("from 1.2.3.4 () at", "from <*> (<*>) at", &[Address, Text]),
        ("visible:true", "visible:<*>", &[Truth]),
        ("bytes \u{1}\u{2} here", "bytes <*> here", &[Opaque]),
    ] {
        check(line, text, kinds);
    }
}
