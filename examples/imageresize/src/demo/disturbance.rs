//! What is done to the network on purpose while it works.

use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;
use serde::Serialize;

use super::ROLE;
use super::network::{self, Network};
use super::observer::Observer;
use crate::load::Progress;

/// The part of the images between which workers are killed, evenly spread.
const FROM: f64 = 0.1;
const TO: f64 = 0.8;
/// The part of the images after which msgflo is killed.
const MIDDLE: f64 = 0.4;
/// How often is looked whether it is time.
const PERIOD: Duration = Duration::from_millis(50);

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disturbances {
    /// Workers to kill.
    pub(crate) workers: u32,
    /// Whether to kill msgflo itself.
    pub(crate) coordinator: bool,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Disturbed {
    pub(crate) workers_killed: u32,
    pub(crate) coordinator_killed: bool,
}

/// Something that is done once, after a part of the images.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    KillWorker,
    KillCoordinator,
}

impl Disturbances {
    /// Does it, each thing in its time. Fails when msgflo ends otherwise. Returns when all images have ended.
    pub(crate) async fn make(
        self,
        network: &mut Network,
        observer: Observer,
        progress: &Progress,
        images: u64,
    ) -> Result<Disturbed> {
        let mut deeds = self.deeds().into_iter().peekable();
        let mut done = Disturbed::default();
        while progress.ended() < images {
            let part = progress.ended() as f64 / images as f64;
            if let Some((_, deed)) = deeds.next_if(|(after, _)| part >= *after) {
                match deed {
                    Deed::KillWorker => {
                        if let Some(pid) = kill_worker(&observer)? {
                            done.workers_killed += 1;
                            progress.note(&format!("killed worker {pid}"));
                        }
                    }
                    Deed::KillCoordinator => {
                        let pids = observer.latest().map(|status| status.pids()).unwrap_or_default();
                        network.kill_and_restart(&pids).await?;
                        done.coordinator_killed = true;
                        progress.note(&format!(
                            "killed msgflo; its {} processes ended; started it again",
                            pids.len()
                        ));
                    }
                }
            }
            network.check()?;
            tokio::time::sleep(PERIOD).await;
        }
        Ok(done)
    }

    /// What is done after which part of the images, in order.
    fn deeds(self) -> Vec<(f64, Deed)> {
        let step = (TO - FROM) / f64::from(self.workers.max(1));
        let kills = (0..self.workers).map(|kill| (FROM + step * f64::from(kill), Deed::KillWorker));
        let coordinator = self.coordinator.then_some((MIDDLE, Deed::KillCoordinator));
        let mut deeds: Vec<_> = kills.chain(coordinator).collect();
        deeds.sort_by(|one, other| one.0.total_cmp(&other.0));
        deeds
    }
}

/// Kills a worker at random, if there is one.
fn kill_worker(observer: &Observer) -> Result<Option<u32>> {
    let pids = observer.latest().map(|status| status.pids_of(ROLE)).unwrap_or_default();
    let Some(&pid) = fastrand::choice(&pids) else { return Ok(None) };
    Ok(network::signal(pid, Signal::KILL)?.then_some(pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deeds_are_spread_over_the_work() {
        let deeds = Disturbances { workers: 7, coordinator: true }.deeds();
        assert_eq!(deeds.len(), 8);
        assert_eq!(deeds.iter().filter(|(_, deed)| *deed == Deed::KillCoordinator).count(), 1);
        assert!(deeds.is_sorted_by(|one, other| one.0 <= other.0), "{deeds:?}");
        assert!(deeds.iter().all(|(after, _)| (FROM..TO).contains(after)), "{deeds:?}");
        assert_eq!(Disturbances { workers: 0, coordinator: false }.deeds(), []);
    }
}
