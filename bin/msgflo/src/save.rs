//! The file of a graph that is edited while it runs.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fbp::{Comment, Graph, Loss};
use msgflo_server::Store;

use crate::graphs::{Format, Loaded, replace};
use crate::outcome::Stop;

/// Saves a graph in the form in which it was read, with the comments of those parts that are still there.
#[derive(Debug)]
pub(crate) struct GraphFile {
    path: PathBuf,
    format: Format,
    comments: Vec<Comment>,
    saved: Mutex<Saved>,
}

/// What the file had when it was last read or written.
#[derive(Debug)]
struct Saved {
    /// A graph that is the same is not written, so that nobody's layout is changed for nothing.
    graph: Graph,
    /// A file that says something else now was changed by somebody else, and stays.
    text: String,
}

impl GraphFile {
    /// The file from which a graph was read, and the graph as editors see it.
    pub(crate) fn of(loaded: &Loaded) -> Result<(Self, Graph), Stop> {
        let mut graph = loaded.parsed.graph.clone();
        let format = Format::of(&loaded.path)?;
        if format == Format::Fbp {
            // Read with the case in which it is written, which is kept; but `out` and `OUT` mean the same port.
            graph.case_sensitive = false;
        }
        let file = Self {
            path: loaded.path.clone(),
            format,
            comments: loaded.parsed.comments.clone(),
            saved: Mutex::new(Saved { graph: graph.clone(), text: loaded.text.clone() }),
        };
        Ok((file, graph))
    }

    fn text(&self, graph: &Graph) -> (String, Vec<String>) {
        match self.format {
            Format::Json => (fbp::to_json(graph), Vec::new()),
            Format::Fbp => {
                let as_written = Graph { case_sensitive: true, ..graph.clone() };
                let printed = fbp::print_with_comments(&as_written, &self.comments);
                // That case counts need not be written, since it does not.
                let lost = printed.lost.iter().filter(|loss| !matches!(loss, Loss::CaseSensitive));
                (printed.text, lost.map(ToString::to_string).collect())
            }
        }
    }
}

impl Store for GraphFile {
    fn save(&self, graph: &Graph) -> Result<Vec<String>, String> {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        if saved.graph == *graph {
            return Ok(Vec::new());
        }
        let (text, lost) = self.text(graph);
        let write =
            |path: &Path| replace(path, &text).map_err(|error| format!("{}: {error}", path.display()));
        // One that is gone is made anew.
        let there = std::fs::read_to_string(&self.path).ok();
        if there.is_some_and(|there| there != saved.text && there != text) {
            let mut ours = self.path.clone().into_os_string();
            ours.push(".ours");
            let ours = PathBuf::from(ours);
            write(&ours)?;
            let (path, ours) = (self.path.display(), ours.display());
            return Err(format!(
                "somebody else has changed {path}, which stays as it is; the graph that runs is in {ours}: put it, or what you want of \
                 both, in {path}, and run that"
            ));
        }
        write(&self.path)?;
        *saved = Saved { graph: graph.clone(), text };
        Ok(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(folder: &Path, name: &str, text: &str) -> (PathBuf, GraphFile, Graph) {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        let (file, graph) = GraphFile::of(&Loaded::read(&path, true).unwrap()).unwrap();
        (path, file, graph)
    }

    #[test]
    fn comments_and_case_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let text = "# what comes in\nweb(ir/Http) RESIZE -> IN resize(ir/Resize)\n# and goes out\nresize OUT -> IN store(ir/Store)\n";
        let (path, file, mut graph) = opened(folder.path(), "service.fbp", text);
        graph.add_node("log".into(), fbp::Process::new("ir/Log")).unwrap();
        assert_eq!(file.save(&graph), Ok(vec![]));
        let saved = std::fs::read_to_string(&path).unwrap();
        for kept in ["# what comes in", "# and goes out", "RESIZE -> IN", "log(ir/Log)"] {
            assert!(saved.contains(kept), "{kept}: {saved}");
        }
        graph.remove_node(&"web".into()).unwrap();
        assert_eq!(file.save(&graph), Ok(vec![]));
        let (_, again) = GraphFile::of(&Loaded::read(&path, true).unwrap()).unwrap();
        assert_eq!(again, graph);
    }

    #[test]
    fn what_somebody_else_has_written_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (path, file, mut graph) = opened(folder.path(), "g.fbp", "a(A)\n");
        graph.add_node("b".into(), fbp::Process::new("B")).unwrap();
        assert_eq!(file.save(&graph), Ok(vec![]), "what we wrote ourselves is no edit of others");
        std::fs::write(&path, "mine(A)\n").unwrap();
        graph.add_node("c".into(), fbp::Process::new("C")).unwrap();
        let ours = folder.path().join("g.fbp.ours");
        for _ in 0..2 {
            assert!(file.save(&graph).unwrap_err().contains("somebody else has changed"));
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine(A)\n");
        std::fs::rename(ours, &path).unwrap();
        assert_eq!(file.save(&graph), Ok(vec![]), "ours was taken");
        assert!(std::fs::read_to_string(&path).unwrap().contains("c(C)"));
    }

    #[test]
    fn nothing_is_written_where_nothing_changed() {
        let folder = tempfile::tempdir().unwrap();
        let text = "a(A)   OUT   ->   IN b(B)";
        let (path, file, graph) = opened(folder.path(), "g.fbp", text);
        assert_eq!(file.save(&graph), Ok(vec![]));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn what_the_language_has_no_words_for_is_kept_in_annotations() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("g.fbp", "# the house\na(A) OUT -> IN b(B)\n"),
            (
                "g.json",
                r#"{"processes": {"a": {"component": "A"}, "b": {"component": "B"}},
                    "connections": [{"src": {"process": "a", "port": "out"}, "tgt": {"process": "b", "port": "in"}}]}"#,
            ),
        ] {
            let (path, file, mut graph) = opened(folder.path(), name, text);
            let metadata = |value: serde_json::Value| value.as_object().unwrap().clone();
            graph.change_node(&"a".into(), metadata(serde_json::json!({"x": -40, "y": 12.5}))).unwrap();
            let edge = graph.edges().next().unwrap().clone();
            graph.change_edge(&edge.src, &edge.tgt, metadata(serde_json::json!({"route": 5}))).unwrap();
            graph.groups.push(fbp::Group {
                name: "all".into(),
                nodes: vec!["a".into(), "b".into()],
                ..Default::default()
            });
            assert_eq!(file.save(&graph), Ok(vec![]), "{name}");
            let (_, again) = GraphFile::of(&Loaded::read(&path, true).unwrap()).unwrap();
            assert_eq!(again, graph, "{name}: {}", std::fs::read_to_string(&path).unwrap());
        }
        assert!(std::fs::read_to_string(folder.path().join("g.fbp")).unwrap().starts_with("# the house\n"));
    }

    #[test]
    fn what_cannot_be_kept_at_all_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let (path, file, mut graph) = opened(folder.path(), "g.fbp", "a(A)");
        graph.add_node("a node".into(), fbp::Process::new("A")).unwrap();
        assert_eq!(file.save(&graph).unwrap().len(), 1);
        assert!(Loaded::read(&path, true).is_ok());
    }
}
