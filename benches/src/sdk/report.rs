//! What came out.

use std::fmt;

use serde::Serialize;

use super::Measurement;
use super::contender::{self, Contender};
use crate::machine::{self, Machine};

/// All measurements, and what they were made with.
#[derive(Serialize)]
pub(crate) struct Report {
    machine: Machine,
    broker: String,
    node: String,
    measurements: Vec<Measurement>,
}

impl Report {
    pub(crate) fn new(broker: String, measurements: Vec<Measurement>) -> Self {
        let node = machine::version(&contender::node(), "--version");
        Self { machine: Machine::this(), broker, node, measurements }
    }

    fn prefetches(&self) -> Vec<u16> {
        let mut prefetches: Vec<_> = self.measurements.iter().map(|measured| measured.prefetch).collect();
        prefetches.dedup();
        prefetches
    }

    /// The lowest, the middle and the highest of a contender's rounds.
    fn spread(&self, contender: Contender, prefetch: u16) -> Option<(f64, f64, f64)> {
        let of_this =
            |measured: &&Measurement| measured.contender == contender && measured.prefetch == prefetch;
        let measured = self.measurements.iter().filter(of_this);
        let mut rates: Vec<_> = measured.map(|measured| measured.jobs_per_second).collect();
        rates.sort_by(f64::total_cmp);
        let middle = rates.len() / 2;
        let median = if rates.len() % 2 == 1 {
            *rates.get(middle)?
        } else {
            (rates.get(middle.checked_sub(1)?)? + rates.get(middle)?) / 2.0
        };
        Some((*rates.first()?, median, *rates.last()?))
    }
}

/// As Markdown.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Machine: {}. Broker: {}. Node {}.\n", self.machine, self.broker, self.node)?;
        writeln!(
            f,
            "| prefetch | {} | {} | {} | SDK / lapin | SDK / nodejs |",
            Contender::Lapin,
            Contender::Sdk,
            Contender::Nodejs
        )?;
        writeln!(f, "|---:|---:|---:|---:|---:|---:|")?;
        for prefetch in self.prefetches() {
            write!(f, "| {prefetch} ")?;
            for contender in Contender::ALL {
                if let Some((lowest, median, highest)) = self.spread(contender, prefetch) {
                    write!(f, "| **{median:.0}** ({lowest:.0}–{highest:.0}) ")?;
                }
            }
            let median =
                |contender| self.spread(contender, prefetch).map_or(f64::NAN, |(_, median, _)| median);
            let sdk = median(Contender::Sdk);
            let (lapin, nodejs) = (median(Contender::Lapin), median(Contender::Nodejs));
            writeln!(f, "| {:.0} % | {:.1} × |", 100.0 * sdk / lapin, sdk / nodejs)?;
        }
        Ok(())
    }
}
