//! The reference in the documentation is made from the tables that the program reads by.
//!
//! `UPDATE_DOCS=1 cargo nextest run -p guv-model reference` writes it anew.

use guv_model::{ACTUATORS, KEYS, SOURCES, json_schema, keys_table, parts_table};
use serde_json::Value;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scaling.md");

/// The page with the text between `<!-- name -->` and `<!-- /name -->` replaced.
fn with(page: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("{begin} is missing"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{end} is missing"));
    format!("{before}{begin}{table}{end}{after}")
}

#[test]
fn the_page_is_up_to_date() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let fresh = with(&page, "keys", &keys_table());
    let fresh = with(&fresh, "sources", &parts_table(SOURCES));
    let fresh = with(&fresh, "actuators", &parts_table(ACTUATORS));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, &fresh).unwrap();
        return;
    }
    assert!(
        page == fresh,
        "docs/scaling.md is stale: UPDATE_DOCS=1 cargo nextest run -p guv-model reference"
    );
}

#[test]
fn the_schema_knows_every_key_and_every_kind() {
    let schema = json_schema();
    let shared = &schema["$defs"]["shared"]["properties"];
    let role = &schema["$defs"]["role"]["properties"];
    for key in KEYS {
        for name in std::iter::once(&key.name).chain(key.aliases) {
            assert!(shared[name]["description"].as_str().unwrap().contains(key.meaning), "{name}");
            assert_eq!(role[name].is_null(), key.shared_only, "{name}");
        }
    }
    let kinds = |key: &str| -> Vec<&str> {
        let any = role[key]["anyOf"].as_array().unwrap();
        any[1..].iter().map(|one| one["properties"]["kind"]["const"].as_str().unwrap()).collect()
    };
    assert_eq!(kinds("source"), SOURCES.iter().map(|part| part.kind).collect::<Vec<_>>());
    assert_eq!(kinds("actuator"), ACTUATORS.iter().map(|part| part.kind).collect::<Vec<_>>());
    assert_eq!(schema["additionalProperties"], Value::from_iter([("$ref", "#/$defs/role")]));
}
