//! A suite of tests as fbp-spec writes it: YAML with a `topic`, perhaps a `fixture`, and `cases`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::expectation::Expectation;
use crate::outcome::{Failure, Stop};

/// A suite that can be run.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) name: String,
    /// The component that is tested.
    pub(super) topic: String,
    /// The graph in which it is tested. `None`: the component alone, with all its ports.
    pub(super) fixture: Option<fbp::Graph>,
    pub(super) cases: Vec<Case>,
    /// Why it is not run.
    pub(super) skip: Option<String>,
}

#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) assertion: String,
    pub(super) steps: Vec<Step>,
    pub(super) timeout: Duration,
    /// Why it is not run.
    pub(super) skip: Option<String>,
}

/// What is sent, and what is to come.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) inputs: BTreeMap<String, Value>,
    pub(super) expect: BTreeMap<String, Vec<Expectation>>,
}

#[derive(Deserialize)]
struct RawSuite {
    topic: String,
    name: Option<String>,
    fixture: Option<RawFixture>,
    #[serde(default)]
    cases: Vec<RawCase>,
    timeout: Option<u64>,
    skip: Option<Value>,
}

#[derive(Deserialize)]
struct RawFixture {
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

#[derive(Deserialize)]
struct RawCase {
    name: String,
    #[serde(default)]
    assertion: String,
    /// What is sent to each port, or a list of that.
    inputs: Value,
    /// What is expected of each port, or a list of that.
    expect: Value,
    timeout: Option<u64>,
    skip: Option<Value>,
}

/// One of something, or a list of them.
fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list,
        one => vec![one],
    }
}

fn object<T: DeserializeOwned>(what: &str, value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("{what}: {error}"))
}

/// The suites of a file, or of every `.yaml` and `.yml` file of a folder. A case may take `timeout`, unless it or its suite says
/// otherwise.
pub(super) fn load(path: &Path, timeout: Duration) -> Result<Vec<Suite>, Stop> {
    let unreadable = |error: std::io::Error| {
        Stop::config(
            Failure::new(format!("{} cannot be read: {error}", path.display()))
                .help("say the path of a suite, a .yaml file, or of a folder with suites"),
        )
    };
    if !path.is_dir() {
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        return parse(&text, &path.display().to_string(), timeout);
    }
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(file);
        }
    }
    files.sort();
    let mut suites = Vec::new();
    for file in files {
        suites.extend(load(&file, timeout)?);
    }
    Ok(suites)
}

/// The suites of a text, called `path` in errors: of several documents, and of lists of suites.
fn parse(text: &str, path: &str, timeout: Duration) -> Result<Vec<Suite>, Stop> {
    let wrong = |reason: String| {
        Stop::config(
            Failure::new(format!("{path} is no suite of fbp-spec: {reason}"))
                .help("it is YAML with `topic` and `cases`, each with `name`, `inputs` and `expect`"),
        )
    };
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| wrong(error.to_string()))?;
    // A document without content, as before the first `---`, is none.
    let suites = documents.into_iter().filter(|document| !document.is_null()).flat_map(list);
    let checked =
        |raw: Value| Suite::check(serde_json::from_value(raw).map_err(|error| error.to_string())?, timeout);
    suites.map(|raw| checked(raw).map_err(wrong)).collect()
}

impl Suite {
    fn check(raw: RawSuite, timeout: Duration) -> Result<Self, String> {
        let name = raw.name.unwrap_or_else(|| raw.topic.clone());
        let fixture =
            raw.fixture.map(|fixture| graph(fixture).map_err(|reason| format!("`{name}`: {reason}")));
        let timeout = raw.timeout.map_or(timeout, Duration::from_millis);
        let cases = raw.cases.into_iter().map(|case| {
            let named = format!("`{name}`, case `{}`", case.name);
            Case::check(case, timeout).map_err(|reason| format!("{named}: {reason}"))
        });
        Ok(Self {
            topic: raw.topic,
            fixture: fixture.transpose()?,
            cases: cases.collect::<Result<_, _>>()?,
            skip: skipped(raw.skip),
            name,
        })
    }
}

fn graph(fixture: RawFixture) -> Result<fbp::Graph, String> {
    match (fixture.kind.as_str(), fixture.data) {
        ("fbp", Value::String(text)) => fbp::parse(&text).map_err(|error| format!("its fixture: {error}")),
        ("json", Value::String(text)) => {
            fbp::from_json(&text).map_err(|error| format!("its fixture: {error}"))
        }
        ("json", graph @ Value::Object(_)) => {
            fbp::from_json(&graph.to_string()).map_err(|error| format!("its fixture: {error}"))
        }
        (kind, _) => {
            Err(format!("its fixture has the type `{kind}`; known are `fbp` and `json`, with `data`"))
        }
    }
}

impl Case {
    fn check(raw: RawCase, timeout: Duration) -> Result<Self, String> {
        let (inputs, expect) = (list(raw.inputs), list(raw.expect));
        if inputs.len() != expect.len() {
            return Err(format!("{} inputs, but {} expectations", inputs.len(), expect.len()));
        }
        let steps = inputs.into_iter().zip(expect).map(|(inputs, expect)| {
            let expect: BTreeMap<String, Value> = object("its expectations by port", expect)?;
            let ports = expect.into_iter().map(|(port, expectations)| {
                let read = |it| object(&format!("what is expected of `{port}`"), it);
                let checked = list(expectations).into_iter().map(|it| Expectation::check(read(it)?));
                checked.collect::<Result<_, _>>().map(|checked| (port.clone(), checked))
            });
            Ok(Step {
                inputs: object("its inputs by port", inputs)?,
                expect: ports.collect::<Result<_, String>>()?,
            })
        });
        Ok(Self {
            name: raw.name,
            assertion: raw.assertion,
            steps: steps.collect::<Result<_, String>>()?,
            timeout: raw.timeout.map_or(timeout, Duration::from_millis),
            skip: skipped(raw.skip),
        })
    }
}

/// The reason, if it is skipped: the format wants a text, people also write `true`.
fn skipped(skip: Option<Value>) -> Option<String> {
    match skip? {
        Value::Null | Value::Bool(false) => None,
        Value::String(reason) => Some(reason),
        other => Some(format!("skip: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_suite_is_read() {
        let text = r#"
# a comment
---
name: "first"
topic: "core/Repeat"
timeout: 500
fixture:
  type: fbp
  data: |
    INPORT=it.IN:IN
    it(core/Repeat)
cases:
- { name: a, assertion: b, inputs: { in: 1 }, expect: { out: { equals: 1 } } }
- name: c
  assertion: d
  timeout: 7000
  inputs: [ { in: 1 }, { in: [2, null] } ]
  expect:
  - out: [ { type: number }, { above: 0 } ]
  - out: { path: '$[0]', equals: 2 }
- { name: e, assertion: f, skip: "not yet", inputs: { in: 1 }, expect: { out: { equals: 1 } } }
---
topic: "core/Drop"
"#;
        let suites = parse(text, "suite.yaml", Duration::from_secs(2)).unwrap();
        assert_eq!(
            suites.iter().map(|suite| suite.name.as_str()).collect::<Vec<_>>(),
            ["first", "core/Drop"]
        );
        let cases = &suites[0].cases;
        assert_eq!(cases.iter().map(|case| case.steps.len()).collect::<Vec<_>>(), [1, 2, 1]);
        assert_eq!(cases[0].timeout, Duration::from_millis(500));
        assert_eq!(cases[1].timeout, Duration::from_secs(7));
        assert_eq!(cases[1].steps[0].expect["out"].len(), 2);
        assert_eq!(cases[2].skip.as_deref(), Some("not yet"));
        assert!(suites[0].fixture.is_some() && suites[1].fixture.is_none());
    }

    #[test]
    fn what_is_wrong_is_said_before_anything_runs() {
        for (text, reason) in [
            ("cases: []", "topic"),
            (
                "{topic: a, cases: [{name: b, inputs: [{in: 1}], expect: [{out: {equals: 1}}, {out: {equals: 2}}]}]}",
                "1 inputs",
            ),
            ("{topic: a, cases: [{name: b, inputs: {in: 1}, expect: {out: {equal: 1}}}]}", "`equal`"),
            ("{topic: a, fixture: {type: dot, data: ''}}", "`dot`"),
            ("{topic: a, fixture: {type: fbp, data: 'a OUT -> IN b'}}", "undefined source node"),
        ] {
            let stop = parse(text, "suite.yaml", Duration::from_secs(2)).unwrap_err().to_string();
            assert!(stop.contains(reason) && stop.contains("suite.yaml"), "{stop}");
        }
    }
}
