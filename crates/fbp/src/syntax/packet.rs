//! Initial packets: text in quotes, or any JSON value that is not a bare word.

use serde_json::Value;
use winnow::Parser;
use winnow::combinator::{alt, opt};
use winnow::error::ErrMode;
use winnow::stream::Location;
use winnow::token::{literal, one_of, take_while};

use super::{Failure, Input, Parsed, Spanned, skip};
use crate::diagnostic::Cause;
use crate::span::Span;

/// Whether a packet begins here.
pub(super) fn is_packet(input: &Input<'_>) -> bool {
    input.starts_with(|first: char| matches!(first, '\'' | '"' | '{' | '[' | '-') || first.is_ascii_digit())
}

/// The packet that begins here.
pub(super) fn packet(input: &mut Input<'_>) -> Parsed<Spanned<Value>> {
    let start = input.current_token_start();
    let value = if input.starts_with('\'') { text(input)? } else { json(input)? };
    Ok(Spanned { value, span: Span { start, end: input.previous_token_end() } })
}

/// `'text'`, where `\'` is a quote and every other backslash is itself.
fn text(input: &mut Input<'_>) -> Parsed<Value> {
    let inner = &input[1..];
    let mut text = String::new();
    let mut characters = inner.char_indices().peekable();
    while let Some((offset, character)) = characters.next() {
        match character {
            '\'' => {
                skip(input, 1 + offset + 1);
                return Ok(Value::String(text));
            }
            '\\' if characters.next_if(|(_, next)| *next == '\'').is_some() => text.push('\''),
            other => text.push(other),
        }
    }
    Err(ErrMode::Cut(Failure {
        cause: Cause::UnclosedText,
        span: Span { start: start(input), end: start(input) + 1 },
    }))
}

/// A JSON value. The white space behind it, which in JSON includes line ends, is part of it if an arrow follows.
fn json(input: &mut Input<'_>) -> Parsed<Value> {
    let begins = start(input);
    let text: &str = input;
    let (value, len) = if text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        let number = number.take().parse_next(input)?;
        (serde_json::from_str(number), number.len())
    } else {
        let mut values = serde_json::Deserializer::from_str(text).into_iter();
        let value = values.next().unwrap_or(Ok(Value::Null));
        let len = values.byte_offset();
        if value.is_ok() {
            skip(input, len);
        }
        (value, len)
    };
    match value {
        Ok(value) => Ok(value),
        Err(error) => {
            let offset = if error.is_eof() { 0 } else { offset_of(&error, text).max(len.min(1)) };
            let span = text[offset..].chars().next().map_or(0, char::len_utf8);
            let span = Span { start: begins + offset, end: begins + offset + span };
            Err(ErrMode::Cut(Failure { cause: Cause::Json(message_of(&error)), span }))
        }
    }
}

fn number<'t>(input: &mut Input<'t>) -> Parsed<()> {
    let digits = || take_while(1.., |character: char| character.is_ascii_digit());
    let exponent = (one_of(['e', 'E']), opt(one_of(['+', '-'])), digits());
    let whole = alt((literal("0"), digits()));
    (opt(literal("-")), whole, opt((literal("."), digits())), opt(exponent)).void().parse_next(input)
}

fn start(input: &Input<'_>) -> usize {
    input.current_token_start()
}

/// The byte that a JSON error is about.
pub(crate) fn offset_of(error: &serde_json::Error, text: &str) -> usize {
    let line_start: usize =
        text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    // The column counts the bytes that were read, and the last of them is the wrong one.
    text.floor_char_boundary((line_start + error.column().saturating_sub(1)).min(text.len()))
}

/// What a JSON error says, without the position that it repeats.
pub(crate) fn message_of(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message,
    }
}
