//! The entry points of the fuzz targets: what a stranger sends, without the socket.
//!
//! What must hold for any text: no panic; everything is answered; and what is refused changes nothing.

use serde_json::Value;

use crate::access::{Grant, Permissions};
use crate::graphs::Graphs;
use crate::protocol::{Command, Request};

/// One message to a graph that is there.
pub fn message(text: &str) {
    let Ok(request) = Request::decode(text) else { return };
    let Ok(command) = Grant::new(Permissions::open(), true).admit(request) else { return };
    let graph =
        fbp::parse("a(A) OUT -> IN b(B)\n'x' -> IN a\nOUTPORT=b.OUT:OUT").expect("the graph is right");
    let mut graphs = Graphs::with_main("g".to_owned(), graph);
    let before = fbp::to_json(&graphs.get("g").expect("it is there").graph);
    let told = match command {
        Command::Clear(cleared) => graphs.clear(&cleared),
        Command::Edit { graph, edit } => graphs.edit(&graph, &edit),
        _ => return,
    };
    match told {
        Ok(signals) => {
            assert!(!signals.is_empty(), "everything is answered");
            for signal in signals {
                let text = signal.encode(None);
                assert!(serde_json::from_str::<Value>(&text).is_ok(), "what is sent is JSON");
            }
            for (_, opened) in graphs.iter() {
                assert_eq!(opened.graph.check().count(), 0, "graphs stay consistent");
            }
        }
        Err(_) => {
            let after = fbp::to_json(&graphs.get("g").expect("it is there").graph);
            assert_eq!(before, after, "what is refused changes nothing");
        }
    }
}
