//! Recordings of what flowed in a graph: the last so many messages, as flowtrace JSON. Pure.
//!
//! The format is that of the `flowtrace` package of npm: a header with the graph, and events as the protocol sends them with
//! their times.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::protocol::Signal;

/// How many messages are kept where nothing is said, and at most.
const SIZE: (usize, usize) = (1000, 100_000);

/// One recording.
#[derive(Debug)]
pub(crate) struct Trace {
    size: usize,
    is_running: bool,
    started: String,
    events: VecDeque<Value>,
}

impl Trace {
    /// Begins at the time `now`, given in ISO 8601.
    pub(crate) fn new(size: Option<usize>, now: String) -> Self {
        let size = size.unwrap_or(SIZE.0).clamp(1, SIZE.1);
        Self { size, is_running: true, started: now, events: VecDeque::new() }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.is_running
    }

    /// Takes no more; what was taken stays.
    pub(crate) fn stop(&mut self) {
        self.is_running = false;
    }

    /// Forgets what was taken.
    pub(crate) fn clear(&mut self) {
        self.events.clear();
    }

    /// Takes a message; the oldest goes when there are too many.
    pub(crate) fn record(&mut self, signal: &Signal, now: &str) {
        if !self.is_running {
            return;
        }
        if self.events.len() == self.size {
            self.events.pop_front();
        }
        let mut event = json!(signal);
        event["time"] = now.into();
        self.events.push_back(event);
    }

    /// The recording as text.
    pub(crate) fn dump(&self, id: &str, graph: &fbp::Graph, label: &str, now: &str) -> String {
        let metadata = json!({"label": label, "runtime": "msgflo", "start": self.started, "end": now});
        json!({"header": {"metadata": metadata, "graphs": {id: graph}, "main": id}, "events": self.events})
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;

    #[test]
    fn the_newest_are_kept() {
        let mut trace = Trace::new(Some(2), "t0".into());
        for data in 1..=3 {
            trace.record(&Signal::new(Protocol::Network, "data", json!({"data": data})), "t1");
        }
        trace.stop();
        trace.record(&Signal::new(Protocol::Network, "data", json!({"data": 4})), "t2");
        let graph = fbp::parse("a(A)").unwrap();
        let dump: Value = serde_json::from_str(&trace.dump("g", &graph, "net", "t3")).unwrap();
        let data: Vec<_> =
            dump["events"].as_array().unwrap().iter().map(|it| it["payload"]["data"].clone()).collect();
        assert_eq!(data, [json!(2), json!(3)]);
        assert_eq!(dump["header"]["graphs"]["g"]["processes"]["a"]["component"], "A");
    }
}
