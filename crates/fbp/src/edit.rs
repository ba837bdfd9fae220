//! Changes to a graph by a live editor, one at a time. Each keeps the graph consistent (see [`Graph::check`]), changes
//! nothing when it fails, and returns what was there before or what went with it.

use indexmap::IndexMap;
use serde_json::Value;

use crate::{
    ComponentName, Connection, Edge, Endpoint, ExportedPort, Graph, Group, Initial, Metadata, NodeName,
    PortName, Process,
};

/// Why a change is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The node does not exist.
    #[error("no node `{0}`")]
    NoNode(NodeName),
    /// There is already a node of that name.
    #[error("node `{0}` exists already")]
    NodeExists(NodeName),
    /// A node must run something.
    #[error("node `{0}` has no component")]
    NoComponent(NodeName),
    /// The edge does not exist.
    #[error("no edge `{0}`")]
    NoEdge(String),
    /// There is already such an edge.
    #[error("edge `{0}` exists already")]
    EdgeExists(String),
    /// The port has no initial packet.
    #[error("no initial packet for `{0}`")]
    NoInitial(String),
    /// The graph has no such port.
    #[error("no exported port `{0}`")]
    NoExport(PortName),
    /// There is already an exported port of that name.
    #[error("exported port `{0}` exists already")]
    ExportExists(PortName),
    /// The group does not exist.
    #[error("no group `{0}`")]
    NoGroup(String),
    /// There is already a group of that name.
    #[error("group `{0}` exists already")]
    GroupExists(String),
}

/// A node that was removed, with everything that was removed with it.
#[derive(Clone, Debug, PartialEq)]
pub struct RemovedNode {
    /// The node itself.
    pub process: Process,
    /// Its edges and initial packets.
    pub connections: Vec<Connection>,
    /// The public names of its exported inports.
    pub inports: Vec<PortName>,
    /// The public names of its exported outports.
    pub outports: Vec<PortName>,
}

/// Which of the graph's own ports are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// [`Graph::inports`].
    In,
    /// [`Graph::outports`].
    Out,
}

impl Graph {
    /// Adds a node.
    ///
    /// # Errors
    /// There is one of that name, or it has no component.
    pub fn add_node(&mut self, name: NodeName, process: Process) -> Result<(), EditError> {
        if self.processes.contains_key(&name) {
            return Err(EditError::NodeExists(name));
        }
        if process.component.as_str().is_empty() {
            return Err(EditError::NoComponent(name));
        }
        self.processes.insert(name, process);
        Ok(())
    }

    /// Removes a node with its connections and exported ports, and takes it out of its groups.
    ///
    /// # Errors
    /// It does not exist.
    pub fn remove_node(&mut self, name: &NodeName) -> Result<RemovedNode, EditError> {
        let process = self.processes.shift_remove(name).ok_or_else(|| EditError::NoNode(name.clone()))?;
        let touches = |connection: &mut Connection| connection.touches(name.as_str());
        let connections = self.connections.extract_if(.., touches).collect();
        let of_node = |ports: &mut IndexMap<PortName, ExportedPort>| {
            let removed = ports.extract_if(.., |_, export| export.process == *name);
            removed.map(|(public, _)| public).collect()
        };
        let (inports, outports) = (of_node(&mut self.inports), of_node(&mut self.outports));
        for group in &mut self.groups {
            group.nodes.retain(|node| node != name);
        }
        Ok(RemovedNode { process, connections, inports, outports })
    }

    /// Renames a node everywhere; it keeps its place.
    ///
    /// # Errors
    /// It does not exist, or there is another one of the new name.
    pub fn rename_node(&mut self, from: &NodeName, to: NodeName) -> Result<(), EditError> {
        let index = self.processes.get_index_of(from).ok_or_else(|| EditError::NoNode(from.clone()))?;
        if *from == to {
            return Ok(());
        }
        self.processes.replace_index(index, to.clone()).map_err(|(_, name)| EditError::NodeExists(name))?;
        let rename = |node: &mut NodeName| {
            if node == from {
                *node = to.clone();
            }
        };
        for connection in &mut self.connections {
            match connection {
                Connection::Edge(edge) => {
                    rename(&mut edge.src.process);
                    rename(&mut edge.tgt.process);
                }
                Connection::Initial(initial) => rename(&mut initial.tgt.process),
            }
        }
        self.inports
            .values_mut()
            .chain(self.outports.values_mut())
            .for_each(|export| rename(&mut export.process));
        self.groups.iter_mut().flat_map(|group| &mut group.nodes).for_each(rename);
        Ok(())
    }

    /// Changes entries of a node's metadata; `null` removes one. Returns the metadata as it is now.
    ///
    /// # Errors
    /// The node does not exist.
    pub fn change_node(&mut self, name: &NodeName, changes: Metadata) -> Result<&Metadata, EditError> {
        let process = self.processes.get_mut(name).ok_or_else(|| EditError::NoNode(name.clone()))?;
        merge(&mut process.metadata, changes);
        Ok(&process.metadata)
    }

    /// Lets a node run another component. Returns the former one.
    ///
    /// # Errors
    /// The node does not exist, or the component is empty.
    pub fn set_component(
        &mut self,
        name: &NodeName,
        component: ComponentName,
    ) -> Result<ComponentName, EditError> {
        let process = self.processes.get_mut(name).ok_or_else(|| EditError::NoNode(name.clone()))?;
        if component.as_str().is_empty() {
            return Err(EditError::NoComponent(name.clone()));
        }
        Ok(std::mem::replace(&mut process.component, component))
    }

    /// The index of the first edge between these ends; ports are compared by [`Graph::same_port`].
    pub fn find_edge(&self, src: &Endpoint, tgt: &Endpoint) -> Option<usize> {
        self.connections.iter().position(|connection| {
            connection
                .as_edge()
                .is_some_and(|edge| self.same_endpoint(&edge.src, src) && self.same_endpoint(&edge.tgt, tgt))
        })
    }

    /// Adds an edge behind the others.
    ///
    /// # Errors
    /// One of its nodes does not exist, or there is such an edge.
    pub fn add_edge(&mut self, edge: Edge) -> Result<(), EditError> {
        self.require(&edge.src.process)?;
        self.require(&edge.tgt.process)?;
        if self.find_edge(&edge.src, &edge.tgt).is_some() {
            return Err(EditError::EdgeExists(edge.to_string()));
        }
        self.connections.push(edge.into());
        Ok(())
    }

    /// Removes the edge between these ends.
    ///
    /// # Errors
    /// There is none.
    pub fn remove_edge(&mut self, src: &Endpoint, tgt: &Endpoint) -> Result<Edge, EditError> {
        let index = self.find_edge(src, tgt);
        match index.map(|index| self.connections.remove(index)) {
            Some(Connection::Edge(edge)) => Ok(edge),
            _ => Err(no_edge(src, tgt)),
        }
    }

    /// Changes entries of an edge's metadata; `null` removes one. Returns the metadata as it is now.
    ///
    /// # Errors
    /// There is no such edge.
    pub fn change_edge(
        &mut self,
        src: &Endpoint,
        tgt: &Endpoint,
        changes: Metadata,
    ) -> Result<&Metadata, EditError> {
        let index = self.find_edge(src, tgt);
        match index.map(|index| &mut self.connections[index]) {
            Some(Connection::Edge(edge)) => {
                merge(&mut edge.metadata, changes);
                Ok(&edge.metadata)
            }
            _ => Err(no_edge(src, tgt)),
        }
    }

    /// Adds an initial packet behind the other connections. A port may have several.
    ///
    /// # Errors
    /// Its node does not exist.
    pub fn add_initial(&mut self, initial: Initial) -> Result<(), EditError> {
        self.require(&initial.tgt.process)?;
        self.connections.push(initial.into());
        Ok(())
    }

    /// Removes the initial packets of a port, or only those with that content.
    ///
    /// # Errors
    /// There are none.
    pub fn remove_initials(
        &mut self,
        tgt: &Endpoint,
        data: Option<&Value>,
    ) -> Result<Vec<Initial>, EditError> {
        let mut connections = std::mem::take(&mut self.connections);
        let is_meant = |initial: &Initial| {
            self.same_endpoint(&initial.tgt, tgt) && data.is_none_or(|data| *data == initial.data)
        };
        let removed: Vec<Initial> = connections
            .extract_if(.., |connection| connection.as_initial().is_some_and(is_meant))
            .filter_map(|connection| match connection {
                Connection::Initial(initial) => Some(initial),
                Connection::Edge(_) => None,
            })
            .collect();
        self.connections = connections;
        if removed.is_empty() {
            return Err(EditError::NoInitial(format!("{} of {}", tgt.port, tgt.process)));
        }
        Ok(removed)
    }

    /// The graph's own ports of that direction.
    pub fn exports(&self, direction: Direction) -> &IndexMap<PortName, ExportedPort> {
        match direction {
            Direction::In => &self.inports,
            Direction::Out => &self.outports,
        }
    }

    pub(crate) fn exports_mut(&mut self, direction: Direction) -> &mut IndexMap<PortName, ExportedPort> {
        match direction {
            Direction::In => &mut self.inports,
            Direction::Out => &mut self.outports,
        }
    }

    /// Shows a port of a node as a port of the graph.
    ///
    /// # Errors
    /// The node does not exist, or there is such an exported port.
    pub fn add_export(
        &mut self,
        direction: Direction,
        public: PortName,
        port: ExportedPort,
    ) -> Result<(), EditError> {
        self.require(&port.process)?;
        if self.exports(direction).contains_key(&public) {
            return Err(EditError::ExportExists(public));
        }
        self.exports_mut(direction).insert(public, port);
        Ok(())
    }

    /// Hides an exported port.
    ///
    /// # Errors
    /// It does not exist.
    pub fn remove_export(
        &mut self,
        direction: Direction,
        public: &PortName,
    ) -> Result<ExportedPort, EditError> {
        self.exports_mut(direction).shift_remove(public).ok_or_else(|| EditError::NoExport(public.clone()))
    }

    /// Renames an exported port; it keeps its place.
    ///
    /// # Errors
    /// It does not exist, or there is another one of the new name.
    pub fn rename_export(
        &mut self,
        direction: Direction,
        from: &PortName,
        to: PortName,
    ) -> Result<(), EditError> {
        let ports = self.exports_mut(direction);
        let index = ports.get_index_of(from).ok_or_else(|| EditError::NoExport(from.clone()))?;
        ports.replace_index(index, to).map(|_former| ()).map_err(|(_, name)| EditError::ExportExists(name))
    }

    /// Adds a group.
    ///
    /// # Errors
    /// There is one of that name, or one of its nodes does not exist.
    pub fn add_group(&mut self, group: Group) -> Result<(), EditError> {
        if self.groups.iter().any(|other| other.name == group.name) {
            return Err(EditError::GroupExists(group.name));
        }
        group.nodes.iter().try_for_each(|node| self.require(node))?;
        self.groups.push(group);
        Ok(())
    }

    /// Removes a group; its nodes stay.
    ///
    /// # Errors
    /// It does not exist.
    pub fn remove_group(&mut self, name: &str) -> Result<Group, EditError> {
        let index = self.find_group(name)?;
        Ok(self.groups.remove(index))
    }

    /// Renames a group; it keeps its place.
    ///
    /// # Errors
    /// It does not exist, or there is another one of the new name.
    pub fn rename_group(&mut self, from: &str, to: &str) -> Result<(), EditError> {
        let index = self.find_group(from)?;
        if from != to && self.find_group(to).is_ok() {
            return Err(EditError::GroupExists(to.to_owned()));
        }
        self.groups[index].name = to.to_owned();
        Ok(())
    }

    /// Changes entries of a group's metadata; `null` removes one. Returns the metadata as it is now.
    ///
    /// # Errors
    /// The group does not exist.
    pub fn change_group(&mut self, name: &str, changes: Metadata) -> Result<&Metadata, EditError> {
        let index = self.find_group(name)?;
        let group = &mut self.groups[index];
        merge(&mut group.metadata, changes);
        Ok(&group.metadata)
    }

    fn find_group(&self, name: &str) -> Result<usize, EditError> {
        let index = self.groups.iter().position(|group| group.name == name);
        index.ok_or_else(|| EditError::NoGroup(name.to_owned()))
    }

    fn require(&self, node: &NodeName) -> Result<(), EditError> {
        if self.processes.contains_key(node) { Ok(()) } else { Err(EditError::NoNode(node.clone())) }
    }
}

fn no_edge(src: &Endpoint, tgt: &Endpoint) -> EditError {
    EditError::NoEdge(Edge::new(src.clone(), tgt.clone()).to_string())
}

/// Takes over the entries; `null` removes one.
fn merge(metadata: &mut Metadata, changes: Metadata) {
    for (key, value) in changes {
        if value.is_null() {
            metadata.shift_remove(&key);
        } else {
            metadata.insert(key, value);
        }
    }
}
