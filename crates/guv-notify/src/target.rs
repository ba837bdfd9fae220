//! Whom to tell.

use std::fmt;

/// Whom to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// A guv that runs: it looks at once, and decides.
    Guv(Guv),
    /// Heroku, without guv: the number of workers follows a table, as DynoScaler does it.
    Heroku(Heroku),
}

/// A running guv.
#[derive(Clone, PartialEq, Eq)]
pub struct Guv {
    /// Its address, such as `http://127.0.0.1:8080`.
    pub url: String,
    /// A token of it, if it wants one.
    pub token: Option<String>,
}

/// An app of Heroku.
#[derive(Clone, PartialEq, Eq)]
pub struct Heroku {
    /// The app.
    pub app: String,
    /// A token that may change its formation.
    pub token: String,
    /// Workers, and the waiting jobs from which on so many are needed; sorted by both.
    pub job_worker_ratio: Vec<(u32, u64)>,
    /// Fewest workers.
    pub minimum: u32,
    /// Most workers.
    pub maximum: u32,
    /// The address of the Platform API.
    pub address: String,
}

/// Without the token.
impl fmt::Debug for Guv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guv({})", self.url)
    }
}

/// Without the token.
impl fmt::Debug for Heroku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Heroku({} at {})", self.app, self.address)
    }
}

/// The environment does not say whom to tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody to tell: set GUV_URL (and GUV_TOKEN), or HEROKU_APP and HEROKU_OAUTH_TOKEN")]
pub struct NotConfigured;

impl Heroku {
    /// An app with DynoScaler's defaults: 1 worker for the first job, 2 from 25 on, 3 from 50, 4 from 75, 5 from 100; at
    /// least 0 and at most 1.
    pub fn new(app: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            app: app.into(),
            token: token.into(),
            job_worker_ratio: vec![(1, 1), (2, 25), (3, 50), (4, 75), (5, 100)],
            minimum: 0,
            maximum: 1,
            address: "https://api.heroku.com".to_owned(),
        }
    }

    /// The workers needed for so many waiting jobs, within the limits.
    pub fn needed(&self, pending: u64) -> u32 {
        let fits = self.job_worker_ratio.iter().filter(|(_, jobs)| *jobs <= pending);
        let needed = fits.map(|(workers, _)| *workers).max().unwrap_or(0);
        needed.max(self.minimum).min(self.maximum)
    }
}

impl Target {
    /// What a set of variables says; empty ones count as unset. `GUV_URL` wins.
    ///
    /// # Errors
    /// When they do not say it.
    pub fn from_variables<K, V>(variables: impl IntoIterator<Item = (K, V)>) -> Result<Self, NotConfigured>
    where
        K: AsRef<str>,
        V: Into<String>,
    {
        let (mut url, mut guv_token, mut app, mut heroku_token) = (None, None, None, None);
        for (name, value) in variables {
            let slot = match name.as_ref() {
                "GUV_URL" => &mut url,
                "GUV_TOKEN" => &mut guv_token,
                "HEROKU_APP" => &mut app,
                "HEROKU_OAUTH_TOKEN" => &mut heroku_token,
                _ => continue,
            };
            *slot = Some(value.into()).filter(|value| !value.is_empty());
        }
        match (url, app, heroku_token) {
            (Some(url), _, _) => Ok(Self::Guv(Guv { url, token: guv_token })),
            (None, Some(app), Some(token)) => Ok(Self::Heroku(Heroku::new(app, token))),
            _ => Err(NotConfigured),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_whom_to_tell() {
        let guv = Target::from_variables([
            ("GUV_URL", "http://g"),
            ("HEROKU_APP", "a"),
            ("HEROKU_OAUTH_TOKEN", "t"),
        ]);
        assert_eq!(guv, Ok(Target::Guv(Guv { url: "http://g".to_owned(), token: None })));
        let heroku =
            Target::from_variables([("GUV_URL", ""), ("HEROKU_APP", "a"), ("HEROKU_OAUTH_TOKEN", "hunter2")]);
        assert_eq!(heroku, Ok(Target::Heroku(Heroku::new("a", "hunter2"))));
        assert!(!format!("{heroku:?}").contains("hunter2"));
        assert_eq!(Target::from_variables([("HEROKU_APP", "a")]), Err(NotConfigured));
    }

    #[test]
    fn the_table_within_the_limits() {
        let heroku = Heroku { maximum: 4, ..Heroku::new("a", "t") };
        let needed = [0, 1, 24, 25, 74, 75, 1000].map(|pending| heroku.needed(pending));
        assert_eq!(needed, [0, 1, 1, 2, 3, 4, 4]);
        assert_eq!(Heroku { minimum: 2, maximum: 5, ..heroku }.needed(0), 2);
    }
}
