//! Participants and their ports, as they announce themselves.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ComponentName, ParticipantId, PortName, QueueName, Role};

/// What a participant says of itself.
///
/// Serialises to the `payload` of a discovery message. Keys that we do not know are kept in `extra`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Participant {
    /// This running participant.
    pub id: ParticipantId,
    /// The node of the graph that it plays.
    pub role: Role,
    /// What it runs.
    pub component: ComponentName,
    /// One line on what it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// An icon's name, by convention one of Font Awesome's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Where it takes messages.
    #[serde(default)]
    pub inports: Vec<Port>,
    /// Where it sends messages.
    #[serde(default)]
    pub outports: Vec<Port>,
    /// Everything else in the announcement.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A place where a participant takes or sends messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// The port's name.
    pub id: PortName,
    /// What it is connected to in the broker. A port without one is part of the description only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueName>,
    /// The type of the data, by convention one of FBP's: `any`, `string`, `object`, `buffer` …
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub data_type: Option<String>,
    /// One line on what the port is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether the port is left out of the network's picture.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Everything else in the announcement, `options` and `schema` among it.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Participant {
    /// A participant without ports.
    pub fn new(
        id: impl Into<ParticipantId>,
        role: impl Into<Role>,
        component: impl Into<ComponentName>,
    ) -> Self {
        Self {
            id: id.into(),
            role: role.into(),
            component: component.into(),
            label: None,
            icon: None,
            inports: Vec::new(),
            outports: Vec::new(),
            extra: Map::new(),
        }
    }

    /// The inport of that name, whatever its case.
    pub fn inport(&self, name: &PortName) -> Option<&Port> {
        self.inports.iter().find(|port| port.id.matches(name))
    }

    /// The outport of that name, whatever its case.
    pub fn outport(&self, name: &PortName) -> Option<&Port> {
        self.outports.iter().find(|port| port.id.matches(name))
    }
}

impl Port {
    /// A visible port of type `any`.
    pub fn new(id: impl Into<PortName>, queue: Option<QueueName>) -> Self {
        Self {
            id: id.into(),
            queue,
            data_type: Some("any".into()),
            description: None,
            hidden: false,
            extra: Map::new(),
        }
    }

    /// Whether each instance of the role gets every message of this inport (`"options": {"delivery": "each"}`), instead of
    /// competing for them.
    pub fn delivers_to_each(&self) -> bool {
        self.extra.get("options").and_then(|options| options.get("delivery")).and_then(Value::as_str)
            == Some("each")
    }

    /// Says that each instance of the role gets every message of this inport.
    pub fn deliver_to_each(&mut self) {
        self.option("delivery", "each".into());
    }

    /// Says that messages of this port may be lost on MQTT (`"options": {"qos": 0}`), where they are acknowledged otherwise.
    pub fn deliver_at_most_once(&mut self) {
        self.option("qos", 0.into());
    }

    fn option(&mut self, name: &str, value: Value) {
        let options = self.extra.entry("options").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(options) = options {
            options.insert(name.to_owned(), value);
        }
    }
}
