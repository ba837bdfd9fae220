//! What editing needs to know: the graph, the library, who may, and where it is saved.

use std::sync::Arc;

use fbp::Graph;
use msgflo_coordinator::{Choice, Library};

use crate::access::Permissions;

/// What is edited, and by whom.
pub struct Editor {
    /// The main graph, with its id. Without one, the first that a client calls main becomes it.
    pub graph: Option<(String, Graph)>,
    /// The components.
    pub library: Library,
    /// Which roles are ours to start.
    pub choice: Choice,
    /// Who may do what.
    pub permissions: Permissions,
    /// Origins of web pages that count as our own, beside those of this machine: `https://editor.example`.
    pub origins: Vec<String>,
    /// What identifies this runtime, for registries of runtimes.
    pub runtime_id: Option<String>,
    /// Where the main graph is saved, if anywhere.
    pub store: Option<Arc<dyn Store>>,
    /// Whether it is saved after each change, or only when a client asks.
    pub auto_save: bool,
}

/// Where the main graph is saved.
pub trait Store: Send + Sync {
    /// Saves the graph, as a whole or not at all. What could not be kept, in words. May block.
    ///
    /// # Errors
    /// Why it could not be saved.
    fn save(&self, graph: &Graph) -> Result<Vec<String>, String>;
}
