//! An application of a Procfile, with RQ and its real workers: nothing runs while there is nothing to do.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use guv::Registry;
use guv::actuators::Processes;
use guv::actuators::processes::{Options, Procfile};
use guv::governor::{Governor, Options as GovernorOptions};
use guv::sources::rq;
use redis::Commands;
use tokio_util::sync::CancellationToken;

use super::{count, role};
use crate::sources::library::Library;
use crate::sources::redis::database;
use crate::sources::variable;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_first_job_starts_a_worker_and_the_last_one_ends_it() {
    let (url, mut redis) = database(13);
    let python = variable("GUV_TEST_PYTHON");
    let line = format!(
        "images: exec {python} -c 'from rq.cli import main; main()' worker --url {url} --worker-class rq.SimpleWorker images"
    );
    let options = Options {
        procfile: Procfile::parse(&line).unwrap(),
        folder: Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")),
        environment: [("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned())].into(),
        ..Options::default()
    };
    let cancel = CancellationToken::new();
    let (processes, ended) = Processes::start(options, cancel.clone());
    let registry = Registry::new()
        .with_source("rq", Arc::new(rq()))
        .with_actuator("processes", Arc::new(processes.clone()));
    // It polls once an hour: what happens, happens by watching.
    let text = format!(
        "'*': {{pollinterval: 3600, history: 0, policy: proportional, min: 0, max: 2, source: {{kind: rq, url: '{url}'}}}}\nimages: {{grace: 20}}"
    );
    let config = crate::doubles::config(&text);
    let governor = Governor::start(config, registry, GovernorOptions::default(), cancel.clone()).unwrap();

    let images = role("images: {}");
    let workers = async || count(&processes, &images).await.unwrap().expect("they are counted");
    let mut library = Library::start("rq_jobs.py", &[&url, "images"]);
    for jobs in [1, 5] {
        library.run(&format!("brief {jobs}")).await;
        let enqueued = Instant::now();
        let running = async {
            while workers().await.current == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, running).await.expect("there is a worker");
        println!("enqueued to started: {:?}", enqueued.elapsed());
        let idle = async {
            loop {
                let now = workers().await;
                if now.current == 0 && now.draining == Some(0) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, idle).await.is_err() {
            panic!("never none: {:#?}", governor.snapshot());
        }
        println!("enqueued to none again: {:?}", enqueued.elapsed());
    }
    let done: usize = redis.zcard("rq:finished:images").unwrap();
    let failed: usize = redis.zcard("rq:failed:images").unwrap();
    assert_eq!((done, failed), (6, 0), "no job was lost");
    cancel.cancel();
    ended.wait().await;
}
