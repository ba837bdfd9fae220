//! Messages from topic to topic on Mosquitto: by our router, beside the one of `msgflo-nodejs`, and beside the broker alone.
//!
//! With a router each message passes the broker twice. So the broker alone, through which each passes once, sets the
//! measure: half its rate, and twice its latency. The load comes from one generator in all cases.

mod load;
mod process;

use anyhow::Result;
use clap::Args;
use e2e::Mosquitto;

use crate::machine::Machine;
use crate::process::Process;
use load::{Figures, Load};

#[derive(Args)]
pub(crate) struct Router {
    /// Bytes of a message
    #[arg(long, default_value_t = 256)]
    size: usize,
    /// Messages of one measurement of the rate
    #[arg(long, default_value_t = 100_000)]
    messages: usize,
    /// Messages a second, where the latency is measured
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// How often each is measured, in turns
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// The router in a process of its own.
#[derive(Args)]
pub(crate) struct RouterProcess {
    broker: String,
    source: String,
    target: String,
}

/// Who carries the messages.
#[derive(Clone, Copy, Debug)]
enum Contender {
    /// Nobody: the generator sends to the topic that it listens to.
    Broker,
    /// Our router.
    Ours,
    /// The router of npm's packages.
    Nodejs,
}

const SOURCE: &str = "bench/source";
const TARGET: &str = "bench/target";

impl Router {
    pub(crate) async fn run(self) -> Result<()> {
        println!("{}\n", Machine::this());
        println!(
            "| quality of service | carried by | messages/s | of what the broker can, twice | µs of CPU a message | p99 at {}/s, ms | memory, MB |",
            self.rate
        );
        println!("|---|---|---|---|---|---|---|");
        for assured in [false, true] {
            let mut alone = None;
            for contender in [Contender::Broker, Contender::Ours, Contender::Nodejs] {
                let mut best: Option<Figures> = None;
                for round in 0..self.rounds {
                    eprintln!("{contender:?}, assured {assured}: round {} of {}", round + 1, self.rounds);
                    let figures = self.measure(contender, assured).await?;
                    best = Some(best.map_or(figures, |best| best.better(figures)));
                }
                let Some(figures) = best else { continue };
                let alone = alone.get_or_insert(figures.rate);
                let share = match contender {
                    Contender::Broker => "—".to_owned(),
                    _ => format!("{:.0} %", 200.0 * figures.rate / *alone),
                };
                println!(
                    "| {} | {contender:?} | {:.0} | {share} | {:.1} | {:.2} | {:.1} |",
                    u8::from(assured),
                    figures.rate,
                    figures.cpu.as_secs_f64() * 1e6,
                    figures.p99.as_secs_f64() * 1e3,
                    figures.memory as f64 / 1e6,
                );
            }
        }
        Ok(())
    }

    async fn measure(&self, contender: Contender, assured: bool) -> Result<Figures> {
        let mosquitto = Mosquitto::start();
        let url = mosquitto.url();
        let (process, target) = match contender {
            Contender::Broker => (None, SOURCE),
            Contender::Ours => (Some(process::ours(&url, SOURCE, TARGET).await?), TARGET),
            Contender::Nodejs => (Some(process::nodejs(&url, SOURCE, TARGET).await?), TARGET),
        };
        let load = Load::connect(&url, SOURCE, target, self.size, assured).await?;
        load.run(self.messages / 10).await?;
        let before = process.as_ref().map(Process::cpu).transpose()?.unwrap_or_default();
        let carried = load.run(self.messages).await?;
        let after = process.as_ref().map(Process::cpu).transpose()?.unwrap_or_default();
        let p99 = load.latency(self.rate).await?;
        Ok(Figures {
            rate: carried.rate,
            cpu: (after - before).div_f64(carried.arrived as f64),
            p99,
            memory: process.as_ref().map(Process::memory).transpose()?.unwrap_or_default(),
        })
    }
}

impl RouterProcess {
    pub(crate) async fn run(self) -> Result<()> {
        process::route(&self.broker, &self.source, &self.target).await
    }
}
