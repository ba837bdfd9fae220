//! The old names of the programs, and the old form of their flags.

use std::ffi::OsString;
use std::path::Path;

/// The arguments with the old names and forms turned into those of today: the program called as `guv-validate`,
/// and flags without a command, which mean `run`.
pub(crate) fn modern(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let name = arguments.first().and_then(|path| Path::new(path).file_stem()?.to_str().map(str::to_owned));
    let command = match (name.as_deref(), arguments.get(1).and_then(|first| first.to_str())) {
        (Some("guv-validate"), _) => Some("validate"),
        (Some("guv-update-jobstats"), _) => Some("update-jobstats"),
        (Some("guv-capacity"), _) => Some("capacity"),
        (Some("guv-heroku-workerstats"), _) => Some("workerstats"),
        (Some("guv-newrelic-events"), _) => Some("newrelic-events"),
        (_, Some("-h" | "--help" | "-V" | "--version")) => None,
        (_, Some(first)) if first.starts_with('-') => Some("run"),
        _ => None,
    };
    if let Some(command) = command {
        arguments.insert(1, command.into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::arguments::Arguments;

    fn modernised(line: &str) -> String {
        let words = modern(line.split(' ').map(OsString::from));
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn old_names_and_forms_still_work() {
        assert_eq!(modernised("/usr/bin/guv-validate -f a.yaml"), "/usr/bin/guv-validate validate -f a.yaml");
        assert_eq!(modernised("guv-update-jobstats a.yaml"), "guv-update-jobstats update-jobstats a.yaml");
        assert_eq!(modernised("guv --config a.yaml --dry-run"), "guv run --config a.yaml --dry-run");
        assert_eq!(modernised("guv --help"), "guv --help");
        assert_eq!(modernised("guv validate a.yaml"), "guv validate a.yaml");
        assert_eq!(modernised("guv"), "guv");
    }
}
