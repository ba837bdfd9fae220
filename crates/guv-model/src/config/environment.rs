//! What the environment gives where the file is silent.

use crate::{AppName, BrokerUrl, Secret};

/// Defaults from the environment, as values: reading it is the caller's business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `GUV_APP`.
    pub app: Option<AppName>,
    /// `GUV_BROKER`, else `CLOUDAMQP_URL`.
    pub broker: Option<BrokerUrl>,
    /// `HEROKU_API_KEY`.
    pub api_key: Option<Secret>,
    /// `STATUSPAGE_ID`.
    pub status_page: Option<String>,
}

impl Environment {
    /// Takes what matters out of a set of variables. Empty variables count as unset.
    ///
    /// # Errors
    /// The name of a variable whose URL cannot be read, and why. The value is not repeated: it may hold a
    /// password.
    pub fn from_variables<K, V>(variables: impl IntoIterator<Item = (K, V)>) -> Result<Self, BadVariable>
    where
        K: AsRef<str>,
        V: Into<String>,
    {
        let mut environment = Self::default();
        let mut fallback = None;
        for (name, value) in variables {
            let value: String = value.into();
            if value.is_empty() {
                continue;
            }
            match name.as_ref() {
                "GUV_APP" => environment.app = Some(AppName::new(value)),
                "GUV_BROKER" => environment.broker = Some(url("GUV_BROKER", &value)?),
                "CLOUDAMQP_URL" => fallback = Some(value),
                "HEROKU_API_KEY" => environment.api_key = Some(Secret::new(value)),
                "STATUSPAGE_ID" => environment.status_page = Some(value),
                _ => {}
            }
        }
        if let (None, Some(value)) = (&environment.broker, fallback) {
            environment.broker = Some(url("CLOUDAMQP_URL", &value)?);
        }
        Ok(environment)
    }
}

/// A variable whose value is no URL.
#[derive(Debug, thiserror::Error)]
#[error("{variable} is not the URL of a broker, such as amqp://user:password@host/vhost")]
pub struct BadVariable {
    variable: &'static str,
    source: url::ParseError,
}

fn url(variable: &'static str, value: &str) -> Result<BrokerUrl, BadVariable> {
    BrokerUrl::parse(value).map_err(|source| BadVariable { variable, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guv_broker_wins_over_cloudamqp_url_in_any_order() {
        let variables = [("CLOUDAMQP_URL", "amqp://b"), ("GUV_BROKER", "amqp://a"), ("GUV_APP", "")];
        let environment = Environment::from_variables(variables).unwrap();
        assert_eq!(environment.broker, Some(BrokerUrl::parse("amqp://a").unwrap()));
        assert_eq!(environment.app, None);
        let fallback = Environment::from_variables([("CLOUDAMQP_URL", "amqp://b")]).unwrap();
        assert_eq!(fallback.broker, Some(BrokerUrl::parse("amqp://b").unwrap()));
    }

    #[test]
    fn a_bad_url_names_the_variable_and_not_the_value() {
        let error = Environment::from_variables([("GUV_BROKER", "hunter2")]).unwrap_err();
        assert!(error.to_string().contains("GUV_BROKER") && !error.to_string().contains("hunter2"));
    }
}
