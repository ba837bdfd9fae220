//! The router, spoken to by messages.
//!
//! `/msgrouter/<instance>/addbinding` and `removebinding` take `{"type": "pubsub", "src": TOPIC, "tgt": TOPIC}`.
//! `/msgrouter/<instance>/bindings` gets the list of all of them with every change, and when anything is sent to
//! `/msgrouter/<instance>/listbindings`. Bindings made so are remembered, apart from those of the network that the
//! router belongs to.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::select_all;
use msgflo_core::{Binding, Carrier, Destination, Error, Message, QueueName};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{Router, with_sources};
use crate::ledger::Owner;

/// A binding as peers write it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Wish {
    #[serde(rename = "type", default = "pubsub")]
    kind: String,
    src: QueueName,
    tgt: QueueName,
}

fn pubsub() -> String {
    "pubsub".to_owned()
}

#[derive(Clone, Copy)]
enum Verb {
    Add,
    Remove,
    List,
}

/// Serves the topics of `instance` until `closing`.
pub(crate) async fn serve(
    router: Router,
    carrier: Arc<dyn Carrier>,
    instance: &str,
    closing: CancellationToken,
) -> Result<(), Error> {
    let topic = |name: &str| QueueName::from(format!("/msgrouter/{instance}/{name}"));
    let verbs = [("addbinding", Verb::Add), ("removebinding", Verb::Remove), ("listbindings", Verb::List)];
    let mut said = Vec::new();
    for (name, verb) in verbs {
        let deliveries = carrier.pull(&topic(name)).await?;
        said.push(deliveries.map(move |delivery| (verb, delivery)).boxed());
    }
    let (mut said, told) = (select_all(said), topic("bindings"));
    let mut changes = router.changes();
    // What was remembered is told at the start.
    changes.mark_changed();
    let serving = async move {
        loop {
            tokio::select! {
                Some((verb, delivery)) = said.next() => {
                    match verb {
                        Verb::Add | Verb::Remove => obey(&router, verb, &delivery.message).await,
                        Verb::List => tell(&router, &*carrier, &told).await,
                    }
                    delivery.ack();
                }
                changed = changes.changed() => match changed {
                    Ok(()) => tell(&router, &*carrier, &told).await,
                    Err(_) => return,
                },
                else => return,
            }
        }
    };
    tokio::spawn(closing.run_until_cancelled_owned(serving));
    Ok(())
}

async fn obey(router: &Router, verb: Verb, message: &Message) {
    let wish: Wish = match serde_json::from_slice(&message.payload) {
        Ok(wish) => wish,
        Err(error) => return tracing::warn!(%error, "somebody asked the router for what is no binding"),
    };
    // What stands for many topics cannot be carried; one that an earlier version took can be removed.
    let is_topic = |name: &QueueName| {
        let name = name.as_str();
        !name.is_empty()
            && !name.contains('\0')
            && (matches!(verb, Verb::Remove) || !name.contains(['+', '#']))
    };
    if !is_topic(&wish.src) || !is_topic(&wish.tgt) {
        return tracing::warn!(source = %wish.src, target = %wish.tgt,
            "somebody asked the router for what is no binding: each end is one topic, without `+` and `#`");
    }
    if wish.src == wish.tgt {
        // They are connected already, and carrying it would go round for ever.
        return;
    }
    let binding = Binding::PubSub { source: wish.src, target: wish.tgt };
    let done = match verb {
        Verb::Add => router.add(&binding, Owner::Peers).await,
        Verb::Remove => router.remove(&binding, Owner::Peers).await,
        Verb::List => Ok(()),
    };
    if let Err(error) = done {
        tracing::warn!(%binding, reason = with_sources(&error), "what somebody asked the router for failed");
    }
}

async fn tell(router: &Router, carrier: &dyn Carrier, topic: &QueueName) {
    let wish = |binding: Binding| Wish {
        kind: if matches!(binding, Binding::RoundRobin { .. }) { "roundrobin".into() } else { pubsub() },
        src: binding.source().clone(),
        tgt: binding.target().clone(),
    };
    let list: Vec<_> = router.all().map(wish).collect();
    let message = Message::json(&list).expect("bindings are JSON");
    if let Err(error) = carrier.send(&Destination::Exchange(topic.clone()), message).await {
        tracing::warn!(reason = with_sources(&error), "the router's bindings could not be told");
    }
}
