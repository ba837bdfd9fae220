//! What every actuator must do, tried on each.

use std::time::Duration;

use guv::{Actuator, ActuatorError, AppName, Change, RoleConfig};

use super::{APP, apply, count};

/// How long a platform may take to do what it was told.
const PATIENCE: Duration = Duration::from_secs(60);

/// A platform to try an actuator on. It can run at least four workers of the role.
#[guv::async_trait]
pub(super) trait Bed {
    fn actuator(&self) -> &dyn Actuator;
    /// A role that it serves; there is no worker of it at first.
    fn role(&self) -> RoleConfig;
    /// A role that it accepts, but that the platform does not know; `None` where everything can be asked for.
    fn unknown(&self) -> Option<RoleConfig>;
    /// How many workers of the role really run, or are about to: what the platform itself says.
    async fn running(&self) -> u32;
    /// How many requests to change something the platform has seen, where it counts them.
    async fn changes(&self) -> Option<usize>;
    /// Whether the platform can tell how many there are.
    fn counts(&self) -> bool {
        true
    }
    /// What counting so many comes to.
    fn counted(&self, workers: u32) -> Option<u32> {
        self.counts().then_some(workers)
    }
}

/// What makes it fail, for [`refuses`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The platform has had enough requests, and wants 17 s of peace.
    Exhausted,
    /// The platform is in trouble itself.
    Broken,
    /// It does not run more than 3.
    Limit,
    /// Credentials are wrong.
    Refused,
}

async fn settles(bed: &impl Bed, workers: u32) {
    let poll = async {
        while bed.running().await != workers {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, poll).await.is_err() {
        panic!("{workers} workers were asked for, and there are {}", bed.running().await);
    }
}

/// Up, further up, down, to none and up again: what is accepted comes true, is counted at once, and can be said twice.
pub(super) async fn follows(bed: &impl Bed) {
    let (actuator, role) = (bed.actuator(), bed.role());
    for target in [2, 4, 1, 0, 1, 0] {
        apply(actuator, &role, target).await.unwrap_or_else(|error| panic!("{target}: {error}"));
        settles(bed, target).await;
        assert_eq!(current(bed).await, bed.counted(target));
        apply(actuator, &role, target).await.unwrap_or_else(|error| panic!("{target} again: {error}"));
        settles(bed, target).await;
        assert_eq!(current(bed).await, bed.counted(target), "the second time changes nothing");
    }
}

async fn current(bed: &impl Bed) -> Option<u32> {
    count(bed.actuator(), &bed.role()).await.unwrap().map(|count| count.current)
}

/// Counting, which is all that a dry run does, changes nothing.
pub(super) async fn counts_without_changing(bed: &impl Bed) {
    let (actuator, role) = (bed.actuator(), bed.role());
    apply(actuator, &role, 2).await.unwrap();
    settles(bed, 2).await;
    let before = bed.changes().await;
    for _ in 0..3 {
        assert_eq!(current(bed).await, bed.counted(2));
    }
    assert_eq!((bed.running().await, bed.changes().await), (2, before));
    apply(actuator, &role, 0).await.unwrap();
    settles(bed, 0).await;
}

/// A role that the platform does not know is the trouble of that role alone, and somebody has to look.
pub(super) async fn isolates_what_is_unknown(bed: &impl Bed) {
    let Some(unknown) = bed.unknown() else { return };
    let (actuator, role, app) = (bed.actuator(), bed.role(), AppName::new(APP));
    let mut counts = actuator.count(Some(&app), &[&unknown, &role]).await;
    assert_eq!(
        counts.remove(&role.role).expect("an answer for each role").unwrap().map(|count| count.current),
        Some(0)
    );
    let error = counts.remove(&unknown.role).expect("an answer for each role").unwrap_err();
    assert!(matches!(error, ActuatorError::Fatal { .. }), "{error:?}");
    let changes = [
        Change { role: &unknown, current: None, target: 1 },
        Change { role: &role, current: Some(0), target: 1 },
    ];
    let mut answers = actuator.apply(Some(&app), &changes).await;
    answers.remove(&role.role).expect("an answer for each role").unwrap();
    assert!(answers.remove(&unknown.role).expect("an answer for each role").is_err());
    settles(bed, 1).await;
    apply(actuator, &role, 0).await.unwrap();
    settles(bed, 0).await;
}

/// The error is of the kind that tells the governor what to do, and nothing has changed.
pub(super) async fn refuses(bed: &impl Bed, trouble: Trouble) {
    let running = bed.running().await;
    let error = apply(bed.actuator(), &bed.role(), 4).await.expect_err("it cannot be done");
    let fits = match (&error, trouble) {
        (ActuatorError::Retry { after, .. }, Trouble::Exhausted) => {
            after.is_some_and(|after| after.as_secs() == 17)
        }
        (ActuatorError::Retry { .. }, Trouble::Broken) => true,
        (ActuatorError::Limit { limit, .. }, Trouble::Limit) => *limit == 3,
        (ActuatorError::Fatal { .. }, Trouble::Refused) => true,
        _ => false,
    };
    assert!(fits, "{trouble:?}: {error:?}");
    assert_eq!(bed.running().await, running, "{trouble:?}");
}

/// All but [`refuses`].
pub(super) async fn conforms(bed: &impl Bed) {
    follows(bed).await;
    counts_without_changing(bed).await;
    isolates_what_is_unknown(bed).await;
}
