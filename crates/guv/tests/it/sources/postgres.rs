//! Queues in PostgreSQL, in tables as each library's own migrations make them (columns that matter to nobody here are
//! left out only where a table has dozens), with rows as the library writes them.

use std::time::Duration;

use guv::sources::{delayed_job, good_job, oban, pgmq, river, solid_queue, sql};
use guv::{RoleConfig, Sample, Source, SourceError};
use tokio_postgres::{Client, NoTls};

use super::{role, sample, unheard, variable};

/// A database of its own.
pub(super) async fn database(name: &str) -> (String, Client) {
    // Another test may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let name = format!("guv_{name}_{}", std::process::id());
    let server = variable("DATABASE_URL_TEST");
    connect(&server).await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    let mut url: url::Url = server.parse().unwrap();
    url.set_path(&name);
    let client = connect(url.as_str()).await;
    (url.into(), client)
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn reading(kind: &str, url: &str) -> RoleConfig {
    role(&format!("r: {{queue: images, source: {{kind: {kind}, url: '{url}'}}}}"))
}

/// Ready, and in flight.
fn told(sample: &Sample) -> (Option<u64>, Option<u64>) {
    (sample.ready, sample.unacknowledged)
}

/// Asserts that the oldest is as old as it was said to be when it was inserted, which may be a while ago on a busy machine. Of no
/// two rows of a test the ages are that close, but for those that are younger.
fn assert_age(sample: &Sample, seconds: u64) {
    let age = sample.oldest.expect("there is an age").as_secs();
    assert!((seconds..seconds + 30).contains(&age), "{age} s, and it was inserted with {seconds} s");
}

/// Asserts what is told of a queue (ready, in flight, and the age of the oldest in seconds), and that a queue without rows is empty.
async fn assert_told(source: &dyn Source, kind: &str, url: &str, expected: (u64, u64, u64)) {
    let seen = sample(source, &reading(kind, url)).await.unwrap();
    let (ready, in_flight, age) = expected;
    assert_eq!(told(&seen), (Some(ready), Some(in_flight)), "{kind}");
    assert_age(&seen, age);
    let empty = role(&format!("r: {{queue: mails, source: {{kind: {kind}, url: '{url}'}}}}"));
    let seen = sample(source, &empty).await.unwrap();
    assert_eq!((told(&seen), seen.oldest), ((Some(0), Some(0)), None), "{kind}");
}

#[tokio::test]
async fn delayed_job_by_its_table() {
    let (url, client) = database("delayed_job").await;
    client
        .batch_execute(
            "CREATE TABLE delayed_jobs (
                 id bigserial PRIMARY KEY, priority integer DEFAULT 0 NOT NULL, attempts integer DEFAULT 0 NOT NULL,
                 handler text NOT NULL, last_error text, run_at timestamp(6), locked_at timestamp(6),
                 failed_at timestamp(6), locked_by varchar, queue varchar, created_at timestamp(6),
                 updated_at timestamp(6));
             CREATE INDEX delayed_jobs_priority ON delayed_jobs (priority, run_at);
             SET TIME ZONE 'UTC';
             INSERT INTO delayed_jobs (handler, queue, run_at, locked_at, failed_at) VALUES
                 ('--- !ruby/object:Resize', 'images', now() - interval '40 s', NULL, NULL),
                 ('--- !ruby/object:Resize', 'images', now() - interval '5 s', NULL, NULL),
                 ('--- !ruby/object:Resize', 'images', now() + interval '1 h', NULL, NULL),
                 ('--- !ruby/object:Resize', 'images', now() - interval '90 s', now(), NULL),
                 ('--- !ruby/object:Resize', 'images', now() - interval '90 s', NULL, now()),
                 ('--- !ruby/object:Other', NULL, now() - interval '20 s', NULL, NULL)",
        )
        .await
        .unwrap();
    assert_told(&delayed_job(), "delayed_job", &url, (2, 1, 40)).await;
    let unnamed = role(&format!("r: {{queue: default, source: {{kind: delayed_job, url: '{url}'}}}}"));
    assert_eq!(sample(&delayed_job(), &unnamed).await.unwrap().ready, Some(1));
}

#[tokio::test]
async fn solid_queue_by_its_tables() {
    let (url, client) = database("solid_queue").await;
    client
        .batch_execute(
            "CREATE TABLE solid_queue_jobs (
                 id bigserial PRIMARY KEY, queue_name varchar NOT NULL, class_name varchar NOT NULL, arguments text,
                 priority integer DEFAULT 0 NOT NULL, active_job_id varchar, scheduled_at timestamp(6),
                 finished_at timestamp(6), concurrency_key varchar, created_at timestamp(6) NOT NULL,
                 updated_at timestamp(6) NOT NULL);
             CREATE TABLE solid_queue_ready_executions (
                 id bigserial PRIMARY KEY, job_id bigint NOT NULL REFERENCES solid_queue_jobs ON DELETE CASCADE,
                 queue_name varchar NOT NULL, priority integer DEFAULT 0 NOT NULL, created_at timestamp(6) NOT NULL);
             CREATE TABLE solid_queue_scheduled_executions (
                 id bigserial PRIMARY KEY, job_id bigint NOT NULL REFERENCES solid_queue_jobs ON DELETE CASCADE,
                 queue_name varchar NOT NULL, priority integer DEFAULT 0 NOT NULL, scheduled_at timestamp(6) NOT NULL,
                 created_at timestamp(6) NOT NULL);
             CREATE TABLE solid_queue_claimed_executions (
                 id bigserial PRIMARY KEY, job_id bigint NOT NULL REFERENCES solid_queue_jobs ON DELETE CASCADE,
                 process_id bigint, created_at timestamp(6) NOT NULL);
             CREATE TABLE solid_queue_pauses (
                 id bigserial PRIMARY KEY, queue_name varchar NOT NULL, created_at timestamp(6) NOT NULL);
             SET TIME ZONE 'UTC';
             INSERT INTO solid_queue_jobs (queue_name, class_name, created_at, updated_at)
                 SELECT 'images', 'Resize', now(), now() FROM generate_series(1, 5);
             INSERT INTO solid_queue_ready_executions (job_id, queue_name, created_at)
                 VALUES (1, 'images', now() - interval '10 s'), (2, 'images', now() - interval '30 s');
             INSERT INTO solid_queue_scheduled_executions (job_id, queue_name, scheduled_at, created_at) VALUES
                 (3, 'images', now() - interval '70 s', now() - interval '1 d'), (4, 'images', now() + interval '1 h', now());
             INSERT INTO solid_queue_claimed_executions (job_id, process_id, created_at) VALUES (5, 1, now())",
        )
        .await
        .unwrap();
    assert_told(&solid_queue(), "solid_queue", &url, (3, 1, 70)).await;
    client
        .batch_execute("INSERT INTO solid_queue_pauses (queue_name, created_at) VALUES ('images', now())")
        .await
        .unwrap();
    let paused = sample(&solid_queue(), &reading("solid_queue", &url)).await.unwrap();
    assert_eq!((told(&paused), paused.oldest), ((Some(0), Some(1)), None), "nobody may take one");
}

#[tokio::test]
async fn good_job_by_its_table() {
    let (url, client) = database("good_job").await;
    client
        .batch_execute(
            "CREATE TABLE good_jobs (
                 id uuid PRIMARY KEY DEFAULT gen_random_uuid(), queue_name text, priority integer,
                 serialized_params jsonb, scheduled_at timestamp(6), performed_at timestamp(6),
                 finished_at timestamp(6), error text, created_at timestamp(6) NOT NULL,
                 updated_at timestamp(6) NOT NULL, active_job_id uuid, concurrency_key text, cron_key text,
                 retried_good_job_id uuid, cron_at timestamp(6), batch_id uuid, batch_callback_id uuid,
                 is_discrete boolean, executions_count integer, job_class text, error_event smallint, labels text[],
                 locked_by_id uuid, locked_at timestamp(6));
             SET TIME ZONE 'UTC';
             INSERT INTO good_jobs (queue_name, created_at, updated_at, scheduled_at, performed_at, finished_at) VALUES
                 ('images', now() - interval '50 s', now(), NULL, NULL, NULL),
                 ('images', now() - interval '1 d', now(), now() - interval '20 s', NULL, NULL),
                 ('images', now() - interval '1 d', now(), now() + interval '20 min', NULL, NULL),
                 ('images', now() - interval '80 s', now(), NULL, now(), NULL),
                 ('images', now() - interval '80 s', now(), NULL, now(), now())",
        )
        .await
        .unwrap();
    assert_told(&good_job(), "good_job", &url, (2, 1, 50)).await;
}

#[tokio::test]
async fn river_by_its_tables() {
    let (url, client) = database("river").await;
    client
        .batch_execute(
            "CREATE TYPE river_job_state AS ENUM ('available', 'cancelled', 'completed', 'discarded', 'pending',
                                                  'retryable', 'running', 'scheduled');
             CREATE TABLE river_job (
                 id bigserial PRIMARY KEY, state river_job_state NOT NULL DEFAULT 'available',
                 attempt smallint NOT NULL DEFAULT 0, max_attempts smallint NOT NULL, attempted_at timestamptz,
                 created_at timestamptz NOT NULL DEFAULT now(), finalized_at timestamptz,
                 scheduled_at timestamptz NOT NULL DEFAULT now(), priority smallint NOT NULL DEFAULT 1,
                 args jsonb NOT NULL, attempted_by text[], errors jsonb[], kind text NOT NULL,
                 metadata jsonb NOT NULL DEFAULT '{}', queue text NOT NULL DEFAULT 'default',
                 tags varchar(255)[] NOT NULL DEFAULT '{}', unique_key bytea, unique_states bit(8));
             CREATE TABLE river_queue (
                 name text PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(),
                 metadata jsonb NOT NULL DEFAULT '{}', paused_at timestamptz, updated_at timestamptz NOT NULL);
             INSERT INTO river_job (state, queue, scheduled_at, max_attempts, args, kind, finalized_at) VALUES
                 ('available', 'images', now() - interval '30 s', 25, '{}', 'resize', NULL),
                 ('retryable', 'images', now() - interval '61 s', 25, '{}', 'resize', NULL),
                 ('scheduled', 'images', now() + interval '1 h', 25, '{}', 'resize', NULL),
                 ('running', 'images', now() - interval '99 s', 25, '{}', 'resize', NULL),
                 ('completed', 'images', now() - interval '99 s', 25, '{}', 'resize', now());
             INSERT INTO river_queue (name, updated_at) VALUES ('images', now())",
        )
        .await
        .unwrap();
    assert_told(&river(), "river", &url, (2, 1, 61)).await;
    client.batch_execute("UPDATE river_queue SET paused_at = now()").await.unwrap();
    let paused = sample(&river(), &reading("river", &url)).await.unwrap();
    assert_eq!((told(&paused), paused.oldest), ((Some(0), Some(1)), None), "nobody may take one");
}

const OBAN: &str = "
    CREATE TYPE oban_job_state AS ENUM ('available', 'scheduled', 'executing', 'retryable', 'completed', 'discarded',
                                        'cancelled');
    CREATE TABLE oban_jobs (
        id bigserial PRIMARY KEY, state oban_job_state NOT NULL DEFAULT 'available',
        queue text NOT NULL DEFAULT 'default', worker text NOT NULL, args jsonb NOT NULL DEFAULT '{}',
        errors jsonb[] NOT NULL DEFAULT '{}', attempt integer NOT NULL DEFAULT 0,
        max_attempts integer NOT NULL DEFAULT 20,
        inserted_at timestamp NOT NULL DEFAULT timezone('UTC', now()),
        scheduled_at timestamp NOT NULL DEFAULT timezone('UTC', now()), attempted_at timestamp,
        completed_at timestamp, attempted_by text[], discarded_at timestamp, priority integer NOT NULL DEFAULT 0,
        tags text[] DEFAULT '{}', meta jsonb DEFAULT '{}', cancelled_at timestamp)";

#[tokio::test]
async fn oban_by_its_table_in_a_schema_of_its_own() {
    let (url, client) = database("oban").await;
    client
        .batch_execute("CREATE SCHEMA private; SET search_path = private; SET TIME ZONE 'UTC'")
        .await
        .unwrap();
    client.batch_execute(OBAN).await.unwrap();
    client
        .batch_execute(
            "INSERT INTO oban_jobs (state, queue, worker, scheduled_at) VALUES
                 ('available', 'images', 'Resize', now() - interval '33 s'),
                 ('scheduled', 'images', 'Resize', now() - interval '3 s'),
                 ('scheduled', 'images', 'Resize', now() + interval '1 h'),
                 ('executing', 'images', 'Resize', now() - interval '77 s'),
                 ('completed', 'images', 'Resize', now() - interval '77 s')",
        )
        .await
        .unwrap();
    let there = role(&format!("r: {{queue: images, source: {{kind: oban, url: '{url}', schema: private}}}}"));
    let seen = sample(&oban(), &there).await.unwrap();
    assert_eq!(told(&seen), (Some(2), Some(1)));
    assert_age(&seen, 33);
    let error = sample(&oban(), &reading("oban", &url)).await.unwrap_err();
    assert!(
        matches!(error, SourceError::Refused { .. }) && error.to_string().contains("`schema:`"),
        "{error}"
    );
}

#[tokio::test]
async fn pgmq_by_its_tables() {
    let (url, client) = database("pgmq").await;
    client
        .batch_execute(
            "CREATE SCHEMA pgmq;
             CREATE TABLE pgmq.q_images (
                 msg_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, read_ct integer DEFAULT 0 NOT NULL,
                 enqueued_at timestamptz DEFAULT now() NOT NULL, vt timestamptz NOT NULL, message jsonb);
             CREATE TABLE pgmq.q_mails (LIKE pgmq.q_images);
             INSERT INTO pgmq.q_images (read_ct, enqueued_at, vt) VALUES
                 (0, now() - interval '21 s', now() - interval '21 s'),
                 (1, now() - interval '45 s', now() - interval '5 s'),
                 (1, now() - interval '99 s', now() + interval '30 s'),
                 (0, now() - interval '99 s', now() + interval '30 s')",
        )
        .await
        .unwrap();
    assert_told(&pgmq(), "pgmq", &url, (2, 1, 45)).await;
    let missing = role(&format!("r: {{queues: [images, imgaes], source: {{kind: pgmq, url: '{url}'}}}}"));
    let error = sample(&pgmq(), &missing).await.unwrap_err();
    assert!(matches!(&error, SourceError::Missing { queue } if queue.as_str() == "imgaes"), "{error:?}");
}

fn asking(url: &str, query: &str) -> RoleConfig {
    let query = query.replace('\'', "''");
    // The server gives a statement up after nine tenths of it, and we after it.
    role(&format!("r: {{queue: images, source: {{kind: sql, url: '{url}', timeout: 10, query: '{query}'}}}}"))
}

#[tokio::test]
async fn a_query_of_ones_own_in_a_transaction_that_only_reads() {
    let (url, client) = database("own").await;
    client
        .batch_execute(
            "CREATE SEQUENCE steps;
             CREATE TABLE work (kind text, taken boolean, since timestamptz);
             INSERT INTO work VALUES ('images', false, now() - interval '12 s'), ('images', true, now())",
        )
        .await
        .unwrap();
    let query = "SELECT count(*) FILTER (WHERE NOT taken) AS ready, sum(taken::int)::numeric AS in_flight,
                 extract(epoch FROM now() - min(since)) AS oldest FROM work WHERE kind = $1;";
    let source = sql();
    let seen = sample(&source, &asking(&url, query)).await.unwrap();
    assert_eq!(told(&seen), (Some(1), Some(1)));
    assert_age(&seen, 12);
    let seen = sample(&source, &asking(&url, "SELECT 7 AS ready")).await.unwrap();
    assert_eq!((told(&seen), seen.oldest), ((Some(7), None), None), "what it does not say is unknown");

    let failing = [
        ("SELECT 1 AS redy", "`redy`"),
        ("SELECT -1 AS ready", "-1"),
        ("SELECT setval('steps', 9) AS ready", "must only read"),
        ("SELECT count(*) AS ready FROM pg_sleep(60)", "took too long"),
        ("SELECT count(*) AS ready FROM wrok", "wrok"),
    ];
    for (query, hint) in failing {
        let error = sample(&source, &asking(&url, query)).await.unwrap_err();
        assert!(error.to_string().contains(hint), "{query}: {error}");
    }
    let step: i64 = client.query_one("SELECT last_value FROM steps", &[]).await.unwrap().get(0);
    assert_eq!(step, 1);
    let error = sample(&source, &asking(&url, "SELECT 1 AS ready WHERE false")).await.unwrap_err();
    assert!(matches!(error, SourceError::Missing { .. }), "{error:?}");
}

#[tokio::test]
async fn oban_tells_of_new_jobs_as_they_are_inserted() {
    let (url, client) = database("notify").await;
    client.batch_execute(OBAN).await.unwrap();
    let (source, wake) = (oban(), guv::Wake::default());
    let roles = [reading("oban", &url)];
    let work = async {
        wake.woken().await;
        // What Oban does when it inserts a job.
        let insert = "INSERT INTO oban_jobs (queue, worker) VALUES ('images', 'Resize');
                      SELECT pg_notify('public.oban_insert', '{\"queue\":\"images\"}')";
        client.batch_execute(insert).await.unwrap();
        wake.woken().await
    };
    let woken = tokio::select! {
        woken = tokio::time::timeout(Duration::from_secs(60), work) => woken.expect("it is woken"),
        ended = source.watch(&roles, &wake) => panic!("{ended:?}"),
    };
    assert!(woken.contains(&"r".into()));
}

#[tokio::test]
async fn a_database_that_is_away_or_refuses_is_told_without_the_password() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (_kept, port) = unheard();
    let away = reading("oban", &format!("postgres://u:hunter2@127.0.0.1:{port}/db"));
    let error = sample(&oban(), &away).await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&port.to_string()) && !format!("{error:?}").contains("hunter2"));

    let mut url: url::Url = variable("DATABASE_URL_TEST").parse().unwrap();
    url.set_path("nowhere");
    url.set_password(Some("hunter2")).unwrap();
    let error = sample(&oban(), &reading("oban", url.as_str())).await.unwrap_err();
    assert!(
        matches!(error, SourceError::Refused { .. }) && error.to_string().contains("nowhere"),
        "{error:?}"
    );
    assert!(!format!("{error:?}").contains("hunter2"));
}
