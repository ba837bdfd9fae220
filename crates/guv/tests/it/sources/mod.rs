//! The sources against real servers, with data that the real libraries write.

pub(crate) mod library;
#[cfg(feature = "postgres")]
mod postgres;
mod rabbitmq;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(feature = "redis")]
mod redis_watch;
mod told;

use std::time::Duration;

use guv::{RoleConfig, Sample, Source, SourceError};
use tokio::net::TcpSocket;

/// How long a library may take to do what it was told.
const PATIENCE: Duration = Duration::from_secs(60);

/// A variable that `make test` sets.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this test by `make test`"))
}

/// A port that is nobody else's while this is kept, and where nobody listens.
fn unheard() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

/// The configuration of one role.
fn role(text: &str) -> RoleConfig {
    crate::doubles::config(text).roles.remove(0)
}

/// What a source says of one role.
async fn sample(source: &dyn Source, role: &RoleConfig) -> Result<Sample, SourceError> {
    source.sample(&[role]).await.remove(&role.role).expect("an answer for each role")
}

/// Samples until it is as expected.
async fn eventually(source: &dyn Source, role: &RoleConfig, expected: impl Fn(&Sample) -> bool) -> Sample {
    let mut last = None;
    let settled = tokio::time::timeout(PATIENCE, async {
        loop {
            let sample = sample(source, role).await;
            match sample {
                Ok(sample) if expected(&sample) => return sample,
                other => last = Some(other),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    match settled.await {
        Ok(sample) => sample,
        Err(_) => panic!("it never came to that: {last:#?}"),
    }
}
