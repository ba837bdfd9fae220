//! The OpenAPI document, out of one table of the operations; the types of bodies and answers are those of the handlers.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::answers as a;
use crate::history::Chart;

type Describe = fn(&mut SchemaGenerator) -> Schema;

/// One operation.
struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    /// Query parameters.
    query: &'static [&'static str],
    body: Option<Describe>,
    answer: Answer,
}

enum Answer {
    Json(Describe),
    /// JSON of no fixed shape.
    Any,
    Text,
    /// 202, and no body.
    Accepted,
}

const fn op(method: &'static str, path: &'static str, summary: &'static str, answer: Answer) -> Operation {
    Operation { method, path, summary, query: &[], body: None, answer }
}

impl Operation {
    const fn query(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    const fn body(self, body: Describe) -> Self {
        Self { body: Some(body), ..self }
    }
}

const fn of<T: JsonSchema>() -> Describe {
    SchemaGenerator::subschema_for::<T>
}

const fn json_of<T: JsonSchema>() -> Answer {
    Answer::Json(of::<T>())
}

const OPERATIONS: &[Operation] = &[
    op("get", "/healthz", "Whether the service is up", Answer::Text),
    op("get", "/openapi.json", "This document", Answer::Any),
    op("get", "/metrics", "Metrics in Prometheus's text format", Answer::Text),
    op("get", "/config/{id}", "The configuration in force", json_of::<a::ConfigText>()),
    op("post", "/config/{id}", "Takes a configuration into force", json_of::<a::ConfigText>())
        .body(of::<a::NewConfig>()),
    op("get", "/v1/openapi.json", "This document", Answer::Any),
    op("get", "/v1/schema", "The JSON Schema of configurations", Answer::Any),
    op("get", "/v1/me", "Who asks, and what they may do", json_of::<a::Me>()),
    op("get", "/v1/tokens", "The tokens that open everything (administrator)", json_of::<a::TokenList>()),
    op(
        "post",
        "/v1/tokens",
        "Makes a token that opens everything (administrator)",
        json_of::<a::AddedToken>(),
    )
    .body(of::<a::NewToken>()),
    op(
        "delete",
        "/v1/tokens/{token}",
        "Revokes a token that opens everything (administrator)",
        json_of::<a::Removed>(),
    ),
    op("get", "/v1/apps", "The applications", json_of::<a::AppList>()),
    op(
        "post",
        "/v1/apps",
        "Adds an application; the answer has its token, once (administrator)",
        json_of::<a::AddedApp>(),
    )
    .body(of::<a::NewApp>()),
    op(
        "delete",
        "/v1/apps/{id}",
        "Removes an application; its workers stay (administrator)",
        json_of::<a::Removed>(),
    ),
    op(
        "put",
        "/v1/apps/{id}/platform",
        "Changes its name and token on the platform",
        json_of::<a::AppInfo>(),
    )
    .body(of::<a::Platform>()),
    op("get", "/v1/apps/{id}/tokens", "Its tokens, without their text", json_of::<a::TokenList>()),
    op("post", "/v1/apps/{id}/tokens", "Makes another token", json_of::<a::AddedToken>())
        .body(of::<a::NewToken>()),
    op("delete", "/v1/apps/{id}/tokens/{token}", "Revokes a token", json_of::<a::Removed>()),
    op(
        "get",
        "/v1/apps/{id}/versions",
        "The versions of the configuration: when, and by whom",
        json_of::<a::Versions>(),
    ),
    op("get", "/v1/apps/{id}/versions/{version}", "The text of a version", json_of::<a::ConfigText>()),
    op(
        "post",
        "/v1/apps/{id}/versions/{version}/restore",
        "Takes a version into force again",
        json_of::<a::ConfigText>(),
    ),
    op("post", "/v1/apps/{id}/check", "What is to be said about a configuration", json_of::<a::Verdict>())
        .body(of::<a::NewConfig>()),
    op(
        "post",
        "/v1/apps/{id}/preview",
        "What a configuration would have done with what was recorded",
        json_of::<a::Preview>(),
    )
    .body(of::<a::NewPreview>()),
    op("get", "/v1/apps/{id}/scaling", "Every role as it is now", json_of::<a::Scaling>()),
    op("get", "/v1/apps/{id}/charts", "The charts of every role", json_of::<a::Charts>())
        .query(&["from", "to", "span", "points"]),
    op("get", "/v1/apps/{id}/operations", "When workers were changed", json_of::<a::Operations>())
        .query(&["role", "from", "to", "span", "limit"]),
    op("get", "/v1/apps/{id}/decisions", "Decisions with all their inputs", Answer::Any)
        .query(&["role", "from", "to", "changes", "limit"]),
    op("get", "/v1/apps/{id}/roles", "The latest decision for every role, with its inputs", Answer::Any),
    op("get", "/v1/apps/{id}/roles/{role}", "A decision for a role, explained", json_of::<a::Explained>())
        .query(&["at"]),
    op(
        "get",
        "/v1/apps/{id}/roles/{role}/chart",
        "What waited, who worked, and how it went",
        json_of::<Chart>(),
    )
    .query(&["from", "to", "span", "points"]),
    op(
        "put",
        "/v1/apps/{id}/roles/{role}/manual",
        "Sets the number of workers by hand, for a time",
        json_of::<a::Set>(),
    )
    .body(of::<a::NewManual>()),
    op(
        "delete",
        "/v1/apps/{id}/roles/{role}/manual",
        "Gives the role back to its policy",
        json_of::<a::Set>(),
    ),
    op(
        "put",
        "/v1/apps/{id}/roles/{role}/pause",
        "Leaves the number of workers as it is, for a time",
        json_of::<a::Set>(),
    )
    .body(of::<a::NewPause>()),
    op("delete", "/v1/apps/{id}/roles/{role}/pause", "Ends a pause", json_of::<a::Set>()),
    op("post", "/v1/apps/{id}/roles/{role}/notify", "Looks at the role at once", Answer::Accepted),
    op(
        "post",
        "/v1/roles/{role}/notify",
        "Looks at the role at once, in every application",
        Answer::Accepted,
    ),
];

/// The OpenAPI 3.1 document of the interface.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut schemas = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let described = describe(operation, &mut schemas);
        paths.entry(operation.path).or_insert_with(|| json!({}))[operation.method] = described;
    }
    let refusal = json!({
        "description": "it cannot be done",
        "content": {"application/json": {"schema": {
            "type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"],
        }}},
    });
    json!({
        "openapi": "3.1.0",
        "info": {"title": "guv", "version": env!("CARGO_PKG_VERSION")},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas.take_definitions(true),
            "responses": {"Refusal": refusal},
        },
    })
}

fn describe(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let path = operation.path;
    let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let string = json!({"type": "string"});
    let mut parameters: Vec<_> =
        in_path.map(|name| json!({"name": name, "in": "path", "required": true, "schema": string})).collect();
    parameters
        .extend(operation.query.iter().map(|name| json!({"name": name, "in": "query", "schema": string})));
    let json = |schema: Schema| json!({"application/json": {"schema": schema}});
    let answer = match operation.answer {
        Answer::Json(schema) => json!({"description": "done", "content": json(schema(schemas))}),
        Answer::Any => json!({"description": "done", "content": {"application/json": {"schema": {}}}}),
        Answer::Text => json!({"description": "done", "content": {"text/plain": {"schema": string}}}),
        Answer::Accepted => json!({"description": "it will be done"}),
    };
    let mut described = json!({
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {"2XX": answer, "4XX": {"$ref": "#/components/responses/Refusal"}},
    });
    if let Some(body) = operation.body {
        described["requestBody"] = json!({"required": true, "content": json(body(schemas))});
    }
    if ["/healthz", "/openapi.json", "/v1/openapi.json", "/v1/schema"].contains(&path) {
        described["security"] = json!([]);
    }
    described
}
