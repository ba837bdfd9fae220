//! `guv config get` and `set`: the configuration that a service keeps.

use std::process::ExitCode;
use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::arguments::{ConfigGet, ConfigSet, Remote};
use crate::outcome::{Failure, Outcome, Stop, write_out};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A client that is not sent elsewhere: what is posted would not arrive.
fn client() -> Result<Client, Stop> {
    let client = Client::builder().timeout(TIMEOUT).user_agent("guv").redirect(Policy::none());
    client.build().map_err(Stop::internal)
}

pub(crate) async fn get(options: ConfigGet) -> Outcome {
    let Remote { url, token } = options.remote;
    let answer = read(client()?.get(url).bearer_auth(token).send().await).await?;
    let text = answer["configYaml"].as_str().unwrap_or_default().to_owned();
    match options.file {
        None => write_out(|out| out.write_all(text.as_bytes()))?,
        Some(file) => std::fs::write(&file, text).map_err(|error| {
            let message = format!("{} cannot be written: {error}", file.display());
            Stop::failed_because(Failure::new(message, "name a file in a folder that is yours"))
        })?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn set(options: ConfigSet) -> Outcome {
    let Remote { url, token } = options.remote;
    let text = options.config.read()?.text;
    let answer = client()?.post(url).bearer_auth(token).json(&json!({ "config": text })).send().await;
    let answer = read(answer).await?;
    eprintln!("version {} is in force", answer["version"]);
    Ok(ExitCode::SUCCESS)
}

async fn read(answer: reqwest::Result<Response>) -> Result<Value, Stop> {
    let away = |error: reqwest::Error| {
        let message = format!("the service cannot be reached: {}", error.without_url());
        Stop::failed_because(Failure::new(message, "check --url: https://HOST/config/APP"))
    };
    let response = answer.map_err(away)?;
    let status = response.status();
    if status.is_redirection() {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let message =
            format!("the service answers {status}: it is at {}", location.unwrap_or("another address"));
        return Err(Stop::failed_because(Failure::new(message, "correct --url")));
    }
    let body: Value = response.json().await.unwrap_or_default();
    if status.is_success() {
        return Ok(body);
    }
    let said = body["message"].as_str().unwrap_or("no reason is given");
    let message = format!("the service answers {status}: {said}");
    Err(Stop::failed_because(Failure::new(message, "check --url, --token, and the configuration")))
}
