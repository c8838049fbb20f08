//! One trace from the frame to the dashboard: pedal (CAN FD), gateway ECU (classical CAN), service (OTLP, log line) and
//! response, on a real kernel with the daemon as it ships; what the gateway sends is read by OpenTelemetry's own messages.

mod receiver;
mod seen;

use std::time::Duration;

use hil_tests::guest::{Guest, GuestDaemon, Options, WITHIN, aarch64, emulated_bench};
use hil_tests::{Bench, Gateway, Metrics, Mosquitto, say, until};

use receiver::Receiver;
use seen::{Seen, SpanSeen, hex};

/// Pedals that are passed on.
const PEDALS: usize = 4;
const STARTED_WITHIN: Duration = Duration::from_secs(60);
const ARRIVED_WITHIN: Duration = Duration::from_secs(60);
/// What the service takes for its work, nanoseconds: `WORK` of trace-chain.
const WORK_NS: u64 = 20_000_000;

const CONFIG: &str = r#"
[vehicle]
id = "chain"
[store]
path = "ring.db"
max_bytes = "16 MiB"
commit_after = "200ms"
[blocks]
seal_after = "500ms"
[http]
listen = "127.0.0.1:9464"
[logs]
socket = "log.sock"
[uplink]
broker = "mqtt://{broker}"
[trace]
listen = "127.0.0.1:4318"
timeout = "1s"
[trace.attributes]
PEDAL = ["Travel"]
[[trace.pair]]
request = "PEDAL"
response = "PEDAL_DONE"
key = "Sequence"
failure = { signal = "Result", ok = "done" }
[[trace.context_frames]]
bus = "vcan1"
id = "6A0"
messages = ["BRAKE_COMMAND"]
[[bus]]
kind = "socketcan"
interface = "vcan0"
dbc = ["pedal.dbc"]
[[bus]]
kind = "socketcan"
interface = "vcan1"
fd = false
dbc = ["brake.dbc"]
"#;

/// The guest with the chain's programs and the daemon, both buses open.
fn start(bench: &Bench, broker: &Mosquitto) -> Guest {
    let guest = Guest::boot(bench, Options::default());
    guest.connect_link();
    guest.run(
        "mkdir -p /ecu; for name in vcan0 vcan1; do
            [ -e /sys/class/net/$name ] || ip link add $name type vcan || exit
            ip link set $name mtu 72 up || exit
        done",
    );
    for program in ["ecu/ecu-daemon", "release/trace-chain"] {
        let built = aarch64(program);
        let name = built.file_name().expect("a name").to_string_lossy().into_owned();
        guest.copy_in(&built, &guest.path(&name));
    }
    guest.write(&guest.path("pedal.dbc"), include_str!("../data/pedal.dbc"));
    guest.write(&guest.path("brake.dbc"), include_str!("../data/brake.dbc"));
    let broker = broker.url().replace("mqtt://127.0.0.1", "10.0.2.2");
    guest.write(&guest.path("chain.toml"), &CONFIG.replace("{broker}", &broker));
    let checked = guest.run("cd /ecu && ./ecu-daemon check --strict chain.toml");
    for traced in [
        "traced: vcan0/PEDAL is answered by vcan0/PEDAL_DONE by Sequence and Sequence, within 1s, failed unless Result is 0",
        "traced: vcan1/BRAKE_COMMAND has its contexts from 6A0, tag 0, by the counter AliveCounter",
    ] {
        assert!(checked.contains(traced), "{checked}");
    }
    guest.run("cd /ecu && (./ecu-daemon run --config chain.toml >/host/daemon.log 2>&1 &)");
    until("the daemon has opened its buses", STARTED_WITHIN, || {
        let open = metrics(&guest)?.sum("ecu_daemon_bus_open", &[]);
        (open == 2).then_some(())
    });
    guest
}

fn metrics(guest: &Guest) -> Option<Metrics> {
    GuestDaemon::running(guest).metrics()
}

/// Starts both parts between the pedal and its brake.
fn start_chain(guest: &Guest) {
    guest.run(&format!(
        "cd /ecu
        (./trace-chain gateway vcan0 vcan1 --count {PEDALS} >gateway.out 2>&1 &)
        (./trace-chain service vcan1 vcan0 --otlp 127.0.0.1:4318 --log log.sock --count {PEDALS} >service.out 2>&1 &)
        for i in $(seq 100); do grep -q ready gateway.out && grep -q ready service.out && exit 0; sleep 0.1; done
        cat gateway.out service.out; exit 1"
    ));
}

/// The lines with contexts that a program has printed, when there are enough of them.
fn contexts(guest: &Guest, file: &str) -> Vec<String> {
    let lines = until(file, ARRIVED_WITHIN, || {
        let text = guest.run(&format!("cat /ecu/{file}"));
        let lines: Vec<String> =
            text.lines().filter(|line| line.starts_with("00-")).map(str::to_owned).collect();
        (lines.len() >= PEDALS).then_some(lines)
    });
    assert_eq!(lines.len(), PEDALS, "{file}: {lines:?}");
    lines
}

#[test]
fn one_trace_leads_from_the_pedal_to_the_dashboard() {
    if !emulated_bench() {
        return;
    }
    let bench = Bench::new("trace");
    let broker = Mosquitto::start(&bench);
    let receiver = Receiver::start();
    let mut gateway = Gateway::otlp(&bench, &broker, &receiver.url());
    gateway.until_ready();
    let guest = start(&bench, &broker);
    start_chain(&guest);
    // Each pedal begins a trace; the last one's answer never comes, and its sender has not sampled it.
    let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let sent = guest.run_within(
        &format!(
            "cd /ecu
            for i in 1 2 3 4; do ./ecu-daemon send vcan0 201##10${{i}}0040 --new-trace --dbc pedal.dbc || exit; done
            ./ecu-daemon send vcan0 201##10900FF --traceparent {unsampled} --offset 4"
        ),
        WITHIN,
    );
    let mut pedals: Vec<&str> = sent.lines().collect();
    assert_eq!(pedals.pop(), Some(unsampled), "{sent}");
    assert_eq!(pedals.len(), PEDALS, "{sent}");
    let (commands, works) = (contexts(&guest, "gateway.out"), contexts(&guest, "service.out"));

    let seen = until("all spans and log records have arrived", ARRIVED_WITHIN, || {
        let seen = Seen::new(&receiver.arrived());
        (seen.spans.len() > 3 * PEDALS && seen.logs.len() >= PEDALS).then_some(seen)
    });
    assert_eq!((seen.spans.len(), seen.logs.len()), (3 * PEDALS + 1, PEDALS), "{seen:#?}");
    for ((pedal, command), work) in pedals.iter().zip(&commands).zip(&works) {
        check_trace(&seen, [pedal, command, work]);
    }
    check_failed(&seen, unsampled);
    check_books(&guest);
    say(&format!("{PEDALS} traces of 3 spans and a log record each, and one of a request without an answer"));
    guest.run("kill $(pidof ecu-daemon); for i in $(seq 100); do pidof ecu-daemon >/dev/null || exit 0; sleep 0.1; done; exit 1");
}

/// One pedal's trace: three spans below what was on the buses, in time, and the service's log record.
fn check_trace(seen: &Seen, [pedal, command, work]: [&str; 3]) {
    let [trace, sensor, _] = parts(pedal);
    let [command_trace, gateway, _] = parts(command);
    let [work_trace, service, _] = parts(work);
    assert_eq!((command_trace, work_trace), (trace, trace), "contexts are passed on");
    let spans: Vec<&SpanSeen> = seen.spans.iter().filter(|span| span.trace == trace).collect();
    assert_eq!(spans.len(), 3, "{spans:#?}");
    let named = |name: &str| *spans.iter().find(|span| span.name == name).expect(name);
    // The pedal with its answer: below the sensor's span, linked to the service's, which the answer carried.
    let exchange = named("PEDAL");
    assert_eq!((exchange.parent.as_str(), exchange.status), (sensor, 1), "{exchange:#?}");
    assert!(exchange.links.contains(&(trace.to_owned(), service.to_owned())), "{exchange:#?}");
    assert_eq!(exchange.attribute("can.bus"), Some("vcan0"), "{exchange:#?}");
    assert_eq!(exchange.attribute("can.id"), Some("201"), "{exchange:#?}");
    let brake = named("BRAKE_COMMAND");
    assert_eq!((brake.parent.as_str(), brake.attribute("can.bus")), (gateway, Some("vcan1")), "{brake:#?}");
    let work = named("apply brake");
    assert_eq!((work.parent.as_str(), work.id.as_str(), work.status), (gateway, service, 1), "{work:#?}");
    assert_eq!(work.service, "brake");
    // All of one clock: the command is within the exchange, and the work begins with the command. What the service says of
    // its end is written behind the answer.
    let end = |span: &SpanSeen| span.end_ns;
    assert!(end(exchange) - exchange.start_ns >= WORK_NS, "{exchange:#?}");
    assert!((exchange.start_ns..end(exchange)).contains(&brake.start_ns), "{exchange:#?} {brake:#?}");
    assert!((brake.start_ns..end(exchange)).contains(&work.start_ns), "{brake:#?} {work:#?}");
    assert!(end(work) >= work.start_ns + WORK_NS, "{work:#?}");
    let logs: Vec<_> = seen.logs.iter().filter(|log| log.trace == trace).collect();
    let [log] = &logs[..] else { panic!("{logs:#?}") };
    assert_eq!((log.span.as_str(), log.service.as_str()), (service, "brake"));
    assert_eq!(log.body, "brake applied");
}

/// The pedal whose answer did not come is kept because it failed, though its sender did not sample it.
fn check_failed(seen: &Seen, pedal: &str) {
    let [trace, sensor, _] = parts(pedal);
    let spans: Vec<&SpanSeen> = seen.spans.iter().filter(|span| span.trace == trace).collect();
    let [span] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((span.name.as_str(), span.parent.as_str(), span.status), ("PEDAL", sensor, 2), "{span:#?}");
    assert!(span.end_ns - span.start_ns >= 1_000_000_000, "{span:#?}");
}

/// Everything that was read is in one place.
fn check_books(guest: &Guest) {
    let metrics = metrics(guest).expect("the daemon's metrics");
    let count = |name: &str, outcome: &str| metrics.sum(name, &[("outcome", outcome)]);
    let pedals = PEDALS as u64;
    let contexts = "ecu_daemon_trace_contexts_total";
    // PEDAL and PEDAL_DONE and the commands, and the pedal that failed.
    assert_eq!(count(contexts, "valid"), 3 * pedals + 1);
    for outcome in ["absent", "truncated", "zero_ids", "checksum", "malformed", "unsettled", "repeated"] {
        assert_eq!(count(contexts, outcome), 0, "{outcome}");
    }
    let requests = "ecu_daemon_trace_requests_total";
    let books = ["opened", "answered", "unanswered"].map(|outcome| count(requests, outcome));
    assert_eq!(books, [pedals + 1, pedals, 1]);
    let classic = "ecu_daemon_trace_classic_contexts_total";
    assert_eq!(["begun", "complete", "carried"].map(|outcome| count(classic, outcome)), [pedals; 3]);
    let local = [("kind", "span"), ("outcome", "taken")];
    assert_eq!(metrics.sum("ecu_daemon_otlp_records_total", &local), pedals);
    let spans = "ecu_daemon_trace_spans_total";
    // Those of the service are sampled as all others.
    assert_eq!((count(spans, "kept"), count(spans, "kept_failed")), (3 * pedals, 1));
}

/// Trace id, span id and flags of a traceparent.
fn parts(traceparent: &str) -> [&str; 3] {
    let parts: Vec<&str> = traceparent.split('-').collect();
    let ["00", trace, span, flags] = parts[..] else { panic!("{traceparent:?}") };
    assert_eq!(trace.len(), hex(&[0; 16]).len());
    [trace, span, flags]
}
