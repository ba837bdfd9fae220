//! Which broker is measured.

use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::protocol::{AMQPClass, connection};
use anyhow::{Context, Result, bail};
use lapin::uri::AMQPUri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a client of AMQP 0-9-1 says first.
const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// The name and version with which the broker at `url` greets.
pub(crate) async fn product(url: &str) -> Result<String> {
    let uri: AMQPUri = url.parse().map_err(anyhow::Error::msg)?;
    let address = (uri.authority.host.as_str(), uri.authority.port);
    let mut socket = TcpStream::connect(address).await.context("connecting to the broker")?;
    socket.write_all(HEADER).await?;
    let mut bytes = Vec::new();
    loop {
        if socket.read_buf(&mut bytes).await? == 0 {
            bail!("the broker does not greet");
        }
        let Ok((_, frame)) = parse_frame(bytes.as_slice()) else { continue };
        let AMQPFrame::Method(_, AMQPClass::Connection(connection::AMQPMethod::Start(start))) = frame else {
            bail!("the broker greets with something else than a start");
        };
        let property = |name: &str| {
            let text = start.server_properties.inner().get(name)?.as_long_string()?;
            Some(String::from_utf8_lossy(text.as_bytes()).into_owned())
        };
        let named = [property("product"), property("version")];
        return Ok(named.into_iter().flatten().collect::<Vec<_>>().join(" "));
    }
}
