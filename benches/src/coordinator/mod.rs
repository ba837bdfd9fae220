//! The coordinator of a large network: how soon everything is bound, what it costs to hear of everybody, and its memory.
//!
//! The participants are foreign: one generator announces them all. So what is measured is the coordinator, and on the embedded
//! broker the coordinator with its broker.

mod crowd;
mod run;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use tokio::time::sleep;

use crate::machine::Machine;
use crowd::Crowd;
use run::{Original, Run};

#[derive(Args)]
pub(crate) struct Coordinator {
    /// Nodes of the graph, each connected to the next
    #[arg(long, default_value_t = 1000)]
    nodes: usize,
    /// Participants that announce themselves, those of the graph among them
    #[arg(long, default_value_t = 10_000)]
    participants: usize,
    /// How often the time until everything is bound is measured
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// For how many seconds the announcements are listened to
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

/// How often participants announce themselves: their period by default, divided as they do it.
const PERIOD: Duration = Duration::from_millis(27_272);
/// How long a network is left alone before its memory is looked at.
const REST: Duration = Duration::from_secs(3);
/// The broker of our own, on any port.
const EMBEDDED: &str = "embedded:?port=0";

impl Coordinator {
    pub(crate) async fn run(self) -> Result<()> {
        println!("{}\n", Machine::this());
        println!("| | on RabbitMQ | on the embedded broker |\n|---|---|---|");
        let (mut rabbitmq, mut embedded, mut announced) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..self.rounds {
            eprintln!("bound: round {} of {}", round + 1, self.rounds);
            rabbitmq.push(self.bound_on_rabbitmq().await?);
            let (all, from_announcement) = self.bound_on_embedded().await?;
            embedded.push(all);
            announced.push(from_announcement);
        }
        println!(
            "| {} nodes, from the start of the program to all bound | {} | {} |",
            self.nodes,
            seconds(rabbitmq),
            seconds(embedded)
        );
        println!("| the same, from the first announcement | — | {} |", seconds(announced));
        let (on_rabbitmq, on_embedded) =
            (self.listening(&e2e::virtual_host().await).await?, self.listening(EMBEDDED).await?);
        println!(
            "| {} participants announce themselves, of one core | {:.1} % | {:.1} % |",
            self.participants,
            100.0 * on_rabbitmq.core,
            100.0 * on_embedded.core
        );
        println!(
            "| memory meanwhile | {:.1} MB | {:.1} MB |",
            megabytes(on_rabbitmq.memory),
            megabytes(on_embedded.memory)
        );
        let idle = |broker: String| async move {
            let run = Run::start(1, &broker).await?;
            sleep(REST).await;
            run.memory()
        };
        println!(
            "| memory, idle | {:.1} MB | {:.1} MB |",
            megabytes(idle(e2e::virtual_host().await).await?),
            megabytes(idle(EMBEDDED.to_owned()).await?)
        );
        let original = Original::start(&e2e::virtual_host().await)?;
        sleep(REST).await;
        println!("| memory of npm's msgflo, idle | {:.1} MB | — |", megabytes(original.memory()?));
        Ok(())
    }

    /// The announcements wait for the coordinator.
    async fn bound_on_rabbitmq(&self) -> Result<Duration> {
        let broker = e2e::virtual_host().await;
        let crowd = Crowd::connect(&broker, self.nodes).await?;
        crowd.make_ports(self.nodes).await?;
        crowd.announce().await?;
        let begin = Instant::now();
        let run = Run::start(self.nodes, &broker).await?;
        run.bound().await?;
        Ok(begin.elapsed())
    }

    /// The participants come to the coordinator.
    async fn bound_on_embedded(&self) -> Result<(Duration, Duration)> {
        let begin = Instant::now();
        let run = Run::start(self.nodes, EMBEDDED).await?;
        let crowd = Crowd::connect(&run.broker().await?, self.nodes).await?;
        crowd.make_ports(self.nodes).await?;
        let announcing = Instant::now();
        crowd.announce().await?;
        run.bound().await?;
        Ok((begin.elapsed(), announcing.elapsed()))
    }

    /// Everybody is known already and says again that it is there.
    async fn listening(&self, broker: &str) -> Result<Listening> {
        eprintln!("{} participants announce themselves", self.participants);
        let run = Run::start(self.nodes, broker).await?;
        let crowd = Crowd::connect(&run.broker().await?, self.participants).await?;
        crowd.make_ports(self.nodes).await?;
        crowd.announce().await?;
        run.bound().await.context("the first round of announcements")?;
        sleep(REST).await;
        let span = Duration::from_secs(self.seconds);
        let (before, begin) = (run.cpu()?, Instant::now());
        let announced = crowd.announce_steadily(PERIOD, span).await?;
        let core = (run.cpu()? - before).as_secs_f64() / begin.elapsed().as_secs_f64();
        eprintln!("{announced} announcements in {:.1} s", begin.elapsed().as_secs_f64());
        Ok(Listening { core, memory: run.memory()? })
    }
}

struct Listening {
    /// What part of a core it took.
    core: f64,
    /// Bytes.
    memory: u64,
}

/// The middle, with the lowest and the highest.
fn seconds(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |place: usize| times.get(place).map_or(0.0, Duration::as_secs_f64);
    format!("{:.2} s ({:.2}–{:.2})", at(times.len() / 2), at(0), at(times.len().saturating_sub(1)))
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
