//! Who carries what, where several routers are to carry the same.
//!
//! Two networks on one broker may have the same connection. Each would carry its messages, and everything would come twice. So
//! routers speak to each other on one topic, in claims: `{"router", "src", "tgt", "says", "since"}`.
//!
//! - Whoever begins to carry says `carries`, and since when. Nobody waits for an answer: alone on the broker, which is the rule,
//!   nothing is slowed.
//! - Who hears that somebody else carries the same since an earlier moment carries it no more; who has the earlier moment
//!   says so. For the time that this takes a message may come twice.
//! - Who does not carry says `waits` now and then, and the other answers. If no answer comes any more, or the other
//!   `leaves`, it carries again.
//!
//! Pure, but for [`serve`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use msgflo_core::{Binding, Carrier, Deliveries, Destination, Error, Message, QueueName};
use serde::{Deserialize, Serialize};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Router, WeakRouter, with_sources};

/// The topic that every router listens to.
const TOPIC: &str = "/msgrouter/claims";
/// How often one that waits asks whether the other still carries.
const ASK: Duration = Duration::from_secs(10);
/// The silence after which another router counts as gone: two answers may be lost.
const SILENCE: Duration = Duration::from_secs(25);

/// How long one that leaves carries on until others have taken over.
const HANDOVER: Duration = Duration::from_secs(1);

/// What is carried: from where to where. How does not matter, a message arrives once.
pub(crate) type Ends = (QueueName, QueueName);

pub(super) fn ends(binding: &Binding) -> Ends {
    (binding.source().clone(), binding.target().clone())
}

/// What a router says of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    router: Uuid,
    src: QueueName,
    tgt: QueueName,
    says: Says,
    /// Since when it is carried, in milliseconds since the Unix epoch.
    #[serde(default)]
    since: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Says {
    Carries,
    Waits,
    Leaves,
}

/// Something to do.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Say(Claim),
    /// Carry it no more, for now.
    Suspend(Ends),
    /// Carry it again.
    Resume(Ends),
}

#[derive(Debug)]
enum Stage {
    /// We carry it. Left when somebody else has done so for longer.
    Carries { since: u64 },
    /// Somebody else does, last heard at `heard`. Left when it leaves, or is silent for too long.
    Waits { heard: u64, owner: Uuid },
}

/// What this router and others say. Times are milliseconds since the Unix epoch.
#[derive(Debug)]
struct Claims {
    router: Uuid,
    stages: BTreeMap<Ends, Stage>,
    /// What we carry and others wait for.
    contested: BTreeSet<Ends>,
}

impl Claims {
    fn new(router: Uuid) -> Self {
        Self { router, stages: BTreeMap::new(), contested: BTreeSet::new() }
    }

    fn claim(&self, (src, tgt): &Ends, says: Says, since: u64) -> Step {
        Step::Say(Claim { router: self.router, src: src.clone(), tgt: tgt.clone(), says, since })
    }

    /// These are to be carried now, and no others.
    fn want(&mut self, wanted: &[Ends], now: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        let gone: Vec<Ends> = self.stages.keys().filter(|ends| !wanted.contains(ends)).cloned().collect();
        for ends in gone {
            match self.stages.remove(&ends) {
                Some(Stage::Carries { since }) => steps.push(self.claim(&ends, Says::Leaves, since)),
                // When it is wanted again, it is carried at first, as everything.
                Some(Stage::Waits { .. }) => steps.push(Step::Resume(ends)),
                None => {}
            }
        }
        for ends in wanted {
            if !self.stages.contains_key(ends) {
                self.stages.insert(ends.clone(), Stage::Carries { since: now });
                steps.push(self.claim(ends, Says::Carries, now));
            }
        }
        steps
    }

    fn hear(&mut self, claim: &Claim, now: u64) -> Vec<Step> {
        let ends = (claim.src.clone(), claim.tgt.clone());
        if claim.router == self.router {
            return Vec::new();
        }
        let Some(stage) = self.stages.get_mut(&ends) else { return Vec::new() };
        if claim.says == Says::Leaves {
            self.contested.remove(&ends);
        } else {
            self.contested.insert(ends.clone());
        }
        match (claim.says, stage) {
            (Says::Carries, Stage::Carries { since }) => {
                let since = *since;
                if (claim.since, claim.router) < (since, self.router) {
                    self.stages.insert(ends.clone(), Stage::Waits { heard: now, owner: claim.router });
                    vec![Step::Suspend(ends)]
                } else {
                    vec![self.claim(&ends, Says::Carries, since)]
                }
            }
            (Says::Carries, Stage::Waits { heard, owner }) => {
                (*heard, *owner) = (now, claim.router);
                Vec::new()
            }
            (Says::Waits, Stage::Carries { since }) => {
                let since = *since;
                vec![self.claim(&ends, Says::Carries, since)]
            }
            (Says::Leaves, Stage::Waits { owner, .. }) if *owner == claim.router => self.take_over(ends, now),
            (Says::Waits | Says::Leaves, _) => Vec::new(),
        }
    }

    /// Asks those that carry what we wait for, and takes over what nobody carries.
    fn ask(&mut self, now: u64) -> Vec<Step> {
        let silence = u64::try_from(SILENCE.as_millis()).unwrap_or(u64::MAX);
        let waiting: Vec<(Ends, bool)> = self
            .stages
            .iter()
            .filter_map(|(ends, stage)| match stage {
                Stage::Waits { heard, .. } => Some((ends.clone(), now.saturating_sub(*heard) > silence)),
                Stage::Carries { .. } => None,
            })
            .collect();
        let mut steps = Vec::new();
        // Somebody else has spoken for it, and may have missed our answer.
        for (ends, stage) in &self.stages {
            if let Stage::Carries { since } = stage
                && self.contested.contains(ends)
            {
                steps.push(self.claim(ends, Says::Carries, *since));
            }
        }
        for (ends, is_abandoned) in waiting {
            if is_abandoned {
                steps.extend(self.take_over(ends, now));
            } else {
                steps.push(self.claim(&ends, Says::Waits, 0));
            }
        }
        steps
    }

    fn take_over(&mut self, ends: Ends, now: u64) -> Vec<Step> {
        self.stages.insert(ends.clone(), Stage::Carries { since: now });
        let claim = self.claim(&ends, Says::Carries, now);
        vec![Step::Resume(ends), claim]
    }

    /// We will carry nothing any more, as soon as others carry what they wait for.
    fn leave(&mut self) -> Vec<Step> {
        let stages = std::mem::take(&mut self.stages);
        let carried: Vec<(Ends, u64)> = stages
            .into_iter()
            .filter_map(|(ends, stage)| match stage {
                Stage::Carries { since } => Some((ends, since)),
                Stage::Waits { .. } => None,
            })
            .collect();
        self.contested.retain(|ends| carried.iter().any(|(carried, _)| carried == ends));
        carried.into_iter().map(|(ends, since)| self.claim(&ends, Says::Leaves, since)).collect()
    }
}

/// Speaks for `router`, which it does not keep, until `leaving`, and takes its leave then.
pub(crate) async fn serve(
    router: WeakRouter,
    carrier: Arc<dyn Carrier>,
    own: Uuid,
    leaving: CancellationToken,
) {
    let mut claims = Claims::new(own);
    let Some(mut changes) = router.upgrade().map(|router| router.changes()) else { return };
    let speaker = Speaker { router, carrier };
    // Who carries nothing need not listen.
    let mut heard: Option<Deliveries> = None;
    let mut ask = tokio::time::interval(ASK);
    ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
    changes.mark_changed();
    loop {
        let next = async {
            match &mut heard {
                Some(heard) => heard.next().await,
                None => std::future::pending().await,
            }
        };
        let steps = tokio::select! {
            () = leaving.cancelled() => break,
            changed = changes.changed() => {
                // Without a router there is nothing to speak for.
                let (Ok(()), Some(router)) = (changed, speaker.router.upgrade()) else { return };
                let wanted: Vec<Ends> = router.all().map(|binding| ends(&binding)).collect();
                if !wanted.is_empty() && heard.is_none() {
                    heard = speaker.listen().await;
                }
                claims.want(&wanted, now())
            }
            delivery = next => match delivery {
                Some(delivery) => {
                    let claim = serde_json::from_slice(&delivery.message.payload);
                    delivery.ack();
                    claim.map(|claim| claims.hear(&claim, now())).unwrap_or_default()
                }
                None => return,
            },
            _ = ask.tick() => claims.ask(now()),
        };
        speaker.act(steps).await;
    }
    speaker.act(claims.leave()).await;
    let handing_over = async {
        while !claims.contested.is_empty()
            && let Some(deliveries) = &mut heard
            && let Some(delivery) = deliveries.next().await
        {
            if let Ok(Claim { src, tgt, says: Says::Carries, router, .. }) =
                serde_json::from_slice(&delivery.message.payload)
                && router != own
            {
                claims.contested.remove(&(src, tgt));
            }
            delivery.ack();
        }
    };
    // Who waited may have gone meanwhile.
    let _ = tokio::time::timeout(HANDOVER, handing_over).await;
}

fn now() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

struct Speaker {
    router: WeakRouter,
    carrier: Arc<dyn Carrier>,
}

impl Speaker {
    async fn listen(&self) -> Option<Deliveries> {
        match self.carrier.pull(&TOPIC.into()).await {
            Ok(deliveries) => Some(deliveries),
            Err(error) => {
                let reason = with_sources(&error);
                tracing::warn!(reason, "other routers are not heard: what they carry too may come twice");
                None
            }
        }
    }

    async fn act(&self, steps: Vec<Step>) {
        for step in steps {
            let done = match step {
                Step::Say(claim) => self.say(&claim).await,
                Step::Suspend(ends) => {
                    tracing::info!(source = %ends.0, target = %ends.1, "another network carries this already");
                    self.tell(async |router| router.suspend(&ends).await).await
                }
                Step::Resume(ends) => self.tell(async |router| router.resume(&ends).await).await,
            };
            if let Err(error) = done {
                tracing::warn!(reason = with_sources(&error), "a claim could not be settled");
            }
        }
    }

    async fn tell(&self, what: impl AsyncFnOnce(Router) -> Result<(), Error>) -> Result<(), Error> {
        match self.router.upgrade() {
            Some(router) => what(router).await,
            None => Ok(()),
        }
    }

    async fn say(&self, claim: &Claim) -> Result<(), Error> {
        // Not persistent: an old claim must not wait in the broker for somebody who is away.
        let message = Message { persistent: false, ..Message::json(claim).expect("a claim is JSON") };
        self.carrier.send(&Destination::Exchange(TOPIC.into()), message).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge() -> Ends {
        ("a".into(), "b".into())
    }

    fn said(steps: Vec<Step>) -> Vec<Claim> {
        let claim = |step| match step {
            Step::Say(claim) => claim,
            step => panic!("{step:?}"),
        };
        steps.into_iter().map(claim).collect()
    }

    /// Two routers, the first of which has begun a second before the other, and what the second said.
    fn two() -> (Claims, Claims, Claim) {
        // The greater id, so that it is not what decides.
        let (mut first, mut second) = (Claims::new(Uuid::from_u128(2)), Claims::new(Uuid::from_u128(1)));
        first.want(&[edge()], 1000);
        let claim = said(second.want(&[edge()], 2000)).remove(0);
        (first, second, claim)
    }

    #[test]
    fn the_first_goes_on_and_the_second_waits() {
        let (mut first, mut second, claim) = two();
        let answer = said(first.hear(&claim, 2000)).remove(0);
        assert_eq!((answer.says, answer.since), (Says::Carries, 1000));
        assert_eq!(second.hear(&answer, 2001), [Step::Suspend(edge())]);
        assert_eq!(second.hear(&answer, 2002), [], "it waits already");
        assert_eq!(first.want(&[edge()], 3000), [], "nothing has changed");
        let asked = said(second.ask(12_000)).remove(0);
        assert_eq!(asked.says, Says::Waits);
        assert_eq!(said(first.hear(&asked, 12_000)), [answer]);
    }

    #[test]
    fn of_two_that_begin_at_once_one_yields() {
        let (mut one, mut other) = (Claims::new(Uuid::from_u128(1)), Claims::new(Uuid::from_u128(2)));
        let of_one = said(one.want(&[edge()], 5)).remove(0);
        let of_other = said(other.want(&[edge()], 5)).remove(0);
        assert_eq!(said(one.hear(&of_other, 6)), std::slice::from_ref(&of_one));
        assert_eq!(other.hear(&of_one, 6), [Step::Suspend(edge())]);
    }

    #[test]
    fn one_that_waits_takes_over_when_the_other_leaves_or_is_silent() {
        for leaves in [true, false] {
            let (mut first, mut second, claim) = two();
            let answer = said(first.hear(&claim, 2000)).remove(0);
            second.hear(&answer, 2000);
            let steps = if leaves {
                second.hear(&said(first.leave()).remove(0), 9000)
            } else {
                assert!(matches!(second.ask(27_000)[..], [Step::Say(_)]), "not yet");
                second.ask(27_001)
            };
            assert_eq!(steps[0], Step::Resume(edge()));
            assert!(matches!(&steps[1], Step::Say(Claim { says: Says::Carries, .. })));
        }
    }

    #[test]
    fn what_is_no_longer_wanted_is_left_to_others() {
        let (mut first, mut second, claim) = two();
        let answer = said(first.hear(&claim, 2000)).remove(0);
        second.hear(&answer, 2000);
        let left = said(first.want(&[], 3000)).remove(0);
        assert_eq!(left.says, Says::Leaves);
        assert_eq!(second.hear(&left, 3000)[0], Step::Resume(edge()));
        assert_eq!(first.hear(&claim, 3000), [], "it is none of its business");
        second.hear(&Claim { since: 0, ..answer }, 4000);
        assert_eq!(second.want(&[], 5000), [Step::Resume(edge())], "it is as new when it is wanted again");
    }
}
