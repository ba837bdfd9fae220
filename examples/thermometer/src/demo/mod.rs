//! The demonstration: a network that is edited while it runs, by the messages that an editor would send.

mod editor;
mod network;
mod python;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use editor::Editor;
use network::Network;

const FORMAT_TEMPERATURE: &str = include_str!("../../FormatTemperature.py");
const FORMAT_BOTH: &str = include_str!("../../FormatBoth.py");

#[derive(Args)]
pub(crate) struct Demo {
    /// The broker; MQTT or AMQP.
    #[arg(long, value_name = "URL", default_value = "embedded+mqtt:?port=0")]
    broker: String,
    /// The msgflo program [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    msgflo: Option<PathBuf>,
    /// A Python that has paho-mqtt and pika [default: one of the demo's own, which is made].
    #[arg(long, value_name = "FILE")]
    python: Option<PathBuf>,
}

impl Demo {
    pub(crate) async fn run(self) -> Result<()> {
        let python = match self.python {
            Some(python) => python,
            None => python::prepare().await?,
        };
        println!("a sensor and a display start; nothing connects them");
        let mut network = Network::start(self.msgflo, &python, &self.broker).await?;
        let mut editor = Editor::connect(network.socket(), network::SECRET).await?;

        println!("connecting inside TEMPERATURE -> TEXT display");
        editor.graph("addedge", edge("inside", "TEMPERATURE", "display", "TEXT")).await?;
        network.shows("22.3333333").await?;

        println!("adding the component FormatTemperature, and putting it between them");
        editor.add_component("FormatTemperature", FORMAT_TEMPERATURE).await?;
        editor.graph("addnode", node("format", "thermometer/FormatTemperature")).await?;
        editor.graph("addedge", edge("inside", "TEMPERATURE", "format", "temperature")).await?;
        editor.graph("addedge", edge("format", "text", "display", "TEXT")).await?;
        editor.graph("removeedge", edge("inside", "TEMPERATURE", "display", "TEXT")).await?;
        network.shows("Temperature: 22.3 C").await?;

        println!("adding a second sensor, and a formatter for both; it has become colder inside");
        editor.add_component("FormatBoth", FORMAT_BOTH).await?;
        editor.graph("addnode", node("outside", "thermometer/Sensor")).await?;
        editor.graph("addinitial", initial(-5.5, "outside")).await?;
        editor.graph("removeinitial", json!({"tgt": {"node": "inside", "port": "SET"}})).await?;
        editor.graph("addinitial", initial(22.2, "inside")).await?;
        editor.graph("addnode", node("both", "thermometer/FormatBoth")).await?;
        editor.graph("addedge", edge("inside", "TEMPERATURE", "both", "inside")).await?;
        editor.graph("addedge", edge("outside", "TEMPERATURE", "both", "outside")).await?;
        editor.graph("addedge", edge("both", "text", "display", "TEXT")).await?;
        editor.graph("removenode", json!({"id": "format"})).await?;
        network.shows("Inside 22.2 C Outside: -5.5 C").await?;

        network.stop().await?;
        println!("done: the network was wired three times, and no part of it was restarted");
        Ok(())
    }
}

fn node(id: &str, component: &str) -> Value {
    json!({"id": id, "component": component, "metadata": {}})
}

fn edge(source: &str, out: &str, target: &str, into: &str) -> Value {
    json!({"src": {"node": source, "port": out}, "tgt": {"node": target, "port": into}})
}

fn initial(value: f64, sensor: &str) -> Value {
    json!({"src": {"data": value}, "tgt": {"node": sensor, "port": "SET"}})
}
