//! Real processes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use guv::actuators::Processes;
use guv::actuators::processes::{Ended, Options, Procfile};
use guv::{Actuator, ActuatorError, RoleConfig};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::conformance::{Bed, conforms};
use super::{apply, count, role};

/// Longer than the grace of those that are to end by themselves.
const PATIENCE: Duration = Duration::from_secs(60);

/// Workers that leave a file named after their process id in a folder while they run.
struct Workers {
    processes: Processes,
    ended: Ended,
    cancel: CancellationToken,
    folder: TempDir,
}

/// Ends when it is told to, and takes its file with it.
const POLITE: &str = "polite: trap 'rm -f $$; exit' TERM; touch $$; while :; do sleep 0.05; done";
/// Hears nothing, and has children.
const RUDE: &str = "rude: trap '' TERM; touch $$; (while :; do sleep 0.05; done) & echo $! > child; while :; do sleep 0.05; done";
/// A shell that ends at once when it is told to, and a child of it that has something to finish. It writes nothing: when guv is
/// killed, nobody reads it.
const LASTING: &str = "lasting: (exec 2>/dev/null; trap 'sleep $(cat pause); echo end >> story; exit' TERM; echo start $$ >> story; while :; do sleep 0.05; done); true";
/// A shell that ends at once when it is told to, and a child of it that does not hear.
const DEAF: &str =
    "deaf: (trap '' TERM; exec sh -c 'echo $PPID $$ > deaf; while :; do sleep 0.05; done'); true";
/// Ends by itself at once.
const BRIEF: &str = "brief: echo x >> starts";

impl Workers {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            procfile: Procfile::parse(&[POLITE, RUDE, LASTING, DEAF, BRIEF].join("\n")).unwrap(),
            folder: Some(folder.path().to_owned()),
            ..Options::default()
        };
        let cancel = CancellationToken::new();
        let (processes, ended) = Processes::start(options, cancel.clone());
        Self { processes, ended, cancel, folder }
    }

    /// The ids of the processes that run.
    fn alive(&self) -> Vec<u32> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        let ids = files.filter_map(|file| file.unwrap().file_name().to_str()?.parse().ok());
        ids.filter(|id| is_alive(*id)).collect()
    }
}

/// The words of a file that workers have written.
fn words(folder: &Path, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// What has become of those that last: `start`, with the id of its shell, and `end`.
fn story(folder: &Path) -> Vec<String> {
    words(folder, "story")
}

/// One of the role that is [`LASTING`], which takes so many seconds to end.
async fn start_lasting(workers: &Workers, role: &RoleConfig, pause: &str) {
    std::fs::write(workers.folder.path().join("pause"), pause).unwrap();
    apply(&workers.processes, role, 1).await.unwrap();
    wait_until("it runs", || story(workers.folder.path()).len() == 2).await;
}

fn kill(id: &str) {
    let process = rustix::process::Pid::from_raw(id.parse().unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
}

fn is_alive(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

#[guv::async_trait]
impl Bed for Workers {
    fn actuator(&self) -> &dyn Actuator {
        &self.processes
    }

    fn role(&self) -> RoleConfig {
        role("polite: {}")
    }

    fn unknown(&self) -> Option<RoleConfig> {
        // It would not be accepted.
        None
    }

    async fn running(&self) -> u32 {
        u32::try_from(self.alive().len()).unwrap()
    }

    async fn changes(&self) -> Option<usize> {
        None
    }
}

async fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let poll = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn processes_conform() {
    let workers = Workers::start();
    conforms(&workers).await;
}

#[tokio::test]
async fn one_that_hears_nothing_is_killed_with_its_children_after_its_grace() {
    let workers = Workers::start();
    // Long enough to be seen, on a busy machine too.
    let rude = role("rude: {grace: 5}");
    apply(&workers.processes, &rude, 1).await.unwrap();
    let child = |folder: &Path| -> Option<u32> {
        std::fs::read_to_string(folder.join("child")).ok()?.trim().parse().ok()
    };
    wait_until("it and its child run", || {
        workers.alive().len() == 1 && child(workers.folder.path()).is_some_and(is_alive)
    })
    .await;
    let child = child(workers.folder.path()).unwrap();
    apply(&workers.processes, &rude, 0).await.unwrap();
    let draining = count(&workers.processes, &rude).await.unwrap().expect("it counts");
    assert_eq!((draining.current, draining.draining), (0, Some(1)), "it has its grace");
    wait_until("both are gone", || workers.alive().is_empty() && !is_alive(child)).await;
}

#[tokio::test]
async fn one_has_ended_when_nothing_of_its_group_is_left() {
    let workers = Workers::start();
    let lasting = role("lasting: {grace: 30}");
    start_lasting(&workers, &lasting, "1").await;
    let shell = story(workers.folder.path())[1].parse().unwrap();
    apply(&workers.processes, &lasting, 0).await.unwrap();
    wait_until("its shell has ended", || !is_alive(shell)).await;
    let draining =
        async || count(&workers.processes, &lasting).await.unwrap().expect("it counts").draining == Some(1);
    assert!(draining().await);
    while draining().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(story(workers.folder.path()).get(2).map(String::as_str), Some("end"));
}

#[tokio::test]
async fn when_guv_ends_it_waits_for_all_that_its_processes_have_started() {
    let workers = Workers::start();
    start_lasting(&workers, &role("lasting: {grace: 30}"), "1").await;
    workers.cancel.cancel();
    let Workers { ended, folder, .. } = workers;
    tokio::time::timeout(PATIENCE, ended.wait()).await.expect("it ends");
    assert_eq!(story(folder.path()).get(2).map(String::as_str), Some("end"));
}

#[tokio::test]
async fn what_one_that_dies_has_left_behind_ends_before_it_comes_back() {
    let workers = Workers::start();
    let lasting = role("lasting: {grace: 30}");
    start_lasting(&workers, &lasting, "1").await;
    kill(&story(workers.folder.path())[1]);
    wait_until("it runs again", || story(workers.folder.path()).len() >= 5).await;
    let story = story(workers.folder.path());
    assert_eq!((story[2].as_str(), story[3].as_str()), ("end", "start"), "{story:?}");
}

#[tokio::test]
async fn what_hears_nothing_is_killed_after_its_grace_though_its_shell_has_ended() {
    let workers = Workers::start();
    let deaf = role("deaf: {grace: 1}");
    let ids = || words(workers.folder.path(), "deaf");
    let is_there = |id: &String| is_alive(id.parse().unwrap());
    apply(&workers.processes, &deaf, 1).await.unwrap();
    wait_until("it runs", || ids().len() == 2).await;
    let first = ids();
    kill(&first[0]);
    wait_until("it runs again", || ids().len() == 2 && ids() != first).await;
    assert!(!is_there(&first[1]), "no two run at a time");
    let second = ids();
    apply(&workers.processes, &deaf, 0).await.unwrap();
    wait_until("it is gone", || !second.iter().any(is_there)).await;
    let ended = async {
        while count(&workers.processes, &deaf).await.unwrap().expect("it counts").draining != Some(0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("it is known to be gone");
}

#[tokio::test]
async fn one_that_dies_comes_back_and_one_that_cannot_live_is_not_hammered() {
    let workers = Workers::start();
    let polite = role("polite: {}");
    apply(&workers.processes, &polite, 1).await.unwrap();
    wait_until("it runs", || workers.alive().len() == 1).await;
    let first = workers.alive()[0];
    kill(&first.to_string());
    wait_until("another one runs", || workers.alive().iter().any(|id| *id != first)).await;

    let brief = role("brief: {}");
    apply(&workers.processes, &brief, 1).await.unwrap();
    let starts = workers.folder.path().join("starts");
    wait_until("it was started twice", || std::fs::read_to_string(&starts).unwrap_or_default().len() >= 4)
        .await;
    let wanted = count(&workers.processes, &brief).await.unwrap().map(|count| count.current);
    assert_eq!(wanted, Some(1), "it is wanted still");
}

#[tokio::test]
async fn nobody_starts_as_many_as_somebody_may_ask_for_and_who_asks_again_is_heard() {
    let workers = Workers::start();
    let slow =
        role("r: {worker: slow, actuator: {kind: processes, command: 'echo x >> starts; exec sleep 600'}}");
    let error = apply(&workers.processes, &slow, 99_999).await.unwrap_err();
    let ActuatorError::Limit { limit, .. } = error else { panic!("{error:?}") };
    assert!((1..=1000).contains(&limit), "{limit}");
    let most = limit.min(400);
    apply(&workers.processes, &slow, most).await.unwrap();
    apply(&workers.processes, &slow, 0).await.unwrap();
    let ended = async {
        while count(&workers.processes, &slow).await.unwrap().expect("it counts").draining != Some(0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("they end");
    let starts = std::fs::read_to_string(workers.folder.path().join("starts")).unwrap_or_default();
    assert!(starts.lines().count() < most as usize, "all have started before anybody was heard");
}

#[tokio::test]
async fn those_of_roles_that_are_gone_end() {
    let workers = Workers::start();
    let (polite, other) =
        (role("polite: {}"), role("r: {actuator: {kind: processes, command: 'exec sleep 600'}}"));
    apply(&workers.processes, &polite, 2).await.unwrap();
    apply(&workers.processes, &other, 1).await.unwrap();
    wait_until("they run", || workers.alive().len() == 2).await;
    workers.processes.configured(&[&polite]).await;
    assert_eq!(count(&workers.processes, &other).await.unwrap().map(|count| count.current), Some(0));
    workers.processes.configured(&[&other]).await;
    wait_until("they have ended", || workers.alive().is_empty()).await;
}

#[tokio::test]
async fn when_guv_ends_so_do_its_processes() {
    let workers = Workers::start();
    apply(&workers.processes, &role("polite: {}"), 3).await.unwrap();
    wait_until("they run", || workers.alive().len() == 3).await;
    workers.cancel.cancel();
    let Workers { ended, folder, .. } = workers;
    tokio::time::timeout(PATIENCE, ended.wait()).await.expect("it ends");
    let left: Vec<PathBuf> =
        std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(left, Vec::<PathBuf>::new(), "each was told, and has tidied up");
}

/// The runtime, and with it the pipe to the guard, goes without a word, as in `kill -9`.
#[test]
fn when_guv_is_killed_its_guard_ends_its_processes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let workers = runtime.block_on(async {
        let workers = Workers::start();
        apply(&workers.processes, &role("polite: {}"), 2).await.unwrap();
        wait_until("they run", || workers.alive().len() == 2).await;
        workers
    });
    drop(runtime);
    let deadline = std::time::Instant::now() + PATIENCE;
    while !workers.alive().is_empty() {
        assert!(std::time::Instant::now() < deadline, "they are left: {:?}", workers.alive());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// More than a moment: each has its role's grace.
#[test]
fn when_guv_is_killed_its_processes_have_their_grace() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (workers, deaf) = runtime.block_on(async {
        let workers = Workers::start();
        start_lasting(&workers, &role("lasting: {grace: 30}"), "4").await;
        apply(&workers.processes, &role("deaf: {grace: 1}"), 1).await.unwrap();
        let deaf = || words(workers.folder.path(), "deaf");
        wait_until("the other one runs", || deaf().len() == 2).await;
        let deaf: u32 = deaf()[1].parse().unwrap();
        (workers, deaf)
    });
    drop(runtime);
    let deadline = std::time::Instant::now() + PATIENCE;
    while story(workers.folder.path()).len() < 3 {
        assert!(std::time::Instant::now() < deadline, "it never ended");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!is_alive(deaf), "its grace was over long before");
}

#[tokio::test]
async fn a_role_is_accepted_if_there_is_something_to_run() {
    let workers = Workers::start();
    let accepts = |text: &str| workers.processes.accepts(&role(text));
    assert!(accepts("polite: {}").is_ok());
    assert!(accepts("r: {worker: polite, actuator: processes}").is_ok());
    assert!(accepts("r: {actuator: {kind: processes, command: 'sleep 1'}}").is_ok());
    assert!(accepts("r: {}").unwrap_err().contains("no `r`"));
    assert!(accepts("r: {actuator: processes}").unwrap_err().contains("`command:`"));
    assert!(accepts("polite: {actuator: docker}").unwrap_err().contains("docker"));
}

#[tokio::test]
async fn those_just_started_boot_for_as_long_as_their_role_says() {
    let workers = Workers::start();
    let booting = async |text: &str| count(&workers.processes, &role(text)).await.unwrap().unwrap().booting;
    apply(&workers.processes, &role("polite: {}"), 2).await.unwrap();
    wait_until("they run", || workers.alive().len() == 2).await;
    assert_eq!(booting("polite: {boot: 3600}").await, Some(2));
    assert_eq!(booting("polite: {boot: 0}").await, Some(0));
}

#[tokio::test]
async fn one_that_does_not_stay_up_is_neither_up_nor_well_until_it_stays() {
    let workers = Workers::start();
    let crash = role(
        "r: {worker: crash, boot: 0.1, actuator: {kind: processes, command: 'test -e ok && exec sleep 600; echo x >> starts; echo boom >&2; exit 3'}}",
    );
    apply(&workers.processes, &crash, 2).await.unwrap();
    let failing = async || workers.processes.failing(None, &[&crash]).await.remove(&crash.role);
    let up = async || {
        let count = count(&workers.processes, &crash).await.unwrap().expect("it counts");
        count.current - count.booting.expect("it knows")
    };
    let starts = workers.folder.path().join("starts");
    wait_until("both were started again", || {
        std::fs::read_to_string(&starts).unwrap_or_default().lines().count() >= 6
    })
    .await;
    assert_eq!(failing().await.as_deref(), Some("2 processes do not stay up: exit status 3: boom"));
    assert_eq!(up().await, 0);

    std::fs::write(workers.folder.path().join("ok"), "").unwrap();
    workers.processes.source_is_back(&[&crash]);
    let stays = async {
        while failing().await.is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, stays).await.expect("they stay");
    assert_eq!(up().await, 2);
}
