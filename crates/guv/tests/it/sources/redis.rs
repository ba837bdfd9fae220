//! Queues in Redis, written by the real libraries; those of Resque, which only Ruby's own registry has, by hand.

use std::time::Duration;

use guv::sources::{bullmq, celery, resque, rq, sidekiq};
use guv::{RoleConfig, Sample, Source, SourceError};
use redis::Commands;

use super::library::Library;
use super::{eventually, role, sample, unheard, variable};

/// An empty database of the shared server.
pub(crate) fn database(number: u8) -> (String, redis::Connection) {
    let url = format!("{}/{number}", variable("REDIS_URL_TEST"));
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut connection = client.get_connection().unwrap();
    redis::cmd("FLUSHDB").exec(&mut connection).unwrap();
    (url, connection)
}

pub(super) fn reading(kind: &str, url: &str) -> RoleConfig {
    role(&format!("r: {{queue: images, source: {{kind: {kind}, url: '{url}'}}}}"))
}

fn counts(sample: &Sample) -> (Option<u64>, Option<u64>) {
    (sample.ready, sample.unacknowledged)
}

/// The age of a job that this test has made.
fn young(sample: &Sample) -> bool {
    sample.oldest.is_some_and(|age| age < Duration::from_secs(120))
}

/// A queue that its library has not heard of is an error, not an empty one.
async fn assert_missing(source: &dyn Source, kind: &str, url: &str) {
    let missing = role(&format!("r: {{queue: imgaes, source: {{kind: {kind}, url: '{url}'}}}}"));
    let error = sample(source, &missing).await.unwrap_err();
    assert!(matches!(error, SourceError::Missing { .. }), "{error:?}");
}

#[tokio::test]
async fn bullmq_from_the_first_job_to_the_last() {
    let (url, _) = database(1);
    let (source, role) = (bullmq(), reading("bullmq", &url));
    let mut library = Library::start("bullmq.cjs", &[&url, "images"]);
    for step in ["add 3", "priority 2", "delay 4 3600"] {
        library.run(step).await;
    }
    let seen = sample(&source, &role).await.unwrap();
    assert_eq!(counts(&seen), (Some(5), Some(0)), "what is not due does not wait");
    assert!(young(&seen), "{seen:?}");
    library.run("delay 1 1").await;
    eventually(&source, &role, |seen| counts(seen) == (Some(6), Some(0))).await;
    library.run("pause").await;
    assert_eq!(counts(&sample(&source, &role).await.unwrap()), (Some(0), Some(0)), "nobody may take one");
    library.run("resume").await;
    library.run("take 2").await;
    eventually(&source, &role, |seen| counts(seen) == (Some(4), Some(2))).await;
    library.run("finish").await;
    eventually(&source, &role, |seen| counts(seen) == (Some(4), Some(0))).await;
    assert_missing(&source, "bullmq", &url).await;
}

#[tokio::test]
async fn celery_with_priorities_and_what_workers_hold() {
    let (url, _) = database(2);
    let (source, role) = (celery(), reading("celery", &url));
    let mut library = Library::start("celery_tasks.py", &[&url, "images"]);
    library.run("add 3").await;
    library.run("priority 2 6").await;
    let seen = sample(&source, &role).await.unwrap();
    assert_eq!((counts(&seen), seen.oldest), ((Some(5), Some(0)), None));
    library.run("take 2").await;
    // A worker may hold more than it works on; what it holds does not wait.
    let is_all =
        |seen: &Sample| seen.ready.zip(seen.unacknowledged).map(|(ready, held)| ready + held) == Some(5);
    eventually(&source, &role, |seen| seen.unacknowledged >= Some(2) && is_all(seen)).await;
    let other = super::role(&format!("r: {{queue: other, source: {{kind: celery, url: '{url}'}}}}"));
    assert_eq!(counts(&sample(&source, &other).await.unwrap()), (Some(0), Some(0)), "held, but not of it");
    library.run("finish").await;
    eventually(&source, &role, |seen| seen.unacknowledged == Some(0)).await;
}

#[tokio::test]
async fn rq_with_a_worker_and_scheduled_jobs() {
    let (url, _) = database(3);
    let (source, role) = (rq(), reading("rq", &url));
    let mut library = Library::start("rq_jobs.py", &[&url, "images"]);
    for step in ["add 3", "schedule 1 3600"] {
        library.run(step).await;
    }
    let seen = sample(&source, &role).await.unwrap();
    assert_eq!((counts(&seen), seen.consumers), ((Some(3), Some(0)), Some(0)));
    assert!(young(&seen), "{seen:?}");
    library.run("schedule 1 0").await;
    eventually(&source, &role, |seen| counts(seen) == (Some(4), Some(0))).await;
    library.run("take").await;
    eventually(&source, &role, |seen| seen.unacknowledged == Some(1) && seen.consumers == Some(1)).await;
    library.run("finish").await;
    eventually(&source, &role, |seen| seen.unacknowledged == Some(0)).await;
    assert_missing(&source, "rq", &url).await;
}

#[tokio::test]
async fn sidekiq_with_a_process_and_due_jobs() {
    let (url, mut redis) = database(4);
    let (source, role) = (sidekiq(), reading("sidekiq", &url));
    let mut library = Library::start("sidekiq_jobs.rb", &[&url, "images"]);
    for step in ["add 3", "schedule 1 3600", "schedule 2 1"] {
        library.run(step).await;
    }
    let seen = eventually(&source, &role, |seen| seen.ready == Some(5)).await;
    assert_eq!((seen.unacknowledged, seen.consumers), (Some(0), Some(0)));
    assert!(young(&seen), "{seen:?}");
    // What the commercial edition's `Sidekiq::Queue#pause!` does.
    let _: () = redis.sadd("paused", "images").unwrap();
    assert_eq!(sample(&source, &role).await.unwrap().ready, Some(0), "nobody may take one");
    let _: () = redis.srem("paused", "images").unwrap();
    library.run("take 2").await;
    eventually(&source, &role, |seen| seen.unacknowledged == Some(2) && seen.consumers == Some(1)).await;
    library.run("finish").await;
    eventually(&source, &role, |seen| seen.unacknowledged == Some(0)).await;
    assert_missing(&source, "sidekiq", &url).await;
}

#[tokio::test]
async fn newer_versions_of_sidekiq_write_milliseconds_and_another_key() {
    let (url, mut redis) = database(5);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let job = format!(r#"{{"class":"Work","queue":"images","jid":"1","enqueued_at":{}}}"#, now - 30_000);
    let _: () = redis.sadd("app:queues", "images").unwrap();
    let _: () = redis.lpush("app:queue:images", job).unwrap();
    let _: () = redis.sadd("app:processes", "host:1:a").unwrap();
    let info = r#"{"hostname":"host","queues":["images"],"concurrency":5,"capsules":{"default":{}}}"#;
    let _: () = redis.hset_multiple("app:host:1:a", &[("info", info), ("beat", "1700000000.5")]).unwrap();
    let work = r#"{"queue":"images","payload":"{\"class\":\"Work\"}","run_at":1700000000}"#;
    let _: () = redis.hset("app:host:1:a:work", "t1", work).unwrap();
    let role = role(&format!("r: {{queue: images, source: {{kind: sidekiq, url: '{url}', prefix: app}}}}"));
    let source = sidekiq();
    let seen = sample(&source, &role).await.unwrap();
    assert_eq!((counts(&seen), seen.consumers), ((Some(1), Some(1)), Some(1)));
    assert!((30..60).contains(&seen.oldest.unwrap().as_secs()), "{seen:?}");
    // The job is taken, by whom is not told before the next beat.
    let job: String = redis.rpop("app:queue:images", None).unwrap();
    assert_eq!(counts(&sample(&source, &role).await.unwrap()), (Some(0), None));
    let _: () = redis.hset("app:host:1:a", "beat", (now / 1000 + 3600).to_string()).unwrap();
    assert_eq!(counts(&sample(&source, &role).await.unwrap()), (Some(0), Some(1)));
    let _: () = redis.lpush("app:queue:images", job).unwrap();
    // A job that cannot be understood may be one of this queue: how many are at work is not known then.
    let _: () = redis.hset("app:host:1:a:work", "t2", "?").unwrap();
    assert_eq!(counts(&sample(&source, &role).await.unwrap()), (Some(1), None));
}

/// Byte for byte what `Resque.enqueue`, `Resque.enqueue_at` and a worker at work leave behind (Resque 1.27 to 3).
#[tokio::test]
async fn resque_as_documented() {
    let (url, mut redis) = database(6);
    let _: () = redis.sadd("resque:queues", "images").unwrap();
    for id in 1..=3 {
        let job = format!(r#"{{"class":"Resize","args":[{id}]}}"#);
        let _: () = redis.rpush("resque:queue:images", job).unwrap();
    }
    let worker = "host:4242:images,mails";
    for id in [worker, "host:4243:*", "host:4244:mails"] {
        let _: () = redis.sadd("resque:workers", id).unwrap();
    }
    let at_work =
        r#"{"queue":"images","run_at":"2026-11-22T06:00:00Z","payload":{"class":"Resize","args":[0]}}"#;
    let _: () = redis.set(format!("resque:worker:{worker}"), at_work).unwrap();
    let _: () = redis.zadd("resque:delayed_queue_schedule", "1700000000", 1_700_000_000).unwrap();
    let late = r#"{"class":"Resize","args":[9],"queue":"images"}"#;
    let _: () = redis.rpush("resque:delayed:1700000000", late).unwrap();

    let (source, role) = (resque(), reading("resque", &url));
    let seen = sample(&source, &role).await.unwrap();
    assert_eq!((counts(&seen), seen.consumers, seen.oldest), ((Some(4), Some(1)), Some(2), None));
    assert_missing(&source, "resque", &url).await;
}

#[tokio::test]
async fn a_role_with_several_queues_gets_their_sum_and_one_bad_queue_spoils_no_other_role() {
    let (url, mut redis) = database(7);
    for (queue, jobs) in [("a", 2), ("b", 3)] {
        let _: () = redis.sadd("resque:queues", queue).unwrap();
        for _ in 0..jobs {
            let _: () = redis.rpush(format!("resque:queue:{queue}"), "{}").unwrap();
        }
    }
    let _: () = redis.set("resque:queue:odd", "not a list").unwrap();
    let source = format!("source: {{kind: resque, url: '{url}'}}");
    let config =
        crate::doubles::config(&format!("'*': {{{source}}}\nboth: {{queues: [a, b]}}\nodd: {{}}\na: {{}}"));
    let roles: Vec<_> = config.roles.iter().collect();
    let mut answers = resque().sample(&roles).await;
    let mut answer = |role: &str| answers.remove(&role.into()).expect("an answer for each role");
    assert_eq!(answer("both").unwrap().ready, Some(5));
    assert_eq!(answer("a").unwrap().ready, Some(2));
    let error = answer("odd").unwrap_err();
    assert!(
        matches!(error, SourceError::Refused { .. }) && error.to_string().contains("`prefix:`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_redis_that_is_away_or_refuses_is_told_without_the_password() {
    let (_kept, port) = unheard();
    let away = reading("rq", &format!("redis://:hunter2@127.0.0.1:{port}"));
    let error = sample(&rq(), &away).await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&port.to_string()) && !format!("{error:?}").contains("hunter2"));

    let (url, _) = database(8);
    let refused = reading("rq", &url.replace("redis://", "redis://nobody:hunter2@"));
    let error = sample(&rq(), &refused).await.unwrap_err();
    assert!(matches!(error, SourceError::Refused { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[test]
fn a_role_has_to_name_its_library_and_its_redis() {
    let accepts = |text: &str| sidekiq().accepts(&role(text));
    assert!(accepts("r: {source: sidekiq, broker: 'rediss://u:p@h/1'}").is_ok());
    assert!(accepts("r: {broker: 'redis://h'}").unwrap_err().contains("`source: sidekiq`"));
    assert!(accepts("r: {source: sidekiq}").unwrap_err().contains("`url:`"));
    assert!(accepts("r: {source: sidekiq, broker: 'amqp://h'}").unwrap_err().contains("not Redis"));
}
