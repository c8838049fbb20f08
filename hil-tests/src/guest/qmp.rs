//! QEMU's own control channel (QEMU Machine Protocol: JSON, one object a line).

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A connection that has said hello.
pub(super) struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    pub(super) fn new(stream: UnixStream) -> Self {
        let limit = stream.set_read_timeout(Some(ANSWER_WITHIN));
        limit.unwrap_or_else(|error| panic!("QMP: {error}"));
        let mut qmp = Self { stream: BufReader::new(stream) };
        let greeting = qmp.read();
        assert!(greeting.get("QMP").is_some(), "QMP greets with {greeting}");
        qmp.execute("qmp_capabilities", &json!({}));
        qmp
    }

    /// Has a command executed and gives what it returns.
    pub(super) fn execute(&mut self, command: &str, arguments: &Value) -> Value {
        let request = json!({ "execute": command, "arguments": arguments });
        let sent = writeln!(self.stream.get_mut(), "{request}");
        sent.unwrap_or_else(|error| panic!("QMP {command}: {error}"));
        loop {
            let mut answer = self.read();
            if let Some(error) = answer.get("error") {
                panic!("QMP {request}: {error}");
            }
            // Events come in between.
            if let Some(value) = answer.get_mut("return") {
                return value.take();
            }
        }
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line);
        read.unwrap_or_else(|error| panic!("QMP: {error}"));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("QMP answers {line:?}: {error}"))
    }
}
