//! `msgflo broker`: the embedded broker alone, and its definitions out and in.

use std::env;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use msgflo_broker::Tls;
use reqwest::Url;

use crate::broker_embedded as embedded;
use crate::broker_embedded_mqtt as embedded_mqtt;
use crate::outcome::{Failure, Outcome, Stop, because, print_json};
use crate::signals::Signals;

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  msgflo broker                                         in memory, on 127.0.0.1:5672
  msgflo broker embedded:/var/lib/msgflo                durable things are kept there
  msgflo broker embedded://me:secret@0.0.0.0:5672/data  for other machines, too
  msgflo broker --mqtt 1883                             for devices, too
  msgflo broker export > definitions.json
  msgflo broker import definitions.json --management http://me:secret@rabbit:15672"
)]
pub(crate) struct Broker {
    #[command(subcommand)]
    definitions: Option<Definitions>,
    /// Where it listens and keeps messages: `embedded:[PATH][?port=N]`, or `embedded://USER:PASSWORD@HOST:PORT/PATH`.
    #[arg(default_value = "embedded:?port=5672")]
    url: String,
    /// Where the management interface listens, or `off`.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:15672")]
    management: String,
    /// Users, virtual hosts, exchanges, queues and bindings that are there from the start, in RabbitMQ's format.
    #[arg(long, value_name = "FILE")]
    definitions_file: Option<PathBuf>,
    /// Memory for messages: from a quarter of it on they leave memory for the disk, above it publishers wait.
    #[arg(long, value_name = "SIZE", default_value = "512MB", value_parser = bytes)]
    memory_limit: usize,
    /// Serve devices, too: the embedded MQTT broker on this port of this machine. It is a broker of its own; `msgflo run`
    /// with both URLs connects participants of the two.
    #[arg(long, value_name = "PORT")]
    mqtt: Option<u16>,
    /// Where encrypted connections (amqps) are accepted.
    #[arg(long, value_name = "ADDRESS", requires_all = ["tls_cert", "tls_key"])]
    tls_listen: Option<SocketAddr>,
    /// The certificate chain for them, in PEM.
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Definitions {
    /// Write the durable exchanges, queues and bindings of a broker as JSON; works for RabbitMQ, too.
    Export(Management),
    /// Make the exchanges, queues and bindings of such a file in a broker; works for RabbitMQ, too.
    Import {
        /// The file; `-` is standard input.
        file: PathBuf,
        #[command(flatten)]
        management: Management,
    },
}

#[derive(Debug, Args)]
struct Management {
    /// The broker's management interface.
    #[arg(long = "management", value_name = "URL", default_value = "http://guest:guest@127.0.0.1:15672")]
    url: Url,
}

/// A number of bytes, such as 512MB or 2GB.
fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" => 1 << 10,
        "M" | "MB" => 1 << 20,
        "G" | "GB" => 1 << 30,
        unit => return Err(format!("`{unit}` is no unit; say KB, MB or GB")),
    };
    let number: usize = digits.parse().map_err(|_| format!("`{digits}` is no number"))?;
    number.checked_mul(factor).filter(|bytes| *bytes > 0).ok_or_else(|| "out of range".to_owned())
}

pub(crate) async fn broker(arguments: Broker) -> Outcome {
    match arguments.definitions {
        None => serve(arguments).await,
        Some(Definitions::Export(management)) => export(&management.url).await,
        Some(Definitions::Import { file, management }) => import(&file, &management.url).await,
    }
}

async fn serve(arguments: Broker) -> Outcome {
    let mut options = embedded::options(&arguments.url.parse()?)?;
    options.memory_limit = arguments.memory_limit;
    if arguments.management != "off" {
        let address = arguments.management.parse().map_err(|_| {
            let failure = Failure::new(format!("`{}` is no address", arguments.management));
            Stop::config(failure.help("say something like 127.0.0.1:15672, or off"))
        })?;
        options.management = Some(address);
    }
    if let Some(file) = &arguments.definitions_file {
        options.definitions = Some(read(file)?);
    }
    if let (Some(listen), Some(certificate), Some(key)) =
        (arguments.tls_listen, &arguments.tls_cert, &arguments.tls_key)
    {
        let tls = Tls::from_files(listen, certificate, key);
        options.tls = Some(tls.map_err(|error| Stop::config(because(&error)))?);
    }
    more_descriptors();
    let devices = match arguments.mqtt {
        Some(port) => {
            let folder = options.data.as_ref().map(|data| data.join("mqtt"));
            Some(embedded_mqtt::start_on(port, folder).await?)
        }
        None => None,
    };
    let broker = embedded::start(options).await?;
    // Whoever knows that we are there may ask us to stop.
    let mut signals = Signals::listen()?;
    eprintln!("broker: {} ({})", broker.url(), embedded::keeping(&broker));
    if let Some(address) = broker.tls_addr() {
        eprintln!("encrypted: amqps://{address}");
    }
    if let Some(url) = broker.management_url() {
        eprintln!("management: {url}");
    }
    if let Some(devices) = &devices {
        eprintln!("for devices: {}", devices.url());
    }
    notify("READY=1");
    let interrupted = signals.stop_asked().await;
    notify("STOPPING=1");
    let ending = async {
        if let Some(devices) = devices {
            devices.shutdown().await;
        }
        broker.shutdown().await;
    };
    tokio::select! {
        () = ending => {}
        _ = signals.stop_asked() => return Ok(ExitCode::from(crate::outcome::INTERRUPTED)),
    }
    Ok(if interrupted { ExitCode::from(crate::outcome::INTERRUPTED) } else { ExitCode::SUCCESS })
}

/// A connection is a file descriptor, and systems give few at first.
fn more_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "no more file descriptors than the system gives at first");
    }
}

/// Tells the service manager, if there is one (sd_notify(3)).
fn notify(state: &str) {
    let Some(name) = env::var_os("NOTIFY_SOCKET") else { return };
    let told = UnixDatagram::unbound().and_then(|socket| {
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => UnixAddress::from_abstract_name(name)?,
            None => UnixAddress::from_pathname(Path::new(&name))?,
        };
        socket.send_to_addr(state.as_bytes(), &address)
    });
    if let Err(error) = told {
        tracing::warn!(%error, state, "the service manager could not be told");
    }
}

fn read(path: &Path) -> Result<String, Stop> {
    let text =
        if path == Path::new("-") { io::read_to_string(io::stdin()) } else { std::fs::read_to_string(path) };
    text.map_err(|error| Stop::config(Failure::new(format!("{} cannot be read: {error}", path.display()))))
}

/// The address of the definitions behind a management interface, and who asks.
fn definitions(management: &Url) -> Result<(Url, String, Option<String>), Stop> {
    let mut url = management.clone();
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (user, password) = (decoded(url.username()), url.password().map(decoded));
    let path = format!("{}/api/definitions", url.path().trim_end_matches('/'));
    url.set_path(&path);
    if url.set_username("").and_then(|()| url.set_password(None)).is_err() {
        let failure = Failure::new(format!("`{management}` is no address of a management interface"));
        return Err(Stop::config(failure.help("say something like http://guest:guest@127.0.0.1:15672")));
    }
    Ok((url, user, password))
}

async fn answered(request: reqwest::RequestBuilder, url: &Url) -> Result<reqwest::Response, Stop> {
    let failed = |error: reqwest::Error| {
        let failure = because(&error.without_url());
        Stop::failed(
            Failure::new(format!("{url}: {failure}")).help("check --management, its user and its password"),
        )
    };
    let answer = request.send().await.map_err(failed)?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status();
    let reason = answer.text().await.unwrap_or_default();
    Err(Stop::failed(
        Failure::new(format!("{url}: {status} {reason}"))
            .help("check --management, its user and its password"),
    ))
}

async fn export(management: &Url) -> Outcome {
    let (url, user, password) = definitions(management)?;
    let answer = answered(reqwest::Client::new().get(url.clone()).basic_auth(user, password), &url).await?;
    let document: serde_json::Value =
        answer.json().await.map_err(|error| Stop::failed(because(&error.without_url())))?;
    print_json(&document)?;
    Ok(ExitCode::SUCCESS)
}

async fn import(file: &Path, management: &Url) -> Outcome {
    let (url, user, password) = definitions(management)?;
    let mut document: serde_json::Value = serde_json::from_str(&read(file)?).map_err(|error| {
        Stop::config(Failure::new(format!("{} is no JSON document: {error}", file.display())))
    })?;
    // Passwords and who may do what are a matter of each broker's own.
    for own in ["users", "permissions", "topic_permissions"] {
        if let Some(document) = document.as_object_mut()
            && document.remove(own).is_some_and(|list| list.as_array().is_some_and(|list| !list.is_empty()))
        {
            // Standard error may be gone; the import is not stopped by that.
            let _ = writeln!(io::stderr(), "{own} are not imported");
        }
    }
    let request = reqwest::Client::new().post(url.clone()).basic_auth(user, password).json(&document);
    answered(request, &url).await?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("512MB"), Ok(512 << 20));
        assert_eq!(bytes("2g"), Ok(2 << 30));
        assert_eq!(bytes("100"), Ok(100));
        assert!(bytes("0").is_err() && bytes("many").is_err() && bytes("3 miles").is_err());
    }
}
