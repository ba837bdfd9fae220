//! What Prometheus reads. Labelled by application and role, never by message or queue.
//!
//! Format: the text format 0.0.4 of Prometheus.

use std::fmt::Write;

use super::apps::Governed;
use crate::gauges::{GAUGES, Gauge};

pub(super) fn render(apps: &[(String, Governed)]) -> String {
    let snapshots: Vec<_> = apps.iter().map(|(id, app)| (id, app.handle.snapshot())).collect();
    let mut text = String::new();
    // Writing to a String cannot fail.
    for Gauge { name, help, value } in GAUGES {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (app, snapshot) in &snapshots {
            for record in &snapshot.roles {
                if let Some(value) = value(record) {
                    let (app, role) = (escaped(app), escaped(record.role.as_str()));
                    let _ = writeln!(text, "{name}{{app=\"{app}\",role=\"{role}\"}} {value}");
                }
            }
        }
    }
    let _ = writeln!(text, "# HELP guv_cycles_total Polls completed.\n# TYPE guv_cycles_total counter");
    for (app, snapshot) in &snapshots {
        let _ = writeln!(text, "guv_cycles_total{{app=\"{}\"}} {}", escaped(app), snapshot.cycle);
    }
    text
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
