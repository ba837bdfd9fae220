//! The network in numbers, in Prometheus' text format.
//!
//! Each is a reading of the present state, so there is nothing to keep between two scrapes.

use std::fmt::Write;

use msgflo_coordinator::{EdgeState, NodeStatus, ProcessStatus, QueueStatus, Status};

/// The metrics of `status`, and whether the broker is there.
pub(crate) fn render(status: &Status, is_connected: bool) -> String {
    let mut text = String::new();
    describe(&mut text, "msgflo_broker_connected", "gauge", "Whether the broker is there: 1, else 0.");
    sample(&mut text, "msgflo_broker_connected", &[], is_connected.into());
    processes(
        &mut text,
        status,
        "msgflo_processes_wanted",
        "gauge",
        "Processes that there should be.",
        |p| p.wanted.into(),
    );
    processes(&mut text, status, "msgflo_processes_running", "gauge", "Processes that run.", |p| {
        p.running.into()
    });
    processes(
        &mut text,
        status,
        "msgflo_processes_failing",
        "gauge",
        "Processes that wait after a failure.",
        |p| p.failing.into(),
    );
    processes(
        &mut text,
        status,
        "msgflo_process_restarts_total",
        "counter",
        "Processes started again.",
        |p| p.restarts,
    );
    queues(
        &mut text,
        status,
        "msgflo_queue_messages_ready",
        "Messages that wait in an inport's queue.",
        |queue| Some(queue.depth?.ready),
    );
    queues(&mut text, status, "msgflo_queue_messages_unacknowledged", "Messages being worked on.", |queue| {
        queue.depth?.unacknowledged
    });
    queues(&mut text, status, "msgflo_queue_consumers", "Consumers of an inport's queue.", |queue| {
        Some(queue.depth?.consumers.into())
    });
    describe(&mut text, "msgflo_edges", "gauge", "Connections of the graph by state.");
    for (state, name) in
        [(EdgeState::Bound, "bound"), (EdgeState::Pending, "pending"), (EdgeState::Failed, "failed")]
    {
        let count = status.edges.iter().filter(|edge| edge.state == state).count();
        sample(&mut text, "msgflo_edges", &[("state", name)], count as u64);
    }
    text
}

fn processes(
    text: &mut String,
    status: &Status,
    name: &str,
    kind: &str,
    help: &str,
    value: impl Fn(&ProcessStatus) -> u64,
) {
    describe(text, name, kind, help);
    for node in &status.nodes {
        // A process that serves several roles counts once, under the first of them.
        let own = node.process.as_ref().filter(|process| node.role == process.name.as_str());
        if let Some(process) = own {
            sample(text, name, &[("role", node.role.as_str())], value(process));
        }
    }
}

fn queues(
    text: &mut String,
    status: &Status,
    name: &str,
    help: &str,
    value: impl Fn(&QueueStatus) -> Option<u64>,
) {
    describe(text, name, "gauge", help);
    let of = |node: &NodeStatus, queue: &QueueStatus, text: &mut String| {
        if let Some(value) = value(queue) {
            sample(text, name, &[("role", node.role.as_str()), ("port", queue.port.as_str())], value);
        }
    };
    for node in &status.nodes {
        node.queues.iter().for_each(|queue| of(node, queue, text));
    }
}

fn describe(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(text: &mut String, name: &str, labels: &[(&str, &str)], value: u64) {
    let labels: Vec<_> =
        labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escape(value))).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let _ = writeln!(text, "{name}{labels} {value}");
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = String::new();
        sample(&mut text, "m", &[("role", "a\"b\\\n")], 3);
        assert_eq!(text, "m{role=\"a\\\"b\\\\\\n\"} 3\n");
    }

    #[test]
    fn edges_are_counted_by_state() {
        let status = Status { settled: true, nodes: vec![], edges: vec![] };
        let text = render(&status, true);
        assert!(text.contains("msgflo_edges{state=\"failed\"} 0\n"), "{text}");
        assert!(text.contains("\nmsgflo_broker_connected 1\n"), "{text}");
    }
}
