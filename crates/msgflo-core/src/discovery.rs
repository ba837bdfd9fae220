//! The discovery message, with which a participant announces itself.
//!
//! `{"protocol":"discovery","command":"participant","payload":{…}}`, sent to the queue or topic [`QUEUE`] at the start and
//! again every [`PERIOD`] / 2.2. Encoding is strict. Decoding is tolerant, since participants in many languages and of
//! many ages send it: it takes whatever can be understood and [notes](Announcement::notes) what could not.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{ComponentName, Participant, ParticipantId, Port, PortName, Role};

/// The queue, and on MQTT the topic, to which participants announce themselves.
pub const QUEUE: &str = "fbp";
/// The fanout exchange to which coordinators pass announcements on, so that each of them sees all.
pub const EXCHANGE: &str = "msgflo.discovery";
/// How often a participant is to be heard of, unless `MSGFLO_DISCOVERY_PERIOD` says otherwise.
pub const PERIOD: Duration = Duration::from_secs(60);
/// How long after its last announcement a participant counts as gone.
pub const EXPIRY: Duration = Duration::from_secs(600);

/// The most bytes that we read of a discovery message.
pub const MAX_LENGTH: usize = 1 << 20;
/// The most ports in one direction that we take from a discovery message.
pub const MAX_PORTS: usize = 1000;

/// A decoded discovery message.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    /// Who announced itself.
    pub participant: Participant,
    /// What was wrong with the message and how it was taken, in words.
    pub notes: Vec<String>,
}

/// Why a message is no announcement.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Over [`MAX_LENGTH`].
    #[error("{length} bytes are more than a discovery message may have ({MAX_LENGTH})")]
    TooLong {
        /// The message's length in bytes.
        length: usize,
    },
    /// The bytes are not JSON.
    #[error("not JSON: {reason}")]
    NotJson {
        /// What the JSON parser said.
        reason: String,
    },
    /// JSON, but not an object, or without `payload`.
    #[error("not a discovery message: {reason}")]
    NotDiscovery {
        /// What is missing.
        reason: &'static str,
        /// Who sent it, as far as the message tells.
        sender: Option<String>,
    },
}

impl Error {
    /// Who sent it, as far as can be told: what is logged once per sender is keyed by this.
    pub fn sender(&self) -> Option<&str> {
        match self {
            Error::NotDiscovery { sender, .. } => sender.as_deref(),
            Error::TooLong { .. } | Error::NotJson { .. } => None,
        }
    }
}

/// The message with which `participant` announces itself.
pub fn encode(participant: &Participant) -> Vec<u8> {
    let message = serde_json::json!({
        "protocol": "discovery",
        "command": "participant",
        "payload": participant,
    });
    message.to_string().into_bytes()
}

/// Reads a discovery message.
///
/// # Errors
/// When no participant can be made out of it: not JSON, no payload, no role.
pub fn decode(bytes: &[u8]) -> Result<Announcement, Error> {
    if bytes.len() > MAX_LENGTH {
        return Err(Error::TooLong { length: bytes.len() });
    }
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| Error::NotJson { reason: error.to_string() })?;
    let not_discovery = |reason, sender| Err(Error::NotDiscovery { reason, sender });
    let Value::Object(mut message) = value else {
        return not_discovery("not an object", None);
    };
    match message.get("protocol").and_then(Value::as_str) {
        Some("discovery") => {}
        _ => return not_discovery("its protocol is not `discovery`", None),
    }
    let Some(Value::Object(payload)) = message.remove("payload") else {
        return not_discovery("it has no payload", None);
    };
    participant(payload)
}

fn participant(mut payload: Map<String, Value>) -> Result<Announcement, Error> {
    let mut notes = Vec::new();
    let id = text(&mut payload, "id");
    let Some(role) = text(&mut payload, "role") else {
        return Err(Error::NotDiscovery { reason: "its payload has no role", sender: id });
    };
    let id = id.unwrap_or_else(|| {
        notes.push("it has no id: the role is taken for it".to_owned());
        role.clone()
    });
    let component = text(&mut payload, "component").unwrap_or_else(|| {
        notes.push("it has no component".to_owned());
        String::new()
    });
    let inports = ports(&mut payload, "inports", &mut notes);
    let outports = ports(&mut payload, "outports", &mut notes);
    let participant = Participant {
        id: ParticipantId::from(id),
        role: Role::from(role),
        component: ComponentName::from(component),
        label: text(&mut payload, "label"),
        icon: text(&mut payload, "icon"),
        inports,
        outports,
        extra: payload,
    };
    Ok(Announcement { participant, notes })
}

/// Takes `key` out of `object` if it is a text with something in it.
fn text(object: &mut Map<String, Value>, key: &str) -> Option<String> {
    match object.remove(key) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn ports(payload: &mut Map<String, Value>, key: &str, notes: &mut Vec<String>) -> Vec<Port> {
    let values = match payload.remove(key) {
        Some(Value::Array(values)) => values,
        None | Some(Value::Null) => return Vec::new(),
        Some(_) => {
            notes.push(format!("its {key} are not an array: ignored"));
            return Vec::new();
        }
    };
    if values.len() > MAX_PORTS {
        notes.push(format!("it has {} {key}: only the first {MAX_PORTS} are taken", values.len()));
    }
    let mut ports = Vec::new();
    for value in values.into_iter().take(MAX_PORTS) {
        match port(value) {
            Some(port) => ports.push(port),
            None => notes.push(format!("one of its {key} has no id: ignored")),
        }
    }
    ports
}

fn port(value: Value) -> Option<Port> {
    let Value::Object(mut port) = value else {
        return None;
    };
    Some(Port {
        id: PortName::from(text(&mut port, "id")?),
        queue: text(&mut port, "queue").map(Into::into),
        data_type: text(&mut port, "type"),
        description: text(&mut port, "description"),
        hidden: port.remove("hidden") == Some(Value::Bool(true)),
        extra: port,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn decoded(payload: Value) -> Announcement {
        let message = json!({"protocol": "discovery", "command": "participant", "payload": payload});
        decode(message.to_string().as_bytes()).expect("an announcement")
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let mut participant = Participant::new("repeat-1", "repeat", "core/Repeat");
        participant.inports.push(Port::new("IN", Some("repeat.IN".into())));
        participant.outports.push(Port::new("OUT", None));
        participant.outports[0].deliver_to_each();
        participant.extra.insert("version".into(), json!(3));
        let announcement = decode(&encode(&participant)).expect("an announcement");
        assert_eq!(announcement, Announcement { participant, notes: vec![] });
    }

    #[test]
    fn a_port_may_lack_everything_but_its_id() {
        let announcement = decoded(json!({"id": "a-1", "role": "a", "component": "A",
            "inports": [{"id": "IN", "queue": null, "type": null, "hidden": null}, {"queue": "x"}, 7]}));
        assert_eq!(announcement.participant.inports.len(), 1);
        assert_eq!(announcement.participant.inports[0].queue, None);
        assert_eq!(announcement.notes, vec!["one of its inports has no id: ignored"; 2]);
    }

    #[test]
    fn missing_keys_are_noted() {
        let announcement = decoded(json!({"role": "a", "outports": "none"}));
        assert_eq!(announcement.participant.id, "a");
        assert_eq!(announcement.notes.len(), 3, "{:?}", announcement.notes);
    }

    #[test]
    fn what_is_no_announcement_names_its_sender_where_it_can() {
        for message in ["", "null", "[]", "{}", r#"{"protocol":"discovery"}"#, "\u{0}\u{1}"] {
            assert!(decode(message.as_bytes()).is_err(), "{message:?}");
        }
        let nameless = br#"{"protocol":"discovery","command":"participant","payload":{"id":"x-1"}}"#;
        assert_eq!(decode(nameless).expect_err("no role").sender(), Some("x-1"));
    }

    proptest! {
        #[test]
        fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
