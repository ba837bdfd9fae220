//! What a configuration can sustain, and what it costs.

use guv_model::{Config, RoleConfig};
use serde::Serialize;

/// What a role can sustain, and what it costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Capacity {
    /// The role.
    pub role: String,
    /// The size of its workers.
    pub size: String,
    /// Fewest workers.
    pub minimum: u32,
    /// Most workers.
    pub maximum: u32,
    /// Jobs per minute that the fewest workers finish.
    pub jobs_per_minute_minimum: f64,
    /// Jobs per minute that the most workers finish: concurrency × maximum ÷ processing.
    pub jobs_per_minute: f64,
    /// What the fewest workers cost per hour; `None` where the size has no price.
    pub cost_minimum: Option<f64>,
    /// What the most workers cost per hour.
    pub cost_maximum: Option<f64>,
}

/// Workers and cost of all roles with one size of worker.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SizeTotal {
    /// The size.
    pub size: String,
    /// Fewest workers.
    pub minimum: u32,
    /// Most workers.
    pub maximum: u32,
    /// What these cost per hour.
    pub cost_minimum: Option<f64>,
    /// What these cost per hour.
    pub cost_maximum: Option<f64>,
}

/// Every role's capacity, in the order of the configuration.
pub fn capacity(config: &Config) -> Vec<Capacity> {
    config.roles.iter().map(of_role).collect()
}

/// Jobs per second that so many workers of a role finish.
pub fn jobs_per_second(role: &RoleConfig, workers: u32) -> f64 {
    f64::from(workers) * f64::from(role.concurrency.get()) / role.processing.as_secs_f64()
}

fn of_role(role: &RoleConfig) -> Capacity {
    let (minimum, maximum) = (role.limits.bound(0), role.limits.maximum);
    let cost = |workers: u32| role.price.map(|price| price * f64::from(workers));
    Capacity {
        role: role.role.as_str().to_owned(),
        size: role.dyno_size.clone(),
        minimum,
        maximum,
        jobs_per_minute_minimum: 60.0 * jobs_per_second(role, minimum),
        jobs_per_minute: 60.0 * jobs_per_second(role, maximum),
        cost_minimum: cost(minimum),
        cost_maximum: cost(maximum),
    }
}

/// The totals by size, in the order in which sizes first appear.
pub fn by_size(capacities: &[Capacity]) -> Vec<SizeTotal> {
    let mut totals: Vec<SizeTotal> = Vec::new();
    let plus = |a: Option<f64>, b: Option<f64>| Some(a? + b?);
    for one in capacities {
        match totals.iter_mut().find(|total| total.size == one.size) {
            Some(total) => {
                total.minimum += one.minimum;
                total.maximum += one.maximum;
                total.cost_minimum = plus(total.cost_minimum, one.cost_minimum);
                total.cost_maximum = plus(total.cost_maximum, one.cost_maximum);
            }
            None => totals.push(SizeTotal {
                size: one.size.clone(),
                minimum: one.minimum,
                maximum: one.maximum,
                cost_minimum: one.cost_minimum,
                cost_maximum: one.cost_maximum,
            }),
        }
    }
    totals
}

#[cfg(test)]
mod tests {
    use guv_model::Environment;

    use super::*;

    #[test]
    fn concurrency_times_maximum_over_processing() {
        let text = "a: {p: 2, concurrency: 4, min: 1, max: 10}\nb: {min: 0, max: 3}\nc: {dynosize: odd}";
        let config = Config::parse(text, &Environment::default(), &[]).strict().unwrap();
        let all = capacity(&config);
        assert_eq!((all[0].jobs_per_minute, all[0].jobs_per_minute_minimum), (1200.0, 120.0));
        assert_eq!(all[1].jobs_per_minute_minimum, 0.0);
        let totals = by_size(&all);
        assert_eq!((totals[0].minimum, totals[0].maximum), (1, 13));
        assert!((totals[0].cost_maximum.unwrap() - 13.0 * 0.035).abs() < 1e-9);
        assert_eq!((totals[1].size.as_str(), totals[1].cost_maximum), ("odd", None));
    }
}
