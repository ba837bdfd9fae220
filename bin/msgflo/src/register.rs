//! `msgflo register`: announces participants that cannot do so themselves, such as devices.
//!
//! A participant is described in YAML: `component`, `label`, `icon`, and `inports` and `outports`, each a map from a port's name
//! to its `queue` and `type`, or a list of ports with an `id`. `#ROLE` in a queue is the role.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use msgflo_core::{Client, InportOptions, Participant, Port};
use serde::Deserialize;
use uuid::Uuid;

use crate::arguments::Register;
use crate::broker;
use crate::outcome::{Failure, Outcome, Stop};
use crate::signals::Signals;

#[derive(Deserialize)]
struct Description {
    component: String,
    label: Option<String>,
    icon: Option<String>,
    #[serde(default)]
    inports: Ports,
    #[serde(default)]
    outports: Ports,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ports {
    Named(BTreeMap<String, PortDescription>),
    Listed(Vec<PortDescription>),
}

impl Default for Ports {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

#[derive(Deserialize)]
struct PortDescription {
    id: Option<String>,
    queue: Option<String>,
    #[serde(rename = "type")]
    data_type: Option<String>,
    description: Option<String>,
    #[serde(default)]
    hidden: bool,
}

pub(crate) async fn register(arguments: Register) -> Outcome {
    let participants: Vec<Participant> =
        arguments.role.iter().map(|pair| described(pair)).collect::<Result<_, _>>()?;
    let client = broker::connect_client(arguments.broker.broker.as_deref()).await?;
    if arguments.create_queues {
        let ports = participants.iter().flat_map(|participant| &participant.inports);
        for queue in ports.filter_map(|port| port.queue.as_ref()) {
            client.create_inport(queue, InportOptions::default()).await?;
        }
    }
    announce(&*client, &participants).await?;
    let signals = arguments.forever.then(Signals::listen).transpose()?;
    for participant in &participants {
        eprintln!("announced {} ({})", participant.role, participant.component);
    }
    if let Some(mut signals) = signals {
        let mut interval = tokio::time::interval(Duration::from_secs(arguments.interval.max(1)));
        interval.tick().await;
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                () = client.reconnected() => {}
                _ = signals.stop_asked() => break,
            }
            if let Err(error) = announce(&*client, &participants).await {
                tracing::warn!(%error, "the announcement will be repeated");
            }
        }
    }
    client.close().await?;
    Ok(ExitCode::SUCCESS)
}

async fn announce(client: &dyn Client, participants: &[Participant]) -> Result<(), msgflo_core::Error> {
    for participant in participants {
        client.announce(participant).await?;
    }
    Ok(())
}

/// The participant of `ROLE:FILE`.
fn described(pair: &str) -> Result<Participant, Stop> {
    let (role, path) = pair.split_once(':').ok_or_else(|| {
        Stop::config(
            Failure::new(format!("`{pair}` is not ROLE:FILE"))
                .help("say, for instance, --role door:sensor.yml"),
        )
    })?;
    let unusable = |reason: String| {
        let failure = Failure::new(format!("{path} does not describe a participant: {reason}"));
        Stop::config(
            failure.help("it is YAML with `component`, and `inports` and `outports` with a `queue` each"),
        )
    };
    let text = std::fs::read_to_string(Path::new(path)).map_err(|error| unusable(error.to_string()))?;
    let description: Description =
        serde_saphyr::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    let mut participant = Participant::new(format!("{role}-{}", Uuid::new_v4()), role, description.component);
    participant.label = description.label;
    participant.icon = description.icon;
    participant.inports = ports(description.inports, role).map_err(unusable)?;
    participant.outports = ports(description.outports, role).map_err(unusable)?;
    Ok(participant)
}

fn ports(ports: Ports, role: &str) -> Result<Vec<Port>, String> {
    let named: Vec<(Option<String>, PortDescription)> = match ports {
        Ports::Named(ports) => ports.into_iter().map(|(name, port)| (Some(name), port)).collect(),
        Ports::Listed(ports) => ports.into_iter().map(|port| (port.id.clone(), port)).collect(),
    };
    let port = |(name, description): (Option<String>, PortDescription)| {
        let name = name.ok_or("a port has no `id`")?;
        let queue = description.queue.map(|queue| queue.replace("#ROLE", role).into());
        let mut port = Port::new(name, queue);
        port.data_type = description.data_type.or(port.data_type);
        port.description = description.description;
        port.hidden = description.hidden;
        Ok(port)
    };
    named.into_iter().map(port).collect::<Result<_, &str>>().map_err(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Participant {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sensor.yml");
        std::fs::write(&path, text).unwrap();
        described(&format!("door:{}", path.display())).unwrap()
    }

    #[test]
    fn ports_are_a_map_or_a_list() {
        let map = "component: Sensor\nlabel: A door\noutports:\n  open: {queue: '/bitraf/#ROLE/open', type: boolean}\n";
        let list = "component: Sensor\nlabel: A door\noutports:\n- {id: open, queue: '/bitraf/#ROLE/open', type: boolean}\n";
        let (map, list) = (read(map), read(list));
        assert_eq!(map.outports, list.outports);
        assert_eq!(map.outports[0].queue, Some("/bitraf/door/open".into()));
        assert_eq!((map.role.as_str(), map.component.as_str()), ("door", "Sensor"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(described("door").is_err());
        assert!(described("door:/no/such/file.yml").is_err());
    }
}
