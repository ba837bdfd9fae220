//! The statements of .fbp text, as they are written: what they mean together is decided in `resolve.rs`.
//!
//! The grammar is that of flowbased/fbp 1.8, scannerless, with these liberties: spaces may stand at the end of a line
//! and of the text, `a->b` needs no spaces, and a bare node in the middle of a chain keeps its incoming edge.

mod chain;
mod packet;
mod part;

use winnow::Parser;
use winnow::combinator::{alt, opt, preceded};
use winnow::error::{ErrMode, ParserError};
use winnow::stream::{LocatingSlice, Location, Stream};
use winnow::token::{any, literal, take_till, take_while};

use crate::diagnostic::Cause;
use crate::fact::Fact;
use crate::language;
use crate::span::{Span, is_newline};
use part::{node, port_name};

pub(crate) use chain::{Element, Hop};
pub(crate) use packet::{message_of, offset_of};
pub(crate) use part::{Component, NodeRef, PortRef};

pub(crate) type Input<'t> = LocatingSlice<&'t str>;
type Parsed<T> = Result<T, ErrMode<Failure>>;

/// Why a statement could not be read.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) span: Span,
}

impl<'t> ParserError<Input<'t>> for Failure {
    type Inner = Self;

    fn from_input(input: &Input<'t>) -> Self {
        expected("a statement", input)
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}

/// A part of the text with its place.
#[derive(Clone, Debug)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// One thing in the text, in its order.
#[derive(Debug)]
pub(crate) enum Item<'t> {
    /// `# …`. Trailing ones follow a statement on its line.
    Comment { text: &'t str, trailing: bool },
    /// `# @key value`.
    Annotation { key: &'t str, value: &'t str },
    /// `# @key {…}`.
    Fact(Spanned<Box<Fact>>),
    /// `INPORT=node.PORT:PUBLIC`.
    Inport(Export<'t>),
    /// `OUTPORT=node.PORT:PUBLIC`.
    Outport(Export<'t>),
    /// `DEFAULT_INPORT=NAME`.
    DefaultInport(&'t str),
    /// `DEFAULT_OUTPORT=NAME`.
    DefaultOutport(&'t str),
    /// Nodes and packets with arrows between them; never empty.
    Chain(Vec<Hop<'t>>),
}

/// What follows `INPORT=` and `OUTPORT=`.
#[derive(Debug)]
pub(crate) struct Export<'t> {
    pub(crate) node: NodeRef<'t>,
    pub(crate) port: &'t str,
    pub(crate) public: &'t str,
}

/// Splits the text into its items. A statement that cannot be read is reported and skipped to the end of its line.
pub(crate) fn items(text: &str) -> (Vec<Item<'_>>, Vec<Failure>) {
    let mut input = LocatingSlice::new(text);
    let (mut items, mut failures) = (Vec::new(), Vec::new());
    let mut at_line_start = true;
    loop {
        spaces(&mut input);
        let Some(next) = input.chars().next() else { return (items, failures) };
        let column_0 = at_line_start && !preceded_by_space(text, &input);
        at_line_start = false;
        if is_newline(next) {
            newline(&mut input);
            at_line_start = true;
        } else if next == '#' {
            items.push(comment_or_annotation(&mut input, column_0));
        } else {
            match statement(&mut input) {
                Ok(item) => {
                    items.push(item);
                    end_of_statement(&mut input, &mut items);
                }
                Err(ErrMode::Backtrack(failure) | ErrMode::Cut(failure)) => {
                    failures.push(failure);
                    take_till::<_, _, ErrMode<Failure>>(0.., is_newline).parse_next(&mut input).ok();
                }
                // The whole text is there, so no parser asks for more.
                Err(ErrMode::Incomplete(_)) => return (items, failures),
            }
            if failures.len() >= language::MAX_DIAGNOSTICS {
                return (items, failures);
            }
        }
    }
}

fn preceded_by_space(text: &str, input: &Input<'_>) -> bool {
    text[..input.current_token_start()].ends_with(' ')
}

fn statement<'t>(input: &mut Input<'t>) -> Parsed<Item<'t>> {
    if let Some(keyword) = opt(literal("EXPORT=").span()).parse_next(input)? {
        return Err(ErrMode::Cut(Failure { cause: Cause::Export, span: keyword.into() }));
    }
    alt((
        preceded("INPORT=", export).map(Item::Inport),
        preceded("OUTPORT=", export).map(Item::Outport),
        preceded("DEFAULT_INPORT=", expect("the name of a port", port_name)).map(Item::DefaultInport),
        preceded("DEFAULT_OUTPORT=", expect("the name of a port", port_name)).map(Item::DefaultOutport),
        chain::chain.map(Item::Chain),
    ))
    .parse_next(input)
}

fn export<'t>(input: &mut Input<'t>) -> Parsed<Export<'t>> {
    let node = expect("a node", node).parse_next(input)?;
    expect("`.` and a port", literal(".")).parse_next(input)?;
    let port = expect("the name of a port", port_name).parse_next(input)?;
    expect("`:` and the public name", literal(":")).parse_next(input)?;
    let public = expect("the public name", port_name).parse_next(input)?;
    Ok(Export { node, port, public })
}

/// The optional comma and comment behind a statement.
fn end_of_statement<'t>(input: &mut Input<'t>, items: &mut Vec<Item<'t>>) {
    spaces(input);
    if input.starts_with(',') {
        skip(input, 1);
        spaces(input);
    }
    if input.starts_with('#') {
        let Item::Comment { text, .. } = comment_or_annotation(input, false) else { return };
        items.push(Item::Comment { text, trailing: true });
    }
}

/// A comment, or in column 0 an annotation if the whole line is one. The input is at `#`.
fn comment_or_annotation<'t>(input: &mut Input<'t>, column_0: bool) -> Item<'t> {
    let line: &'t str = input.split(is_newline).next().unwrap_or_default();
    let start = input.current_token_start();
    skip(input, line.len());
    if column_0 && let Some((key, value)) = annotation(line) {
        return Item::Annotation { key, value };
    }
    if column_0 && let Some(fact) = Fact::parse(line) {
        return Item::Fact(Spanned { value: Box::new(fact), span: Span { start, end: start + line.len() } });
    }
    Item::Comment { text: &line[1..], trailing: false }
}

/// The key and the value of `# @key value`.
pub(crate) fn annotation(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.strip_prefix("# ")?.trim_start_matches(' ').strip_prefix('@')?.split_once(' ')?;
    let value = value.trim_start_matches(' ');
    (language::is_annotation_key(key) && language::is_annotation_value(value)).then_some((key, value))
}

fn newline(input: &mut Input<'_>) {
    any::<_, ErrMode<Failure>>.parse_next(input).ok();
}

/// Skips spaces and says whether there were any.
fn spaces(input: &mut Input<'_>) -> bool {
    take_while::<_, _, ErrMode<Failure>>(0.., ' ').parse_next(input).is_ok_and(|skipped| !skipped.is_empty())
}

/// Skips bytes that the caller has seen.
fn skip(input: &mut Input<'_>, bytes: usize) {
    input.next_slice(bytes);
}

/// What stands there instead of what could.
fn expected(expected: &'static str, input: &Input<'_>) -> Failure {
    let found = input.chars().next();
    let start = input.current_token_start();
    let span = Span { start, end: start + found.map_or(0, char::len_utf8) };
    Failure { cause: Cause::Unexpected { expected, found }, span }
}

/// Makes a parser mandatory: where it fails, nothing else is tried.
fn expect<'t, T>(
    what: &'static str,
    mut parser: impl Parser<Input<'t>, T, ErrMode<Failure>>,
) -> impl Parser<Input<'t>, T, ErrMode<Failure>> {
    move |input: &mut Input<'t>| {
        let start = input.checkpoint();
        parser.parse_next(input).map_err(|error| match error {
            ErrMode::Backtrack(_) => {
                input.reset(&start);
                ErrMode::Cut(expected(what, input))
            }
            cut => cut,
        })
    }
}
