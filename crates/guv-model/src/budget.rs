//! Caps over several roles together.
//!
//! What the roles want is cut to the cap: nothing is taken from busy workers, nor from a role's minimum; what is left
//! goes first to the roles whose deadline can still be kept, the one nearest to missing it first, and the rest, worker
//! by worker, in the same order to all. The cap holds at every moment: a worker that is being added counts at once,
//! one that is being stopped until it is seen to have gone.

use serde::Serialize;

use crate::{Action, Decision, Limit, Role, RoleConfig, guard};

/// A cap over several roles.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Budget {
    /// Most workers of all these roles together.
    pub workers: Option<u32>,
    /// Most money per hour, in the currency of the prices.
    pub cost_per_hour: Option<f64>,
    /// The roles.
    pub roles: Vec<Role>,
}

/// What one role wants of a budget.
struct Claim<'a> {
    role: &'a RoleConfig,
    decision: &'a mut Decision,
    /// The cost of one worker in the budget's measure.
    weight: f64,
    /// Workers that are paid for now.
    paid: u32,
    /// Workers without those told to stop.
    current: u32,
    /// Workers wanted.
    wanted: u32,
    /// Workers that it keeps in any case.
    floor: u32,
    /// Its share so far.
    share: u32,
}

impl Budget {
    /// Cuts the decisions to the cap. Both slices hold the same roles in the same order.
    pub fn share(&self, roles: &[&RoleConfig], decisions: &mut [Decision]) {
        if let Some(cap) = self.workers {
            self.cut(roles, decisions, f64::from(cap), |_| 1.0);
        }
        if let Some(cap) = self.cost_per_hour {
            // Every role under a cap of money has a price: a checked configuration says so.
            self.cut(roles, decisions, cap, |role| role.price.unwrap_or(0.0));
        }
    }

    fn cut(
        &self,
        roles: &[&RoleConfig],
        decisions: &mut [Decision],
        cap: f64,
        weight: impl Fn(&RoleConfig) -> f64,
    ) {
        let mut claims: Vec<_> = roles
            .iter()
            .zip(decisions)
            .filter(|(role, _)| self.roles.contains(&role.role))
            .map(|(role, decision)| Claim::new(role, weight(role), decision))
            .collect();
        // Sums of prices are not exact; a millionth of the cap is not worth a worker.
        let cap = cap * (1.0 + 1e-6);
        let wanted: f64 =
            claims.iter().map(|claim| f64::from(claim.paid.max(claim.wanted)) * claim.weight).sum();
        if wanted <= cap {
            return;
        }
        divide(&mut claims, cap);
        raise_within(&mut claims, cap);
    }
}

/// Gives each claim its share.
fn divide(claims: &mut [Claim<'_>], cap: f64) {
    let mut left = cap - claims.iter().map(|claim| f64::from(claim.share) * claim.weight).sum::<f64>();
    claims.sort_by(|a, b| a.slack().total_cmp(&b.slack()));
    for claim in claims.iter_mut() {
        let more = claim.enough().saturating_sub(claim.share);
        let price = f64::from(more) * claim.weight;
        if claim.can_be_kept() && price <= left {
            claim.share += more;
            left -= price;
        }
    }
    loop {
        let next = claims
            .iter_mut()
            .filter(|claim| claim.share < claim.wanted && claim.weight <= left)
            .min_by(|a, b| a.need().total_cmp(&b.need()));
        let Some(claim) = next else { return };
        claim.share += 1;
        left -= claim.weight;
    }
}

/// Turns shares into targets, so that even while others have not yet stopped their workers the cap holds.
fn raise_within(claims: &mut [Claim<'_>], cap: f64) {
    let mut free = cap - claims.iter().map(|claim| f64::from(claim.paid) * claim.weight).sum::<f64>();
    for claim in claims {
        let mut target = claim.share;
        while target > claim.current {
            let price = f64::from(target - claim.current) * claim.weight;
            if price <= free {
                free -= price;
                break;
            }
            target -= 1;
        }
        if target < claim.wanted {
            claim.decision.limits.push(Limit::Budget { workers: target });
            claim.decision.ask_for(target);
        }
    }
}

impl<'a> Claim<'a> {
    fn new(role: &'a RoleConfig, weight: f64, decision: &'a mut Decision) -> Self {
        let workers = decision.inputs.observation.workers;
        let current = workers.map_or(0, |workers| workers.current);
        let wanted = decision.target.unwrap_or(current);
        let idle_known = decision.action != Action::Hold && decision.estimate.is_some();
        // Where it is not known who is busy, all are.
        let floor = match guard::busy(decision, role) {
            _ if role.paused => current,
            Some(busy) if idle_known => busy,
            _ => current,
        };
        let floor = floor.max(decision.inputs.parameters.limits.minimum).min(wanted);
        let paid = current.saturating_add(workers.and_then(|workers| workers.draining).unwrap_or(0));
        Self { role, decision, weight, paid, current, wanted, floor, share: floor }
    }

    /// Workers that keep the deadline.
    fn enough(&self) -> u32 {
        let needed = self
            .decision
            .estimate
            .map_or(self.wanted, |estimate| u32::try_from(estimate.needed).unwrap_or(u32::MAX));
        needed.clamp(self.floor, self.wanted.max(self.floor))
    }

    /// Whether the number wanted keeps the deadline.
    fn can_be_kept(&self) -> bool {
        let within = self.decision.estimate.is_none_or(|estimate| estimate.needed <= u64::from(self.wanted));
        within && self.role.target_within_reach
    }

    /// The lower, the sooner it gets another worker: whose deadline can be kept comes first.
    fn need(&self) -> f64 {
        if self.can_be_kept() { self.slack() - 1e12 } else { self.slack() }
    }

    /// Seconds between the expected end of the work at hand and its deadline, with the share so far.
    fn slack(&self) -> f64 {
        let turns = self.decision.estimate.map_or(0, |estimate| estimate.turns) as f64;
        let oldest = self.decision.inputs.observation.queue.oldest.unwrap_or_default();
        let left = self.role.deadline.as_secs_f64() - oldest.as_secs_f64();
        if turns == 0.0 {
            return left;
        }
        left - turns * self.role.processing.as_secs_f64() / f64::from(self.share).max(0.01)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{Config, Environment, Observation, QueueSample, RoleState, Timestamp, WorkerCount};

    fn config(text: &str) -> Config {
        Config::parse(text, &Environment::default(), &[]).strict().unwrap_or_else(|e| panic!("{e}"))
    }

    /// Targets after sharing, given (ready, in flight, workers) of each role.
    fn shared(config: &Config, seen: &[(u64, u64, u32)]) -> Vec<u32> {
        let mut decisions: Vec<_> = config
            .roles
            .iter()
            .zip(seen)
            .map(|(role, (ready, held, workers))| {
                let queue = QueueSample {
                    ready: Some(*ready),
                    unacknowledged: Some(*held),
                    ..QueueSample::default()
                };
                let workers = Some(WorkerCount::running(*workers));
                let observation = Observation { queue, workers, ..Observation::default() };
                RoleState::new(0).step(role, &observation, Timestamp::from_unix_seconds(1))
            })
            .collect();
        let roles: Vec<_> = config.roles.iter().collect();
        config.budgets.iter().for_each(|budget| budget.share(&roles, &mut decisions));
        decisions.iter().zip(seen).map(|(decision, seen)| decision.target.unwrap_or(seen.2)).collect()
    }

    #[test]
    fn what_a_cut_comes_to_is_said_as_it_is() {
        let config = config("a: {min: 0, max: 100}\n'*': {policy: proportional, budget: {workers: 3}}");
        let said = |workers| {
            let queue = QueueSample { ready: Some(1000), unacknowledged: Some(0), ..QueueSample::default() };
            let workers = Some(WorkerCount::running(workers));
            let observation = Observation { queue, workers, ..Observation::default() };
            let at = Timestamp::from_unix_seconds(1);
            let mut decisions = [RoleState::new(0).step(&config.roles[0], &observation, at)];
            config.budgets[0].share(&[&config.roles[0]], &mut decisions);
            decisions[0].to_string()
        };
        assert!(said(1).ends_with("the budget leaves it 3; 1 worker now: up at once → 3"), "{}", said(1));
        assert!(said(3).ends_with("the budget leaves it 3; 3 workers now: no change"), "{}", said(3));
        assert!(said(5).ends_with("5 workers now: down, to keep within a limit → 3"), "{}", said(5));
    }

    const TWO: &str = "'*': {policy: proportional, min: 0, max: 100, processing: 10, budget: {workers: 5}}\n\
                       hopeless: {deadline: 30}\nkept: {deadline: 60}";

    #[test]
    fn the_deadline_that_can_be_kept_is_kept_and_the_cap_holds() {
        // 1000 jobs need all there is and more; 8 jobs need 3 workers.
        assert_eq!(shared(&config(TWO), &[(1000, 0, 0), (8, 0, 0)]), [2, 3]);
    }

    #[test]
    fn busy_workers_are_not_taken_away_for_another_role() {
        assert_eq!(shared(&config(TWO), &[(1000, 5, 5), (8, 0, 0)]), [5, 0]);
        // Two of them have become idle; they go first, and are given to the other when they have gone.
        assert_eq!(shared(&config(TWO), &[(1000, 3, 5), (8, 0, 0)]), [3, 0]);
        assert_eq!(shared(&config(TWO), &[(1000, 3, 3), (8, 0, 0)]), [3, 2]);
    }

    #[test]
    fn a_minimum_is_had_whoever_comes_first() {
        let text = TWO.replace("hopeless: {deadline: 30}", "hopeless: {deadline: 30, min: 3}");
        assert_eq!(shared(&config(&text), &[(1000, 0, 0), (8, 0, 0)]), [3, 2]);
    }

    #[test]
    fn below_the_cap_nobody_is_cut() {
        assert_eq!(shared(&config(TWO), &[(3, 0, 0), (8, 0, 0)]).iter().sum::<u32>(), 5);
        assert_eq!(shared(&config(TWO), &[(0, 0, 0), (8, 0, 0)]), [0, 3]);
    }

    #[test]
    fn a_budget_of_money_counts_prices() {
        let text = "'*': {min: 0, max: 100, budget: {cost: 0.35}}\nsmall: {}\nlarge: {dynosize: standard-2x}";
        let targets = shared(&config(text), &[(1000, 0, 0), (1000, 0, 0)]);
        assert!(f64::from(targets[0]) * 0.035 + f64::from(targets[1]) * 0.07 <= 0.3501, "{targets:?}");
        assert!(targets.iter().all(|workers| *workers > 0), "{targets:?}");
    }

    proptest! {
        #[test]
        fn the_cap_is_never_exceeded_and_nobody_gets_more_than_wanted(
            seen in proptest::collection::vec((0u64..200, 0u64..10, 0u32..8), 3),
            cap in 0u32..30,
        ) {
            let text = format!(
                "'*': {{min: 0, max: 20, budget: {{workers: {cap}}}}}\na: {{}}\nb: {{deadline: 90}}\nc: {{p: 2}}"
            );
            let free = config("'*': {min: 0, max: 20}\na: {}\nb: {deadline: 90}\nc: {p: 2}");
            let targets = shared(&config(&text), &seen);
            let unlimited = shared(&free, &seen);
            let now: u32 = seen.iter().map(|seen| seen.2).sum();
            // What is paid for until the stopped ones have gone.
            let paid: u32 = targets.iter().zip(&seen).map(|(target, seen)| *target.max(&seen.2)).sum();
            prop_assert!(paid <= cap.max(now), "{targets:?} {seen:?} {cap}");
            for ((target, wanted), seen) in targets.iter().zip(&unlimited).zip(&seen) {
                prop_assert!(target <= wanted, "{target} {wanted}");
                let busy = u32::try_from(seen.1).unwrap().min(seen.2).min(*wanted);
                prop_assert!(*target >= busy, "{target} {busy}");
            }
        }
    }
}
