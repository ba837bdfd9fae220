//! How workers boot, work and stop, out of a Heroku log.
//!
//! Lines are `TIMESTAMP source[dyno]: message`. A dyno of a role is `role.N`. What counts as having booted is told by
//! a line of the application itself, given as a pattern; without one, by `State changed from starting to up`.

use std::collections::BTreeMap;

use serde::Serialize;

/// What is known of one run of one dyno; times are Unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Run {
    /// The dyno, as in `worker.3`.
    pub dyno: String,
    /// The request that made it, where it is in the log.
    pub scaled: Option<f64>,
    /// `Starting process with command`.
    pub starting: Option<f64>,
    /// Ready to work.
    pub started: Option<f64>,
    /// `Stopping all processes with SIGTERM`.
    pub stopping: Option<f64>,
    /// `Process exited with status`.
    pub exited: Option<f64>,
}

/// Mean and extremes, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many.
    pub count: usize,
    /// Mean.
    pub mean: f64,
    /// Least.
    pub least: f64,
    /// Most.
    pub most: f64,
}

/// What a log tells about a role.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkerStats {
    /// From the request to being ready.
    pub scale_up: Option<Spread>,
    /// From the process's start to being ready.
    pub boot: Option<Spread>,
    /// From SIGTERM to the exit.
    pub stop: Option<Spread>,
    /// From being ready to SIGTERM, or to the exit.
    pub uptime: Option<Spread>,
    /// The share of the time from start to exit in which a worker was ready.
    pub utilisation: Option<f64>,
    /// Every run.
    pub runs: Vec<Run>,
}

/// Reads a log. `started` says whether a message of the application means that it is ready.
pub fn worker_stats<'l>(
    lines: impl IntoIterator<Item = &'l str>,
    role: &str,
    started: Option<&dyn Fn(&str) -> bool>,
) -> WorkerStats {
    let mut log = Log { role, started, wanted: None, scaled: None, open: BTreeMap::new(), runs: Vec::new() };
    lines.into_iter().for_each(|line| log.line(line));
    log.finish()
}

struct Log<'a> {
    role: &'a str,
    started: Option<&'a dyn Fn(&str) -> bool>,
    /// The number asked for last, and when it was raised.
    wanted: Option<u32>,
    scaled: Option<f64>,
    open: BTreeMap<String, Run>,
    runs: Vec<Run>,
}

impl Log<'_> {
    fn line(&mut self, line: &str) {
        let Some((at, source, dyno, message)) = parts(line) else { return };
        if dyno == "api" && matches!(source, "heroku" | "app") {
            self.scale(at, message);
            return;
        }
        let ours = dyno.rsplit_once('.').is_some_and(|(name, _)| name == self.role);
        if !ours {
            return;
        }
        if message.starts_with("Starting process with command") {
            let run =
                Run { dyno: dyno.to_owned(), scaled: self.scaled, starting: Some(at), ..Run::default() };
            self.runs.extend(self.open.insert(dyno.to_owned(), run));
            return;
        }
        let Some(run) = self.open.get_mut(dyno) else { return };
        let ready = match self.started {
            Some(started) => source == "app" && started(message),
            None => message.starts_with("State changed from starting to up"),
        };
        if ready && run.started.is_none() {
            run.started = Some(at);
        } else if message.starts_with("Stopping all processes with SIGTERM") {
            run.stopping = Some(at);
        } else if message.starts_with("Process exited with status") {
            run.exited = Some(at);
            self.runs.extend(self.open.remove(dyno));
        }
    }

    /// `Scale to a=1, b=3 by user`, or `Scaled to a@3:Standard-1X by user`.
    fn scale(&mut self, at: f64, message: &str) {
        let Some(list) = message.strip_prefix("Scale to ").or_else(|| message.strip_prefix("Scaled to "))
        else {
            return;
        };
        let list = list.split(" by ").next().unwrap_or_default();
        let ours = list.split([',', ' ']).find_map(|entry| {
            let (name, count) = entry.split_once(['=', '@'])?;
            let digits: String = count.chars().take_while(char::is_ascii_digit).collect();
            (name == self.role).then(|| digits.parse::<u32>().ok())?
        });
        if let Some(count) = ours {
            if self.wanted.is_none_or(|wanted| count > wanted) {
                self.scaled = Some(at);
            }
            self.wanted = Some(count);
        }
    }

    fn finish(self) -> WorkerStats {
        let mut runs = self.runs;
        runs.extend(self.open.into_values());
        let between = |from: fn(&Run) -> Option<f64>, to: fn(&Run) -> Option<f64>| {
            spread(runs.iter().filter_map(|run| Some(to(run)? - from(run)?)))
        };
        let end: fn(&Run) -> Option<f64> = |run| run.stopping.or(run.exited);
        let whole: f64 = runs.iter().filter_map(|run| Some(run.exited? - run.starting?)).sum();
        let ready: f64 = runs
            .iter()
            .filter(|run| run.exited.is_some())
            .filter_map(|run| Some(run.stopping.or(run.exited)? - run.started?))
            .sum();
        WorkerStats {
            scale_up: between(|run| run.scaled, |run| run.started),
            boot: between(|run| run.starting, |run| run.started),
            stop: between(|run| run.stopping, |run| run.exited),
            uptime: between(|run| run.started, end),
            utilisation: (whole > 0.0).then(|| ready / whole),
            runs,
        }
    }
}

/// Time, source, dyno and message of a line, with or without the syslog header in front.
fn parts(line: &str) -> Option<(f64, &str, &str, &str)> {
    let at = line.split_whitespace().find_map(|word| word.parse::<jiff::Timestamp>().ok())?;
    let (head, message) = line.split_once("]: ")?;
    let (before, dyno) = head.rsplit_once('[')?;
    let source = before.rsplit(char::is_whitespace).next()?;
    Some((at.as_millisecond() as f64 / 1000.0, source, dyno, message.trim()))
}

fn spread(values: impl Iterator<Item = f64>) -> Option<Spread> {
    let values: Vec<f64> = values.filter(|value| *value >= 0.0).collect();
    let count = values.len();
    if count == 0 {
        return None;
    }
    Some(Spread {
        count,
        mean: values.iter().sum::<f64>() / count as f64,
        least: values.iter().copied().fold(f64::INFINITY, f64::min),
        most: values.iter().copied().fold(0.0, f64::max),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2015-03-02T10:00:00.000000+00:00 heroku[api]: Scale to web=1, worker=1 by user@example.com
2015-03-02T10:00:05.500000+00:00 heroku[worker.1]: Starting process with command `node worker.js`
2015-03-02T10:00:09.000000+00:00 heroku[worker.1]: State changed from starting to up
2015-03-02T10:00:45.500000+00:00 app[worker.1]: my-worker started on port 3
2015-03-02T10:00:46.000000+00:00 app[web.1]: my-worker started, says another
nonsense
2015-03-02T10:10:00.000000+00:00 heroku[api]: Scale to worker=0 by user@example.com
2015-03-02T10:10:01.500000+00:00 heroku[worker.1]: Stopping all processes with SIGTERM
2015-03-02T10:10:05.500000+00:00 heroku[worker.1]: Process exited with status 0
";

    #[test]
    fn boot_stop_uptime_and_utilisation() {
        let started = |message: &str| message.contains("started");
        let stats = worker_stats(LOG.lines(), "worker", Some(&started));
        assert_eq!(stats.runs.len(), 1);
        let mean = |spread: Option<Spread>| spread.map(|spread| spread.mean);
        assert_eq!(
            (mean(stats.scale_up), mean(stats.boot), mean(stats.stop)),
            (Some(45.5), Some(40.0), Some(4.0))
        );
        assert_eq!(mean(stats.uptime), Some(556.0));
        assert!((stats.utilisation.unwrap() - 556.0 / 600.0).abs() < 1e-9);
        // Without a pattern the platform's own line counts.
        assert_eq!(mean(worker_stats(LOG.lines(), "worker", None).boot), Some(3.5));
        assert_eq!(worker_stats(LOG.lines(), "web", None).boot, None);
    }

    #[test]
    fn a_syslog_header_and_the_newer_words_are_understood() {
        let line = "<134>1 2020-01-01T00:00:00Z heroku[api]: Scaled to worker@2:Standard-1X by user a@b.c";
        let next = "2020-01-01T00:00:10Z heroku[worker.2]: Starting process with command `x`";
        let up = "2020-01-01T00:00:30Z heroku[worker.2]: State changed from starting to up";
        let stats = worker_stats([line, next, up], "worker", None);
        assert_eq!(stats.scale_up.map(|spread| spread.mean), Some(30.0));
    }
}
