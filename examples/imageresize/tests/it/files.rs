//! Which originals are fetched, and which are not.

use imageresize::fetch::{Error, Fetcher};
use tempfile::TempDir;
use tokio::net::TcpListener;
use url::Url;

const LIMIT: usize = 1_000;

fn fetcher(folder: &TempDir) -> Fetcher {
    // Another test may have installed it already.
    drop(rustls::crypto::ring::default_provider().install_default());
    Fetcher::new(&[folder.path().join("open")], LIMIT).expect("a fetcher")
}

/// A folder with an open part and a secret beside it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("open")).expect("a folder");
    std::fs::write(folder.path().join("open/a.jpg"), "picture").expect("a file");
    std::fs::write(folder.path().join("open/long.jpg"), "x".repeat(LIMIT + 1)).expect("a file");
    std::fs::write(folder.path().join("secret"), "secret").expect("a file");
    std::os::unix::fs::symlink(folder.path().join("secret"), folder.path().join("open/link.jpg"))
        .expect("a link");
    folder
}

fn url(folder: &TempDir, path: &str) -> String {
    format!("file://{}/{path}", folder.path().display())
}

#[tokio::test]
async fn files_are_read_only_beneath_the_folders_that_were_opened() {
    let folder = folder();
    let fetcher = fetcher(&folder);
    assert_eq!(fetcher.fetch(&url(&folder, "open/a.jpg")).await.expect("it is open"), b"picture");
    for path in ["secret", "open/../secret", "open/link.jpg", "nothing"] {
        let error = fetcher.fetch(&url(&folder, path)).await.expect_err(path);
        assert!(matches!(error, Error::Forbidden { .. }), "{path}: {error}");
    }
    let error = fetcher.fetch(&url(&folder, "open/nothing.jpg")).await.expect_err("not there");
    assert!(matches!(error, Error::File { .. }), "{error}");
    let error = fetcher.fetch(&url(&folder, "open/long.jpg")).await.expect_err("too long");
    assert!(matches!(error, Error::TooLong { limit: LIMIT, .. }), "{error}");
}

#[tokio::test]
async fn a_server_is_believed_no_further_than_the_limit() {
    let folder = folder();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let base: Url = format!("http://{}/", listener.local_addr().expect("an address")).parse().expect("a URL");
    let stream = async || {
        // Chunks, so that no length is announced.
        let chunks = (0..10).map(|_| Ok::<_, std::io::Error>("x".repeat(LIMIT / 4)));
        axum::body::Body::from_stream(futures_util::stream::iter(chunks))
    };
    let router = axum::Router::new()
        .route("/short", axum::routing::get(async || "picture"))
        .route("/long", axum::routing::get(async || "x".repeat(LIMIT + 1)))
        .route("/stream", axum::routing::get(stream));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let fetcher = fetcher(&folder);
    let fetch = |path: &str| {
        let url = base.join(path).expect("a URL").to_string();
        let fetcher = fetcher.clone();
        async move { fetcher.fetch(&url).await }
    };
    assert_eq!(fetch("short").await.expect("it is there"), b"picture");
    for path in ["long", "stream"] {
        let error = fetch(path).await.expect_err(path);
        assert!(matches!(error, Error::TooLong { .. }), "{path}: {error}");
    }
    let error = fetch("nothing").await.expect_err("not there");
    assert_eq!(
        error.to_string(),
        format!("{base}nothing cannot be fetched: the server answered 404 Not Found")
    );
}

#[tokio::test]
async fn other_schemes_are_not_fetched() {
    let folder = folder();
    for url in ["ftp://a/b", "data:image/png;base64,", "a.jpg", ""] {
        let error = fetcher(&folder).fetch(url).await.expect_err(url);
        assert!(matches!(error, Error::NotFetchable { .. }), "{url}: {error}");
    }
}
