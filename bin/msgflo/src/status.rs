//! `msgflo status`: what a running network is doing.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use msgflo_core::discovery;
use reqwest::StatusCode;
use serde_json::Value;

use crate::arguments::Status;
use crate::outcome::{Failure, Outcome, Stop, because, print_json, write_out};

/// Where a running network is, unless it is said.
pub(crate) const URL: &str = "http://127.0.0.1:3569";
/// How long the answer is waited for.
const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) async fn status(arguments: Status) -> Outcome {
    let status = fetch(&arguments.url, arguments.secret.as_deref()).await?;
    if arguments.json {
        print_json(&status)?;
    } else {
        write_out(|out| out.write_all(table(&status).as_bytes()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the network at `base` says of itself.
pub(crate) async fn fetch(base: &str, secret: Option<&str>) -> Result<Value, Stop> {
    // `run` prints the address of its socket.
    let base = &base.replacen("ws", "http", usize::from(base.starts_with("ws")));
    let url = format!("{}/api/status", base.trim_end_matches('/'));
    let away = |error: reqwest::Error| {
        if matches!(error.status(), Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) {
            let message = format!("the network at {base} wants a secret that allows network:status");
            return Stop::failed(Failure::new(message).help("say it with --secret, or MSGFLO_SECRET"));
        }
        let message = format!("no network answers at {base}: {}", because(&error));
        Stop::failed(
            Failure::new(message).help("is `msgflo run` running? it prints its URL; say it with --url"),
        )
    };
    let client = reqwest::Client::builder().timeout(DEADLINE).build().map_err(away)?;
    let mut request = client.get(url);
    if let Some(secret) = secret {
        request = request.bearer_auth(secret);
    }
    let answer = request.send().await.and_then(reqwest::Response::error_for_status).map_err(away)?;
    answer.json().await.map_err(away)
}

/// The status for people.
fn table(status: &Value) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{} on {}", word(&status["network"]), word(&status["broker"]));
    if status["broker_connected"] == false {
        let _ = writeln!(text, "the broker is away: what follows is what was known last");
    }
    text.push('\n');
    let mut rows =
        vec![["ROLE", "STATE", "PROCESSES", "RESTARTS", "READY", "CONSUMERS", "COMPONENT"].map(String::from)];
    for node in list(&status["nodes"]) {
        let process = &node["process"];
        let processes = match process["wanted"].as_u64() {
            Some(wanted) => format!("{}/{wanted}", process["running"]),
            None => "-".to_owned(),
        };
        let total = |key: &str| {
            let known: Vec<u64> = list(&node["queues"]).filter_map(|queue| queue[key].as_u64()).collect();
            if known.is_empty() { "-".to_owned() } else { known.iter().sum::<u64>().to_string() }
        };
        rows.push([
            word(&node["role"]),
            state(node),
            processes,
            process["restarts"].as_u64().map_or_else(|| "-".to_owned(), |restarts| restarts.to_string()),
            total("ready"),
            total("consumers"),
            word(&node["component"]),
        ]);
    }
    align(&mut text, &rows);
    strangers(&mut text, status);
    text.push('\n');
    let mut rows = Vec::new();
    for edge in list(&status["edges"]) {
        // What `tail` and `send` want to be told.
        let queues = match (edge["source_queue"].as_str(), edge["target_queue"].as_str()) {
            (Some(source), Some(target)) => format!("({source} -> {target})"),
            _ => String::new(),
        };
        let reason = edge["reason"].as_str().unwrap_or_default().to_owned();
        rows.push([
            word(&edge["source"]),
            "->".to_owned(),
            word(&edge["target"]),
            word(&edge["state"]),
            queues,
            reason,
        ]);
    }
    align(&mut text, &rows);
    for node in list(&status["nodes"]) {
        if let Some(reason) = node["reason"].as_str() {
            let _ = writeln!(text, "\n{} is {}: {reason}", word(&node["role"]), word(&node["state"]));
        }
        let exit = &node["process"]["last_exit"];
        if let Some(how) = exit["status"].as_str() {
            let _ = writeln!(text, "\n{} ended last with {how}:", word(&node["role"]));
            for line in list(&exit["output"]) {
                let _ = writeln!(text, "  {}", word(line));
            }
        }
    }
    for role in list(&status["scaling"]["roles"]) {
        let decision = &role["decision"];
        if let Some(target) = decision["target"].as_u64() {
            let _ = writeln!(text, "\n{} is scaled to {target}", word(&role["role"]));
        }
    }
    text
}

/// The state of a node, with how long ago it was heard of, where that is longer than usual.
fn state(node: &Value) -> String {
    let silent = node["heard_seconds_ago"].as_u64().filter(|seconds| *seconds > discovery::PERIOD.as_secs());
    match silent {
        Some(seconds) if node["state"] == "up" => format!("up (heard {seconds} s ago)"),
        _ => word(&node["state"]),
    }
}

/// Those who announce themselves and are not in the graph: some mean a role that is missing.
fn strangers(text: &mut String, status: &Value) {
    let missing = list(&status["nodes"]).filter(|node| node["state"] == "missing");
    let missing: Vec<_> = missing.filter_map(|node| node["role"].as_str()).collect();
    for stranger in list(&status["strangers"]) {
        let (role, component) = (word(&stranger["role"]), word(&stranger["component"]));
        let meant = fbp::did_you_mean(&role, missing.iter().copied());
        let meant = meant.map(|role| format!("; is it to be `{role}`?")).unwrap_or_default();
        let _ = writeln!(text, "\n{role} ({component}) is there, and not in the graph{meant}");
    }
}

fn align<const N: usize>(text: &mut String, rows: &[[String; N]]) {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    });
    for row in rows {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_and_those_who_have_fallen_silent_are_shown() {
        let status = serde_json::json!({
            "nodes": [
                {"role": "thermometer", "state": "missing"},
                {"role": "door", "state": "up", "heard_seconds_ago": 200},
                {"role": "light", "state": "up", "heard_seconds_ago": 27},
            ],
            "strangers": [{"role": "termometer", "component": "my/Sensor"}],
        });
        let text = table(&status);
        assert!(text.contains("up (heard 200 s ago)") && !text.contains("27 s"), "{text}");
        let told = "termometer (my/Sensor) is there, and not in the graph; is it to be `thermometer`?";
        assert!(text.contains(told), "{text}");
    }
}
