//! `guv newrelic-events`: downloads `GuvScaled` events, a piece of time after the other.

use std::process::ExitCode;
use std::time::Duration;

use guv::Timestamp;
use reqwest::Client;
use serde_json::Value;

use crate::arguments::NewRelicEvents;
use crate::outcome::{Failure, Outcome, Stop, write_out};

/// One query covers this much: an answer has at most [`MOST`] events.
const PIECE: Duration = Duration::from_secs(30 * 60);
const MOST: usize = 999;
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) async fn events(options: NewRelicEvents) -> Outcome {
    let client = Client::builder().timeout(TIMEOUT).user_agent("guv").build().map_err(Stop::internal)?;
    let until = options.until.unwrap_or_else(crate::when::now);
    let mut from = options.since;
    while from < until {
        let to = (from + PIECE).min(until);
        let events = piece(&client, &options, from, to).await?;
        if events.len() >= MOST {
            eprintln!("{}: there are {MOST} events or more; the rest is missing", crate::when::shown(from));
        }
        for event in events {
            write_out(|out| writeln!(out, "{event}"))?;
        }
        from = to;
    }
    Ok(ExitCode::SUCCESS)
}

async fn piece(
    client: &Client,
    options: &NewRelicEvents,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Value>, Stop> {
    let mut url = options.address.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["v1", "accounts", &options.account, "query"]);
    }
    let (since, until) = (from.as_duration().as_secs(), to.as_duration().as_secs());
    let query = format!("SELECT * FROM GuvScaled SINCE {since} UNTIL {until} LIMIT {MOST}");
    url.query_pairs_mut().append_pair("nrql", &query);
    let failed =
        |what: String| Stop::failed_because(Failure::new(what, "check --account and NEW_RELIC_QUERY_KEY"));
    let away =
        |error: reqwest::Error| failed(format!("New Relic cannot be reached: {}", error.without_url()));
    let response = client.get(url).header("X-Query-Key", &options.key).send().await.map_err(away)?;
    let status = response.status();
    if !status.is_success() {
        return Err(failed(format!("New Relic answers {status}")));
    }
    let answer: Value = response.json().await.map_err(away)?;
    Ok(answer.pointer("/results/0/events").and_then(Value::as_array).cloned().unwrap_or_default())
}
