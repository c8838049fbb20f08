//! Labelled log sets, and how well a grouping of their lines agrees with the labels.

pub(crate) mod own;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use ecu_core::logs::{Miner, Origin, TemplateId};
use store::block::Severity;

/// Lines with their origin and their true group.
pub(crate) struct Labelled {
    pub(crate) name: String,
    pub(crate) lines: Vec<Vec<u8>>,
    pub(crate) origins: Vec<Origin>,
    pub(crate) truth: Vec<String>,
}

/// Grouping accuracy: share of lines whose group is exactly the true one. FGA: F1 over groups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Score {
    pub(crate) accuracy: f64,
    pub(crate) f1: f64,
    pub(crate) groups: usize,
    pub(crate) true_groups: usize,
}

/// The sets that lie beside the repository, when they do.
pub(crate) fn shared() -> Option<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/logs"));
    root.is_dir().then(|| root.to_owned())
}

/// A public set (`loghub-2k`) with the corrected labels.
pub(crate) fn loghub(root: &Path, name: &str) -> Labelled {
    let path = root.join(format!("loghub-2k/{name}/{name}_2k.log_structured_corrected.csv"));
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut rows = csv(&String::from_utf8_lossy(&text)).into_iter();
    let header = rows.next().unwrap();
    let column = |name: &str| header.iter().position(|column| column == name).unwrap();
    let (content, template) = (column("Content"), column("EventTemplate"));
    let mut set = Labelled::new(name);
    for row in rows {
        // Its levels and components are columns that the labels ignore: one template may have several.
        set.push(row[content].as_bytes(), Origin::new(b"", None), &row[template]);
    }
    set
}

/// A set written as `SECONDS LEVEL APP: MESSAGE`, and a file with the group of each line.
pub(crate) fn ecu(name: &str, log: &str, labels: &str) -> Labelled {
    let mut set = Labelled::new(name);
    for (line, label) in log.lines().zip(labels.lines()) {
        let (head, message) = line.trim_start().split_once(": ").unwrap();
        let mut head = head.split(' ').skip(1);
        let (level, app) = (head.next().unwrap(), head.next().unwrap());
        set.push(message.as_bytes(), Origin::new(app.as_bytes(), severity(level)), label);
    }
    set
}

/// Lines without labels, as they stand.
pub(crate) fn unlabelled(name: &str, log: &[u8]) -> Labelled {
    let mut set = Labelled::new(name);
    for line in log.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        set.push(line, Origin::new(b"", None), "");
    }
    set
}

fn severity(letter: &str) -> Option<Severity> {
    match letter {
        "D" => Some(Severity::DEBUG),
        "I" => Some(Severity::INFO),
        "W" => Some(Severity::WARN),
        "E" => Some(Severity::ERROR),
        _ => None,
    }
}

impl Labelled {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), lines: Vec::new(), origins: Vec::new(), truth: Vec::new() }
    }

    fn push(&mut self, line: &[u8], origin: Origin, truth: &str) {
        self.lines.push(line.to_vec());
        self.origins.push(origin);
        self.truth.push(truth.to_owned());
    }

    /// Mines all lines; the group of each is the cluster that its template belongs to at the end.
    pub(crate) fn mine(&self) -> (Miner, Vec<TemplateId>) {
        let mut miner = Miner::default();
        let templates = self
            .lines
            .iter()
            .zip(&self.origins)
            .map(|(line, &origin)| miner.mine(origin, line).template)
            .collect();
        (miner, templates)
    }

    pub(crate) fn score(&self) -> Score {
        let (miner, templates) = self.mine();
        let groups: Vec<u32> = templates.iter().map(|&id| miner.cluster_of(id).unwrap().number()).collect();
        agreement(&groups, &self.truth)
    }
}

fn agreement(groups: &[u32], truth: &[String]) -> Score {
    let mut pairs: HashMap<(u32, &str), usize> = HashMap::new();
    for (&group, label) in groups.iter().zip(truth) {
        *pairs.entry((group, label)).or_default() += 1;
    }
    let (mut of_group, mut of_label) = (HashMap::<u32, usize>::new(), HashMap::<&str, usize>::new());
    for &(group, label) in pairs.keys() {
        *of_group.entry(group).or_default() += 1;
        *of_label.entry(label).or_default() += 1;
    }
    let exact = || pairs.iter().filter(|((group, label), _)| of_group[group] == 1 && of_label[label] == 1);
    let (right, lines) = (exact().count() as f64, exact().map(|(_, &lines)| lines).sum::<usize>() as f64);
    let f1 = 2.0 * right / (of_group.len() + of_label.len()) as f64;
    Score { accuracy: lines / groups.len() as f64, f1, groups: of_group.len(), true_groups: of_label.len() }
}

/// Rows of a CSV text with quoted fields.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => field.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            _ => field.push(character),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}
