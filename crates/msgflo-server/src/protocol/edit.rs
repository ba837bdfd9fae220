//! Changes of a graph, as clients ask for them.

use fbp::{Direction, Endpoint, Metadata};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

/// The longest name of anything in a graph, in bytes.
const MAX_NAME: usize = 1000;

/// One end of an edge.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
pub(crate) struct End {
    #[serde(deserialize_with = "name")]
    pub(crate) node: String,
    #[serde(deserialize_with = "name")]
    pub(crate) port: String,
    #[serde(default, deserialize_with = "index")]
    pub(crate) index: Option<u32>,
}

impl End {
    pub(crate) fn endpoint(&self) -> Endpoint {
        let end = Endpoint::new(self.node.as_str(), self.port.as_str());
        Endpoint { index: self.index, ..end }
    }
}

impl From<&Endpoint> for End {
    fn from(end: &Endpoint) -> Self {
        Self { node: end.process.to_string(), port: end.port.to_string(), index: end.index }
    }
}

impl From<&End> for Value {
    fn from(end: &End) -> Self {
        let mut value = json!({"node": end.node, "port": end.port});
        if let Some(index) = end.index {
            value["index"] = index.into();
        }
        value
    }
}

/// A change of one graph.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Edit {
    AddNode(AddNode),
    RemoveNode(Id),
    RenameNode(Renaming),
    ChangeNode(ChangeNode),
    AddEdge(EdgeWithMetadata),
    RemoveEdge(EdgeWithMetadata),
    ChangeEdge(EdgeWithMetadata),
    AddInitial(AddInitial),
    RemoveInitial(RemoveInitial),
    AddPort(Direction, AddPort),
    RemovePort(Direction, RemovePort),
    RenamePort(Direction, Renaming),
    AddGroup(AddGroup),
    RemoveGroup(Named),
    RenameGroup(Renaming),
    ChangeGroup(ChangeGroup),
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct AddNode {
    #[serde(deserialize_with = "name")]
    pub(crate) id: String,
    #[serde(deserialize_with = "name")]
    pub(crate) component: String,
    #[serde(default, deserialize_with = "metadata")]
    pub(crate) metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Id {
    pub(crate) id: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Named {
    pub(crate) name: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Renaming {
    pub(crate) from: String,
    #[serde(deserialize_with = "name")]
    pub(crate) to: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct ChangeNode {
    pub(crate) id: String,
    #[serde(default, deserialize_with = "metadata")]
    pub(crate) metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct EdgeWithMetadata {
    pub(crate) src: End,
    pub(crate) tgt: End,
    #[serde(default, deserialize_with = "metadata")]
    pub(crate) metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Data {
    #[serde(default)]
    pub(crate) data: Value,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct AddInitial {
    pub(crate) src: Data,
    pub(crate) tgt: End,
    #[serde(default, deserialize_with = "metadata")]
    pub(crate) metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct RemoveInitial {
    pub(crate) src: Option<MaybeData>,
    pub(crate) tgt: End,
}

/// As [`Data`], where no data means any.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct MaybeData {
    #[serde(default, deserialize_with = "some")]
    pub(crate) data: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct AddPort {
    #[serde(deserialize_with = "name")]
    pub(crate) public: String,
    pub(crate) node: String,
    #[serde(deserialize_with = "name")]
    pub(crate) port: String,
    #[serde(default, deserialize_with = "metadata")]
    pub(crate) metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct RemovePort {
    pub(crate) public: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct AddGroup {
    #[serde(deserialize_with = "name")]
    pub(crate) name: String,
    pub(crate) nodes: Vec<String>,
    #[serde(default, deserialize_with = "metadata")]
    pub(crate) metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct ChangeGroup {
    pub(crate) name: String,
    #[serde(default, deserialize_with = "metadata")]
    pub(crate) metadata: Metadata,
}

impl Edit {
    /// The edit of a command's name. `None`: there is no such command.
    pub(super) fn decode(command: &str, payload: Value) -> Option<serde_json::Result<Self>> {
        use serde_json::from_value as read;
        Some(match command {
            "addnode" => read(payload).map(Self::AddNode),
            "removenode" => read(payload).map(Self::RemoveNode),
            "renamenode" => read(payload).map(Self::RenameNode),
            "changenode" => read(payload).map(Self::ChangeNode),
            "addedge" => read(payload).map(Self::AddEdge),
            "removeedge" => read(payload).map(Self::RemoveEdge),
            "changeedge" => read(payload).map(Self::ChangeEdge),
            "addinitial" => read(payload).map(Self::AddInitial),
            "removeinitial" => read(payload).map(Self::RemoveInitial),
            "addinport" => read(payload).map(|port| Self::AddPort(Direction::In, port)),
            "addoutport" => read(payload).map(|port| Self::AddPort(Direction::Out, port)),
            "removeinport" => read(payload).map(|port| Self::RemovePort(Direction::In, port)),
            "removeoutport" => read(payload).map(|port| Self::RemovePort(Direction::Out, port)),
            "renameinport" => read(payload).map(|port| Self::RenamePort(Direction::In, port)),
            "renameoutport" => read(payload).map(|port| Self::RenamePort(Direction::Out, port)),
            "addgroup" => read(payload).map(Self::AddGroup),
            "removegroup" => read(payload).map(Self::RemoveGroup),
            "renamegroup" => read(payload).map(Self::RenameGroup),
            "changegroup" => read(payload).map(Self::ChangeGroup),
            _ => return None,
        })
    }
}

/// A name that something gets: not empty, and not endless.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let is_good = !name.is_empty() && name.len() <= MAX_NAME && !name.contains(['\0', '\n', '\r']);
    if is_good { Ok(name) } else { Err(serde::de::Error::custom("a name has 1 to 1000 bytes on one line")) }
}

/// An index, as a number or its digits.
fn index<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let bad = || serde::de::Error::custom("an index is a number from 0");
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Number(number) => {
            number.as_u64().and_then(|index| u32::try_from(index).ok()).map(Some).ok_or_else(bad)
        }
        Value::String(text) => text.parse().map(Some).map_err(|_| bad()),
        _ => Err(bad()),
    }
}

/// Metadata without what is ours, and with whole numbers for positions, as the protocol has them.
fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Metadata, D::Error> {
    let mut metadata = Option::<Map<String, Value>>::deserialize(deserializer)?.unwrap_or_default();
    metadata.remove(crate::hub::STATE);
    for key in ["x", "y"] {
        if let Some(value) = metadata.get_mut(key)
            && let Some(number) = value.as_f64().filter(|_| value.is_f64())
        {
            #[expect(clippy::cast_possible_truncation, reason = "a position beyond 64 bits may be cut off")]
            let whole = number.round() as i64;
            *value = whole.into();
        }
    }
    Ok(metadata)
}

/// A value that is there, `null` among others.
fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
