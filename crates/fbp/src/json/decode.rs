//! From JSON text to a graph, reporting everything of a wrong shape at once.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::raw::{Key, Members, key_span, span_of};
use crate::diagnostic::{Cause, Diagnostic, Error};
use crate::language::MAX_INPUT;
use crate::spans::{ConnectionSpans, EndpointSpans, NodeSpans};
use crate::syntax::{message_of, offset_of};
use crate::{
    Connection, Edge, Endpoint, ExportedPort, Graph, Group, Initial, LineIndex, Metadata, Process, Span,
};
use crate::{Parsed, PortName, Spans};

/// Reads the whole text.
pub(super) fn decode(text: &str) -> Result<Parsed, Error> {
    if text.len() > MAX_INPUT {
        return Err(Error::too_large());
    }
    let mut decoder = Decoder {
        text,
        lines: LineIndex::new(text),
        graph: Graph::default(),
        spans: Spans::default(),
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    if let Some(raw) = decoder.value::<&RawValue>(text, text, "the graph") {
        decoder.graph(raw);
    }
    Error::gather(decoder.errors)?;
    Error::gather(decoder.spans.diagnose(&decoder.graph, &decoder.lines))?;
    let Decoder { graph, spans, mut warnings, lines, .. } = decoder;
    warnings.extend(spans.repeated(&graph, &lines));
    Ok(Parsed { graph, spans, comments: Vec::new(), warnings })
}

struct Decoder<'t> {
    text: &'t str,
    lines: LineIndex<'t>,
    graph: Graph,
    spans: Spans,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl<'t> Decoder<'t> {
    fn graph(&mut self, raw: &'t RawValue) {
        let (mut known, mut unknown) = (false, false);
        for (key, value) in self.members("the graph", raw) {
            match &*key.0 {
                "caseSensitive" => {
                    self.graph.case_sensitive =
                        self.of_kind("caseSensitive", "true or false", value).unwrap_or_default();
                }
                "properties" => self.graph.properties = self.metadata("properties", value),
                "inports" => {
                    for (public, export, span) in self.exports("inports", value) {
                        self.spans.inports.insert(public.clone(), span);
                        self.graph.inports.insert(public, export);
                    }
                }
                "outports" => {
                    for (public, export, span) in self.exports("outports", value) {
                        self.spans.outports.insert(public.clone(), span);
                        self.graph.outports.insert(public, export);
                    }
                }
                "groups" => self.groups(value),
                "processes" => self.processes(value),
                "connections" => self.connections(value),
                _ => {
                    self.unknown("the graph", &key, value);
                    unknown = true;
                    continue;
                }
            }
            known = true;
        }
        if unknown && !known {
            // Another file: a package.json, say.
            self.required(None::<()>, "the graph", "processes", raw);
        }
    }

    fn processes(&mut self, raw: &'t RawValue) {
        for (name, value) in self.members("processes", raw) {
            let path = format!("processes.{}", name.0);
            let mut process = Process::default();
            let mut spans = NodeSpans { name: key_span(self.text, &name, value), component: None };
            for (key, value) in self.members(&path, value) {
                match &*key.0 {
                    "component" => {
                        process.component = self.string(&format!("{path}.component"), value).into();
                        spans.component = Some(self.inside(value));
                    }
                    "metadata" => process.metadata = self.metadata(&format!("{path}.metadata"), value),
                    _ => self.unknown(&path, &key, value),
                }
            }
            self.spans.nodes.insert(name.0.as_ref().into(), spans);
            self.graph.processes.insert(name.0.as_ref().into(), process);
        }
    }

    fn exports(&mut self, list: &str, raw: &'t RawValue) -> Vec<(PortName, ExportedPort, Span)> {
        let mut exports = Vec::new();
        for (public, value) in self.members(list, raw) {
            let path = format!("{list}.{}", public.0);
            let (mut process, mut port, mut metadata) = (None, None, Metadata::new());
            for (key, value) in self.members(&path, value) {
                match &*key.0 {
                    "process" => {
                        process = Some((self.string(&format!("{path}.process"), value), self.inside(value)))
                    }
                    "port" => port = Some(self.string(&format!("{path}.port"), value)),
                    "metadata" => metadata = self.metadata(&format!("{path}.metadata"), value),
                    _ => self.unknown(&path, &key, value),
                }
            }
            let (Some((process, span)), Some(port)) =
                (self.required(process, &path, "process", value), self.required(port, &path, "port", value))
            else {
                continue;
            };
            let export = ExportedPort { process: process.into(), port: port.into(), metadata };
            exports.push((public.0.as_ref().into(), export, span));
        }
        exports
    }

    fn groups(&mut self, raw: &'t RawValue) {
        for (index, value) in self.elements("groups", raw).into_iter().enumerate() {
            let path = format!("groups[{index}]");
            let mut group = Group::default();
            for (key, value) in self.members(&path, value) {
                match &*key.0 {
                    "name" => group.name = self.string(&format!("{path}.name"), value),
                    "nodes" => {
                        let nodes = self.elements(&format!("{path}.nodes"), value).into_iter().enumerate();
                        group.nodes = nodes
                            .map(|(at, node)| self.string(&format!("{path}.nodes[{at}]"), node).into())
                            .collect();
                    }
                    "metadata" => group.metadata = self.metadata(&format!("{path}.metadata"), value),
                    _ => self.unknown(&path, &key, value),
                }
            }
            self.graph.groups.push(group);
        }
    }

    fn connections(&mut self, raw: &'t RawValue) {
        for (index, value) in self.elements("connections", raw).into_iter().enumerate() {
            let path = format!("connections[{index}]");
            let (mut src, mut tgt, mut data, mut metadata) = (None, None, None, Metadata::new());
            for (key, value) in self.members(&path, value) {
                match &*key.0 {
                    "src" if is_null(value) => {}
                    "src" => src = Some(self.endpoint(&format!("{path}.src"), value)),
                    "tgt" => tgt = Some(self.endpoint(&format!("{path}.tgt"), value)),
                    "data" => data = self.of_kind::<Value>(&path, "JSON", value).map(|data| (data, value)),
                    "metadata" => metadata = self.metadata(&format!("{path}.metadata"), value),
                    _ => self.unknown(&path, &key, value),
                }
            }
            let Some(tgt) = self.required(tgt, &path, "tgt", value) else { continue };
            let connection = match (src, data) {
                (Some(_), Some((data, raw))) if !data.is_null() => {
                    let expected = "left out of an edge, which has a `src`";
                    self.shape(&format!("{path}.data"), expected, raw);
                    continue;
                }
                (None, Some((data, raw))) => tgt.map(|(tgt, tgt_span)| {
                    let spans = ConnectionSpans {
                        src: None,
                        data: Some(span_of(self.text, raw.get())),
                        tgt: tgt_span,
                    };
                    (Connection::from(Initial { data, tgt, metadata }), spans)
                }),
                (src, _) => self.required(src, &path, "src", value).flatten().zip(tgt).map(|(src, tgt)| {
                    let spans = ConnectionSpans { src: Some(src.1), data: None, tgt: tgt.1 };
                    (Connection::from(Edge { src: src.0, tgt: tgt.0, metadata }), spans)
                }),
            };
            let Some((connection, spans)) = connection else { continue };
            self.graph.connections.push(connection);
            self.spans.connections.push(spans);
        }
    }

    fn endpoint(&mut self, path: &str, raw: &'t RawValue) -> Option<(Endpoint, EndpointSpans)> {
        let (mut process, mut port, mut index) = (None, None, None);
        for (key, value) in self.members(path, raw) {
            match &*key.0 {
                "process" => {
                    process = Some((self.string(&format!("{path}.process"), value), self.inside(value)))
                }
                "port" => port = Some((self.string(&format!("{path}.port"), value), self.inside(value))),
                "index" => {
                    index = self.of_kind(&format!("{path}.index"), "a whole number from 0", value).flatten();
                }
                _ => self.unknown(path, &key, value),
            }
        }
        let process = self.required(process, path, "process", raw);
        let port = self.required(port, path, "port", raw);
        let ((process, node), (port, span)) = process.zip(port)?;
        let endpoint = Endpoint { process: process.into(), port: port.into(), index };
        Some((endpoint, EndpointSpans { node, port: Some(span) }))
    }

    fn metadata(&mut self, path: &str, raw: &'t RawValue) -> Metadata {
        self.of_kind::<Option<Metadata>>(path, "an object", raw).flatten().unwrap_or_default()
    }

    fn string(&mut self, path: &str, raw: &'t RawValue) -> String {
        self.of_kind(path, "text", raw).unwrap_or_default()
    }

    fn members(&mut self, path: &str, raw: &'t RawValue) -> Vec<(Key<'t>, &'t RawValue)> {
        self.of_kind::<Members<'t>>(path, "an object", raw).map(|members| members.0).unwrap_or_default()
    }

    fn elements(&mut self, path: &str, raw: &'t RawValue) -> Vec<&'t RawValue> {
        self.of_kind(path, "a list", raw).unwrap_or_default()
    }

    /// The value as one of the expected kind, or an error at its place.
    fn of_kind<T: Deserialize<'t>>(
        &mut self,
        path: &str,
        expected: &'static str,
        raw: &'t RawValue,
    ) -> Option<T> {
        self.value(raw.get(), path, expected)
    }

    fn value<T: Deserialize<'t>>(&mut self, slice: &'t str, path: &str, expected: &'static str) -> Option<T> {
        serde_json::from_str(slice)
            .map_err(|error| {
                let whole = span_of(self.text, slice);
                let (cause, span) = if error.is_data() {
                    (Cause::Shape { path: path.to_owned(), expected }, whole)
                } else {
                    let start = whole.start + offset_of(&error, slice);
                    let len = self.text[start..].chars().next().map_or(0, char::len_utf8);
                    (Cause::Json(message_of(&error)), Span { start, end: start + len })
                };
                Diagnostic::report(cause, span, &self.lines, &mut self.errors);
            })
            .ok()
    }

    fn required<T>(
        &mut self,
        value: Option<T>,
        path: &str,
        key: &'static str,
        raw: &'t RawValue,
    ) -> Option<T> {
        if value.is_none() {
            let cause = Cause::MissingKey { path: path.to_owned(), key };
            Diagnostic::report(cause, span_of(self.text, raw.get()), &self.lines, &mut self.errors);
        }
        value
    }

    fn shape(&mut self, path: &str, expected: &'static str, raw: &'t RawValue) {
        let cause = Cause::Shape { path: path.to_owned(), expected };
        Diagnostic::report(cause, span_of(self.text, raw.get()), &self.lines, &mut self.errors);
    }

    fn unknown(&mut self, path: &str, key: &Key<'t>, value: &'t RawValue) {
        let cause = Cause::UnknownKey { path: path.to_owned(), key: key.0.as_ref().to_owned() };
        Diagnostic::report(cause, key_span(self.text, key, value), &self.lines, &mut self.warnings);
    }

    /// Where the content of a text value stands, without the quotes.
    fn inside(&self, raw: &RawValue) -> Span {
        let span = span_of(self.text, raw.get());
        if raw.get().len() > 2 { Span { start: span.start + 1, end: span.end - 1 } } else { span }
    }
}

fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}
