//! The CAN interfaces of an ECU, and what they can take.

use std::env;

use super::commands::Ecu;
use crate::say;

/// Frames a second on a wire unless `HIL_RATE_MAX` says otherwise: a quarter of what 500 kbit/s carry of classic frames
/// with 8 bytes (ISO 11898-1: 111 bits, with stuffing at most 135, so 3,700 to 4,500 a second).
const WIRE_RATE_MAX: u32 = 1000;
/// Kinds of `can-traffic` that are CAN FD.
const FD_KINDS: [&str; 2] = ["fd", "traced"];
/// `CANFD_MTU` of linux/can.h.
const FD_MTU: u32 = 72;

/// Makes the interfaces ready, and says what is wrong with them. A vcan that is absent is made; how to undo that is
/// written down. Others than these tests must be silent, for every frame is counted.
const PREPARE: &str = r#"cd {work} || exit
for name in {names}; do
    folder=/sys/class/net/$name
    if [ ! -e $folder ]; then
        case $name in vcan*) ;; *) echo "there is no interface $name"; exit 1 ;; esac
        ip link add $name type vcan && ip link set $name mtu 72 up || {
            echo "there is no $name, and this user may not make it; as root: ip link add $name type vcan; ip link set $name mtu 72 up"
            exit 1
        }
        echo "ip link del $name" >>undo
        continue
    fi
    # ARPHRD_CAN of linux/if_arp.h.
    [ "$(cat $folder/type)" = 280 ] || { echo "$name is no CAN interface"; exit 1; }
    [ $(($(cat $folder/flags) & 1)) = 1 ] || {
        echo "$name is down; as root: ip link set $name up (with its bit rate: type can bitrate 500000)"
        exit 1
    }
    frames=$(cat $folder/statistics/rx_packets)
    sleep 1
    frames=$(($(cat $folder/statistics/rx_packets) - frames))
    [ $frames = 0 ] || { echo "$name is not silent ($frames frames in a second), and these tests count every frame"; exit 1; }
done"#;

/// Where the daemon listens and where the generator sends. Two interfaces are wired to each other; one is a vcan, or has
/// somebody on the wire who acknowledges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Can {
    /// Where the daemon listens.
    pub listen: String,
    /// Where the generator sends.
    pub send: String,
    /// Frames a second at most, 0 for as many as the test asks for. When it is not said: 1000 on a wire, no limit on a
    /// vcan.
    pub rate_max: Option<u32>,
}

impl Default for Can {
    fn default() -> Self {
        Self { listen: "vcan0".to_owned(), send: "vcan0".to_owned(), rate_max: None }
    }
}

impl Can {
    /// What `HIL_CAN`, `HIL_CAN_SEND` (the same one when it is not set) and `HIL_RATE_MAX` say.
    pub(super) fn of_environment() -> Self {
        let listen = env::var("HIL_CAN").map_or_else(|_| Self::default().listen, interface);
        let send = env::var("HIL_CAN_SEND").map_or_else(|_| listen.clone(), interface);
        let rate_max = env::var("HIL_RATE_MAX").ok().map(|rate| {
            rate.parse().unwrap_or_else(|_| panic!("HIL_RATE_MAX is frames a second, not {rate:?}"))
        });
        Self { listen, send, rate_max }
    }
}

/// Names go into shell text.
fn interface(name: String) -> String {
    let fits = (1..16).contains(&name.len());
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    assert!(fits && plain, "{name:?} is no name of an interface");
    name
}

/// What an interface takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Takes {
    /// Frames a second; 0 is no limit.
    rate_max: u32,
    /// CAN FD.
    fd: bool,
    /// Error frames, which on a wire only controllers make.
    errors: bool,
}

impl Ecu {
    pub(super) fn prepare_can(&self) {
        let Can { listen, send, .. } = &self.can;
        let names = if listen == send { listen.clone() } else { format!("{listen} {send}") };
        self.run(&PREPARE.replace("{work}", &self.places.work).replace("{names}", &names));
    }

    /// Whether the interface on which the daemon listens was made here, and so may be removed.
    pub fn made_can(&self) -> bool {
        let undo = self.run(&format!("cat {} 2>/dev/null; true", self.path("undo")));
        undo.lines().any(|line| line == format!("ip link del {}", self.can.listen))
    }

    /// Whether all of its CAN takes CAN FD.
    pub fn takes_fd(&self) -> bool {
        let Can { listen, send, .. } = &self.can;
        let mtus = self.run(&format!("cat /sys/class/net/{listen}/mtu /sys/class/net/{send}/mtu"));
        mtus.lines().all(|mtu| mtu.parse::<u32>().is_ok_and(|mtu| mtu >= FD_MTU))
    }

    /// The generator's command line with these arguments, as far as the interface takes what they ask for. What it does
    /// not take is said, and left out.
    pub fn can_traffic(&self, arguments: &str) -> String {
        let Can { send, rate_max, .. } = &self.can;
        let device = self.run(&format!("[ -e /sys/class/net/{send}/device ] && echo wire; true"));
        let wire = !device.is_empty();
        let takes = Takes {
            rate_max: rate_max.unwrap_or(if wire { WIRE_RATE_MAX } else { 0 }),
            fd: self.takes_fd(),
            errors: !wire,
        };
        let fitted = fit(arguments, takes);
        if fitted != arguments {
            say(&format!("on {send} `{fitted}` instead of `{arguments}`"));
        }
        format!("{} {send} {fitted}", self.path("can-traffic"))
    }
}

fn fit(arguments: &str, takes: Takes) -> String {
    let mut words: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
    for index in 1..words.len() {
        let fitted = match words[index - 1].as_str() {
            "--rate" => fit_rate(&words[index], takes),
            "--mix" => fit_mix(&words[index], takes),
            _ => continue,
        };
        words[index] = fitted;
    }
    words.join(" ")
}

fn fit_rate(rate: &str, takes: Takes) -> String {
    match rate.parse::<u32>() {
        Ok(asked) if takes.rate_max > 0 && (asked > takes.rate_max || asked == 0) => {
            takes.rate_max.to_string()
        }
        _ => rate.to_owned(),
    }
}

fn fit_mix(mix: &str, takes: Takes) -> String {
    let taken = |part: &&str| {
        let kind = part.split('=').next().unwrap_or_default();
        (takes.fd || !FD_KINDS.contains(&kind)) && (takes.errors || kind != "error")
    };
    let left: Vec<&str> = mix.split(',').filter(taken).collect();
    if left.is_empty() { "classic=1".to_owned() } else { left.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_fitted_to_the_interface() {
        let all = Takes { rate_max: 0, fd: true, errors: true };
        let fd_wire = Takes { rate_max: 1000, fd: true, errors: false };
        let classic_wire = Takes { rate_max: 1000, fd: false, errors: false };
        let rich = "--rate 2000 --seconds 5 --mix classic=60,fd=25,traced=5,error=2";
        for (arguments, takes, expected) in [
            (rich, all, rich),
            (rich, fd_wire, "--rate 1000 --seconds 5 --mix classic=60,fd=25,traced=5"),
            (rich, classic_wire, "--rate 1000 --seconds 5 --mix classic=60"),
            ("--rate 500 --mix fd=1", classic_wire, "--rate 500 --mix classic=1"),
            ("--rate 0 --frames 9", all, "--rate 0 --frames 9"),
            ("--rate 0 --frames 9", fd_wire, "--rate 1000 --frames 9"),
            ("--replay /x/--rate --speed 2", classic_wire, "--replay /x/--rate --speed 2"),
        ] {
            assert_eq!(fit(arguments, takes), expected, "{arguments} for {takes:?}");
        }
    }

    #[test]
    fn names_that_would_be_shell_text_are_refused() {
        assert_eq!(interface("can0.1-a_b".to_owned()), "can0.1-a_b");
        for name in ["", "can0;reboot", "can 0", "$(x)", "a-name-too-long-for-linux"] {
            assert!(std::panic::catch_unwind(|| interface(name.to_owned())).is_err(), "{name:?}");
        }
    }
}
