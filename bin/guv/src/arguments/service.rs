//! Serving, and speaking to a service.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use url::Url;

use super::ConfigArguments;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  GUV_SECRET_KEY=$(openssl rand -hex 32) guv serve --data ./guv-data
  curl -H \"Authorization: Bearer $ADMIN\" localhost:4890/v1/apps -d '{\"id\": \"shop\", \"platform_token\": \"…\"}' \\
       -H 'Content-Type: application/json'

/openapi.json describes the interface. Configurations that come over it cannot name sources or actuators that run
commands of their own.")]
pub(crate) struct Serve {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4890")]
    pub(crate) listen: SocketAddr,
    /// Where everything is kept.
    #[arg(long, value_name = "FOLDER", default_value = "guv-data")]
    pub(crate) data: PathBuf,
    /// A file with the key that secrets are sealed with: 64 hexadecimal digits.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// The key itself.
    #[arg(long, value_name = "KEY", env = "GUV_SECRET_KEY", hide_env_values = true, hide = true)]
    pub(crate) secret_key: Option<String>,
    /// The administrator's token; without it one is made at the first start.
    #[arg(long, value_name = "TOKEN", env = "GUV_ADMIN_TOKEN", hide_env_values = true)]
    pub(crate) admin_token: Option<String>,
    /// The address of RabbitMQ's management API, where it does not follow from that of the broker.
    #[arg(long, value_name = "URL", env = "RABBITMQ_MANAGEMENT_URL", hide_env_values = true)]
    pub(crate) management_url: Option<Url>,
    /// The address of Heroku's Platform API.
    #[arg(long, value_name = "URL", env = "HEROKU_API_URL", hide_env_values = true, hide = true)]
    pub(crate) heroku_url: Option<Url>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Write the configuration that a service keeps.
    Get(ConfigGet),
    /// Have a service take a configuration into force.
    Set(ConfigSet),
    /// Write the JSON Schema of configurations, for editors.
    Schema,
}

/// A service.
#[derive(Clone, Debug, Args)]
pub(crate) struct Remote {
    /// The configuration's address: https://HOST/config/APP.
    #[arg(long, value_name = "URL", env = "GUVSCALE_URL")]
    pub(crate) url: Url,
    /// The application's token.
    #[arg(long, value_name = "TOKEN", env = "GUVSCALE_TOKEN", hide_env_values = true)]
    pub(crate) token: String,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigGet {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// Write it into this file instead of to standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  guv config set --url https://guv.example/config/shop --token $TOKEN --file autoscale.guv.yaml")]
pub(crate) struct ConfigSet {
    #[command(flatten)]
    pub(crate) remote: Remote,
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
}
