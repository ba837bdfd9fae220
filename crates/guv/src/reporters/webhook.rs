//! A webhook: a `POST` when something begins to be so, and when it no longer is.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use guv_model::Config;
use serde_json::json;
use url::Url;

use super::Alert;
use super::alert::Standing;
use super::outbox::Outbox;
use crate::{Record, RecordError, Recorder};

/// Sends `{event, state, message, role, app, timestamp, decision, error}`; `event` is the alert, `state` `begins` or `ends`, and
/// `error` tells more where something fails, else it is null.
pub struct Webhook {
    outbox: Outbox,
    url: Url,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    config: Option<Arc<Config>>,
    standing: Standing,
}

impl Webhook {
    /// A webhook at this address.
    ///
    /// # Errors
    /// When there is no TLS provider, or no root certificates can be found.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(url: Url) -> Result<Self, reqwest::Error> {
        Ok(Self { outbox: Outbox::new("webhook")?, url, state: Mutex::default() })
    }

    fn tell(&self, record: &Record, alert: Alert, begins: bool) {
        let body = json!({
            "event": alert,
            "state": if begins { "begins" } else { "ends" },
            "message": alert.to_string(),
            "role": record.role,
            "app": record.app,
            "timestamp": record.at,
            "decision": record.decision.to_string(),
            "error": record.outcome.error(),
        });
        self.outbox.put_surely(self.outbox.client().post(self.url.clone()).json(&body));
    }
}

#[async_trait]
impl Recorder for Webhook {
    fn configured(&self, config: &Arc<Config>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).config = Some(config.clone());
    }

    async fn record(&self, records: &[Arc<Record>]) -> Result<(), RecordError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { config: Some(config), standing } = &mut *state else { return Ok(()) };
        for record in records {
            let Some(role) = config.role(&record.role) else { continue };
            let (begins, ends) = standing.note(record, role);
            begins.into_iter().for_each(|alert| self.tell(record, alert, true));
            ends.into_iter().for_each(|alert| self.tell(record, alert, false));
        }
        Ok(())
    }
}
