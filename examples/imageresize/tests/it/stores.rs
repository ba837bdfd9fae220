//! What every store must do, on SQLite and on PostgreSQL.

use std::sync::Arc;

use imageresize::job::{Job, Merged};
use imageresize::message::{Ended, Ending, Failure, Format, ImageId, JobId, Operation, Order, Resized, now};
use imageresize::store::{self, Error, Jobs, Totals};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::support::sqlite;

/// PostgreSQL with a schema of its own for each test.
async fn postgres() -> Arc<dyn Jobs> {
    let url = std::env::var("DATABASE_URL_TEST")
        .expect("DATABASE_URL_TEST names no PostgreSQL: run the tests by `make test`, which starts one");
    let schema = format!("jobs_{}", Uuid::new_v4().simple());
    let (client, connection) =
        tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client.batch_execute(&format!("CREATE SCHEMA {schema}")).await.expect("a schema");
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{separator}options=-csearch_path%3D{schema}");
    store::open(&url).await.expect("it opens")
}

fn job(created_at: Timestamp, images: usize) -> Job {
    let order = |number: usize| Order {
        id: ImageId(Uuid::new_v4()),
        input: format!("http://example.net/{number}.jpg"),
        width: 300,
        height: 200,
        operation: Operation::Max,
        format: Format::Png,
        policy: None,
    };
    Job::new(JobId(Uuid::new_v4()), created_at, (0..images).map(order))
}

fn completed(job: &Job, image: ImageId) -> Ended {
    let output = format!("file:///{image}.png");
    let (started_at, ended_at) = (Some(now()), now());
    Ended { job: job.id, image, started_at, ended_at, ending: Ending::Completed(Resized { output }) }
}

fn failed(job: &Job, image: ImageId) -> Ended {
    let ending = Ending::Failed(Failure { message: "no such picture".into() });
    Ended { ending, ..completed(job, image) }
}

fn ids(job: &Job) -> Vec<ImageId> {
    job.data.images.keys().copied().collect()
}

async fn a_job_is_kept_as_it_was(jobs: Arc<dyn Jobs>) {
    let job = job(now(), 3);
    assert_eq!(jobs.get(job.id).await.expect("an answer"), None);
    assert_eq!(jobs.insert(job.clone()).await.expect("it is kept"), job);
    assert_eq!(jobs.get(job.id).await.expect("an answer"), Some(job));
}

async fn the_first_job_of_an_id_stays(jobs: Arc<dyn Jobs>) {
    let first = jobs.insert(job(now(), 2)).await.expect("it is kept");
    let second = Job { id: first.id, ..job(now(), 1) };
    assert_eq!(jobs.insert(second).await.expect("the first"), first);
}

async fn results_are_merged_once(jobs: Arc<dyn Jobs>) {
    let job = jobs.insert(job(now(), 2)).await.expect("it is kept");
    let images = ids(&job);
    let first = completed(&job, images[0]);
    assert_eq!(jobs.merge(first.clone(), now()).await.expect("merged"), Merged::Changed);
    let once = jobs.get(job.id).await.expect("an answer");
    assert_eq!(jobs.merge(first, now()).await.expect("merged"), Merged::AlreadyEnded);
    assert_eq!(jobs.merge(failed(&job, images[0]), now()).await.expect("merged"), Merged::AlreadyEnded);
    assert_eq!(jobs.get(job.id).await.expect("an answer"), once);
    assert_eq!(jobs.totals().await.expect("totals"), Totals { jobs: 1, completed: 0, failed: 0 });

    jobs.merge(failed(&job, images[1]), now()).await.expect("merged");
    let job = jobs.get(job.id).await.expect("an answer").expect("the job");
    assert!(job.has_ended() && job.failed_at.is_some() && job.completed_at.is_none(), "{job:?}");
    assert_eq!(jobs.totals().await.expect("totals"), Totals { jobs: 1, completed: 0, failed: 1 });
}

async fn strangers_are_refused(jobs: Arc<dyn Jobs>) {
    let (kept, stranger) = (jobs.insert(job(now(), 1)).await.expect("it is kept"), job(now(), 1));
    let refused = jobs.merge(completed(&stranger, ids(&stranger)[0]), now()).await;
    assert!(matches!(refused, Err(Error::UnknownJob(id)) if id == stranger.id), "{refused:?}");
    let refused = jobs.merge(completed(&kept, ids(&stranger)[0]), now()).await;
    assert!(matches!(refused, Err(Error::UnknownImage { job, .. }) if job == kept.id), "{refused:?}");
    assert_eq!(jobs.get(kept.id).await.expect("an answer"), Some(kept));
}

/// Results of one job that come at the same time: none may overwrite another.
async fn no_result_is_lost_in_a_crowd(jobs: Arc<dyn Jobs>) {
    let job = jobs.insert(job(now(), 100)).await.expect("it is kept");
    let merges = ids(&job).into_iter().flat_map(|image| [image, image]).map(|image| {
        let (jobs, ended) = (Arc::clone(&jobs), completed(&job, image));
        tokio::spawn(async move { jobs.merge(ended, now()).await.expect("merged") })
    });
    let merges: Vec<_> = merges.collect();
    let mut changed = 0;
    for merge in merges {
        changed += usize::from(merge.await.expect("it ends") == Merged::Changed);
    }
    assert_eq!(changed, 100);
    let job = jobs.get(job.id).await.expect("an answer").expect("the job");
    assert_eq!((job.counts().completed, job.completed_at.is_some()), (100, true));
}

async fn the_newest_come_first(jobs: Arc<dyn Jobs>) {
    let begin = now();
    for second in [2, 0, 3, 1] {
        jobs.insert(job(begin + SignedDuration::from_secs(second), 1)).await.expect("it is kept");
    }
    let newest = jobs.newest(3).await.expect("a list");
    let seconds: Vec<_> = newest.iter().map(|job| job.created_at.duration_since(begin).as_secs()).collect();
    assert_eq!(seconds, [3, 2, 1]);
}

macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $test() {
                let (_folder, jobs) = super::sqlite().await;
                super::$test(jobs).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::postgres().await).await;
            })*
        }
    };
}

on_both!(
    a_job_is_kept_as_it_was,
    the_first_job_of_an_id_stays,
    results_are_merged_once,
    strangers_are_refused,
    no_result_is_lost_in_a_crowd,
    the_newest_come_first,
);

#[tokio::test]
async fn sqlite_keeps_jobs_when_it_is_opened_again() {
    let (folder, jobs) = sqlite().await;
    let job = jobs.insert(job(now(), 1)).await.expect("it is kept");
    drop(jobs);
    let url = format!("sqlite://{}", folder.path().join("jobs.sqlite3").display());
    let again = store::open(&url).await.expect("it opens again");
    assert_eq!(again.get(job.id).await.expect("an answer"), Some(job));
}

#[tokio::test]
async fn an_unknown_database_is_refused_with_what_is_known() {
    let error = store::open("mysql://localhost/jobs").await.err().expect("not known");
    assert!(error.to_string().contains("`mysql:` is no database that is known; use sqlite:FILE"), "{error}");
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_named_as_such() {
    let error = store::open("sqlite:/nowhere/at/all.sqlite3").await.err().expect("not there");
    assert!(matches!(error, Error::Database { doing: "being opened", .. }), "{error:?}");
}
