//! The whole service on the embedded broker: requests, workers and store, connected as the graph says.

use std::sync::Arc;
use std::time::Duration;

use imageresize::http::Gallery;
use imageresize::message::ResizeMessage;
use imageresize::picture::{self, Limits, Size};
use imageresize::{service, worker};
use msgflo::Options;
use msgflo::core::{Binding, Broker, BrokerOptions, BrokerUrl, Transport};
use reqwest::StatusCode;
use serde_json::Value;
use url::Url;

use crate::support::{Api, answer, sqlite};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

async fn connect(url: &str) -> Arc<dyn Broker> {
    let url: BrokerUrl = url.parse().expect("a URL");
    msgflo_transports::Amqp.broker(&url, BrokerOptions::default()).await.expect("the broker answers")
}

async fn bind(broker: &Arc<dyn Broker>, source: &str, target: &str) {
    let binding = Binding::PubSub { source: source.into(), target: target.into() };
    broker.add_binding(&binding).await.expect("both exist");
}

#[tokio::test]
async fn images_come_out_small_and_failures_with_their_reason() {
    let options = msgflo_broker::Options { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
    let server = msgflo_broker::Server::start(options).await.expect("the broker starts");
    let url = server.url().to_string();

    let photographs = tempfile::tempdir().expect("a folder");
    let size = Size::new(600, 400);
    let pixels: Vec<u8> = (0..size.pixels() * 3).map(|at| (at % 251) as u8).collect();
    let original = picture::jpeg(size, &pixels, 90, None).expect("a JPEG");
    std::fs::write(photographs.path().join("a.jpg"), original).expect("it is written");
    std::fs::write(photographs.path().join("b.jpg"), "no picture at all").expect("it is written");
    let gallery = Gallery::new(Some(photographs.path().to_owned()));

    let (_folder, jobs) = sqlite().await;
    let (web, requests) = service::web();
    let front = [web, service::store(Arc::clone(&jobs))];
    let front = msgflo::start(Options::default().broker(&url), front).await.expect("it starts");
    let api = Api::start(jobs, Arc::new(requests), gallery).await;

    let results = tempfile::tempdir().expect("a folder");
    let worker = worker::Options {
        output: results.path().to_str().expect("text").to_owned(),
        public_url: None,
        files: Vec::new(),
        max_bytes: 10_000_000,
        limits: Limits { max_pixels: 10_000_000 },
        prefetch: 5,
        timeout: PATIENCE,
    };
    let worker = worker::participant(&worker).expect("a worker");
    let worker = msgflo::start(Options::default().broker(&url), [worker]).await.expect("it starts");

    let broker = connect(&url).await;
    bind(&broker, "web.RESIZEIMAGE", "resize.IN").await;
    bind(&broker, "resize.OUT", "store.IN").await;
    bind(&broker, "resize.ERROR", "store.IN").await;

    let originals = ["a.jpg", "b.jpg", "missing.jpg"].map(|name| api.url(&format!("/photographs/{name}")));
    let location = api.resize(&originals).await;
    let job = tokio::time::timeout(PATIENCE, async {
        loop {
            let (status, job) = answer(api.get(&location)).await;
            if status == StatusCode::OK {
                return job;
            }
        }
    });
    let job = job.await.expect("the job ends");
    let images = job["data"]["images"].as_object().expect("images");
    let image = |input: &String| images.values().find(|image| image["input"] == **input).expect(input);
    let [good, bad, missing] = originals.each_ref().map(image);

    let output: Url = good["result"]["output"].as_str().expect("a result").parse().expect("a URL");
    let small = std::fs::read(output.to_file_path().expect("a file")).expect("it was written");
    let mut small = zune_jpeg::JpegDecoder::new(zune_jpeg::zune_core::bytestream::ZCursor::new(small));
    small.decode_headers().expect("a JPEG");
    assert_eq!(small.dimensions(), Some((100, 67)));
    let time =
        |image: &Value, key: &str| image[key].as_str().expect(key).parse::<jiff::Timestamp>().expect(key);
    let created = job["created_at"].as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time");
    assert!(created <= time(good, "started_at"));
    assert!(time(good, "started_at") <= time(good, "completed_at"));

    let reasons = [
        "neither a JPEG nor a PNG picture: it begins with `no pictu`",
        "missing.jpg cannot be fetched: the server answered 404 Not Found",
    ];
    for (image, reason) in [bad, missing].into_iter().zip(reasons) {
        let message = image["error"]["message"].as_str().expect("a message");
        assert!(message.ends_with(reason), "{message}");
        assert!(image["failed_at"].is_string() && image["completed_at"].is_null(), "{image}");
    }
    assert!(job["failed_at"].is_string(), "{job}");

    // A result that is delivered again changes nothing.
    let id = &job["id"];
    let before = answer(api.get(&location)).await.1;
    let again: ResizeMessage = serde_json::from_value(serde_json::json!({
        "job": id, "payload": good, "created_at": job["created_at"],
        "failed_at": job["created_at"], "error": {"message": "again"},
    }))
    .expect("a message");
    let message = msgflo::core::Message::json(&again).expect("JSON");
    broker.send_to_queue(&"store.IN".into(), message).await.expect("it is sent");
    let taken = tokio::time::timeout(PATIENCE, async {
        loop {
            let depth = broker.depth(&"store.IN".into()).await.expect("a depth");
            if depth.ready == 0 && server.queue("store.IN").is_some_and(|queue| queue.unacknowledged == 0) {
                return;
            }
        }
    });
    taken.await.expect("the store takes it");
    assert_eq!(answer(api.get(&location)).await.1, before);

    worker.shutdown().await.expect("the worker leaves");
    front.shutdown().await.expect("the front leaves");
    broker.close().await.expect("the connection closes");
    server.shutdown().await;
}
