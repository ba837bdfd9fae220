//! Commands with places to be filled in, such as `#ROLE`.
//!
//! What is filled in comes from graphs that strangers may edit, and a command may be given to a shell. So every value is quoted
//! for the shell, by where it stands in the template: it is always a part of one word.

use std::collections::BTreeMap;

/// The quotes around a place in a template.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    None,
    Single,
    Double,
}

/// Replaces every `#NAME` that has a value; the longest name that fits wins. `trusted` values are text of the library and
/// taken as they are; `values` are quoted.
pub(super) fn fill(
    template: &str,
    trusted: &BTreeMap<String, String>,
    values: &BTreeMap<&str, String>,
) -> String {
    let template = replace(template, |after, _| {
        let fits = trusted.iter().filter(|(name, _)| after.starts_with(name.as_str()));
        let longest = fits.max_by_key(|(name, _)| name.len())?;
        let hidden = values.keys().any(|name| name.len() > longest.0.len() && after.starts_with(name));
        (!hidden).then(|| (longest.0.len(), longest.1.clone()))
    });
    replace(&template, |after, quotes| {
        let fits = values.iter().filter(|(name, _)| after.starts_with(**name));
        let (name, value) = fits.max_by_key(|(name, _)| name.len())?;
        Some((name.len(), quoted(value, quotes)))
    })
}

/// Goes through the template, and asks at each `#` what stands for how many of the bytes after it.
fn replace(template: &str, value: impl Fn(&str, Quotes) -> Option<(usize, String)>) -> String {
    let mut text = String::new();
    let mut quotes = Quotes::None;
    let mut rest = template;
    while let Some(next) = rest.chars().next() {
        let after = &rest[next.len_utf8()..];
        if next == '#'
            && let Some((length, value)) = value(after, quotes)
        {
            text.push_str(&value);
            rest = &after[length..];
            continue;
        }
        text.push(next);
        rest = after;
        quotes = match (quotes, next) {
            (Quotes::None | Quotes::Double, '\\') => {
                if let Some(escaped) = rest.chars().next().filter(|escaped| *escaped != '#') {
                    text.push(escaped);
                    rest = &rest[escaped.len_utf8()..];
                }
                quotes
            }
            (Quotes::None, '\'') => Quotes::Single,
            (Quotes::None, '"') => Quotes::Double,
            (Quotes::Single, '\'') | (Quotes::Double, '"') => Quotes::None,
            _ => quotes,
        };
    }
    text
}

fn quoted(value: &str, quotes: Quotes) -> String {
    match quotes {
        Quotes::None if !value.is_empty() && value.chars().all(is_plain) => value.to_owned(),
        Quotes::None => format!("'{}'", value.replace('\'', r"'\''")),
        Quotes::Single => value.replace('\'', r"'\''"),
        Quotes::Double => {
            let special = |c: char| matches!(c, '\\' | '"' | '$' | '`');
            value.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
        }
    }
}

/// Whether a character means nothing but itself to a shell, wherever it stands.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(template: &str, role: &str) -> String {
        let trusted = [("BIN".to_owned(), "out/bin".to_owned())].into();
        fill(template, &trusted, &[("ROLE", role.to_owned()), ("ROLES", format!("A={role}"))].into())
    }

    #[test]
    fn the_longest_name_wins_and_others_stay() {
        assert_eq!(filled("#BIN/x --role #ROLE --roles #ROLES #1", "a"), "out/bin/x --role a --roles A=a #1");
    }

    #[test]
    fn a_value_is_a_part_of_one_word_wherever_it_stands() {
        for (template, word) in [
            ("x #ROLE", "v"),
            ("x '#ROLE'", "v"),
            ("x \"#ROLE\"", "v"),
            ("x --role=#ROLE", "--role=v"),
            ("x '<#ROLE>'", "<v>"),
            ("x \"<#ROLE>\"", "<v>"),
        ] {
            for role in ["a b", "a'; rm -rf / #", "$(id)`id`", "\"\\", "{\"in\": 'x'}"] {
                let words = shell_words::split(&filled(template, role)).unwrap();
                assert_eq!(words, ["x".to_owned(), word.replace('v', role)], "{template}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_value_leaves_its_word(role in "[^\0]{1,40}", template in prop::sample::select(vec!["x #ROLE", "x '#ROLE'", "x \"#ROLE\""])) {
            prop_assert_eq!(shell_words::split(&filled(template, &role)).unwrap(), ["x".to_owned(), role]);
        }
    }
}
