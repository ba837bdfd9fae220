//! A simulated sensor.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use msgflo::{Inport, Options, OutportOptions, Participant, Running};
use serde_json::{Number, Value};
use tokio::sync::watch;

#[derive(Args)]
pub(crate) struct Sensor {
    #[command(flatten)]
    options: Options,
    /// Seconds between two measurements.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5)]
    every: f64,
}

impl Sensor {
    pub(crate) async fn run(self) -> ExitCode {
        let mut sensor =
            Participant::new("thermometer/Sensor").label("Measures a temperature").icon("thermometer-half");
        let (set, mut temperature) = watch::channel(None::<Number>);
        let measured = OutportOptions::default().data_type("number").description("In degrees Celsius");
        let out = sensor.outport_with::<Number>("TEMPERATURE", measured);
        let options = Inport::default().data_type("number").description("What to measure from now on");
        sensor.inport("SET", options, move |value: Value, _| {
            let number = number(&value).ok_or_else(|| format!("{value} is no temperature").into());
            let number = number.map(|number| _ = set.send_replace(Some(number)));
            async { number }
        });
        let every = Duration::from_secs_f64(self.every.clamp(0.01, 3600.0));
        let measuring = async move {
            loop {
                let now = temperature.borrow_and_update().clone();
                if let Some(value) = now
                    && let Err(error) = out.send(&value).await
                {
                    eprintln!("a measurement was lost: {error}");
                }
                // At once when it changes, and again and again.
                drop(tokio::time::timeout(every, temperature.changed()).await);
            }
        };
        serve_beside(self.options, sensor, measuring).await
    }
}

/// A number, also as a text, as graphs in the .fbp language have it.
fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(number.clone()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Runs `participant` until it is told to stop.
pub(crate) async fn serve(options: Options, participant: Participant) -> ExitCode {
    serve_beside(options, participant, std::future::pending::<()>()).await
}

async fn serve_beside(
    options: Options,
    participant: Participant,
    beside: impl Future<Output = ()>,
) -> ExitCode {
    let started = msgflo::start(options, [participant]).await.and_then(Running::stop_on_signals);
    let running = match started {
        Ok(running) => running,
        Err(error) => return error.report(),
    };
    tokio::select! {
        () = running.cancelled() => {}
        () = beside => {}
    }
    match running.shutdown().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::number;

    #[test]
    fn a_temperature_is_a_number_or_its_text() {
        assert_eq!(number(&json!("22.3333333")), number(&json!(22.3333333)));
        assert_eq!(number(&json!("warm")), None);
        assert_eq!(number(&json!([1])), None);
    }
}
