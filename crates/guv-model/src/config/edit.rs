//! Changing values in a configuration's text, so that comments, order and style stay as people wrote them.

use super::keys::{self, KeyName};
use super::tree::{self, Key, Node, Value};
use super::{ConfigError, Diagnostics};

/// How long jobs of a role take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JobStats {
    /// Mean, seconds.
    pub average: f64,
    /// Standard deviation, seconds; `None` drops one that is there, as it belongs to another mean.
    pub stddev: Option<f64>,
}

/// A piece of the text and what comes in its place.
struct Edit {
    start: usize,
    end: usize,
    text: String,
}

/// Puts statistics into the text. Gives the new text, and the names for which there is no role.
///
/// # Errors
/// When the text is not YAML, or would not be afterwards: then the file is written in a way that cannot be edited.
pub fn update_job_stats<'s>(
    text: &str,
    stats: impl IntoIterator<Item = (&'s str, JobStats)>,
) -> Result<(String, Vec<&'s str>), ConfigError> {
    let document = parse(text)?;
    let roles = document.entries();
    let (mut edits, mut unknown, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for (name, stats) in stats {
        let stats = stats.rounded();
        match roles.iter().find(|(key, _)| key.text == name) {
            Some((key, block)) => {
                edit_role(text, key, block, stats, &mut edits);
                changed.push((name, stats));
            }
            None => unknown.push(name),
        }
    }
    edits.sort_by_key(|edit| (edit.start, edit.end));
    let mut edited = text.to_owned();
    for Edit { start, end, text } in edits.into_iter().rev() {
        edited.replace_range(start..end, &text);
    }
    check(text, roles, &edited, &changed)?;
    Ok((edited, unknown))
}

fn parse(text: &str) -> Result<Node, ConfigError> {
    tree::parse(text).map_err(|syntax| {
        let mut diagnostics = Diagnostics::new(text);
        diagnostics.syntax(syntax);
        ConfigError { diagnostics: diagnostics.finish() }
    })
}

/// The text says what it should, of these roles and of all others: what several roles share by an alias of YAML, for instance,
/// cannot be changed for one of them.
fn check(
    text: &str,
    before: &[(Key, Node)],
    edited: &str,
    changed: &[(&str, JobStats)],
) -> Result<(), ConfigError> {
    let after = tree::parse(edited).ok();
    let after = after.as_ref().map_or(&[][..], Node::entries);
    let is_changed = |role: &Key| changed.iter().find(|(name, _)| *name == role.text).map(|(_, stats)| stats);
    let mut diagnostics = Diagnostics::new(text);
    for (at, (role, block)) in before.iter().enumerate() {
        let is_right = after.get(at).is_some_and(|(name, now)| {
            let says = match is_changed(role) {
                Some(stats) => *stats == stats_of(now) && others(block) == others(now),
                None => block.without_places() == now.without_places(),
            };
            name.text == role.text && says
        });
        if !is_right {
            let message = format!("role `{}` is written in a way in which it cannot be changed", role.text);
            diagnostics.error(
                role.place,
                message,
                "here",
                "write its keys out, without an anchor or alias of YAML",
            );
        }
    }
    match diagnostics.finish() {
        wrong if wrong.is_empty() => Ok(()),
        diagnostics => Err(ConfigError { diagnostics }),
    }
}

/// All but the statistics.
fn others(block: &Node) -> Vec<(&str, Value)> {
    let is_other = |key: &Key| !matches!(known(key), Some(KeyName::Processing | KeyName::StdDev));
    let entries = block.entries().iter().filter(|(key, _)| is_other(key));
    entries.map(|(key, node)| (key.text.as_str(), node.without_places())).collect()
}

fn stats_of(block: &Node) -> JobStats {
    let number = |wanted| {
        let mut of_it = block.entries().iter().filter(|(key, _)| known(key) == Some(wanted));
        match of_it.next_back().map(|(_, node)| &node.value) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    };
    JobStats { average: number(KeyName::Processing).unwrap_or(f64::NAN), stddev: number(KeyName::StdDev) }
}

fn known(key: &Key) -> Option<KeyName> {
    keys::lookup(&key.text).map(|info| info.key)
}

fn edit_role(text: &str, role: &Key, block: &Node, stats: JobStats, edits: &mut Vec<Edit>) {
    let average = stats.average.to_string();
    let Value::Mapping(entries) = &block.value else {
        // `role:` with nothing after it.
        let deviation = stats.stddev.map(|s| format!(", stddev: {s}")).unwrap_or_default();
        let colon = text[role.place.end..].find(':').map_or(role.place.end, |at| role.place.end + at + 1);
        let insert = format!(" {{processing: {average}{deviation}}}");
        let end = if block.place.end > colon { block.place.end } else { colon };
        edits.push(Edit { start: colon, end, text: insert });
        return;
    };
    let find = |wanted: KeyName| entries.iter().position(|(key, _)| known(key) == Some(wanted));
    let flow = text[block.place.start..].starts_with(['{']);
    let (processing, stddev) = (find(KeyName::Processing), find(KeyName::StdDev));
    let mut after_processing = String::new();
    match (stddev, stats.stddev) {
        (Some(at), None) if processing.is_none() => {
            // The one takes the place of the other.
            let (key, value) = &entries[at];
            let text = format!("processing: {average}");
            edits.push(Edit { start: key.place.start, end: value.place.end, text });
            return;
        }
        (Some(at), Some(deviation)) => edits.push(replace_value(&entries[at].1, deviation.to_string())),
        (Some(at), None) => edits.push(removal(text, entries, at, flow)),
        (None, Some(deviation)) => {
            after_processing = format!("{}stddev: {}", separator(text, entries, flow), deviation);
        }
        (None, None) => {}
    }
    match processing {
        Some(at) => {
            let (key, value) = &entries[at];
            edits.push(Edit { start: key.place.start, end: key.place.end, text: "processing".to_owned() });
            edits.push(replace_value(value, average + &after_processing));
        }
        None => {
            let start = match entries.first() {
                Some((first, _)) => first.place.start,
                // `{}`
                None => block.place.start + 1,
            };
            let end = if entries.is_empty() { String::new() } else { separator(text, entries, flow) };
            edits.push(Edit {
                start,
                end: start,
                text: format!("processing: {average}{after_processing}{end}"),
            });
        }
    }
}

fn replace_value(node: &Node, text: String) -> Edit {
    Edit { start: node.place.start, end: node.place.end, text }
}

/// What stands between two entries.
fn separator(text: &str, entries: &[(Key, Node)], flow: bool) -> String {
    match entries.first() {
        Some((first, _)) if !flow => {
            let line = text[..first.place.start].rfind('\n').map_or(0, |at| at + 1);
            format!("\n{}", " ".repeat(first.place.start - line))
        }
        _ => ", ".to_owned(),
    }
}

/// Takes out an entry, with what separates it from the next, or else from the one before.
fn removal(text: &str, entries: &[(Key, Node)], at: usize, flow: bool) -> Edit {
    let (key, value) = &entries[at];
    let text_end = value.place.end;
    match (entries.get(at + 1), at.checked_sub(1).and_then(|before| entries.get(before))) {
        (Some((next, _)), _) if flow => {
            Edit { start: key.place.start, end: next.place.start, text: String::new() }
        }
        (_, Some((_, before))) if flow => {
            Edit { start: before.place.end, end: text_end, text: String::new() }
        }
        _ if flow => Edit { start: key.place.start, end: text_end, text: String::new() },
        _ => {
            // The whole line, with a comment that may follow.
            let start = text[..key.place.start].rfind('\n').map_or(0, |at| at + 1);
            let end = text[text_end..].find('\n').map_or(text.len(), |at| text_end + at + 1);
            Edit { start, end, text: String::new() }
        }
    }
}

impl JobStats {
    /// Milliseconds are enough.
    fn rounded(self) -> Self {
        let round = |seconds: f64| (seconds * 1000.0).round() / 1000.0;
        Self { average: round(self.average), stddev: self.stddev.map(round) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Environment};

    fn edited(text: &str, stats: &[(&str, f64, Option<f64>)]) -> String {
        let stats = stats
            .iter()
            .map(|(role, average, stddev)| (*role, JobStats { average: *average, stddev: *stddev }));
        let (text, unknown) = update_job_stats(text, stats).unwrap();
        assert!(unknown.is_empty(), "{unknown:?}");
        Config::parse(&text, &Environment::default(), &[]).strict().unwrap_or_else(|e| panic!("{e}\n{text}"));
        text
    }

    #[test]
    fn comments_order_and_style_stay() {
        let text = "# how we scale\n'*': {min: 5} # all\n\nimages: # the slow ones\n  # measured in May\n  p: 30 # seconds\n  max: 10\n  stddev: 4\n  deadline: 300\ntexts: {queue: t, p: 3}\n";
        insta::assert_snapshot!(edited(text, &[("texts", 2.5, Some(1.0)), ("images", 25.12345, Some(6.0))]), @r"
        # how we scale
        '*': {min: 5} # all

        images: # the slow ones
          # measured in May
          processing: 25.123 # seconds
          max: 10
          stddev: 6
          deadline: 300
        texts: {queue: t, processing: 2.5, stddev: 1}
        ");
    }

    #[test]
    fn a_stale_deviation_is_dropped_and_missing_keys_are_added() {
        assert_eq!(edited("a: {stddev: 4, max: 3}", &[("a", 2.0, None)]), "a: {processing: 2, max: 3}");
        assert_eq!(edited("a: {max: 3, p: 1, stddev: 4}", &[("a", 2.0, None)]), "a: {max: 3, processing: 2}");
        assert_eq!(edited("a: {}", &[("a", 2.0, Some(1.0))]), "a: {processing: 2, stddev: 1}");
        assert_eq!(edited("a:\nb: {}", &[("a", 2.0, Some(1.0))]), "a: {processing: 2, stddev: 1}\nb: {}");
        assert_eq!(
            edited("a:\n  max: 3\n  stddev: 4 # old\n", &[("a", 2.0, None)]),
            "a:\n  max: 3\n  processing: 2 # old\n"
        );
        assert_eq!(edited("a:\n  stddev: 4 # old\n  p: 3\n", &[("a", 2.0, None)]), "a:\n  processing: 2\n");
        assert_eq!(
            edited("a:\n  max: 3\n", &[("a", 2.0, Some(0.5))]),
            "a:\n  processing: 2\n  stddev: 0.5\n  max: 3\n"
        );
    }

    #[test]
    fn what_roles_share_is_not_changed_for_one_of_them() {
        let said = |text, role| {
            update_job_stats(text, [(role, JobStats { average: 2.0, stddev: None })]).unwrap_err().to_string()
        };
        let shared = "a: &a {p: 3, max: 4}\nb: *a\n";
        assert_eq!(
            said(shared, "a"),
            "2:1: error: role `b` is written in a way in which it cannot be changed; write its keys out, without an anchor or alias of YAML"
        );
        assert!(said(shared, "b").starts_with("2:1: error: role `b`"), "{}", said(shared, "b"));
        let merged = "a: &a {p: 3}\nb:\n  <<: *a\n  max: 4\n";
        assert!(said(merged, "a").contains("role `b`"), "{}", said(merged, "a"));
    }

    #[test]
    fn who_is_not_there_is_named() {
        let stats = [("b", JobStats { average: 1.0, stddev: None })];
        assert_eq!(update_job_stats("a: {}", stats).unwrap(), ("a: {}".to_owned(), vec!["b"]));
    }
}
