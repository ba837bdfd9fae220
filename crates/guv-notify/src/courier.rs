//! The thread that tells.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use serde_json::json;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use crate::notes::Note;
use crate::notifier::Shared;
use crate::target::{Guv, Heroku, Target};

/// How long telling may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Starts the thread.
pub(crate) fn start(target: Target, shared: Arc<Shared>) {
    std::thread::Builder::new()
        .name("guv-notify".to_owned())
        .spawn(move || run(&target, &shared))
        .expect("the system has a thread left");
}

fn run(target: &Target, shared: &Shared) {
    // Reading the root certificates takes some time: it is done here, once something is to be told.
    let mut agent = None;
    let mut state = shared.lock();
    while !state.ended {
        let what = |note| significance(target, note);
        match state.notes.due(Instant::now(), what) {
            Err(next) => state = shared.wait(state, next),
            Ok(due) => {
                state.telling = true;
                drop(state);
                let agent = agent.get_or_insert_with(self::agent);
                for (role, what) in due {
                    if let Err(error) = tell(agent, target, &role, what) {
                        tracing::warn!(role, error, "nobody could be told of the role's jobs");
                        shared.lock().notes.failed(&role);
                    }
                }
                shared.change(|state| state.telling = false);
                state = shared.lock();
            }
        }
    }
}

/// What a note comes to for the target: for guv whether there are jobs, for Heroku how many workers are needed.
fn significance(target: &Target, note: Note) -> u64 {
    let pending = match note {
        Note::More { pending } | Note::Up { pending } => pending,
        Note::Down => 0,
    };
    match target {
        Target::Guv(_) => u64::from(note != Note::Down),
        Target::Heroku(heroku) => u64::from(heroku.needed(pending)),
    }
}

fn agent() -> Agent {
    let roots = rustls_native_certs::load_native_certs().certs;
    let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect::<Vec<_>>();
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build();
    Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .tls_config(tls)
        .user_agent("guv-notify")
        .build()
        .into()
}

fn tell(agent: &Agent, target: &Target, role: &str, what: u64) -> Result<(), String> {
    let sent = match target {
        Target::Guv(Guv { url, token }) => {
            let url = format!("{}/v1/roles/{}/notify", url.trim_end_matches('/'), encoded(role));
            let mut request = agent.post(url);
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            request.send_empty()
        }
        Target::Heroku(heroku) => {
            let Heroku { app, token, address, .. } = heroku;
            let body = json!({"updates": [{"type": role, "quantity": what}]}).to_string();
            agent
                .patch(format!("{}/apps/{}/formation", address.trim_end_matches('/'), encoded(app)))
                .header("authorization", format!("Bearer {token}"))
                .header("accept", "application/vnd.heroku+json; version=3")
                .header("content-type", "application/json")
                .send(body)
        }
    };
    sent.map(drop).map_err(|error| error.to_string())
}

/// A part of a path.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
