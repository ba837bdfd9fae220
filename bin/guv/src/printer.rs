//! Writing decisions to standard output as they are made.

use std::collections::HashMap;
use std::io::{self, Write};
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Mutex, PoisonError};

use guv::{Outcome, Record, RecordError, Recorder, Role};
use tokio_util::sync::CancellationToken;

/// Writes every decision as a line of JSON, or, for people, those that differ from the one before.
pub(crate) struct Printer {
    json: bool,
    /// Cancelled when nobody reads any more.
    cancel: CancellationToken,
    told: Mutex<HashMap<Role, Told>>,
}

/// What was said of a role last.
type Told = (Discriminant<Outcome>, Option<u32>, Option<String>);

impl Printer {
    pub(crate) fn new(json: bool, cancel: CancellationToken) -> Self {
        Self { json, cancel, told: Mutex::default() }
    }

    fn write(&self, records: &[Arc<Record>], out: &mut dyn Write) -> io::Result<()> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            if self.json {
                serde_json::to_writer(&mut *out, record)?;
                writeln!(out)?;
                continue;
            }
            let now: Told = (
                discriminant(&record.outcome),
                record.decision.target,
                record.outcome.error().map(str::to_owned),
            );
            if told.insert(record.role.clone(), now.clone()).as_ref() != Some(&now) {
                writeln!(out, "{}: {}{}", record.role, record.decision, aftermath(&record.outcome))?;
            }
        }
        out.flush()
    }
}

fn aftermath(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Planned { .. } => " (not changed: dry run)".to_owned(),
        Outcome::Applied { workers } => format!(" (changed to {workers})"),
        Outcome::Blind { error } | Outcome::Failed { error } => format!(" (not changed: {error})"),
        _ => String::new(),
    }
}

#[guv::async_trait]
impl Recorder for Printer {
    async fn record(&self, records: &[Arc<Record>]) -> Result<(), RecordError> {
        match self.write(records, &mut io::stdout().lock()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.cancel.cancel();
                Ok(())
            }
            Err(error) => {
                let what = "standard output cannot be written".to_owned();
                Err(RecordError { what, source: Some(error.into()) })
            }
            Ok(()) => Ok(()),
        }
    }
}
