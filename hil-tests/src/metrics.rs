//! A page of metrics in the Prometheus text format.

use std::net::SocketAddr;

/// What /metrics said.
#[derive(Clone, Debug)]
pub struct Metrics {
    text: String,
}

impl From<String> for Metrics {
    /// A page that was read in another way.
    fn from(text: String) -> Self {
        Self { text }
    }
}

impl Metrics {
    /// Reads `/metrics` at `address`; `None` while nobody answers there.
    pub fn read(address: SocketAddr) -> Option<Self> {
        match crate::get(address, "/metrics") {
            Ok((200, text)) => Some(Self { text }),
            _ => None,
        }
    }

    /// The sum of a metric's samples that have all these labels; for counts, so whole numbers.
    ///
    /// # Panics
    /// When there is no such sample: a metric that was renamed must not read as 0.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let wanted: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let values: Vec<u64> = self
            .text
            .lines()
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                let rest = series.strip_prefix(name)?;
                let own: Vec<&str> = match rest.strip_prefix('{') {
                    Some(labels) => labels.strip_suffix('}')?.split(',').collect(),
                    None if rest.is_empty() => Vec::new(),
                    None => return None,
                };
                let matches = wanted.iter().all(|wanted| own.contains(&wanted.as_str()));
                matches.then(|| value.parse().unwrap_or_else(|_| panic!("no whole number: {line}")))
            })
            .collect();
        assert!(!values.is_empty(), "no sample of {name} with {wanted:?} in:\n{}", self.text);
        values.iter().sum()
    }

    /// A metric without labels that need not be whole, such as a time in seconds; `None` while there is none.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_name_and_labels() {
        let text =
            "# HELP a b\na 1\nab 7\na_total{x=\"1\",y=\"2\"} 3\na_total{x=\"1\",y=\"3\"} 4\n".to_owned();
        let metrics = Metrics { text };
        assert_eq!(metrics.sum("a", &[]), 1);
        assert_eq!(metrics.sum("a_total", &[]), 7);
        assert_eq!(metrics.sum("a_total", &[("y", "3")]), 4);
        assert!(std::panic::catch_unwind(|| metrics.sum("a_total", &[("y", "4")])).is_err());
    }
}
