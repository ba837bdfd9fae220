//! Runs the embedded broker alone: `cargo run -p msgflo-broker --example serve -- [PORT]`. Prints its URL; ends with
//! its standard input.

use msgflo_broker::{Options, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(0), |text| text.parse())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let options = Options { listen: ([127, 0, 0, 1], port).into(), ..Options::default() };
    let broker = runtime.block_on(Server::start(options))?;
    println!("{}", broker.url());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    runtime.block_on(broker.shutdown());
    Ok(())
}
