//! How participants stop.

use std::sync::Arc;
use std::time::Duration;

use msgflo::core::Client;
use msgflo::testing::{Bench, Fate};
use msgflo::{Context, Error, Inport, Options, Participant};
use tokio::sync::{Semaphore, mpsc};

/// A participant `p` whose jobs wait for a permit each, and tells when they have begun.
fn gated(begun: mpsc::Sender<u32>, gate: Arc<Semaphore>) -> Participant {
    let mut participant = Participant::new("test/Gated").role("p");
    let out = participant.outport::<u32>("OUT");
    participant.inport("IN", Inport::default().prefetch(2), move |number: u32, context: Context| {
        let (begun, gate, out) = (begun.clone(), Arc::clone(&gate), out.clone());
        async move {
            begun.send(number).await?;
            gate.acquire().await?.forget();
            Ok(context.send(&out, &number)?)
        }
    });
    participant
}

#[tokio::test(start_paused = true)]
async fn what_is_in_hand_is_finished_and_the_rest_is_left() {
    let (begun, mut begins) = mpsc::channel(10);
    let gate = Arc::new(Semaphore::new(0));
    let bench = Bench::start([gated(begun, Arc::clone(&gate))]).await.expect("a start");
    let memory = bench.memory().clone();
    (0..5u32).for_each(|number| bench.send("p.IN", &number));
    assert_eq!((begins.recv().await, begins.recv().await), (Some(0), Some(1)));

    let cancelled = bench.running().cancelled();
    let stopping = tokio::spawn(bench.stop());
    cancelled.await;
    gate.add_permits(5);
    stopping.await.expect("no panic").expect("a stop in order");

    let queue = "p.IN".into();
    assert_eq!((memory.fate(&queue).await, memory.fate(&queue).await), (Fate::Acked, Fate::Acked));
    assert_eq!(memory.ready(&queue), 3);
    assert_eq!(begins.recv().await, None, "no other job has begun");
    assert!(memory.is_closed());
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_goes_back() {
    let (begun, mut begins) = mpsc::channel(10);
    let options = Options::default().grace(Duration::from_secs(7));
    let participant = gated(begun, Arc::new(Semaphore::new(0)));
    let bench = Bench::start_with(options, [participant]).await.expect("a start");
    let memory = bench.memory().clone();
    bench.send("p.IN", &1u32);
    begins.recv().await.expect("a job in hand");
    let asked = tokio::time::Instant::now();
    bench.stop().await.expect("a stop in order");
    assert_eq!(asked.elapsed().as_secs(), 7);
    assert_eq!(memory.fate(&"p.IN".into()).await, Fate::Requeued);
    assert!(memory.is_closed());
}

#[tokio::test(start_paused = true)]
async fn dropping_them_gives_everything_back() {
    let (begun, mut begins) = mpsc::channel(10);
    let bench = Bench::start([gated(begun, Arc::new(Semaphore::new(0)))]).await.expect("a start");
    let memory = bench.memory().clone();
    bench.send("p.IN", &1u32);
    begins.recv().await.expect("a job in hand");
    drop(bench);
    assert_eq!(memory.fate(&"p.IN".into()).await, Fate::Requeued);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_stops_them_all_and_is_told() {
    let participants = ["p", "q"].map(|role| {
        let mut participant = Participant::new("test/Idle").role(role);
        participant.inport("IN", Inport::default(), |(): (), _| async { Ok(()) });
        participant
    });
    let bench = Bench::start(participants).await.expect("a start");
    bench.memory().close().await.expect("it is closed");
    bench.send("p.IN", &());
    bench.running().cancelled().await;
    let error = bench.stop().await.expect_err("the connection was lost");
    assert!(matches!(error, Error::Lost { .. }), "{error}");
}
