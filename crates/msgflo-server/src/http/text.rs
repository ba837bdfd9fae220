//! The graph as .fbp text, both ways, for editors that show text beside the picture. Nothing is changed here: an editor makes
//! edits of what differs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use fbp::{Diagnostic, Graph, Loss};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refusal, Shown};
use crate::protocol::Capability;

const READERS: [Capability; 2] = [Capability::GraphReadonly, Capability::Graph];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Text {
    text: String,
}

/// `POST /api/graph/parse`: the graph of a text as JSON, and what is wrong with the text. Places count as JavaScript counts.
pub(crate) async fn parse(
    State(shown): State<Arc<Shown>>,
    headers: HeaderMap,
    Json(Text { text }): Json<Text>,
) -> Result<Json<Value>, Refusal> {
    shown.admit(&headers, &READERS)?;
    let all = |diagnostics: &[Diagnostic], severity: &str| -> Vec<Value> {
        diagnostics.iter().map(|diagnostic| described(&text, diagnostic, severity)).collect()
    };
    // Names stay as they are written; `out` and `OUT` still mean the same port.
    let answer = match fbp::parse_with(&text, fbp::Options { case_sensitive: true }) {
        Ok(parsed) => {
            let graph = Graph { case_sensitive: false, ..parsed.graph };
            let graph: Value = serde_json::from_str(&fbp::to_json(&graph)).unwrap_or_default();
            json!({"graph": graph, "diagnostics": all(&parsed.warnings, "warning")})
        }
        Err(error) => json!({"graph": null, "diagnostics": all(error.diagnostics(), "error")}),
    };
    Ok(Json(answer))
}

fn described(text: &str, diagnostic: &Diagnostic, severity: &str) -> Value {
    let units = |bytes: usize| text.get(..bytes).map_or(0, |before| before.encode_utf16().count());
    json!({
        "severity": severity,
        "message": diagnostic.cause.to_string(),
        "help": diagnostic.help,
        "line": diagnostic.position.line,
        "column": diagnostic.position.column,
        "start": units(diagnostic.span.start),
        "end": units(diagnostic.span.end),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Print {
    graph: Value,
}

/// `POST /api/graph/print`: a JSON graph as text, and what the text cannot hold.
pub(crate) async fn print(
    State(shown): State<Arc<Shown>>,
    headers: HeaderMap,
    Json(Print { graph }): Json<Print>,
) -> Result<Json<Value>, Refusal> {
    shown.admit(&headers, &READERS)?;
    let graph = fbp::from_json(&graph.to_string())
        .map_err(|error| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    let printed = fbp::print(&Graph { case_sensitive: true, ..graph });
    let lost = printed.lost.iter().filter(|loss| !matches!(loss, Loss::CaseSensitive));
    let lost: Vec<String> = lost.map(ToString::to_string).collect();
    Ok(Json(json!({"text": printed.text, "lost": lost})))
}
