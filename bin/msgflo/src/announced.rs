//! What a port is called in the broker, where that is not `role.PORT`: participants in Python and on Arduinos say `role/port`.

use msgflo_core::{Error, QueueName};
use serde_json::Value;

use crate::outcome::Stop;
use crate::status;

/// Opens the queue or exchange `name`. Where there is none, that of the port which it names as `role.PORT`, as the network at `url`
/// knows it, or else by the other convention.
pub(crate) async fn open<T>(
    name: &QueueName,
    url: &str,
    secret: Option<&str>,
    open: impl AsyncFn(&QueueName) -> Result<T, Error>,
) -> Result<T, Stop> {
    open_known(name, async { status::fetch(url, secret).await.ok() }, open).await
}

/// The same, with the status of the network.
async fn open_known<T>(
    name: &QueueName,
    status: impl Future<Output = Option<Value>>,
    open: impl AsyncFn(&QueueName) -> Result<T, Error>,
) -> Result<T, Stop> {
    let error = match open(name).await {
        Err(error @ Error::NotFound { .. }) => error,
        result => return Ok(result?),
    };
    let announced = status.await.and_then(|status| announced(&status, name.as_str()));
    for other in announced.into_iter().chain(by_convention(name.as_str())) {
        if let Ok(opened) = open(&other).await {
            eprintln!("there is no `{name}`; `{other}` is taken");
            return Ok(opened);
        }
    }
    Err(error.into())
}

/// What the port `role.PORT` was announced with, by those that the status of a network knows.
fn announced(status: &Value, name: &str) -> Option<QueueName> {
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let participants = list(&status["nodes"]).into_iter().chain(list(&status["strangers"]));
    let ports = participants.flat_map(|participant| {
        let role = participant["role"].as_str().unwrap_or_default().to_owned();
        let ports = list(&participant["inports"]).into_iter().chain(list(&participant["outports"]));
        ports.map(move |port| (format!("{role}.{}", port["id"].as_str().unwrap_or_default()), port))
    });
    let mut of_name = ports.filter(|(port, _)| port.eq_ignore_ascii_case(name));
    of_name.find_map(|(_, port)| port["queue"].as_str().map(QueueName::from))
}

/// `role.PORT` as `role/port`.
fn by_convention(name: &str) -> Option<QueueName> {
    let (role, port) = name.rsplit_once('.')?;
    Some(format!("{role}/{}", port.to_lowercase()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_is_found_by_what_it_is_called_in_the_broker() {
        let status = serde_json::json!({"strangers": [
            {"role": "double", "inports": [{"id": "in"}], "outports": [{"id": "out", "queue": "/double/out"}]},
        ]});
        assert_eq!(announced(&status, "double.OUT"), Some("/double/out".into()));
        assert_eq!([announced(&status, "double.IN"), announced(&status, "other.OUT")], [None, None]);
        let there = async |name: &QueueName| match name.as_str() {
            "double/in" => Ok(7),
            _ => Err(Error::NotFound { name: name.clone() }),
        };
        let nobody = || std::future::ready(None);
        assert_eq!(open_known(&"double.IN".into(), nobody(), there).await.unwrap(), 7);
        let stop = open_known(&"other.IN".into(), nobody(), there).await.unwrap_err();
        assert!(stop.to_string().contains("`other.IN`"), "{stop}");
    }
}
