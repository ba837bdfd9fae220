//! Recordings of what flowed in a graph: the last so many messages, as flowtrace JSON. Pure.
//!
//! The format is that of the `flowtrace` package of npm: a header with the graph, and events as the protocol sends them with
//! their times.

use std::collections::{HashMap, VecDeque};

use serde_json::json;

use crate::protocol::Signal;

/// How many messages are kept where nothing is said, and at most.
const SIZE: (usize, usize) = (1000, 100_000);
/// How many bytes all recordings together have at most, as text.
const BYTES: usize = 64 << 20;

/// The recordings, by graph.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    by_graph: HashMap<String, Trace>,
}

impl Traces {
    /// Begins anew.
    pub(crate) fn start(&mut self, graph: &str, trace: Trace) {
        self.by_graph.insert(graph.to_owned(), trace);
    }

    pub(crate) fn get(&self, graph: &str) -> Option<&Trace> {
        self.by_graph.get(graph)
    }

    pub(crate) fn get_mut(&mut self, graph: &str) -> Option<&mut Trace> {
        self.by_graph.get_mut(graph)
    }

    /// Whether a graph is being recorded.
    pub(crate) fn is_running(&self, graph: &str) -> bool {
        self.get(graph).is_some_and(|trace| trace.is_running)
    }

    /// Takes a message of a graph that is being recorded. When there is no room, the oldest of the longest recording go.
    pub(crate) fn record(&mut self, graph: &str, signal: &Signal, now: &str) {
        let Some(trace) = self.by_graph.get_mut(graph).filter(|trace| trace.is_running) else { return };
        trace.record(signal, now);
        let mut bytes: usize = self.by_graph.values().map(|trace| trace.bytes).sum();
        while bytes > BYTES {
            let longest = self.by_graph.values_mut().max_by_key(|trace| trace.bytes);
            bytes -= longest.map_or(bytes, Trace::forget_oldest);
        }
    }
}

/// One recording.
#[derive(Debug)]
pub(crate) struct Trace {
    size: usize,
    is_running: bool,
    started: String,
    /// Each as JSON: as a tree it would take many times as much.
    events: VecDeque<Box<str>>,
    /// How long they are together.
    bytes: usize,
}

impl Trace {
    /// Begins at the time `now`, given in ISO 8601.
    pub(crate) fn new(size: Option<usize>, now: String) -> Self {
        let size = size.unwrap_or(SIZE.0).clamp(1, SIZE.1);
        Self { size, is_running: true, started: now, events: VecDeque::new(), bytes: 0 }
    }

    /// Takes no more; what was taken stays.
    pub(crate) fn stop(&mut self) {
        self.is_running = false;
    }

    /// Forgets what was taken.
    pub(crate) fn clear(&mut self) {
        self.events.clear();
        self.bytes = 0;
    }

    /// Takes a message; the oldest goes when there are too many.
    fn record(&mut self, signal: &Signal, now: &str) {
        if self.events.len() == self.size {
            self.forget_oldest();
        }
        let mut event = json!(signal);
        event["time"] = now.into();
        let event = event.to_string().into_boxed_str();
        self.bytes += event.len();
        self.events.push_back(event);
    }

    /// How long it was.
    fn forget_oldest(&mut self) -> usize {
        let bytes = self.events.pop_front().map_or(0, |event| event.len());
        self.bytes -= bytes;
        bytes
    }

    /// The recording as text.
    pub(crate) fn dump(&self, id: &str, graph: &fbp::Graph, label: &str, now: &str) -> String {
        let metadata = json!({"label": label, "runtime": "msgflo", "start": self.started, "end": now});
        let header = json!({"metadata": metadata, "graphs": {id: graph}, "main": id});
        let events: Vec<&str> = self.events.iter().map(|event| &**event).collect();
        format!(r#"{{"header":{header},"events":[{}]}}"#, events.join(","))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::protocol::Protocol;

    fn message(number: u32, data: &str) -> Signal {
        Signal::new(Protocol::Network, "data", json!({"number": number, "data": data}))
    }

    /// The numbers of the messages that a graph's recording has, and how long it is.
    fn numbers(traces: &Traces, graph: &str) -> (Vec<u64>, usize) {
        let text = traces.get(graph).unwrap().dump("g", &fbp::parse("a(A)").unwrap(), "net", "t9");
        let dump: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(dump["header"]["graphs"]["g"]["processes"]["a"]["component"], "A");
        let events = dump["events"].as_array().unwrap();
        (events.iter().map(|it| it["payload"]["number"].as_u64().unwrap()).collect(), text.len())
    }

    #[test]
    fn the_newest_are_kept() {
        let mut traces = Traces::default();
        traces.start("g", Trace::new(Some(2), "t0".into()));
        (1..=3).for_each(|number| traces.record("g", &message(number, ""), "t1"));
        traces.get_mut("g").unwrap().stop();
        traces.record("g", &message(4, ""), "t2");
        assert_eq!(numbers(&traces, "g").0, [2, 3]);
    }

    #[test]
    fn large_messages_are_as_many_as_there_is_room_for() {
        let (mut traces, data) = (Traces::default(), "x".repeat(1 << 20));
        for graph in ["g", "h"] {
            traces.start(graph, Trace::new(Some(100_000), "t0".into()));
            (0..40).for_each(|number| traces.record(graph, &message(number, &data), "t1"));
        }
        let ((of_g, g), (of_h, h)) = (numbers(&traces, "g"), numbers(&traces, "h"));
        assert!((BYTES - (2 << 20)..BYTES + 4096).contains(&(g + h)), "{g} and {h}");
        assert!(g.abs_diff(h) < 3 << 20, "{g} and {h}: neither has taken the other's room");
        assert_eq!((of_g.last(), of_h.last()), (Some(&39), Some(&39)));
        traces.get_mut("g").unwrap().clear();
        traces.record("g", &message(100, ""), "t2");
        assert_eq!(numbers(&traces, "g").0, [100]);
    }
}
