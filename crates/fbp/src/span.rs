//! Places in a text: byte ranges for machines, lines and columns for people.

use std::ops::Range;

/// A range of bytes in the text that was parsed; always on character boundaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

impl Span {
    /// How many bytes it covers.
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether it marks a point between two bytes.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

impl From<Span> for Range<usize> {
    fn from(span: Span) -> Self {
        span.start..span.end
    }
}

/// A place as an editor shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

/// Where the lines of a text begin, to turn offsets into positions.
///
/// Lines end as the .fbp language ends them: `\n`, `\r`, `\r\n` (one line end), U+2028 and U+2029.
#[derive(Clone, Debug)]
pub struct LineIndex<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> LineIndex<'t> {
    /// Finds the lines of the text.
    pub fn new(text: &'t str) -> Self {
        let mut starts = vec![0];
        let mut characters = text.char_indices().peekable();
        while let Some((offset, character)) = characters.next() {
            let ends_line = match character {
                '\r' => characters.peek().is_none_or(|(_, next)| *next != '\n'),
                other => is_newline(other),
            };
            if ends_line {
                starts.push(offset + character.len_utf8());
            }
        }
        Self { text, starts }
    }

    /// The position of a byte; one past the end of the text is the end.
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.starts.partition_point(|start| *start <= offset);
        // The first line starts at 0, so at least one start is not behind any offset.
        let start = self.starts[line - 1];
        Position { line, column: self.text[start..offset].chars().count() + 1 }
    }
}

/// Whether the character ends a line in the .fbp language.
pub(crate) fn is_newline(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_every_kind_of_line_end() {
        let text = "é1\nb\r\nc\rd\u{2028}e";
        let index = LineIndex::new(text);
        let at = |needle: &str| {
            let position = index.position(text.find(needle).unwrap());
            (position.line, position.column)
        };
        assert_eq!(at("1"), (1, 2));
        assert_eq!(at("b"), (2, 1));
        assert_eq!(at("c"), (3, 1));
        assert_eq!(at("d"), (4, 1));
        assert_eq!(at("e"), (5, 1));
        assert_eq!(index.position(text.len() + 7), Position { line: 5, column: 2 });
    }
}
