//! Field tables as raw bytes: checked, searched and edited without being rebuilt.
//!
//! Invariant: what [`check`] accepted, [`Entries`] walks to its end. Types are those of RabbitMQ's dialect (`s` is a
//! 16-bit integer; `l` and `L` are both 64-bit integers).

use amq_protocol::types::parsing::parse_value;
use amq_protocol::types::{AMQPValue, generation::gen_value};
use thiserror::Error;

/// How deep tables and arrays may nest.
pub(crate) const DEPTH_MAX: usize = 32;

/// A table that is cut short, holds an unknown field type or a name that is not UTF-8, or nests too deeply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("malformed field table")]
pub(crate) struct Malformed;

/// Checks the entries of a table (without its length prefix).
pub(crate) fn check(entries: &[u8]) -> Result<(), Malformed> {
    check_table(entries, DEPTH_MAX)
}

fn check_table(mut bytes: &[u8], depth: usize) -> Result<(), Malformed> {
    while !bytes.is_empty() {
        let (name, rest) = short_string(bytes)?;
        // A client that is handed such a name ends its connection, and would do so again with the next message.
        str::from_utf8(name).map_err(|_| Malformed)?;
        bytes = check_value(rest, depth)?;
    }
    Ok(())
}

fn check_value(bytes: &[u8], depth: usize) -> Result<&[u8], Malformed> {
    let (&kind, rest) = bytes.split_first().ok_or(Malformed)?;
    match kind {
        b'F' | b'A' => {
            let depth = depth.checked_sub(1).ok_or(Malformed)?;
            let (mut inner, rest) = long_string(rest)?;
            if kind == b'F' {
                check_table(inner, depth)?;
            } else {
                while !inner.is_empty() {
                    inner = check_value(inner, depth)?;
                }
            }
            Ok(rest)
        }
        _ => skip_value(bytes).map(|(_, rest)| rest),
    }
}

/// Splits a value, its type byte included, from what follows it. Nested content is skipped, not checked.
fn skip_value(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (&kind, rest) = bytes.split_first().ok_or(Malformed)?;
    let size = match kind {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'U' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'L' | b'l' | b'd' | b'T' => 8,
        b'S' | b'x' | b'A' | b'F' => 4 + long_string(rest)?.0.len(),
        _ => return Err(Malformed),
    };
    bytes.split_at_checked(1 + size).ok_or(Malformed)
}

/// Splits a short string (one length byte) from what follows it.
pub(crate) fn short_string(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (&length, rest) = bytes.split_first().ok_or(Malformed)?;
    rest.split_at_checked(usize::from(length)).ok_or(Malformed)
}

/// Splits a long string (four length bytes) from what follows it; tables have the same form.
pub(crate) fn long_string(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(Malformed)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Malformed)?;
    rest.split_at_checked(length).ok_or(Malformed)
}

/// The entries of a checked table: key, and value with its type byte. Ends early where the table is malformed.
pub(crate) struct Entries<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = short_string(self.0).ok()?;
        let (value, rest) = skip_value(rest).ok()?;
        self.0 = rest;
        Some((key, value))
    }
}

/// The raw value (type byte first) under a key.
pub(crate) fn find<'a>(entries: &'a [u8], key: &str) -> Option<&'a [u8]> {
    Entries(entries).find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
}

/// Parses one raw value; `None` for what the codec cannot represent (a text that is not UTF-8 as a nested key).
///
/// The value must come from a checked table: the codec itself recurses without a limit.
pub(crate) fn value(raw: &[u8]) -> Option<AMQPValue> {
    parse_value(raw).ok().map(|(_, value)| value)
}

/// Appends an entry whose value is already encoded, its type byte first.
pub(crate) fn append_raw(entries: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    entries.push(
        u8::try_from(key.len()).expect("keys are constants or come from a table, so shorter than 256 bytes"),
    );
    entries.extend_from_slice(key);
    entries.extend_from_slice(value);
}

/// Appends one entry to the bytes of a table.
pub(crate) fn append(entries: &mut Vec<u8>, key: &str, value: &AMQPValue) {
    let context = gen_value(value)(Vec::new().into()).expect("writing to a vector cannot fail");
    append_raw(entries, key.as_bytes(), &context.into_inner().0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Vec<u8> {
        let mut inner = Vec::new();
        for _ in 0..levels {
            let mut outer = vec![1, b'k', b'F'];
            outer.extend_from_slice(&u32::try_from(inner.len()).unwrap().to_be_bytes());
            outer.extend_from_slice(&inner);
            inner = outer;
        }
        inner
    }

    #[test]
    fn nesting_is_limited() {
        assert_eq!(check(&nested(DEPTH_MAX)), Ok(()));
        assert_eq!(check(&nested(DEPTH_MAX + 1)), Err(Malformed));
        assert_eq!(check(&nested(20_000)), Err(Malformed));
    }

    #[test]
    fn a_name_that_is_not_text_is_malformed() {
        let named = |name: &[u8]| [&[1], name, &[b't', 1]].concat();
        assert_eq!(check(&named(b"k")), Ok(()));
        assert_eq!(check(&named(&[0x93])), Err(Malformed));
    }

    #[test]
    fn every_cut_of_a_table_is_malformed_or_whole_entries() {
        let mut entries = Vec::new();
        append(&mut entries, "text", &AMQPValue::LongString("abc".into()));
        let first = entries.len();
        append(
            &mut entries,
            "list",
            &AMQPValue::FieldArray(vec![AMQPValue::Boolean(true), AMQPValue::Void].into()),
        );
        assert_eq!(check(&entries), Ok(()));
        for cut in 1..entries.len() {
            assert_eq!(check(&entries[..cut]).is_ok(), cut == first, "cut at {cut}");
        }
    }

    #[test]
    fn finds_and_parses_values() {
        let mut entries = Vec::new();
        append(&mut entries, "a", &AMQPValue::LongInt(7));
        append(&mut entries, "b", &AMQPValue::LongString("x".into()));
        assert_eq!(find(&entries, "b").and_then(value), Some(AMQPValue::LongString("x".into())));
        assert_eq!(find(&entries, "c"), None);
    }
}
