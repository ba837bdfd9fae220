//! What one decision costs for a role that has been watched for a day: `cargo bench -p guv-model`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use guv_model::{
    Config, Environment, Observation, QueueSample, RoleConfig, RoleState, Timestamp, WorkerCount,
};

const DAY: u64 = 86_400;

/// A role, and how many estimates are kept of it.
fn role(policy: &str, every: u64) -> (RoleConfig, usize) {
    let text = format!(
        "'*': {{pollinterval: {every}}}\na: {{processing: 10, deadline: 60, boot: 50, policy: {policy}, maximum: 100}}"
    );
    let mut config = Config::parse(&text, &Environment::default(), &[]).strict().expect("it is valid");
    let window = config.window();
    (config.roles.remove(0), window)
}

/// A day with a quiet night and a noisy noon, the same each time.
fn seen(second: u64) -> Observation {
    let phase = second as f64 / DAY as f64 * std::f64::consts::TAU;
    // Bits that look drawn by lot.
    let noise = (second.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % 20;
    let rate = 0.4 * (1.0 - phase.cos()) + 0.01 * noise as f64;
    let workers = 2 + (rate * 12.0) as u32;
    Observation {
        queue: QueueSample {
            ready: Some(noise),
            unacknowledged: Some(workers.into()),
            fill_rate: Some(rate),
            drain_rate: Some(rate),
            oldest: Some(Duration::from_secs(noise)),
            ..QueueSample::default()
        },
        workers: Some(WorkerCount::running(workers)),
        ..Observation::default()
    }
}

/// What is remembered of a day, looked at every so many seconds.
fn watched(role: &RoleConfig, window: usize, every: u64) -> RoleState {
    let mut state = RoleState::new(window);
    for second in (0..DAY).step_by(usize::try_from(every).expect("it is small")) {
        state.step(role, &seen(second), at(second));
    }
    state
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_000_000 + second)
}

fn decide(criterion: &mut Criterion) {
    for (policy, every) in [("deadline", 30), ("deadline", 1), ("proportional", 30)] {
        let (role, window) = role(policy, every);
        let (state, next) = (watched(&role, window, every), seen(DAY));
        criterion.bench_function(&format!("{policy}, a day of looks every {every} s"), |bencher| {
            let step = |mut state: RoleState| state.step(&role, black_box(&next), at(DAY));
            bencher.iter_batched(|| state.clone(), step, BatchSize::SmallInput);
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    targets = decide
}
criterion_main!(benches);
