//! Runs the embedded broker alone: `cargo run -p msgflo-broker --example serve -- [PORT] [FOLDER]`. Prints its URL;
//! ends with its standard input.

use msgflo_broker::{Options, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let data = arguments.next().map(Into::into);
    let runtime = tokio::runtime::Runtime::new()?;
    let options = Options { listen: ([127, 0, 0, 1], port).into(), data, ..Options::default() };
    let broker = runtime.block_on(Server::start(options)).map_err(|error| error.to_string())?;
    println!("{}", broker.url());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    runtime.block_on(broker.shutdown());
    Ok(())
}
