//! How errors look when a binary renders them.

use std::fmt;

use fbp::{Diagnostic, Options, parse_json, parse_with};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};

/// What a binary needs to render the diagnostics of a file.
#[derive(Debug)]
struct Report<'d> {
    source: &'d NamedSource<String>,
    diagnostic: &'d Diagnostic,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostic.cause.fmt(f)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.diagnostic.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let Diagnostic { span, .. } = self.diagnostic;
        let label = LabeledSpan::new(Some(self.diagnostic.label().to_owned()), span.start, span.len());
        Some(Box::new(std::iter::once(label)))
    }
}

fn render(file: &str, text: &str, diagnostics: &[Diagnostic]) -> String {
    let source = NamedSource::new(file, text.to_owned());
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
    let mut rendered = String::new();
    for diagnostic in diagnostics {
        handler
            .render_report(&mut rendered, &Report { source: &source, diagnostic })
            .expect("writing to memory");
    }
    rendered
}

fn fbp(text: &str) -> String {
    let error = parse_with(text, Options::default()).expect_err("the text is wrong");
    render("service.fbp", text, error.diagnostics())
}

#[test]
fn syntax() {
    insta::assert_snapshot!(fbp(
        "web(Http\tApi) OUT -> IN resize(lib/Resize.js)\nEXPORT=web.IN:IN\n'it's' -> IN web\nweb OUT -> ,, store\n"
    ));
}

#[test]
fn undefined_nodes() {
    insta::assert_snapshot!(fbp(
        "web(imageresize/HttpApi) RESIZEIMAGE -> IN resize(imageresize/ResizeImage)\nresise OUT -> IN store\nINPORT=wbe.IN:IN\n"
    ));
}

#[test]
fn json() {
    let text = "{\n  \"processes\": {\n    \"a\": {\"component\": 5},\n    \"b\": {}\n  },\n  \"connections\": [\n    \
                {\"src\": {\"process\": \"a\"}, \"tgt\": {\"process\": \"b\", \"port\": \"in\", \"index\": -1}}\n  ]\n}\n";
    let error = parse_json(text).expect_err("the text is wrong");
    insta::assert_snapshot!(render("service.json", text, error.diagnostics()));
    let text = "{\n  \"processes\": {\n    \"a\": {\"component\": \"A\",}\n  }\n}\n";
    let error = parse_json(text).expect_err("the text is wrong");
    insta::assert_snapshot!(render("service.json", text, error.diagnostics()));
}

#[test]
fn warnings() {
    let text = "{\n  \"processes\": {\"a\": {\"component\": \"A\", \"icon\": 1}},\n  \"exports\": [],\n  \"tests\": []\n}\n";
    let parsed = parse_json(text).expect("only warnings");
    insta::assert_snapshot!(render("service.json", text, &parsed.warnings));
}

#[test]
fn a_component_that_only_a_library_knows() {
    let text = "# résumé\nweb(imageresise/HttpApi) OUT -> IN resize(imageresize/Resize)\n";
    let parsed = parse_with(text, Options::default()).unwrap();
    let span = parsed.spans.component("web").unwrap();
    assert_eq!(&text[span.start..span.end], "imageresise/HttpApi");
    let position = fbp::LineIndex::new(text).position(span.start);
    assert_eq!((position.line, position.column), (2, 5));
    assert_eq!(
        fbp::did_you_mean(&text[span.start..span.end], ["imageresize/HttpApi"]),
        Some("imageresize/HttpApi")
    );
    let connection = parsed.spans.connection(0).unwrap();
    let part = |span: fbp::Span| &text[span.start..span.end];
    assert_eq!(part(connection.src.unwrap().node), "web");
    assert_eq!(part(connection.src.unwrap().port_or_node()), "OUT");
    assert_eq!(part(connection.tgt.port_or_node()), "IN");
    assert_eq!(part(parsed.spans.node("resize").unwrap().name), "resize");
}

#[test]
fn the_same_in_json() {
    let text = r#"{"processes": {"web": {"component": "imageresise/HttpApi"}, "b": {"component": "B"}},
        "connections": [{"data": [1], "tgt": {"process": "web", "port": "in"}}]}"#;
    let parsed = parse_json(text).unwrap();
    let part = |span: fbp::Span| &text[span.start..span.end];
    assert_eq!(part(parsed.spans.component("web").unwrap()), "imageresise/HttpApi");
    assert_eq!(part(parsed.spans.node("b").unwrap().name), "b");
    let connection = parsed.spans.connection(0).unwrap();
    assert_eq!((part(connection.tgt.node), part(connection.data.unwrap())), ("web", "[1]"));
}
