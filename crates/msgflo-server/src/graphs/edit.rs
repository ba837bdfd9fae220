//! One edit: the change of the graph, and what every client is told of it.

use fbp::{Connection, Direction, Edge, ExportedPort, Group, Initial, Metadata, NodeName, PortName, Process};
use serde_json::{Value, json};

use super::{Error, Graphs, MAX_PARTS};
use crate::protocol::{Edit, End, Protocol, Signal};

impl Graphs {
    /// Makes a change. It is told in the order in which it happened; the last one answers the request.
    pub(crate) fn edit(&mut self, id: &str, edit: &Edit) -> Result<Vec<Signal>, Error> {
        let graph = &mut self.get_mut(id)?.graph;
        if graph.processes.len() + graph.connections.len() >= MAX_PARTS && edit.adds() {
            return Err(Error::TooLarge);
        }
        let one = |command, payload| vec![signal(id, command, payload)];
        Ok(match edit {
            Edit::AddNode(node) => {
                let process =
                    Process { component: node.component.as_str().into(), metadata: node.metadata.clone() };
                graph.add_node(node.id.as_str().into(), process)?;
                let payload = json!({"id": node.id, "component": node.component, "metadata": node.metadata});
                one("addnode", payload)
            }
            Edit::RemoveNode(node) => {
                let removed = graph.remove_node(&node.id.as_str().into())?;
                let mut signals: Vec<Signal> =
                    removed.connections.iter().map(|it| removed_connection(id, it)).collect();
                let public =
                    |command| move |public: &PortName| signal(id, command, json!({"public": public}));
                signals.extend(removed.inports.iter().map(public("removeinport")));
                signals.extend(removed.outports.iter().map(public("removeoutport")));
                signals.push(signal(id, "removenode", json!({"id": node.id})));
                signals
            }
            Edit::RenameNode(names) => {
                graph.rename_node(&names.from.as_str().into(), names.to.as_str().into())?;
                one("renamenode", json!({"from": names.from, "to": names.to}))
            }
            Edit::ChangeNode(node) => {
                let metadata = graph.change_node(&node.id.as_str().into(), node.metadata.clone())?;
                one("changenode", json!({"id": node.id, "metadata": metadata}))
            }
            Edit::AddEdge(edge) => {
                let added = Edge {
                    src: edge.src.endpoint(),
                    tgt: edge.tgt.endpoint(),
                    metadata: edge.metadata.clone(),
                };
                graph.add_edge(added)?;
                one("addedge", edge_payload(&edge.src, &edge.tgt, Some(&edge.metadata)))
            }
            Edit::RemoveEdge(edge) => {
                let removed = graph.remove_edge(&edge.src.endpoint(), &edge.tgt.endpoint())?;
                vec![removed_connection(id, &removed.into())]
            }
            Edit::ChangeEdge(edge) => {
                let (src, tgt) = (edge.src.endpoint(), edge.tgt.endpoint());
                let metadata = graph.change_edge(&src, &tgt, edge.metadata.clone())?;
                one("changeedge", edge_payload(&edge.src, &edge.tgt, Some(metadata)))
            }
            Edit::AddInitial(initial) => {
                let added = Initial {
                    data: initial.src.data.clone(),
                    tgt: initial.tgt.endpoint(),
                    metadata: initial.metadata.clone(),
                };
                graph.add_initial(added)?;
                let (data, tgt) = (&initial.src.data, Value::from(&initial.tgt));
                one("addinitial", json!({"src": {"data": data}, "tgt": tgt, "metadata": initial.metadata}))
            }
            Edit::RemoveInitial(initial) => {
                let data = initial.src.as_ref().and_then(|src| src.data.as_ref());
                let removed = graph.remove_initials(&initial.tgt.endpoint(), data)?;
                removed.into_iter().map(|initial| removed_connection(id, &initial.into())).collect()
            }
            Edit::AddPort(direction, port) => {
                let export = ExportedPort {
                    process: port.node.as_str().into(),
                    port: port.port.as_str().into(),
                    metadata: port.metadata.clone(),
                };
                graph.add_export(*direction, port.public.as_str().into(), export)?;
                let mut payload = json!({"public": port.public, "node": port.node, "port": port.port});
                if !port.metadata.is_empty() {
                    payload["metadata"] = json!(port.metadata);
                }
                one(named(*direction, "addinport", "addoutport"), payload)
            }
            Edit::RemovePort(direction, port) => {
                graph.remove_export(*direction, &port.public.as_str().into())?;
                one(named(*direction, "removeinport", "removeoutport"), json!({"public": port.public}))
            }
            Edit::RenamePort(direction, names) => {
                graph.rename_export(*direction, &names.from.as_str().into(), names.to.as_str().into())?;
                let command = named(*direction, "renameinport", "renameoutport");
                one(command, json!({"from": names.from, "to": names.to}))
            }
            Edit::AddGroup(group) => {
                let nodes: Vec<NodeName> = group.nodes.iter().map(|node| node.as_str().into()).collect();
                graph.add_group(Group {
                    name: group.name.clone(),
                    nodes,
                    metadata: group.metadata.clone(),
                })?;
                one("addgroup", json!({"name": group.name, "nodes": group.nodes, "metadata": group.metadata}))
            }
            Edit::RemoveGroup(group) => {
                graph.remove_group(&group.name)?;
                one("removegroup", json!({"name": group.name}))
            }
            Edit::RenameGroup(names) => {
                graph.rename_group(&names.from, &names.to)?;
                one("renamegroup", json!({"from": names.from, "to": names.to}))
            }
            Edit::ChangeGroup(group) => {
                let metadata = graph.change_group(&group.name, group.metadata.clone())?;
                one("changegroup", json!({"name": group.name, "metadata": metadata}))
            }
        })
    }
}

impl Edit {
    /// Whether the graph has more parts afterwards.
    fn adds(&self) -> bool {
        matches!(
            self,
            Self::AddNode(_) | Self::AddEdge(_) | Self::AddInitial(_) | Self::AddGroup(_) | Self::AddPort(..)
        )
    }

    /// Whether the ports that the graph shows outwards may be others afterwards.
    pub(crate) fn concerns_ports(&self) -> bool {
        matches!(
            self,
            Self::AddPort(..)
                | Self::RemovePort(..)
                | Self::RenamePort(..)
                | Self::RemoveNode(_)
                | Self::RenameNode(_)
        )
    }
}

fn named(direction: Direction, inport: &'static str, outport: &'static str) -> &'static str {
    match direction {
        Direction::In => inport,
        Direction::Out => outport,
    }
}

fn signal(graph: &str, command: &'static str, mut payload: Value) -> Signal {
    payload["graph"] = graph.into();
    Signal::new(Protocol::Graph, command, payload)
}

fn removed_connection(graph: &str, connection: &Connection) -> Signal {
    match connection {
        Connection::Edge(edge) => {
            signal(graph, "removeedge", edge_payload(&(&edge.src).into(), &(&edge.tgt).into(), None))
        }
        Connection::Initial(initial) => {
            let tgt = Value::from(&End::from(&initial.tgt));
            signal(graph, "removeinitial", json!({"src": {"data": initial.data}, "tgt": tgt}))
        }
    }
}

pub(super) fn edge_payload(src: &End, tgt: &End, metadata: Option<&Metadata>) -> Value {
    let mut payload = json!({"src": Value::from(src), "tgt": Value::from(tgt)});
    if let Some(metadata) = metadata {
        payload["metadata"] = json!(metadata);
    }
    payload
}
