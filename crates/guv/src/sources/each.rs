//! Sources that are asked for each role by itself.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use guv_model::{QueueSample, RoleConfig};
use tokio::time::{Instant, timeout};

use crate::{Answers, Source, SourceError};

/// How long one role's answer may take, unless the role says otherwise (`timeout`).
const TIMEOUT: Duration = Duration::from_secs(10);

/// Roles asked for at once.
const AT_ONCE: usize = 16;

/// All of them together may take so long, waiting for their turn included: a governor gives up on all of a round that takes
/// longer.
const TOGETHER: Duration = Duration::from_secs(18);

/// Something that can be asked for a role.
#[async_trait]
pub(super) trait Ask: Send + Sync {
    /// As [`Source::accepts`].
    fn accepts(&self, role: &RoleConfig) -> Result<(), String>;

    /// The sample of a role that was accepted.
    async fn ask(&self, role: &RoleConfig) -> Result<QueueSample, SourceError>;
}

/// A [`Source`] of this kind.
pub(super) struct Each<A>(pub(super) A);

#[async_trait]
impl<A: Ask> Source for Each<A> {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        self.0.accepts(role)
    }

    async fn sample(&self, roles: &[&RoleConfig]) -> Answers<QueueSample, SourceError> {
        let end = Instant::now() + TOGETHER;
        let one = |role: RoleConfig| async move {
            let patience = role.source.as_ref().and_then(|source| source.seconds("timeout").copied());
            let patience = patience.unwrap_or(TIMEOUT).min(end - Instant::now());
            let answer = timeout(patience, self.0.ask(&role)).await.unwrap_or_else(|_| {
                let what = format!("no answer within {} s", patience.as_secs_f64());
                Err(SourceError::Unreachable { what, source: None })
            });
            (role.role, answer)
        };
        let roles: Vec<_> = roles.iter().map(|role| one((*role).clone())).collect();
        stream::iter(roles).buffer_unordered(AT_ONCE).collect().await
    }
}

/// Whether a role asks for this kind of source, and has each of these options.
pub(super) fn accepts(role: &RoleConfig, kind: &str, texts: &[&str], url: bool) -> Result<(), String> {
    let part = role.source.as_ref().filter(|part| part.kind() == kind);
    let part =
        part.ok_or_else(|| format!("the role does not ask for it; say `source: {{kind: {kind}, …}}`"))?;
    if url && part.url("url").is_none() {
        return Err("it has no address; set `url:` in `source:`".to_owned());
    }
    match texts.iter().find(|option| part.text(option).is_none()) {
        Some(option) => Err(format!("it has no `{option}`; set `{option}:` in `source:`")),
        None => Ok(()),
    }
}
