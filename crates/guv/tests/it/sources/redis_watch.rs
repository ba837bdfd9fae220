//! Hearing of changes in Redis as they happen: by its notifications, and without them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use guv::governor::{Governor, Handle, Options};
use guv::sources::rq;
use guv::{Registry, Role, RoleConfig, Source, Wake};
use redis::{Commands, Connection};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::redis::{database, reading};
use super::{PATIENCE, sample};
use crate::doubles::Platform;

fn enqueue(redis: &mut Connection) {
    let _: () = redis.sadd("rq:queues", "rq:queue:images").unwrap();
    let _: () = redis.rpush("rq:queue:images", "job").unwrap();
}

/// Waits for the end of a cycle in which the platform has so many workers.
async fn settles(platform: &Platform, handle: &Handle, workers: u32) {
    let poll = async {
        while platform.workers("r") != workers {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if timeout(PATIENCE, poll).await.is_err() {
        panic!("never {workers} workers: {:#?}", handle.snapshot());
    }
}

/// The governor polls once an hour here: what happens, happens by watching.
async fn from_nothing_to_a_worker_and_back(role: &str, mut redis: Connection) {
    let _: () = redis.sadd("rq:queues", "rq:queue:images").unwrap();
    // What waits decides alone, and not what has been learned of the time that it takes.
    let config = crate::doubles::config(&format!(
        "'*': {{pollinterval: 3600, history: 0, policy: proportional, min: 0}}\n{role}"
    ));
    let platform = Platform::running(&[("r", 0)]);
    let registry = Registry::new()
        .with_source("rq", Arc::new(rq()))
        .with_actuator("platform", Arc::new(platform.clone()));
    let cancel = CancellationToken::new();
    let handle = Governor::start(config, registry, Options::default(), cancel.clone()).unwrap();
    let mut snapshots = handle.snapshots();
    snapshots.wait_for(|snapshot| snapshot.cycle >= 1).await.unwrap();
    enqueue(&mut redis);
    settles(&platform, &handle, 1).await;
    // A worker takes the job, and finishes it.
    let _: () = redis.zadd("rq:wip:images", "job", 1).unwrap();
    let _: () = redis.lpop("rq:queue:images", None).unwrap();
    let _: () = redis.zrem("rq:wip:images", "job").unwrap();
    settles(&platform, &handle, 0).await;
    cancel.cancel();
}

#[tokio::test]
async fn enqueued_to_a_worker_and_done_to_none_by_notifications() {
    let (url, redis) = database(10);
    let role = format!("r: {{queue: images, source: {{kind: rq, url: '{url}'}}}}");
    from_nothing_to_a_worker_and_back(&role, redis).await;
}

#[tokio::test]
async fn the_same_where_notifications_may_not_be_had() {
    let (url, mut redis) = database(11);
    // It may not ask whether there are notifications.
    let mut user = redis::cmd("ACL");
    user.arg(&["SETUSER", "reader", "on", ">pass", "~*", "&*", "+@all", "-config"]);
    user.exec(&mut redis).unwrap();
    let url = url.replace("redis://", "redis://reader:pass@");
    let role = format!("r: {{queue: images, source: {{kind: rq, url: '{url}'}}}}");
    from_nothing_to_a_worker_and_back(&role, redis).await;
}

#[tokio::test]
async fn every_role_of_a_queue_is_woken_and_no_other() {
    let (url, mut redis) = database(12);
    let mut roles: Vec<RoleConfig> = ["a", "b", "other"]
        .map(|name| {
            let queue = if name == "other" { "mails" } else { "images" };
            super::role(&format!("{name}: {{queue: {queue}, source: {{kind: rq, url: '{url}'}}}}"))
        })
        .to_vec();
    roles.push(reading("rq", "redis://127.0.0.1:1"));
    enqueue(&mut redis);
    let _: () = redis.sadd("rq:queues", "rq:queue:mails").unwrap();
    let (source, wake) = (rq(), Wake::default());
    let mut woken = HashSet::new();
    let listen = async {
        // Each is woken when it is seen for the first time.
        while woken.len() < 3 {
            woken.extend(wake.woken().await);
        }
        let _: () = redis.rpush("rq:queue:images", "job").unwrap();
        let mut again: HashSet<Role> = HashSet::new();
        while again.len() < 2 {
            again.extend(wake.woken().await);
        }
        again
    };
    let again = tokio::select! {
        again = timeout(PATIENCE, listen) => again.expect("both are woken"),
        ended = source.watch(&roles, &wake) => panic!("{ended:?}"),
    };
    assert_eq!(again, HashSet::from(["a".into(), "b".into()]));
    assert!(sample(&source, &roles[3]).await.is_err(), "one server that is away does not stop the others");
}
