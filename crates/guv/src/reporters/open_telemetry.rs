//! OpenTelemetry: the numbers of each role as metrics, to a collector or a service that takes them.
//!
//! `POST …/v1/metrics`, OTLP 1.x over HTTP in its JSON encoding, which collectors take at the same address as protobuf. The
//! variables are those of the specification of its exporters.

use std::sync::Arc;

use async_trait::async_trait;
use guv_model::Secret;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use super::outbox::Outbox;
use crate::gauges::{GAUGES, Gauge};
use crate::{Record, RecordError, Recorder};

/// Sends metrics to one address.
pub struct OpenTelemetry {
    outbox: Outbox,
    url: Url,
    headers: Vec<(HeaderName, Secret)>,
    /// Who we are, as attributes.
    resource: Vec<(String, String)>,
}

impl OpenTelemetry {
    /// A reporter that sends to this address as it is.
    ///
    /// # Errors
    /// When there is no TLS provider, or no root certificates can be found.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(url: Url) -> Result<Self, reqwest::Error> {
        let resource = vec![("service.name".to_owned(), "guv".to_owned())];
        Ok(Self { outbox: Outbox::new("opentelemetry")?, url, headers: Vec::new(), resource })
    }

    /// A reporter as the exporters' variables say (`OTEL_EXPORTER_OTLP_ENDPOINT` and so on); `None` where they name no
    /// address.
    ///
    /// # Errors
    /// With the variable, what is wrong with it, and what it may be.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let of_metrics = |name: &str| {
            let names = [format!("OTEL_EXPORTER_OTLP_METRICS_{name}"), format!("OTEL_EXPORTER_OTLP_{name}")];
            names.into_iter().find_map(|name| variable(&name).map(|value| (name, value)))
        };
        let Some((name, address)) = of_metrics("ENDPOINT") else { return Ok(None) };
        let mut url: Url = address.parse().map_err(|error| {
            format!("{name}: `{address}` is not a URL ({error}), as http://localhost:4318 is")
        })?;
        if !name.contains("METRICS") {
            let mut path =
                url.path_segments_mut().map_err(|()| format!("{name}: `{address}` has no host"))?;
            path.pop_if_empty().extend(["v1", "metrics"]);
        }
        if let Some((name, protocol)) =
            of_metrics("PROTOCOL").filter(|(_, value)| !value.starts_with("http/"))
        {
            return Err(format!(
                "{name}: `{protocol}` is not spoken; name the collector's HTTP address (port 4318) and set http/json"
            ));
        }
        let mut reporter = Self::new(url).map_err(|error| error.to_string())?;
        for (name, value) in pairs(&of_metrics("HEADERS").unwrap_or_default().1) {
            let wrong = || format!("OTEL_EXPORTER_OTLP_HEADERS: `{name}` cannot be a header with that value");
            let header = name.parse().map_err(|_| wrong())?;
            HeaderValue::from_str(&value).map_err(|_| wrong())?;
            reporter.headers.push((header, Secret::new(value)));
        }
        let own = variable("OTEL_SERVICE_NAME").map(|name| ("service.name".to_owned(), name));
        for (key, value) in
            pairs(&variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default()).into_iter().chain(own)
        {
            reporter.resource.retain(|(known, _)| *known != key);
            reporter.resource.push((key, value));
        }
        Ok(Some(reporter))
    }

    fn body(&self, records: &[Arc<Record>]) -> Value {
        let metric = |Gauge { name, help, value }: &Gauge| {
            let points: Vec<_> = records.iter().filter_map(|r| Some(point(r, value(r)?))).collect();
            (!points.is_empty())
                .then(|| json!({"name": name, "description": help, "gauge": {"dataPoints": points}}))
        };
        let metrics: Vec<_> = GAUGES.iter().filter_map(metric).collect();
        let scope = json!({"name": "guv", "version": env!("CARGO_PKG_VERSION")});
        json!({"resourceMetrics": [{
            "resource": {"attributes": attributes(self.resource.iter().map(|(key, value)| (&**key, &**value)))},
            "scopeMetrics": [{"scope": scope, "metrics": metrics}],
        }]})
    }
}

#[async_trait]
impl Recorder for OpenTelemetry {
    async fn record(&self, records: &[Arc<Record>]) -> Result<(), RecordError> {
        if records.is_empty() {
            return Ok(());
        }
        let request = self.outbox.client().post(self.url.clone()).json(&self.body(records));
        let with = |request: reqwest::RequestBuilder, (name, value): &(HeaderName, Secret)| {
            request.header(name, value.reveal())
        };
        self.outbox.put(self.headers.iter().fold(request, with));
        Ok(())
    }
}

fn point(record: &Record, value: f64) -> Value {
    let role = ("role", record.role.as_str());
    let app = record.app.as_ref().map(|app| ("app", app.as_str()));
    json!({
        "attributes": attributes([role].into_iter().chain(app)),
        // 64-bit numbers are text in this encoding.
        "timeUnixNano": record.at.as_duration().as_nanos().to_string(),
        "asDouble": value,
    })
}

fn attributes<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Value> {
    pairs.map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect()
}

/// `key=value,key=value`, percent-encoded, as in the header `baggage`.
fn pairs(text: &str) -> Vec<(String, String)> {
    let decoded =
        |text: &str| percent_encoding::percent_decode_str(text.trim()).decode_utf8_lossy().into_owned();
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (decoded(key), decoded(value))).collect()
}
