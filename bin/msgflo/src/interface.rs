//! Where a network is reached: address, secrets, TLS, and those who are told of it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use msgflo_server::{Permissions, Tls};
use reqwest::{Client, Method};
use tokio::net::TcpListener;

use crate::outcome::{Failure, Stop, because};

/// Where editors and people find the network, and who may do what.
#[derive(Debug, Args)]
pub(crate) struct InterfaceArguments {
    /// The address to listen on. Beyond this machine's own, a secret is needed.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// The port of the interface; 0 for any free one.
    #[arg(long, default_value_t = 3569)]
    pub(crate) port: u16,
    /// What allows everything; nothing is allowed without.
    #[arg(
        long,
        value_name = "SECRET",
        env = "MSGFLO_SECRET",
        hide_env_values = true,
        conflicts_with = "permissions"
    )]
    pub(crate) secret: Option<String>,
    /// Secrets, and what each allows, as JSON: `{"secret": ["protocol:graph", …]}`. What the empty one allows, everybody may.
    #[arg(long, value_name = "FILE")]
    pub(crate) permissions: Option<PathBuf>,
    /// Speak TLS, with this certificate chain, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Web pages of this origin may connect as programs of this machine may: `https://editor.example`. Repeatable.
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) allow_origin: Vec<String>,
    /// Save the graph after each change.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value = "false", require_equals = true)]
    pub(crate) auto_save: bool,
    /// What identifies this runtime for registries of runtimes.
    #[arg(long, value_name = "ID", env = "MSGFLO_RUNTIME_ID")]
    pub(crate) runtime_id: Option<String>,
    /// The URL of an editor: the link that opens this network in it is printed.
    #[arg(long, value_name = "URL")]
    pub(crate) ide: Option<String>,
    /// Tell this URL regularly that we are here.
    #[arg(long, value_name = "URL", env = "MSGFLO_PING_URL")]
    pub(crate) ping_url: Option<String>,
    /// By which method of HTTP.
    #[arg(long, value_name = "METHOD", env = "MSGFLO_PING_METHOD", default_value = "POST")]
    pub(crate) ping_method: String,
    /// How often, in seconds.
    #[arg(long, value_name = "SECONDS", env = "MSGFLO_PING_INTERVAL", default_value_t = 600)]
    pub(crate) ping_interval: u64,
}

/// How long an answer to a ping is waited for.
const PING_DEADLINE: Duration = Duration::from_secs(30);

/// An address that is listened on, and what is spoken there.
pub(crate) struct Interface {
    pub(crate) listener: TcpListener,
    pub(crate) permissions: Permissions,
    pub(crate) tls: Option<Tls>,
}

impl Interface {
    /// Reads the secrets and certificates, and listens.
    pub(crate) async fn open(arguments: &InterfaceArguments) -> Result<Self, Stop> {
        let permissions = permissions(arguments)?;
        let tls = match (&arguments.tls_cert, &arguments.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(Tls::load(certificate, key).map_err(|error| Stop::config(because(&error)))?)
            }
            _ => None,
        };
        let listener = listen(arguments, permissions.are_open()).await?;
        Ok(Self { listener, permissions, tls })
    }

    /// Its address as a URL: for HTTP, and for WebSocket.
    pub(crate) fn urls(&self) -> std::io::Result<(String, String)> {
        let address = self.listener.local_addr()?;
        let secure = if self.tls.is_some() { "s" } else { "" };
        Ok((format!("http{secure}://{address}"), format!("ws{secure}://{address}")))
    }
}

fn permissions(arguments: &InterfaceArguments) -> Result<Permissions, Stop> {
    let Some(path) = &arguments.permissions else {
        return Ok(match &arguments.secret {
            Some(secret) if secret.is_empty() => {
                return Err(Stop::config(
                    Failure::new("--secret is empty").help("leave it away for open access"),
                ));
            }
            Some(secret) => Permissions::secret(secret.clone()),
            None => Permissions::open(),
        });
    };
    let unusable = |failure: Failure| {
        Stop::config(failure.help("it is JSON: {\"a secret\": [\"protocol:graph\", \"network:status\"]}"))
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| unusable(Failure::new(format!("{} cannot be read: {error}", path.display()))))?;
    Permissions::parse(&text).map_err(|error| {
        let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        unusable(Failure::new(format!("{}: {reason}", path.display())))
    })
}

async fn listen(arguments: &InterfaceArguments, is_open: bool) -> Result<TcpListener, Stop> {
    let (host, port) = (arguments.host.as_str(), arguments.port);
    let unusable = |error: std::io::Error| {
        let failure = Failure::new(format!("port {port} of {host} cannot be used: {error}"));
        Stop::failed(failure.help("another network may be running; say --port 0 for any free port"))
    };
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await.map_err(unusable)?.collect();
    let reaches_beyond = |address: &SocketAddr| !IpAddr::is_loopback(&address.ip());
    if is_open && addresses.iter().any(reaches_beyond) {
        let message =
            format!("{host} is not only this machine, and everybody who reaches it could do everything");
        return Err(Stop::config(
            Failure::new(message).help("say --secret, or --permissions without an empty secret"),
        ));
    }
    TcpListener::bind(&addresses[..]).await.map_err(unusable)
}

/// Tells a URL, for ever, that we are here.
pub(crate) async fn ping(url: String, method: Method, every: Duration) {
    let Ok(client) = Client::builder().timeout(PING_DEADLINE).build() else { return };
    let mut interval = tokio::time::interval(every.max(Duration::from_secs(1)));
    loop {
        interval.tick().await;
        let answer = client.request(method.clone(), &url).send().await;
        if let Err(error) = answer.and_then(reqwest::Response::error_for_status) {
            // The URL may hold a secret.
            tracing::warn!(error = %because(&error.without_url()), "the ping was not answered");
        }
    }
}
