//! New Relic: every decision as a `GuvScaled` event.
//!
//! `POST /v1/accounts/{account}/events` of the event API, a batch for each round.

use std::sync::Arc;

use async_trait::async_trait;
use guv_model::Secret;
use url::Url;

use super::outbox::Outbox;
use crate::tools::export::GuvScaled;
use crate::{Record, RecordError, Recorder};

const ADDRESS: &str = "https://insights-collector.newrelic.com/v1/";

/// Events in one request; the API takes at most a megabyte.
const BATCH: usize = 1000;

/// Sends events to one account.
pub struct NewRelic {
    outbox: Outbox,
    url: Url,
    key: Secret,
}

impl NewRelic {
    /// A reporter for an account, with an insert key.
    ///
    /// # Errors
    /// When there is no TLS provider, or no root certificates can be found.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(account: &str, key: Secret) -> Result<Self, reqwest::Error> {
        Self::at(Url::parse(ADDRESS).expect("the address is a URL"), account, key)
    }

    /// The same with the API at another address, which ends with a slash.
    ///
    /// # Errors
    /// As for [`NewRelic::new`].
    pub fn at(mut address: Url, account: &str, key: Secret) -> Result<Self, reqwest::Error> {
        // The address has a host, so it has segments.
        if let Ok(mut path) = address.path_segments_mut() {
            path.pop_if_empty().extend(["accounts", account, "events"]);
        }
        Ok(Self { outbox: Outbox::new("newrelic")?, url: address, key })
    }
}

#[async_trait]
impl Recorder for NewRelic {
    async fn record(&self, records: &[Arc<Record>]) -> Result<(), RecordError> {
        for batch in records.chunks(BATCH) {
            let events: Vec<_> = batch.iter().map(|record| GuvScaled::from(&**record)).collect();
            let request = self.outbox.client().post(self.url.clone()).json(&events);
            self.outbox.put(request.header("X-Insert-Key", self.key.reveal()));
        }
        Ok(())
    }
}
