//! statuspage.io: the jobs in flight as a metric.
//!
//! `POST /v1/pages/{page}/metrics/{metric}/data.json`, as the original did it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use guv_model::{Config, Secret};
use serde_json::json;
use url::Url;

use super::outbox::Outbox;
use crate::{Record, RecordError, Recorder};

const ADDRESS: &str = "https://api.statuspage.io/v1/";

/// Posts the jobs of each role that has a `statuspage` and a `metric`.
pub struct StatusPage {
    outbox: Outbox,
    address: Url,
    token: Secret,
    config: Mutex<Option<Arc<Config>>>,
}

impl StatusPage {
    /// A reporter with this token.
    ///
    /// # Errors
    /// When there is no TLS provider, or no root certificates can be found.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(token: Secret) -> Result<Self, reqwest::Error> {
        Self::at(Url::parse(ADDRESS).expect("the address is a URL"), token)
    }

    /// The same with the API at another address, which ends with a slash.
    ///
    /// # Errors
    /// As for [`StatusPage::new`].
    pub fn at(address: Url, token: Secret) -> Result<Self, reqwest::Error> {
        Ok(Self { outbox: Outbox::new("statuspage")?, address, token, config: Mutex::default() })
    }
}

#[async_trait]
impl Recorder for StatusPage {
    fn configured(&self, config: &Arc<Config>) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Some(config.clone());
    }

    async fn record(&self, records: &[Arc<Record>]) -> Result<(), RecordError> {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for record in records {
            let role = config.as_ref().and_then(|config| config.role(&record.role));
            let Some((page, metric)) = role.and_then(|r| r.status_page.as_ref().zip(r.metric.as_ref()))
            else {
                continue;
            };
            let Some(estimate) = record.decision.estimate else { continue };
            let mut url = self.address.clone();
            // The address has a host, so it has segments.
            if let Ok(mut path) = url.path_segments_mut() {
                path.pop_if_empty().extend(["pages", page, "metrics", metric, "data.json"]);
            }
            let data = json!({"timestamp": record.at.as_duration().as_secs(), "value": estimate.jobs});
            let request = self.outbox.client().post(url).json(&json!({ "data": data }));
            self.outbox.put(request.header("Authorization", format!("OAuth {}", self.token.reveal())));
        }
        Ok(())
    }
}
