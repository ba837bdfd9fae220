//! The HTTP interface on SQLite, with workers that only listen.

use std::collections::HashSet;
use std::sync::Arc;

use imageresize::http::{Gallery, IDEMPOTENCY_KEY};
use imageresize::message::{Ended, Ending, ResizeMessage, Resized, now};
use imageresize::store::Jobs;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use uuid::Uuid;

use crate::support::{Api, Workers, answer, sqlite};

struct Bench {
    api: Api,
    jobs: Arc<dyn Jobs>,
    sent: UnboundedReceiver<ResizeMessage>,
    _folder: TempDir,
}

async fn bench() -> Bench {
    let (folder, jobs) = sqlite().await;
    let (sender, sent) = mpsc::unbounded_channel();
    let workers = Arc::new(Workers::Listening(sender));
    let api = Api::start(Arc::clone(&jobs), workers, Gallery::new(None)).await;
    Bench { api, jobs, sent, _folder: folder }
}

impl Bench {
    /// Plays a worker and the store for the next message.
    async fn complete_next(&mut self) {
        let message = self.sent.recv().await.expect("a message was sent");
        let ending = Ending::Completed(Resized { output: "file:///small.jpg".into() });
        let ended = Ended::try_from(message.ended(now(), now(), ending)).expect("it ended");
        self.jobs.merge(ended, now()).await.expect("it is merged");
    }
}

#[tokio::test]
async fn a_job_goes_from_accepted_to_pending_to_done() {
    let mut bench = bench().await;
    let location = bench.api.resize(&["http://a/1.jpg".into(), "http://a/2.jpg".into()]).await;
    assert!(location.starts_with("/job/"), "{location}");

    let (status, job) = answer(bench.api.get(&location)).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!((&job["completed_at"], &job["failed_at"]), (&Value::Null, &Value::Null));
    assert!(job["created_at"].is_string() && job["updated_at"].is_string(), "{job}");
    let images = job["data"]["images"].as_object().expect("images by id");
    let inputs: HashSet<_> = images.values().map(|image| image["input"].as_str().expect("a URL")).collect();
    assert_eq!(inputs, ["http://a/1.jpg", "http://a/2.jpg"].into());
    assert!(images.iter().all(|(id, image)| image["id"] == json!(id)), "{images:?}");

    bench.complete_next().await;
    assert_eq!(answer(bench.api.get(&location)).await.0, StatusCode::CREATED, "one is still pending");
    bench.complete_next().await;
    let (status, job) = answer(bench.api.get(&location)).await;
    assert_eq!(status, StatusCode::OK);
    assert!(job["completed_at"].is_string(), "the store says when: {job}");
    let (_, totals) = answer(bench.api.get("/totals")).await;
    assert_eq!(totals, json!({"jobs": 1, "completed": 1, "failed": 0}));
}

#[tokio::test]
async fn there_is_a_message_for_each_image_and_its_row_was_there_before() {
    let mut bench = bench().await;
    let location = bench.api.resize(&["http://a/1.jpg".into(), "http://a/2.jpg".into()]).await;
    let (first, second) = (bench.sent.recv().await.expect("one"), bench.sent.recv().await.expect("two"));
    assert!(bench.sent.try_recv().is_err());
    assert_eq!(location, format!("/job/{}", first.job));
    let kept = bench.jobs.get(first.job).await.expect("an answer").expect("the row");
    let asked: HashSet<_> = [first.payload.id, second.payload.id].into();
    assert_eq!(kept.data.images.keys().copied().collect::<HashSet<_>>(), asked);
    assert_eq!((first.created_at, first.started_at), (kept.created_at, None));
}

#[tokio::test]
async fn the_same_key_is_the_same_job_and_asks_again_for_what_is_pending() {
    let mut bench = bench().await;
    let key = Uuid::new_v4();
    let body = json!({"images": [
        {"input": "http://a/1.jpg", "width": 1, "height": 1},
        {"input": "http://a/2.jpg", "width": 1, "height": 1},
    ]});
    let post = || bench.api.post("/resize").header(IDEMPOTENCY_KEY, key.to_string()).json(&body);
    let first = post().send().await.expect("an answer");
    assert_eq!(first.status(), StatusCode::ACCEPTED);
    assert_eq!(first.headers()["location"], format!("/job/{key}")[..]);
    let second = post();
    bench.complete_next().await;
    let other = bench.sent.recv().await.expect("the second image").payload.id;

    let second = second.send().await.expect("an answer");
    assert_eq!(second.headers()["location"], format!("/job/{key}")[..]);
    assert_eq!(bench.sent.recv().await.expect("again").payload.id, other);
    assert!(bench.sent.try_recv().is_err(), "what has ended is not asked for again");
    assert_eq!(answer(bench.api.get("/totals")).await.1["jobs"], 1);
}

#[tokio::test]
async fn a_wrong_request_is_422_with_every_reason() {
    let bench = bench().await;
    let wrong = json!({"images": [{"input": "nothing", "width": 0, "height": 5, "format": "gif"}]});
    let (status, body) = answer(bench.api.post("/resize").json(&wrong)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let message = body["message"].as_str().expect("a message");
    for part in ["images[0].input: `nothing`", "images[0].width: `0`", "images[0].format: `\"gif\"`"] {
        assert!(message.contains(part), "{message}");
    }
    for body in ["", "{", "[]", "{\"images\":[]}"] {
        let (status, _) = answer(bench.api.post("/resize").body(body)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    let keyed = bench.api.post("/resize").header(IDEMPOTENCY_KEY, "mine").json(&wrong);
    assert_eq!(answer(keyed).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer(bench.api.get("/jobs?limit=many")).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer(bench.api.get("/totals")).await.1["jobs"], 0, "nothing was kept");
}

#[tokio::test]
async fn what_does_not_exist_is_404_with_a_message() {
    let bench = bench().await;
    let unknown = format!("/job/{}", Uuid::new_v4());
    for path in [unknown.as_str(), "/job/1", "/nothing"] {
        let (status, body) = answer(bench.api.get(path)).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(body["message"].as_str().expect("a message").contains("does not exist"), "{body}");
    }
    assert_eq!(answer(bench.api.get("/resize")).await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn what_cannot_be_handed_on_has_failed() {
    let (_folder, jobs) = sqlite().await;
    let api = Api::start(Arc::clone(&jobs), Arc::new(Workers::Away), Gallery::new(None)).await;
    let body = json!({"images": [{"input": "http://a/1.jpg", "width": 1, "height": 1}]});
    let (status, said) = answer(api.post("/resize").json(&body)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(said["message"], "1 of 1 images could not be handed to a worker; they count as failed");
    let kept = jobs.newest(1).await.expect("a list").remove(0);
    assert!(kept.has_ended() && kept.failed_at.is_some(), "nobody waits for it for ever: {kept:?}");
    let image = kept.data.images.values().next().expect("its image");
    let message = &image.error.as_ref().expect("a reason").message;
    assert_eq!(message, "it could not be handed to a worker: the broker is away");
}

#[tokio::test]
async fn the_newest_jobs_are_listed_first() {
    let bench = bench().await;
    for number in 0..3 {
        bench.api.resize(&[format!("http://a/{number}.jpg")]).await;
    }
    let (status, jobs) = answer(bench.api.get("/jobs?limit=2")).await;
    assert_eq!((status, jobs.as_array().map(Vec::len)), (StatusCode::OK, Some(2)));
    let created = |index: usize| jobs[index]["created_at"].as_str().expect("a time").to_owned();
    let (first, second): (jiff::Timestamp, jiff::Timestamp) =
        (created(0).parse().expect("a time"), created(1).parse().expect("a time"));
    assert!(first >= second);
}

#[tokio::test]
async fn the_page_and_its_photographs_are_served() {
    let (_folder, jobs) = sqlite().await;
    let photographs = tempfile::tempdir().expect("a folder");
    for (name, content) in [("b b.JPG", "two"), ("a.png", "one"), ("notes.txt", "no")] {
        std::fs::write(photographs.path().join(name), content).expect("it is written");
    }
    let gallery = Gallery::new(Some(photographs.path().to_owned()));
    let api = Api::start(jobs, Arc::new(Workers::Away), gallery).await;
    let page = api.get("/").send().await.expect("an answer");
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(page.text().await.expect("text").contains("<title>Image resizing</title>"));

    let (_, urls) = answer(api.get("/photographs")).await;
    assert_eq!(urls, json!([api.url("/photographs/a%2Epng"), api.url("/photographs/b%20b%2EJPG")]));
    let picture = reqwest::get(urls[1].as_str().expect("a URL")).await.expect("an answer");
    assert_eq!(picture.headers()["content-type"], "image/jpeg");
    assert_eq!(picture.text().await.expect("bytes"), "two");
    assert_eq!(answer(api.get("/photographs/notes.txt")).await.0, StatusCode::NOT_FOUND);
}
