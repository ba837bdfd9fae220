//! The two contenders that are written in Rust.

use anyhow::Result;
use clap::ValueEnum;
use futures_util::TryStreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use msgflo::{Inport, Options, Participant, Raw};

#[derive(clap::Args)]
pub(crate) struct Worker {
    kind: Kind,
    #[arg(long)]
    broker: String,
    #[arg(long)]
    role: String,
    #[arg(long)]
    prefetch: u16,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Lapin,
    Sdk,
}

impl Worker {
    pub(crate) async fn run(self) -> Result<()> {
        match self.kind {
            Kind::Lapin => self.lapin().await,
            Kind::Sdk => self.sdk().await,
        }
    }

    /// What somebody would write who has the AMQP client and nothing else.
    async fn lapin(self) -> Result<()> {
        let connection = Connection::connect(&self.broker, ConnectionProperties::default()).await?;
        let jobs = connection.create_channel().await?;
        let results = connection.create_channel().await?;
        results.confirm_select(ConfirmSelectOptions::default()).await?;
        jobs.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
        let (queue, exchange) = (format!("{}.IN", self.role), format!("{}.OUT", self.role));
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = jobs.basic_consume(queue.into(), "".into(), options, arguments).await?;
        consumer
            .try_for_each_concurrent(usize::from(self.prefetch), |job| repeat(&results, &exchange, job))
            .await?;
        Ok(())
    }

    async fn sdk(self) -> Result<()> {
        let mut repeat = Participant::new("bench/Repeat");
        let out = repeat.outport::<Raw>("OUT");
        repeat.inport("IN", Inport::default().prefetch(self.prefetch), move |message: Raw, context| {
            let out = out.clone();
            async move { Ok(context.send(&out, &message)?) }
        });
        let options = Options::default().broker(self.broker).role(self.role);
        let running = msgflo::start(options, [repeat]).await?.stop_on_signals()?;
        running.cancelled().await;
        Ok(running.shutdown().await?)
    }
}

async fn repeat(results: &Channel, exchange: &str, job: Delivery) -> lapin::Result<()> {
    let properties = BasicProperties::default().with_delivery_mode(2);
    let (options, payload) = (BasicPublishOptions::default(), &job.data);
    let published = results.basic_publish(exchange.into(), "".into(), options, payload, properties).await?;
    published.await?;
    job.ack(BasicAckOptions::default()).await?;
    Ok(())
}
