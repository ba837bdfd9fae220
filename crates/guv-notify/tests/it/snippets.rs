//! The snippets of docs/notify.md, in their own languages.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::PATIENCE;

/// The block of code after this mark.
fn snippet(mark: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/notify.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let after = docs.split_once(&format!("<!-- {mark} -->\n")).expect("the mark is there").1;
    let code = after.split_once('\n').expect("a fence").1.split_once("\n```").expect("a fence").0;
    code.to_owned()
}

/// Runs a program that enqueues a hundred jobs, and asserts that guv was told of them once, and that nobody waited.
async fn tells_once(mark: &str, interpreter: PathBuf, name: &str, usage: &str) {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/roles/re%2Fsize/notify"))
        .and(header("authorization", "Bearer key-1"))
        // The application has to end while it is being told.
        .respond_with(ResponseTemplate::new(202).set_delay(Duration::from_millis(200)))
        .mount(&server)
        .await;
    let folder = std::env::temp_dir().join(format!("guv-notify-{mark}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join(name);
    std::fs::write(&program, format!("{}\n{usage}\n", snippet(mark))).unwrap();
    let running = Command::new(interpreter)
        .arg(&program)
        .env("GUV_URL", server.uri())
        .env("GUV_TOKEN", "key-1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, running).await.expect("it ends").unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let requests = server.received_requests().await.unwrap();
    let told: Vec<_> =
        requests.iter().map(|request| format!("{} {}", request.method, request.url.path())).collect();
    assert_eq!(told, ["POST /v1/roles/re%2Fsize/notify"]);
}

fn variable(name: &str) -> PathBuf {
    let value =
        std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this test by `make test`"));
    PathBuf::from(value)
}

#[tokio::test]
async fn python() {
    // A program that goes on for as long as the request is on its way, and no longer.
    let usage = "for _ in range(100):\n    guv.notify('re/size')\n\
                 for thread in threading.enumerate():\n    if thread.daemon:\n        thread.join()";
    tells_once("python", variable("GUV_TEST_PYTHON"), "jobs.py", usage).await;
}

#[tokio::test]
async fn node() {
    let usage = "for (let i = 0; i < 100; i += 1) notifyGuv('re/size');";
    tells_once("javascript", variable("GUV_TEST_NODE"), "jobs.cjs", usage).await;
}

#[tokio::test]
async fn ruby_with_sidekiqs_middleware_and_resques_hook() {
    let usage = "
        100.times { raise unless Guv::Sidekiq.new.call('Resize', {}, 're/size', nil) { 'jid' } == 'jid' }
        Guv::Sidekiq.new.call('Resize', { 'at' => 1 }, 'later', nil) { 'jid' }
        class Resize
          @queue = 're/size'
          extend Guv::Resque
        end
        Resize.after_enqueue_guv(1)
        # Until it is answered.
        Guv::PLANNED.each_value(&:join)";
    tells_once("ruby", PathBuf::from("ruby"), "jobs.rb", usage).await;
}
