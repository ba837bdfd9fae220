//! The traffic that policies are tried on.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use guv_model::simulation::{Counts, Workload};

/// Minutes of a day.
const DAY: usize = 1440;

/// The folder of the traces.
pub(crate) struct Traces(pub(crate) PathBuf);

impl Traces {
    /// The days of a web server in July and August 1995, per minute.
    pub(crate) fn days(&self) -> Result<Vec<Counts>> {
        let minutes = column(&self.0.join("nasa_http_1995_permin.csv"), 1)?;
        let minutes: Vec<u32> = minutes.iter().map(|&count| count as u32).collect();
        Ok(minutes.chunks_exact(DAY).map(|day| Counts { bin: 60.0, arrivals: day.to_vec() }).collect())
    }

    /// Its busiest day, per second.
    pub(crate) fn busiest(&self) -> Result<Counts> {
        let seconds = column(&self.0.join("nasa_http_1995_day13_persec.csv"), 1)?;
        Ok(Counts { bin: 1.0, arrivals: seconds.iter().map(|&count| count as u32).collect() })
    }

    /// An hour of requests to a language model, each taking three times as long as it did.
    pub(crate) fn language_model(&self) -> Result<Workload> {
        let path = self.0.join("azure_llm_2023_code.csv");
        let arrivals = column(&path, 0)?;
        let services = column(&path, 1)?.into_iter().map(|seconds| 3.0 * seconds).collect();
        let length = arrivals.last().map_or(0.0, |last| last.ceil() + 60.0);
        Ok(Workload { arrivals, services, length })
    }
}

fn column(path: &Path, index: usize) -> Result<Vec<f64>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let lines = text.lines().enumerate().skip(1);
    lines
        .map(|(number, line)| {
            let field = line.split(',').nth(index).context("too few fields");
            let value = field.and_then(|field| field.trim().parse().context("not a number"));
            value.with_context(|| format!("{}:{}", path.display(), number + 1))
        })
        .collect()
}
