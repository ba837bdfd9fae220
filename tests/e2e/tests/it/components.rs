//! A component that is written, and written again, while its node works.

use e2e::{Network, Peers, Programs};
use serde_json::{Value, json};

use crate::editor::Editor;

const SECRET: &str = "may write code";

/// A participant that answers each message with a number.
fn code(answer: u32) -> String {
    format!(
        r#"
import json, os, sys, uuid, pika
role = sys.argv[1]
connection = pika.BlockingConnection(pika.URLParameters(os.environ["MSGFLO_BROKER"]))
channel = connection.channel()
channel.queue_declare(role + "/in")
channel.exchange_declare(role + "/out", exchange_type="fanout")
def work(channel, method, properties, body):
    channel.basic_publish(role + "/out", "", b"{answer}")
    channel.basic_ack(method.delivery_tag)
channel.basic_consume(role + "/in", work)
port = lambda name: [{{"id": name, "type": "any", "queue": role + "/" + name}}]
channel.basic_publish("", "fbp", json.dumps({{"protocol": "discovery", "command": "participant", "payload": {{
    "id": str(uuid.uuid4()), "role": role, "component": "live/Answer", "inports": port("in"), "outports": port("out")}}}}))
channel.start_consuming()
"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_written_and_replaced_while_its_node_works() {
    let (programs, peers) = (Programs::build(), Peers::installed());
    let handler = format!("{} #FILENAME #ROLE", peers.python.display());
    let library = json!({"namespace": "live", "handlers": {".py": handler}});
    let further = ["--componentdir", "parts", "--secret", SECRET];
    let network = Network::run_with(programs.path("msgflo"), "", &library, "embedded:?port=0", &further);
    let mut editor = Editor::connect_with(&network, SECRET).await;
    let source =
        |answer| json!({"name": "Answer", "library": "live", "language": "python", "code": code(answer)});
    let written = editor.ask("component", "source", source(1)).await;
    assert_eq!(
        (&written["command"], &written["payload"]["name"]),
        (&json!("component"), &json!("live/Answer"))
    );
    let read = editor.ask("component", "getsource", json!({"name": "live/Answer"})).await;
    assert_eq!(read["payload"]["code"], code(1));

    editor.ask("graph", "addnode", json!({"id": "it", "component": "live/Answer"})).await;
    editor.ask("graph", "addinport", json!({"public": "in", "node": "it", "port": "in"})).await;
    editor.ask("graph", "addoutport", json!({"public": "out", "node": "it", "port": "out"})).await;
    let is_result = |message: &Value| message["protocol"] == "runtime" && message["command"] == "packet";
    let packet = json!({"port": "in", "event": "data", "payload": 0});
    editor.ask("runtime", "packet", packet.clone()).await;
    assert_eq!(editor.next(is_result).await["payload"]["payload"], 1);

    editor.ask("component", "source", source(2)).await;
    // While one replaces the other, each message is answered by one of them.
    let mut answered = 0;
    while answered != 2 {
        editor.ask("runtime", "packet", packet.clone()).await;
        answered = editor.next(is_result).await["payload"]["payload"].as_u64().expect("a number");
    }
    assert!(network.stop().success());
}
