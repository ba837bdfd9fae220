//! The tables of each library, and what they say: one statement each.
//!
//! A statement takes the queues as `$1` and yields a row for each: its name, the jobs that a worker could take now,
//! those that workers hold, and how long ago the oldest of the former could first be taken, in seconds. Scheduled jobs
//! that are due count as ready: with these libraries it is a worker that moves them. The session's time zone is UTC, so
//! that columns without a time zone compare with `now()` as the libraries mean it.

/// A library that keeps jobs in tables.
pub(super) struct Library {
    /// The name of the source.
    pub(super) kind: &'static str,
    /// What it NOTIFYs when a job comes; `SCHEMA` stands for the schema of its tables.
    pub(super) channel: Option<&'static str>,
    /// `{name}` stands for the table of that name.
    statement: &'static str,
}

impl Library {
    /// The statement, with each table's full name.
    pub(super) fn statement(&self, table: impl Fn(&str) -> String) -> String {
        let mut statement = String::with_capacity(self.statement.len());
        let mut rest = self.statement;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').expect("the statements below close what they open");
            statement.push_str(before);
            statement.push_str(&table(name));
            rest = after;
        }
        statement.push_str(rest);
        statement
    }
}

/// `delayed_jobs`: a job is taken by setting `locked_at`, and deleted when it is done; one that has failed for good
/// keeps `failed_at`. Jobs without a queue are in `default`.
pub(super) const DELAYED_JOB: Library = Library {
    kind: "delayed_job",
    channel: None,
    statement: "
        SELECT q.name,
               count(*) FILTER (WHERE j.locked_at IS NULL AND j.run_at <= now()),
               count(*) FILTER (WHERE j.locked_at IS NOT NULL),
               extract(epoch FROM now() - min(j.run_at) FILTER (WHERE j.locked_at IS NULL AND j.run_at <= now()))::float8
        FROM unnest($1::text[]) AS q(name)
        LEFT JOIN {delayed_jobs} j ON coalesce(j.queue, 'default') = q.name AND j.failed_at IS NULL
        GROUP BY q.name",
};

/// A row in one of `solid_queue_{ready,scheduled,claimed}_executions` for each job that is not done. Nobody takes jobs
/// of a queue in `solid_queue_pauses`.
pub(super) const SOLID_QUEUE: Library = Library {
    kind: "solid_queue",
    channel: None,
    statement: "
        SELECT q.name,
               CASE WHEN p.queue_name IS NULL THEN r.jobs + s.jobs ELSE 0 END,
               c.jobs,
               CASE WHEN p.queue_name IS NULL THEN extract(epoch FROM now() - least(r.oldest, s.oldest)) END::float8
        FROM unnest($1::text[]) AS q(name)
        LEFT JOIN {solid_queue_pauses} p ON p.queue_name = q.name
        CROSS JOIN LATERAL (SELECT count(*) AS jobs, min(created_at) AS oldest
                            FROM {solid_queue_ready_executions} WHERE queue_name = q.name) r
        CROSS JOIN LATERAL (SELECT count(*) AS jobs, min(scheduled_at) AS oldest FROM {solid_queue_scheduled_executions}
                            WHERE queue_name = q.name AND scheduled_at <= now()) s
        CROSS JOIN LATERAL (SELECT count(*) AS jobs FROM {solid_queue_claimed_executions} e
                            JOIN {solid_queue_jobs} j ON j.id = e.job_id WHERE j.queue_name = q.name) c",
};

/// `good_jobs`: `performed_at` is set while a job runs, `finished_at` when it is done.
pub(super) const GOOD_JOB: Library = Library {
    kind: "good_job",
    channel: Some("good_job"),
    statement: "
        SELECT q.name,
               count(*) FILTER (WHERE j.performed_at IS NULL AND coalesce(j.scheduled_at, j.created_at) <= now()),
               count(*) FILTER (WHERE j.performed_at IS NOT NULL),
               extract(epoch FROM now() - min(coalesce(j.scheduled_at, j.created_at)) FILTER (
                   WHERE j.performed_at IS NULL AND coalesce(j.scheduled_at, j.created_at) <= now()))::float8
        FROM unnest($1::text[]) AS q(name)
        LEFT JOIN {good_jobs} j ON j.queue_name = q.name AND j.finished_at IS NULL
        GROUP BY q.name",
};

/// `river_job`: the state tells. Nobody takes jobs of a queue that is paused in `river_queue`.
pub(super) const RIVER: Library = Library {
    kind: "river",
    channel: Some("SCHEMA.river_insert"),
    statement: "
        SELECT q.name,
               CASE WHEN p.paused_at IS NULL THEN j.ready ELSE 0 END,
               j.running,
               CASE WHEN p.paused_at IS NULL THEN extract(epoch FROM now() - j.oldest) END::float8
        FROM unnest($1::text[]) AS q(name)
        LEFT JOIN {river_queue} p ON p.name = q.name
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE state <> 'running') AS ready,
                   count(*) FILTER (WHERE state = 'running') AS running,
                   min(scheduled_at) FILTER (WHERE state <> 'running') AS oldest
            FROM {river_job}
            WHERE queue = q.name AND (state IN ('available', 'running')
                                      OR (state IN ('scheduled', 'retryable') AND scheduled_at <= now()))) j",
};

/// `oban_jobs`: the state tells.
pub(super) const OBAN: Library = Library {
    kind: "oban",
    channel: Some("SCHEMA.oban_insert"),
    statement: "
        SELECT q.name,
               count(j.id) FILTER (WHERE j.state <> 'executing'),
               count(j.id) FILTER (WHERE j.state = 'executing'),
               extract(epoch FROM now() - min(j.scheduled_at) FILTER (WHERE j.state <> 'executing'))::float8
        FROM unnest($1::text[]) AS q(name)
        LEFT JOIN {oban_jobs} j ON j.queue = q.name
             AND (j.state IN ('available', 'executing')
                  OR (j.state IN ('scheduled', 'retryable') AND j.scheduled_at <= now()))
        GROUP BY q.name",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_of_a_statement_gets_its_schema() {
        for library in [DELAYED_JOB, SOLID_QUEUE, GOOD_JOB, RIVER, OBAN] {
            let statement = library.statement(|table| format!("jobs.{table}"));
            assert!(statement.contains("jobs.") && !statement.contains(['{', '}']), "{statement}");
        }
    }
}
