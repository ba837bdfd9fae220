//! What the management API says of queues.
//!
//! Format: the HTTP API reference of RabbitMQ 3.8 to 4. What a queue leaves out, or has in another type (the API does
//! both for young queues: `"head_message_timestamp": ""`, `"message_stats": []`), is unknown.

use std::borrow::Cow;
use std::time::Duration;

use guv_model::QueueSample;
use serde::{Deserialize, Deserializer};

/// What a list is asked for.
pub(super) const COLUMNS: &str = "name,messages_ready,messages_unacknowledged,consumers,head_message_timestamp,\
                                  message_stats.publish,message_stats.publish_details.rate,\
                                  message_stats.ack,message_stats.ack_details.rate";

/// A queue.
#[derive(Debug, Deserialize)]
pub(in crate::sources) struct Queue<'a> {
    /// Its name.
    #[serde(borrow, default)]
    pub(super) name: Cow<'a, str>,
    #[serde(default, deserialize_with = "tolerant")]
    messages_ready: Option<u64>,
    #[serde(default, deserialize_with = "tolerant")]
    messages_unacknowledged: Option<u64>,
    #[serde(default, deserialize_with = "tolerant")]
    consumers: Option<u32>,
    /// Seconds since the Unix epoch.
    #[serde(default, deserialize_with = "tolerant")]
    head_message_timestamp: Option<u64>,
    #[serde(default, deserialize_with = "tolerant")]
    message_stats: Option<Stats>,
}

#[derive(Debug, Deserialize)]
struct Stats {
    publish: Option<u64>,
    ack: Option<u64>,
    publish_details: Option<Details>,
    ack_details: Option<Details>,
}

#[derive(Debug, Deserialize)]
struct Details {
    rate: Option<f64>,
}

/// Some queues: the whole list, or a page of it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(in crate::sources) enum Queues<'a> {
    /// Everything.
    List(#[serde(borrow)] Vec<Queue<'a>>),
    /// One page.
    Page {
        /// How many pages there are.
        #[serde(default)]
        page_count: u32,
        /// The queues on this one.
        #[serde(borrow)]
        items: Vec<Queue<'a>>,
    },
}

/// A value of the type wanted; `None` for one of any other type.
fn tolerant<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Maybe<T> {
        Known(T),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Maybe::deserialize(deserializer)? {
        Maybe::Known(value) => Some(value),
        Maybe::Other(_) => None,
    })
}

impl Queue<'_> {
    /// The sample; `now` is the time since the Unix epoch, as the publisher's clock is hoped to tell it too.
    pub(in crate::sources) fn sample(&self, now: Duration) -> QueueSample {
        let rate = |details: &Option<Details>| details.as_ref().and_then(|details| details.rate);
        let stats = self.message_stats.as_ref();
        QueueSample {
            ready: self.messages_ready,
            unacknowledged: self.messages_unacknowledged,
            consumers: self.consumers,
            fill_rate: stats.and_then(|stats| rate(&stats.publish_details)),
            drain_rate: stats.and_then(|stats| rate(&stats.ack_details)),
            published: stats.and_then(|stats| stats.publish),
            acknowledged: stats.and_then(|stats| stats.ack),
            oldest: self.head_message_timestamp.map(|at| now.saturating_sub(Duration::from_secs(at))),
            ..QueueSample::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(text: &str) -> QueueSample {
        serde_json::from_str::<Queue<'_>>(text).unwrap().sample(Duration::from_secs(1_700_000_060))
    }

    #[test]
    fn what_the_answer_leaves_out_is_unknown() {
        let young = r#"{"name": "q", "head_message_timestamp": "", "message_stats": [], "consumers": null}"#;
        assert_eq!(sample(young), QueueSample::default());
        let full = r#"{"name": "q\n", "messages_ready": 3, "messages_unacknowledged": 2, "consumers": 1,
            "head_message_timestamp": 1700000000, "arguments": {"x-max-length": 3},
            "message_stats": {"publish": 7, "publish_details": {"rate": 0.5}, "ack_details": {"rate": 4.0}}}"#;
        let expected = QueueSample {
            ready: Some(3),
            unacknowledged: Some(2),
            consumers: Some(1),
            fill_rate: Some(0.5),
            drain_rate: Some(4.0),
            published: Some(7),
            oldest: Some(Duration::from_secs(60)),
            ..QueueSample::default()
        };
        assert_eq!(sample(full), expected);
    }

    #[test]
    fn a_list_and_a_page_of_one() {
        let count = |text: &str| match serde_json::from_str(text).unwrap() {
            Queues::List(queues) => (None, queues.len()),
            Queues::Page { page_count, items } => (Some(page_count), items.len()),
        };
        assert_eq!(count(r#"[{"name": "a"}, {"name": "b"}]"#), (None, 2));
        let page = r#"{"filtered_count": 1200, "items": [{"name": "a"}], "page": 1, "page_count": 3}"#;
        assert_eq!(count(page), (Some(3), 1));
    }
}
