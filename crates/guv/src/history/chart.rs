//! Charts: what waited, who worked and how it went, over minutes or months, in a bounded number of points.
//!
//! A short time is drawn from the decisions themselves, a long one from the roll-ups. Either way a point is a
//! [`Rollup`], and the same code makes numbers of it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use guv_model::{Role, Timestamp};
use rusqlite::{OptionalExtension, params};
use schemars::JsonSchema;
use serde::Serialize;

use super::facts::{Facts, Shape};
use super::reader::{Reader, milliseconds, timestamp};
use super::rollup::{COLUMNS, Column as C, Fold, LONGEST_GAP, Rollup};
use super::{Error, schema};

/// So many decisions are read for one answer; where there are more, roll-ups are.
const MOST_DECISIONS: i64 = 20_000;

/// The lengths that points may have, seconds.
const STEPS: [i64; 19] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800];

/// A role over some time.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Chart {
    /// Unix seconds.
    #[schemars(with = "f64")]
    pub from: Timestamp,
    /// Unix seconds.
    #[schemars(with = "f64")]
    pub to: Timestamp,
    /// The length of a point, seconds.
    pub step: f64,
    /// The points, as columns of the same length.
    pub series: Series,
    /// The whole time.
    pub totals: Totals,
}

/// Columns of the same length. `null` is not known; a row of nothing but `null` stands where guv did not run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Series {
    /// When a point begins, Unix seconds.
    pub at: Vec<f64>,
    /// Messages that waited: the mean.
    pub ready: Vec<Option<f64>>,
    /// Messages that waited: the most.
    pub ready_max: Vec<Option<f64>>,
    /// Jobs in flight: the mean.
    pub in_flight: Vec<Option<f64>>,
    /// Workers: the mean.
    pub workers: Vec<Option<f64>>,
    /// Workers: the most.
    pub workers_max: Vec<Option<f64>>,
    /// Workers that were wanted.
    pub wanted: Vec<Option<f64>>,
    /// Fewest workers that there may be.
    pub minimum: Vec<Option<f64>>,
    /// Most workers that there may be.
    pub maximum: Vec<Option<f64>>,
    /// Seconds that the oldest message had waited: the mean.
    pub oldest: Vec<Option<f64>>,
    /// Seconds that the oldest message had waited: the most.
    pub oldest_max: Vec<Option<f64>>,
    /// Seconds until the jobs at hand would be done: the mean.
    pub expected: Vec<Option<f64>>,
    /// Seconds until the jobs at hand would be done: the most.
    pub expected_max: Vec<Option<f64>>,
    /// Seconds that finished jobs had waited: the mean.
    pub waited: Vec<Option<f64>>,
    /// The deadline, seconds.
    pub deadline: Vec<Option<f64>>,
    /// Jobs that came, per second.
    pub arrivals: Vec<Option<f64>>,
    /// Jobs that were done, per second.
    pub completions: Vec<Option<f64>>,
    /// The share of jobs that were in time, 0 to 1, as `Totals` has it.
    pub hit_rate: Vec<Option<f64>>,
}

/// How a share of jobs in time was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The workers told what each job took.
    Measured,
    /// The share of the time in which the jobs at hand could be expected to be in time.
    Estimated,
}

/// A role over the whole time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Totals {
    /// Hours that are accounted for.
    pub hours: f64,
    /// Workers times hours.
    pub worker_hours: f64,
    /// The same with as many workers as there may be, all the time.
    pub constant_hours: f64,
    /// The most workers.
    pub most: f64,
    /// How often the number of workers was changed.
    pub changes: f64,
    /// Rounds that failed.
    pub failures: f64,
    /// Jobs of which it was told what they took.
    pub jobs: f64,
    /// Those of them that were late.
    pub late: f64,
    /// The share of jobs that were in time, 0 to 1.
    pub hit_rate: Option<f64>,
    /// How that was found.
    pub hit_rate_is: Option<Measure>,
    /// Money, where the price of a worker is known.
    pub cost: Option<f64>,
    /// What a constant maximum would have cost.
    pub constant_cost: Option<f64>,
}

impl Totals {
    fn of(rollup: &Rollup) -> Self {
        let hours = |column| rollup.get(column) / 3600.0;
        let (hit_rate, hit_rate_is) = hit_rate(rollup).unzip();
        Self {
            hours: hours(C::Seconds),
            worker_hours: hours(C::WorkerSeconds),
            constant_hours: hours(C::MaximumSeconds),
            most: rollup.get(C::WorkersMax),
            changes: rollup.get(C::Changes),
            failures: rollup.get(C::Failures),
            jobs: rollup.get(C::Jobs),
            late: rollup.get(C::Late),
            hit_rate,
            hit_rate_is,
            cost: None,
            constant_cost: None,
        }
    }

    /// With what a worker costs per hour.
    #[must_use]
    pub fn priced(mut self, price: Option<f64>) -> Self {
        self.cost = price.map(|price| price * self.worker_hours);
        self.constant_cost = price.map(|price| price * self.constant_hours);
        self
    }
}

fn hit_rate(rollup: &Rollup) -> Option<(f64, Measure)> {
    let late = rollup.mean(C::Late, C::Jobs).map(|late| (1.0 - late, Measure::Measured));
    late.or_else(|| Some((rollup.mean(C::InTimeSeconds, C::ExpectedSeconds)?, Measure::Estimated)))
}

impl Series {
    fn push(&mut self, at: i64, rollup: Option<&Rollup>) {
        let mean = |sum, count| rollup.and_then(|rollup| rollup.mean(sum, count)).map(rounded);
        let most = |value, count| {
            rollup.filter(|rollup| rollup.get(count) > 0.0).map(|rollup| rounded(rollup.get(value)))
        };
        self.at.push(timestamp(at).as_duration().as_secs_f64());
        self.ready.push(mean(C::Ready, C::Samples));
        self.ready_max.push(most(C::ReadyMax, C::Samples));
        self.in_flight.push(mean(C::InFlight, C::Samples));
        self.workers.push(mean(C::Workers, C::Samples));
        self.workers_max.push(most(C::WorkersMax, C::Samples));
        self.wanted.push(mean(C::Wanted, C::Samples));
        self.minimum.push(mean(C::Minimum, C::Samples));
        self.maximum.push(mean(C::Maximum, C::Samples));
        self.oldest.push(mean(C::Oldest, C::OldestKnown));
        self.oldest_max.push(most(C::OldestMax, C::OldestKnown));
        self.expected.push(mean(C::Expected, C::ExpectedKnown));
        self.expected_max.push(most(C::ExpectedMax, C::ExpectedKnown));
        self.waited.push(mean(C::Waited, C::Jobs));
        self.deadline.push(rollup.map(|rollup| rounded(rollup.get(C::Deadline))));
        self.arrivals.push(mean(C::Arrived, C::ArrivedSeconds));
        self.completions.push(mean(C::Done, C::DoneSeconds));
        self.hit_rate.push(rollup.and_then(hit_rate).map(|(rate, _)| rounded(rate)));
    }
}

/// What an eye can tell apart on a chart; shorter to send.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

impl Reader {
    /// The chart of a role, of some `points` at most. Empty where nothing is known.
    ///
    /// # Errors
    /// [`Error::Access`] when the file cannot be read.
    pub fn chart(&self, role: &Role, from: Timestamp, to: Timestamp, points: u32) -> Result<Chart, Error> {
        let step = step(from, to, points);
        let empty = || chart(from, to, step, BTreeMap::new());
        Ok(self.charts(Some(role), from, to, points)?.remove(role).unwrap_or_else(empty))
    }

    /// The charts of a role, or of all.
    ///
    /// # Errors
    /// [`Error::Access`] when the file cannot be read.
    pub fn charts(
        &self,
        role: Option<&Role>,
        from: Timestamp,
        to: Timestamp,
        points: u32,
    ) -> Result<BTreeMap<Role, Chart>, Error> {
        let roles = self.ids(role)?;
        let fine = self.can_be_fine(&roles, from, to)?;
        let mut charts = BTreeMap::new();
        for (id, role) in roles {
            let (step, rollups) = if fine {
                let step = step(from, to, points);
                (step, self.of_decisions(id, from, to, step)?)
            } else {
                let step = step(from, to, points).max(schema::ROLLUP);
                (step, self.of_rollups(id, from, to, step)?)
            };
            charts.insert(role, chart(from, to, step, rollups));
        }
        Ok(charts)
    }

    /// Whether there are few enough decisions to draw from, and they are all that were rolled up.
    fn can_be_fine(&self, roles: &[(i64, Role)], from: Timestamp, to: Timestamp) -> Result<bool, Error> {
        let mut ask = self.connection.prepare_cached(
            "SELECT count(*), count(*) < (SELECT coalesce(sum(samples), 0) FROM rollups
                 WHERE role = ?1 AND at >= ?2 AND at <= ?3 - ?4)
             FROM decisions WHERE role = ?1 AND at BETWEEN ?2 AND ?3",
        )?;
        let mut decisions = 0;
        for (id, _) in roles {
            let parameters = params![id, milliseconds(from), milliseconds(to), schema::ROLLUP];
            let (count, pruned): (i64, bool) =
                ask.query_row(parameters, |row| Ok((row.get(0)?, row.get(1)?)))?;
            decisions += count;
            if pruned || decisions > MOST_DECISIONS {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn ids(&self, role: Option<&Role>) -> Result<Vec<(i64, Role)>, Error> {
        let sql = "SELECT id, name FROM roles WHERE ?1 IS NULL OR name = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let ids = statement.query_map([role.map(Role::as_str)], |row| {
            Ok((row.get(0)?, Role::new(row.get::<_, String>(1)?)))
        })?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    fn of_decisions(
        &self,
        role: i64,
        from: Timestamp,
        to: Timestamp,
        step: i64,
    ) -> Result<BTreeMap<i64, Rollup>, Error> {
        let sql = "SELECT at, shape, ready, in_flight, workers, target, needed, numbers FROM decisions
                   WHERE role = ?1 AND at BETWEEN ?2 AND ?3 ORDER BY at";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![role, milliseconds(from), milliseconds(to)])?;
        let mut shapes: HashMap<i64, Option<Shape>> = HashMap::new();
        let mut rollups: BTreeMap<i64, Rollup> = BTreeMap::new();
        let mut before: Option<Facts> = None;
        while let Some(row) = rows.next()? {
            let (at, shape): (i64, i64) = (row.get(0)?, row.get(1)?);
            let shape = match shapes.entry(shape) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(self.shape(shape)?),
            };
            // A record whose shape is lost cannot be read; the others can.
            let Some(shape) = shape else { continue };
            let columns = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?];
            let numbers = row.get_ref(7)?.as_str().map_err(|error| Error::Malformed(error.to_string()))?;
            let facts = Facts::read(at, shape, columns, numbers)?;
            rollups.entry(at - at.rem_euclid(step)).or_default().add(&Rollup::of(before.as_ref(), &facts));
            before = Some(facts);
        }
        Ok(rollups)
    }

    fn shape(&self, id: i64) -> Result<Option<Shape>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT json FROM shapes WHERE id = ?1")?;
        let json: Option<String> = statement.query_row([id], |row| row.get(0)).optional()?;
        json.as_deref().map(Shape::parse).transpose()
    }

    fn of_rollups(
        &self,
        role: i64,
        from: Timestamp,
        to: Timestamp,
        step: i64,
    ) -> Result<BTreeMap<i64, Rollup>, Error> {
        let folds = COLUMNS.map(|(_, name, fold)| match fold {
            Fold::Sum => format!("sum({name})"),
            Fold::Max => format!("max({name})"),
        });
        let sql = format!(
            "SELECT at - at % ?4, {} FROM rollups WHERE role = ?1 AND at BETWEEN ?2 AND ?3 GROUP BY 1",
            folds.join(", ")
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let parameters = params![role, milliseconds(from) - schema::ROLLUP + 1, milliseconds(to), step];
        let rollups = statement.query_map(parameters, |row| {
            let mut rollup = Rollup::default();
            for (index, value) in rollup.0.iter_mut().enumerate() {
                *value = row.get(index + 1)?;
            }
            Ok((row.get(0)?, rollup))
        })?;
        Ok(rollups.collect::<Result<_, _>>()?)
    }
}

/// The length of a point, milliseconds.
fn step(from: Timestamp, to: Timestamp, points: u32) -> i64 {
    let span = i64::try_from(to.saturating_since(from).as_secs()).unwrap_or(i64::MAX);
    let least = span / i64::from(points.max(1));
    STEPS.into_iter().find(|step| *step >= least).unwrap_or(least).saturating_mul(1000)
}

fn chart(from: Timestamp, to: Timestamp, step: i64, rollups: BTreeMap<i64, Rollup>) -> Chart {
    let (mut series, mut whole) = (Series::default(), Rollup::default());
    let mut before: Option<i64> = None;
    for (at, rollup) in rollups {
        if let Some(before) = before.filter(|before| at - before > LONGEST_GAP.max(2 * step)) {
            series.push(before + step, None);
        }
        series.push(at, Some(&rollup));
        whole.add(&rollup);
        before = Some(at);
    }
    Chart { from, to, step: step as f64 / 1000.0, series, totals: Totals::of(&whole) }
}
