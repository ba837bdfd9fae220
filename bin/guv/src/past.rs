//! `guv history`, `explain`, `cost`, `export` and `replay`: what the history knows.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use guv::explain::explain as explanation;
use guv::history::{self, Query, Reader};
use guv::tools::export::{CSV_HEADER, GuvScaled};
use guv::tools::replay::Replay;
use guv::{Outcome as Became, Record, Role, Timestamp};
use serde_json::json;

use crate::arguments::{Cost, Explain, Export, Format, HistoryArguments, Past, ReplayArguments};
use crate::outcome::{FAILED, Failure, Outcome, Stop, print_json, write_out};
use crate::when::{end_of_second, shown};

/// Where the history is when nothing says so.
pub(crate) fn default_path() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("guv/history.sqlite"))
}

impl HistoryArguments {
    pub(crate) fn path(&self) -> Result<PathBuf, Stop> {
        self.history.clone().or_else(default_path).ok_or_else(|| {
            Stop::config(Failure::new("there is no folder for the history", "name its file with --history"))
        })
    }

    fn reader(&self) -> Result<Reader, Stop> {
        let path = self.path()?;
        Reader::open(&path).map_err(|error| {
            let why = std::error::Error::source(&error).map(|why| format!(": {why}")).unwrap_or_default();
            let help = "`guv run` keeps one; name its file with --history or GUV_HISTORY";
            Stop::config(Failure::new(format!("{error}{why}"), help))
        })
    }
}

/// What a callback of the reader may end with.
enum End {
    History(history::Error),
    Stop(Stop),
}

impl From<history::Error> for End {
    fn from(error: history::Error) -> Self {
        Self::History(error)
    }
}

impl From<End> for Stop {
    fn from(end: End) -> Self {
        match end {
            End::History(error) => Self::internal(error),
            End::Stop(stop) => stop,
        }
    }
}

fn for_each(
    reader: &Reader,
    query: &Query,
    mut each: impl FnMut(&Record) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let each = |record: Record| each(&record).map_err(End::Stop);
    reader.for_each(query, each).map_err(|end: End| end.into())
}

fn query(past: &Past, changes: bool, limit: usize) -> Query {
    Query {
        role: past.role.as_deref().map(Role::new),
        from: past.since.unwrap_or(Timestamp::from_unix_seconds(0)),
        to: past.until.unwrap_or_else(crate::when::now),
        changes,
        limit,
    }
}

pub(crate) fn history(options: &crate::arguments::History) -> Outcome {
    let reader = options.history.reader()?;
    let query = query(&options.past, !options.all, options.limit);
    for_each(&reader, &query, |record| {
        if options.json {
            let line = serde_json::to_string(record).map_err(Stop::internal)?;
            return write_out(|out| writeln!(out, "{line}"));
        }
        write_out(|out| {
            writeln!(out, "{} {}: {} ({})", shown(record.at), record.role, record.decision, record.outcome)
        })
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn explain(options: &Explain) -> Outcome {
    let reader = options.history.reader()?;
    let role = Role::new(&options.role);
    let at = options.at.unwrap_or_else(crate::when::now);
    let Some(record) = reader.at(&role, end_of_second(at)).map_err(Stop::internal)? else {
        let roles = reader.roles().map_err(Stop::internal)?;
        let names: Vec<_> = roles.iter().map(Role::as_str).collect();
        let message = format!("the history has no decision for `{role}` until {}", shown(at));
        return Err(Stop::failed_because(Failure::new(message, format!("it has: {}", names.join(", ")))));
    };
    let explained = explanation(&record);
    if options.json {
        print_json(&explained)?;
    } else {
        let trial = match record.outcome {
            Became::Planned { .. } => " (a dry run: nothing was done)",
            _ => "",
        };
        write_out(|out| writeln!(out, "at         {}{trial}\n{explained}", shown(record.at)))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn export(options: &Export) -> Outcome {
    let reader = options.history.reader()?;
    if options.format == Format::Csv {
        write_out(|out| writeln!(out, "{CSV_HEADER}"))?;
    }
    for_each(&reader, &query(&options.past, false, usize::MAX), |record| {
        let event = GuvScaled::from(record);
        let line = match options.format {
            Format::Csv => event.csv(),
            Format::Ndjson => serde_json::to_string(&event).map_err(Stop::internal)?,
        };
        write_out(|out| writeln!(out, "{line}"))
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn cost(options: &Cost) -> Outcome {
    let config = options.config.load()?.config;
    let reader = options.history.reader()?;
    let span = query(&options.past, false, 0);
    let uses = reader.usage(span.from, span.to).map_err(Stop::internal)?;
    let mut rows = Vec::new();
    for used in uses {
        let role = config.role(&used.role);
        let size = role.map_or("", |role| role.dyno_size.as_str());
        let price = role.and_then(|role| role.price);
        let cost = price.map(|price| price * used.worker_hours);
        // What a constant maximum would have cost over the same time.
        let constant =
            price.zip(role).map(|(price, role)| price * used.hours * f64::from(role.limits.maximum));
        rows.push(json!({
            "role": used.role, "size": size, "worker_hours": used.worker_hours, "hours": used.hours,
            "most": used.most, "changes": used.changes, "cost": cost, "constant_maximum": constant,
        }));
    }
    if options.json {
        print_json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    write_out(|out| {
        writeln!(
            out,
            "{:<20} {:<14} {:>12} {:>8} {:>10} {:>14}",
            "role", "size", "worker-hours", "changes", "cost", "constant max"
        )?;
        for row in &rows {
            let money = |key: &str| row[key].as_f64().map_or("?".to_owned(), |cost| format!("{cost:.2}"));
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            writeln!(
                out,
                "{:<20} {:<14} {:>12.2} {:>8} {:>10} {:>14}",
                text("role"),
                text("size"),
                row["worker_hours"].as_f64().unwrap_or_default(),
                row["changes"],
                money("cost"),
                money("constant_maximum")
            )?;
        }
        io::Result::Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn replay(options: &ReplayArguments) -> Outcome {
    let config = options.config.load()?.config;
    let reader = options.history.reader()?;
    let mut replay = Replay::new(&config);
    for_each(&reader, &query(&options.past, false, usize::MAX), |record| {
        let decision = replay.step(record);
        match decision.filter(|_| options.decisions) {
            Some(decision) => {
                let line = serde_json::to_string(&decision).map_err(Stop::internal)?;
                write_out(|out| writeln!(out, "{line}"))
            }
            None => Ok(()),
        }
    })?;
    let outcomes = replay.outcomes();
    let nothing = outcomes.is_empty();
    if nothing {
        eprintln!("the history has no decision of any of these roles in that time");
    }
    if !config.budgets.is_empty() {
        eprintln!("each role is replayed by itself: what its budget would have left it is not known");
    }
    if options.json {
        print_json(&outcomes)?;
    } else if !options.decisions {
        write_out(|out| {
            writeln!(
                out,
                "{:<20} {:>12} {:>6} {:>24} {:>24}",
                "role", "observations", "same", "recorded", "replayed"
            )?;
            for (role, outcome) in &outcomes {
                let used = |used: guv::tools::replay::Use| {
                    format!("{:.2} h, {} changes", used.worker_hours, used.changes)
                };
                let same = 100.0 * outcome.same as f64 / outcome.observations.max(1) as f64;
                writeln!(
                    out,
                    "{:<20} {:>12} {:>5.1}% {:>24} {:>24}",
                    role.as_str(),
                    outcome.observations,
                    same,
                    used(outcome.recorded),
                    used(outcome.replayed)
                )?;
            }
            io::Result::Ok(())
        })?;
    }
    Ok(if nothing { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}
