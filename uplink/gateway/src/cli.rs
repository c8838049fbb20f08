//! The command line of `ecu-gateway`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

use lexopt::prelude::*;
use uplink::mqtt::{Credentials, Link};
use uplink::topic::Prefix;

use crate::options::{Group, HttpUrl, Options};

/// What `--help` prints.
pub const HELP: &str = "\
ecu-gateway: blocks of ecu-daemon from MQTT to OTLP, Prometheus or standard output

Usage: ecu-gateway --broker mqtt://host[:1883] OUTPUT... [OPTION]...

Outputs, at least one:
  --otlp URL            OTLP/HTTP receiver, such as http://host:4318
  --remote-write URL    Prometheus receiver, such as http://host:9090/api/v1/write
                        (started with --web.enable-remote-write-receiver; vehicles that were offline
                        need storage.tsdb.out_of_order_time_window)
  --print               records as JSON lines on standard output

Options:
  --broker URL          MQTT broker
  --prefix PREFIX       first levels of all topics [ecu]
  --group NAME          gateways of one group share the work [gateway]
  --client-id ID        names the session at the broker, one for each gateway [ecu-gateway-HOSTNAME]
  --username NAME       for the broker, together with --password-file
  --password-file FILE  its first line is the password
  --job NAME            service.name in OTLP, label job in Prometheus [ecu-daemon]
  --listen ADDR:PORT    serve /metrics, /healthz/live and /healthz/ready of the gateway itself
  --help, --version

A message is acknowledged to the broker only when all outputs have taken it.
Exit codes: 0 stopped by a signal, 64 usage, 66 password file, 69 --listen address, 70 bug,
71 out of system resources, 74 output gone.
";

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Run the gateway.
    Run(Box<Options>),
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
}

/// Why the command line cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// It is not a valid one.
    #[error("{0}\nTry 'ecu-gateway --help'.")]
    Usage(String),
    /// The password cannot be read.
    #[error("cannot read the password file {path:?}: {source}; give a file that this user may read")]
    PasswordFile {
        /// As given.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl CliError {
    /// Exit code after `sysexits.h`.
    pub const fn exit_code(&self) -> u8 {
        match self {
            // EX_USAGE
            Self::Usage(_) => 64,
            // EX_NOINPUT
            Self::PasswordFile { .. } => 66,
        }
    }
}

impl From<lexopt::Error> for CliError {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

/// The options as texts, before they mean anything.
#[derive(Default)]
struct Raw {
    broker: Option<String>,
    prefix: Option<String>,
    group: Option<String>,
    client_id: Option<String>,
    username: Option<String>,
    password_file: Option<PathBuf>,
    otlp: Option<String>,
    remote_write: Option<String>,
    print: bool,
    job: Option<String>,
    listen: Option<String>,
}

/// Reads the arguments, without the program's name. `hostname` names this machine, where it has a name.
///
/// # Errors
/// [`CliError`]
pub fn parse<I>(arguments: I, hostname: impl FnOnce() -> Option<String>) -> Result<Command, CliError>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut raw = Raw::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help),
            Long("version") | Short('V') => return Ok(Command::Version),
            Long("broker") => raw.broker = Some(parser.value()?.string()?),
            Long("prefix") => raw.prefix = Some(parser.value()?.string()?),
            Long("group") => raw.group = Some(parser.value()?.string()?),
            Long("client-id") => raw.client_id = Some(parser.value()?.string()?),
            Long("username") => raw.username = Some(parser.value()?.string()?),
            Long("password-file") => raw.password_file = Some(parser.value()?.into()),
            Long("otlp") => raw.otlp = Some(parser.value()?.string()?),
            Long("remote-write") => raw.remote_write = Some(parser.value()?.string()?),
            Long("print") => raw.print = true,
            Long("job") => raw.job = Some(parser.value()?.string()?),
            Long("listen") => raw.listen = Some(parser.value()?.string()?),
            _ => return Err(argument.unexpected().into()),
        }
    }
    let options = raw.check(hostname)?;
    Ok(Command::Run(Box::new(options)))
}

fn usage<E: std::fmt::Display>(option: &'static str) -> impl FnOnce(E) -> CliError {
    move |error| CliError::Usage(format!("--{option}: {error}"))
}

impl Raw {
    fn check(self, hostname: impl FnOnce() -> Option<String>) -> Result<Options, CliError> {
        let usage_error = |text: &str| CliError::Usage(text.to_owned());
        let broker =
            self.broker.ok_or_else(|| usage_error("--broker is missing: give mqtt://host[:port]"))?;
        let client_id = match self.client_id {
            Some(id) if id.is_empty() => {
                return Err(usage_error("--client-id is empty: give each gateway its own"));
            }
            Some(id) => id,
            None => hostname()
                .filter(|name| !name.is_empty())
                .map(|name| format!("ecu-gateway-{name}"))
                .ok_or_else(|| {
                    usage_error("this machine has no name: give each gateway its own --client-id")
                })?,
        };
        let mut link = Link::parse(&broker, &client_id).map_err(usage("broker"))?;
        link.credentials = match (self.username, self.password_file) {
            (None, None) => None,
            (Some(username), Some(path)) => Some(Credentials { username, password: read_password(&path)? }),
            _ => return Err(usage_error("--username and --password-file go together: give both or none")),
        };
        let prefix = Prefix::new(self.prefix.as_deref().unwrap_or("ecu")).map_err(usage("prefix"))?;
        let mut options = Options::new(link, prefix);
        if let Some(group) = self.group {
            options.group = Group::new(&group).ok_or_else(|| {
                usage_error("--group must be 1 to 128 bytes without '/', '+', '#' and control characters")
            })?;
        }
        options.otlp = self.otlp.as_deref().map(HttpUrl::parse).transpose().map_err(usage("otlp"))?;
        options.remote_write =
            self.remote_write.as_deref().map(HttpUrl::parse).transpose().map_err(usage("remote-write"))?;
        options.print = self.print;
        if let Some(job) = self.job {
            options.job = job;
        }
        let listen = self.listen.as_deref().map(|text| {
            text.parse()
                .map_err(|_| CliError::Usage(format!("--listen: {text:?} is not of the form 127.0.0.1:9464")))
        });
        options.listen = listen.transpose()?;
        if options.otlp.is_none() && options.remote_write.is_none() && !options.print {
            return Err(usage_error("no output: give --otlp, --remote-write or --print"));
        }
        Ok(options)
    }
}

fn read_password(path: &Path) -> Result<String, CliError> {
    let text = fs::read_to_string(path)
        .map_err(|source| CliError::PasswordFile { path: path.to_owned(), source })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// The name of this machine, as Linux tells it.
pub fn hostname() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Command, CliError> {
        parse(line.split_whitespace(), || Some("box".to_owned()))
    }

    fn options(line: &str) -> Options {
        let Command::Run(options) = parse_line(line).unwrap() else { panic!("{line}") };
        *options
    }

    #[test]
    fn defaults_and_everything() {
        let least = options("--broker mqtt://b --print");
        assert_eq!(least.link.broker(), "b:1883");
        assert_eq!((least.link.client_id.as_str(), least.group.as_str()), ("ecu-gateway-box", "gateway"));
        assert_eq!((least.job.as_str(), least.prefix), ("ecu-daemon", Prefix::new("ecu").unwrap()));
        assert!(least.print && least.listen.is_none() && least.otlp.is_none());

        let all = options(
            "--broker=mqtt://b:1884 --prefix fleet/eu --group g --client-id me --otlp http://o:4318 \
             --remote-write http://p:9090/api/v1/write --job j --listen 127.0.0.1:9464",
        );
        assert_eq!((all.link.client_id.as_str(), all.job.as_str()), ("me", "j"));
        assert_eq!(all.remote_write.unwrap().to_string(), "http://p:9090/api/v1/write");
        assert_eq!(all.listen.unwrap().port(), 9464);
        assert!(matches!(parse_line("--help --nonsense"), Ok(Command::Help)));
        assert!(matches!(parse_line("--version"), Ok(Command::Version)));
    }

    #[test]
    fn errors_name_the_option_and_the_remedy() {
        for (line, word) in [
            ("", "--broker is missing"),
            ("--broker mqtt://b", "give --otlp"),
            ("--broker b --print", "--broker"),
            ("--broker mqtts://b --print", "TLS"),
            ("--broker mqtt://b --print --prefix a//b", "--prefix"),
            ("--broker mqtt://b --print --group a/b", "--group"),
            ("--broker mqtt://b --otlp https://o", "TLS"),
            ("--broker mqtt://b --remote-write p:9090", "--remote-write"),
            ("--broker mqtt://b --print --username me", "go together"),
            ("--broker mqtt://b --print --listen 9464", "--listen"),
            ("--broker mqtt://b --print --client-id=", "--client-id"),
            ("--broker mqtt://b --print stray", "stray"),
            ("--bogus", "--bogus"),
            ("--broker", "--broker"),
        ] {
            let error = parse_line(line).unwrap_err();
            assert!(error.to_string().contains(word), "{line}: {error}");
            assert!(error.to_string().contains("--help") && error.exit_code() == 64, "{line}: {error}");
        }
        let nameless = parse(["--broker", "mqtt://b", "--print"], || None).unwrap_err();
        assert!(nameless.to_string().contains("--client-id"));
    }

    #[test]
    fn the_password_comes_from_a_file() {
        let missing =
            parse_line("--broker mqtt://b --print --username u --password-file /does/not/exist").unwrap_err();
        assert!(missing.to_string().contains("/does/not/exist") && missing.exit_code() == 66);
        let path = std::env::temp_dir().join(format!("ecu-gateway-password-{}", std::process::id()));
        fs::write(&path, "secret\n").unwrap();
        let line = format!("--broker mqtt://b --print --username u --password-file {}", path.display());
        let credentials = options(&line).link.credentials.unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!((credentials.username.as_str(), credentials.password.as_str()), ("u", "secret"));
    }

    #[test]
    fn help_names_every_option() {
        let source = include_str!("cli.rs");
        let named = source.split("Long(\"").skip(1).filter_map(|rest| rest.split('"').next());
        for option in named.filter(|option| !option.contains(')')) {
            assert!(HELP.contains(&format!("--{option}")), "{option}");
        }
    }
}
