//! `[blocks] dictionaries`: what small blocks of a kind are compressed with.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use store::block::{Dictionary, Kind, limits};
use toml::Spanned;

use super::{Check, raw};

impl Check<'_> {
    /// A file that is no dictionary is a problem, and the blocks do without: they take more bytes, and that is all.
    pub(super) fn dictionaries(&mut self, raw: raw::Dictionaries) -> Vec<(Kind, Dictionary)> {
        let raw::Dictionaries { samples, spans, logs, histograms, frames } = raw;
        let files = [
            (Kind::Samples, samples),
            (Kind::Spans, spans),
            (Kind::Logs, logs),
            (Kind::Histograms, histograms),
            (Kind::Frames, frames),
        ];
        let files = files.into_iter().filter_map(|(kind, file)| Some((kind, file?)));
        files.filter_map(|(kind, file)| Some((kind, self.dictionary(&file)?))).collect()
    }

    fn dictionary(&mut self, file: &Spanned<PathBuf>) -> Option<Dictionary> {
        let path = self.folder.join(file.get_ref());
        let read = read(&path).map_err(|error| error.to_string());
        let dictionary = read.and_then(|bytes| Dictionary::new(bytes).map_err(|error| error.to_string()));
        let problem = |error| {
            let text = format!(
                "cannot use {} as a dictionary: {error}; blocks go without, which takes more bytes",
                path.display()
            );
            self.tolerable.push(self.file.problem(Some(file.span()), text));
        };
        dictionary.map_err(problem).ok()
    }
}

/// The file, as far as a dictionary may be long, and a byte more.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limits::DICTIONARY_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Config;
    use super::*;

    #[test]
    fn files_are_read_and_what_is_none_is_told_and_done_without() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("good.zdict"), "frame late by ms".repeat(9)).unwrap();
        fs::write(folder.path().join("long.zdict"), vec![1; limits::DICTIONARY_BYTES_MAX + 9]).unwrap();
        let check = |keys: &str, kinds: &[Kind], problem: &str| {
            let text = format!("[blocks]\ndictionaries = {{ {keys} }}");
            let (config, problems) = Config::parse("car.toml", &text, folder.path()).unwrap();
            let found: Vec<_> = config.dictionaries.iter().map(|(kind, _)| *kind).collect();
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            assert_eq!(found, kinds, "{keys}: {problems:?}");
            let is_told =
                problems.iter().any(|text| text.starts_with("car.toml:2:") && text.contains(problem));
            assert!(if problem.is_empty() { problems.is_empty() } else { is_told }, "{keys}: {problems:?}");
        };
        check("", &[], "");
        check("logs = 'good.zdict', spans = 'good.zdict'", &[Kind::Spans, Kind::Logs], "");
        check("logs = 'absent.zdict', frames = 'good.zdict'", &[Kind::Frames], "absent.zdict");
        check("logs = 'long.zdict'", &[], "dictionary length");
        assert!(
            Config::parse("car.toml", "[blocks]\ndictionaries = { schema = 'x' }", folder.path()).is_err()
        );
    }
}
