//! The OpenAPI document, out of one table of the operations.

use serde_json::{Map, Value, json};

/// Method, path, what it does, its query parameters, and the keys of its body (`?` marks those that may be left out).
type Operation = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
);

pub(super) const OPERATIONS: &[Operation] = &[
    ("get", "/healthz", "Whether the service is up", &[], &[]),
    ("get", "/openapi.json", "This document", &[], &[]),
    ("get", "/metrics", "Metrics in Prometheus's text format", &[], &[]),
    ("get", "/config/{id}", "The configuration in force: `configYaml`", &[], &[]),
    ("post", "/config/{id}", "Takes a configuration into force", &[], &[("config", "string")]),
    ("get", "/v1/apps", "The applications", &[], &[]),
    (
        "post",
        "/v1/apps",
        "Adds an application; the answer has its token, once (administrator)",
        &[],
        &[
            ("id", "string"),
            ("platform_app?", "string"),
            ("platform_token?", "string"),
            ("config?", "string"),
        ],
    ),
    ("delete", "/v1/apps/{id}", "Removes an application; its workers stay (administrator)", &[], &[]),
    ("post", "/v1/apps/{id}/tokens", "Makes another token", &[], &[("name", "string")]),
    ("get", "/v1/apps/{id}/versions", "The versions of the configuration: when, and by whom", &[], &[]),
    ("get", "/v1/apps/{id}/versions/{version}", "The text of a version", &[], &[]),
    ("post", "/v1/apps/{id}/versions/{version}/restore", "Takes a version into force again", &[], &[]),
    ("get", "/v1/apps/{id}/roles", "The latest decision for every role", &[], &[]),
    ("get", "/v1/apps/{id}/roles/{role}", "A decision for a role, explained", &["at"], &[]),
    (
        "put",
        "/v1/apps/{id}/roles/{role}/manual",
        "Sets the number of workers by hand, for a time",
        &[],
        &[("workers", "integer"), ("seconds", "integer")],
    ),
    ("delete", "/v1/apps/{id}/roles/{role}/manual", "Gives the role back to its policy", &[], &[]),
    ("post", "/v1/apps/{id}/roles/{role}/notify", "Looks at the role at once", &[], &[]),
    (
        "get",
        "/v1/apps/{id}/roles/{role}/chart",
        "What waited and worked, in points of five minutes or more",
        &["from", "to", "points"],
        &[],
    ),
    (
        "get",
        "/v1/apps/{id}/decisions",
        "Decisions with all their inputs",
        &["role", "from", "to", "changes", "limit"],
        &[],
    ),
    ("post", "/v1/roles/{role}/notify", "Looks at the role at once, in every application", &[], &[]),
];

/// The OpenAPI 3.1 document of the interface.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for (method, path, summary, query, body) in OPERATIONS {
        let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let string = json!({"type": "string"});
        let mut parameters: Vec<_> = in_path
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": string}))
            .collect();
        parameters.extend(query.iter().map(|name| json!({"name": name, "in": "query", "schema": string})));
        let mut operation = json!({
            "summary": summary,
            "parameters": parameters,
            "responses": {"2XX": {"description": "done"}, "4XX": {"$ref": "#/components/responses/Refusal"}},
        });
        if !body.is_empty() {
            let properties: Map<_, _> = body
                .iter()
                .map(|(name, kind)| (name.trim_end_matches('?').to_owned(), json!({ "type": kind })))
                .collect();
            let required: Vec<_> =
                body.iter().map(|(name, _)| *name).filter(|name| !name.ends_with('?')).collect();
            let schema = json!({"type": "object", "properties": properties, "required": required});
            operation["requestBody"] =
                json!({"required": true, "content": {"application/json": {"schema": schema}}});
        }
        if *path == "/healthz" || *path == "/openapi.json" {
            operation["security"] = json!([]);
        }
        paths.entry(*path).or_insert_with(|| json!({}))[*method] = operation;
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
            "responses": {"Refusal": refusal},
        },
    })
}
