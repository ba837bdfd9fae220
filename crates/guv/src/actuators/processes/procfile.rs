//! A Procfile: a line `name: command` for each kind of process.
//!
//! Format: as Heroku and Foreman read it. Names are letters, digits, `_` and `-`; empty lines and lines that begin with `#`
//! say nothing.

use std::collections::BTreeMap;

use guv_model::WorkerName;

/// What to run for each kind of worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Procfile(BTreeMap<String, String>);

/// A line that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}; write `name: command`")]
pub struct ProcfileError {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl Procfile {
    /// Reads a Procfile.
    ///
    /// # Errors
    /// Every line that cannot be understood.
    pub fn parse(text: &str) -> Result<Self, Vec<ProcfileError>> {
        let mut commands = BTreeMap::new();
        let mut errors = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let problem = match line.split_once(':').map(|(name, command)| (name.trim(), command.trim())) {
                None => "there is no colon".to_owned(),
                Some((name, _)) if !is_name(name) => format!("`{name}` is not a name"),
                Some((name, "")) => format!("`{name}` has no command"),
                Some((name, command)) => match commands.insert(name.to_owned(), command.to_owned()) {
                    Some(_) => format!("`{name}` is there already"),
                    None => continue,
                },
            };
            errors.push(ProcfileError { line: index + 1, problem });
        }
        if errors.is_empty() { Ok(Self(commands)) } else { Err(errors) }
    }

    /// What to run for this kind of worker.
    pub fn command(&self, worker: &WorkerName) -> Option<&str> {
        self.0.get(worker.as_str()).map(String::as_str)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_worker() {
        let procfile =
            Procfile::parse("# ours\n\nweb: bin/web -p $PORT\r\n resize-2 :node a.js: b\n").unwrap();
        assert_eq!(procfile.command(&"web".into()), Some("bin/web -p $PORT"));
        assert_eq!(procfile.command(&"resize-2".into()), Some("node a.js: b"));
        assert_eq!(procfile.names().collect::<Vec<_>>(), ["resize-2", "web"]);
    }

    #[test]
    fn every_bad_line_is_told() {
        let errors = Procfile::parse("web\na b: c\nok: true\nempty:\nok: false").unwrap_err();
        let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "line 1: there is no colon; write `name: command`",
                "line 2: `a b` is not a name; write `name: command`",
                "line 4: `empty` has no command; write `name: command`",
                "line 5: `ok` is there already; write `name: command`",
            ]
        );
    }
}
