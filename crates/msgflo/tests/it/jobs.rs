//! What becomes of a message, and of what it causes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use msgflo::testing::{Bench, Confirms, Fate};
use msgflo::{BoxError, Bytes, Context, Error, Inport, Message, Outport, Participant, Raw, Timestamp};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// Longer than anything should take while nothing else happens; time is paused, so that it costs none.
const LONG: Duration = Duration::from_secs(5);

/// A participant `p` that fails with its input, unless that is `ok`.
fn picky() -> Participant {
    let mut picky = Participant::new("test/Picky").role("p");
    let out = picky.outport::<str>("OUT");
    picky.error_port("ERROR");
    picky.inport("IN", Inport::default(), move |text: String, context: Context| {
        let out = out.clone();
        async move {
            context.send(&out, "result")?;
            if text == "ok" { Ok(()) } else { Err(text.into()) }
        }
    });
    picky
}

#[tokio::test(start_paused = true)]
async fn a_message_is_acknowledged_after_its_results_are_confirmed() {
    let bench = Bench::start([picky()]).await.expect("a start");
    bench.memory().set_confirms(Confirms::Held);
    bench.send("p.IN", "ok");
    assert!(timeout(LONG, bench.memory().fate(&"p.IN".into())).await.is_err(), "nothing is confirmed yet");
    bench.memory().set_confirms(Confirms::Given);
    assert_eq!(bench.fate("p.IN").await, Fate::Acked);
    assert_eq!(bench.received::<String>("p.OUT").await, "result");
}

#[tokio::test(start_paused = true)]
async fn a_failure_goes_to_the_error_port_and_its_results_nowhere() {
    let bench = Bench::start([picky()]).await.expect("a start");
    bench.memory().set_confirms(Confirms::Held);
    bench.send("p.IN", "too dark");
    assert!(timeout(LONG, bench.memory().fate(&"p.IN".into())).await.is_err(), "nothing is confirmed yet");
    bench.memory().set_confirms(Confirms::Given);
    assert_eq!(bench.fate("p.IN").await, Fate::Refused);
    let failure: Value = bench.received("p.ERROR").await;
    assert_eq!(failure["error"], json!({"message": "too dark"}));
    assert!(failure["failed_at"].as_str().expect("a time").ends_with('Z'), "{failure}");
    assert!(timeout(LONG, bench.memory().take(&"p.OUT".into())).await.is_err(), "a failed job has no result");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_fails_beside_what_it_holds() {
    let bench = Bench::start([picky()]).await.expect("a start");
    bench.send("p.IN", &json!({"job": 7}));
    let failure: Value = bench.received("p.ERROR").await;
    assert_eq!(failure["job"], 7);
    let message = failure["error"]["message"].as_str().expect("a text");
    assert!(message.contains("cannot be read") && message.contains("expected a string"), "{message}");
    assert_eq!(bench.fate("p.IN").await, Fate::Refused);
    bench.put("p.IN", Message::new("\u{0}"));
    bench.put("p.IN", Message::new(""));
    assert_eq!(bench.fate("p.IN").await, Fate::Refused);
    assert_eq!(bench.fate("p.IN").await, Fate::Refused);
}

#[tokio::test(start_paused = true)]
async fn without_an_error_port_a_failure_is_refused_all_the_same() {
    let mut participant = Participant::new("test/Fails").role("p");
    participant.inport("IN", Inport::default(), |_: Value, _| async { Err("never".into()) });
    let bench = Bench::start([participant]).await.expect("a start");
    bench.send("p.IN", &1);
    assert_eq!(bench.fate("p.IN").await, Fate::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_its_job_only() {
    let mut participant = Participant::new("test/Panics").role("p");
    participant.error_port("ERROR");
    participant.inport("IN", Inport::default(), |early: Option<bool>, _| {
        assert_ne!(early, Some(true), "panics before there is a future");
        async move {
            tokio::task::yield_now().await;
            assert_ne!(early, Some(false), "panics in the future");
            Ok(())
        }
    });
    let bench = Bench::start([participant]).await.expect("a start");
    for (input, said) in [(true, "before there is a future"), (false, "in the future")] {
        bench.send("p.IN", &input);
        let failure: Value = bench.received("p.ERROR").await;
        assert!(failure["error"]["message"].as_str().expect("a text").contains(said), "{failure}");
        assert_eq!(bench.fate("p.IN").await, Fate::Refused);
    }
    bench.send("p.IN", &());
    assert_eq!(bench.fate("p.IN").await, Fate::Acked);
    bench.stop().await.expect("nothing but jobs has failed");
}

#[tokio::test(start_paused = true)]
async fn work_over_its_limit_is_dropped() {
    let mut participant = Participant::new("test/Slow").role("p");
    participant.error_port("ERROR");
    let (dropped, mut drops) = mpsc::channel::<()>(1);
    let options = Inport::default().timeout(Duration::from_secs(3));
    participant.inport("IN", options, move |(): (), _| {
        let held = dropped.clone();
        async move {
            std::future::pending::<()>().await;
            drop(held);
            Ok(())
        }
    });
    let bench = Bench::start([participant]).await.expect("a start");
    bench.send("p.IN", &());
    let failure: Value = bench.received("p.ERROR").await;
    assert_eq!(failure["error"]["message"], "the work took longer than 3s");
    assert_eq!(bench.fate("p.IN").await, Fate::Refused);
    bench.stop().await.expect("a stop");
    assert_eq!(drops.recv().await, None, "the work and the handler are gone");
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_results_are_not_taken_goes_back() {
    let bench = Bench::start([picky()]).await.expect("a start");
    for input in ["ok", "fails"] {
        bench.memory().set_confirms(Confirms::Refused);
        bench.send("p.IN", input);
        assert_eq!(bench.fate("p.IN").await, Fate::Requeued);
        bench.memory().set_confirms(Confirms::Given);
        let mut fate = bench.fate("p.IN").await;
        // It may have been tried once more before the broker was willing again.
        if fate == Fate::Requeued {
            fate = bench.fate("p.IN").await;
        }
        assert_eq!(fate, if input == "ok" { Fate::Acked } else { Fate::Refused });
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_result_is_larger_than_the_broker_takes_has_failed() {
    let mut participant = Participant::new("test/Enlarges").role("p");
    let out = participant.outport::<str>("OUT");
    participant.error_port("ERROR");
    participant.inport("IN", Inport::default(), move |times: usize, context: Context| {
        let sent = context.send(&out, &"x".repeat(times));
        async move { Ok(sent?) }
    });
    let bench = Bench::start([participant]).await.expect("a start");
    bench.memory().set_largest(300);
    bench.send("p.IN", &1000);
    assert_eq!(bench.fate("p.IN").await, Fate::Refused);
    let failure: Value = bench.received("p.ERROR").await;
    let message = failure["error"]["message"].as_str().expect("a text");
    assert!(message.contains("`OUT`") && message.contains("larger than the maximum of 300"), "{message}");
    // Nor will it ever take the failure.
    bench.memory().set_largest(10);
    bench.send("p.IN", &1000);
    assert_eq!(bench.fate("p.IN").await, Fate::Refused);
    bench.send("p.IN", &1);
    assert_eq!(bench.fate("p.IN").await, Fate::Acked);
    assert_eq!(bench.received::<String>("p.OUT").await, "x");
}

#[tokio::test(start_paused = true)]
async fn as_many_are_worked_on_at_once_as_are_fetched() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut participant = Participant::new("test/Counts").role("p");
    let gate = Arc::new(Semaphore::new(0));
    let (entered, mut entries) = mpsc::channel(100);
    participant.inport("IN", Inport::default().prefetch(5), {
        let (now, most, gate) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&gate));
        move |(): (), _| {
            let (now, most, gate) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&gate));
            let entered = entered.clone();
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                entered.send(()).await?;
                gate.acquire().await?.forget();
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        }
    });
    let bench = Bench::start([participant]).await.expect("a start");
    (0..20).for_each(|_| bench.send("p.IN", &()));
    for _ in 0..5 {
        entries.recv().await.expect("five at once");
    }
    assert!(timeout(LONG, entries.recv()).await.is_err(), "a sixth has to wait");
    assert_eq!(bench.memory().ready(&"p.IN".into()), 15);
    gate.add_permits(20);
    for _ in 0..20 {
        assert_eq!(bench.fate("p.IN").await, Fate::Acked);
    }
    assert_eq!(most.load(Ordering::SeqCst), 5);
}

#[tokio::test(start_paused = true)]
async fn one_at_a_time_keeps_the_order() {
    let mut participant = Participant::new("test/Order").role("p");
    let out = participant.outport::<u64>("OUT");
    participant.inport("IN", Inport::default().prefetch(1), move |number: u64, context: Context| {
        let out = out.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(50 - number)).await;
            Ok(context.send(&out, &number)?)
        }
    });
    let bench = Bench::start([participant]).await.expect("a start");
    (0..20u64).for_each(|number| bench.send("p.IN", &number));
    for number in 0..20u64 {
        assert_eq!(bench.received::<u64>("p.OUT").await, number);
    }
}

#[tokio::test(start_paused = true)]
async fn several_inports_and_outports_each_have_their_own() {
    let mut participant = Participant::new("test/Divide").role("p");
    let (quotient, rest) = (participant.outport::<u64>("QUOTIENT"), participant.outport::<u64>("REST"));
    let by_zero = participant.outport::<str>("NONE");
    participant.inport("IN", Inport::default(), {
        let quotient = quotient.clone();
        move |(a, b): (u64, u64), context: Context| {
            let (quotient, rest) = (quotient.clone(), rest.clone());
            async move {
                context.send(&quotient, &a.checked_div(b).ok_or("division by zero")?)?;
                context.send(&rest, &(a % b))?;
                Ok(())
            }
        }
    });
    participant.inport("HALVE", Inport::default(), move |a: u64, context: Context| {
        let (quotient, none) = (quotient.clone(), by_zero.clone());
        async move {
            context.send(&quotient, &(a / 2))?;
            Ok(context.send(&none, context.inport().as_str())?)
        }
    });
    let bench = Bench::start([participant]).await.expect("a start");
    bench.send("p.IN", &(17u64, 5u64));
    assert_eq!(bench.received::<u64>("p.QUOTIENT").await, 3);
    assert_eq!(bench.received::<u64>("p.REST").await, 2);
    bench.send("p.HALVE", &10u64);
    assert_eq!(bench.received::<u64>("p.QUOTIENT").await, 5);
    assert_eq!(bench.received::<String>("p.NONE").await, "HALVE");
}

#[tokio::test(start_paused = true)]
async fn results_are_stamped_and_stay_in_the_trace() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let bench = Bench::start([picky()]).await.expect("a start");
    let mut message = Message::json("ok").expect("JSON");
    message.traceparent = Some(PARENT.into());
    message.headers.insert("tracestate".into(), "vendor=1".into());
    message.headers.insert("other".into(), "stays behind".into());
    let before = Timestamp::from(std::time::SystemTime::now());
    bench.put("p.IN", message);
    let result = bench.message("p.OUT").await;
    let traceparent = result.traceparent.expect("a trace");
    assert_eq!(traceparent[..36], PARENT[..36]);
    assert_ne!(traceparent, PARENT);
    assert_eq!(Value::Object(result.headers), json!({"tracestate": "vendor=1"}));
    assert_eq!(result.content_type.as_deref(), Some("application/json"));
    assert!(result.timestamp >= Some(before));
    assert!(result.persistent);
    bench.send("p.IN", "ok");
    let other = bench.message("p.OUT").await.traceparent.expect("a trace");
    assert_ne!(other[..36], PARENT[..36], "a message without a trace starts one");
}

#[tokio::test(start_paused = true)]
async fn raw_bytes_pass_as_they_are() {
    let mut participant = Participant::new("test/Raw").role("p");
    let out = participant.outport::<Raw>("OUT");
    participant.inport("IN", Inport::default(), move |raw: Raw, context: Context| {
        let out = out.clone();
        async move { Ok(context.send(&out, &raw)?) }
    });
    let bench = Bench::start([participant]).await.expect("a start");
    let bytes = Bytes::from((0..=255).collect::<Vec<u8>>());
    bench.send("p.IN", &Raw::new(bytes.clone()).content_type("image/png"));
    let message = bench.message("p.OUT").await;
    assert_eq!((message.payload, message.content_type.as_deref()), (bytes, Some("image/png")));
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_after_the_handler_has_ended_is_an_error() {
    let mut participant = Participant::new("test/Late").role("p");
    let out = participant.outport::<str>("OUT");
    let (escaped, mut escapes) = mpsc::channel(1);
    participant.inport("IN", Inport::default(), move |(): (), context: Context| {
        let escaped = escaped.clone();
        async move { escaped.send(context).await.map_err(BoxError::from) }
    });
    let bench = Bench::start([participant]).await.expect("a start");
    bench.send("p.IN", &());
    assert_eq!(bench.fate("p.IN").await, Fate::Acked);
    let context = escapes.recv().await.expect("a context");
    assert!(matches!(context.send(&out, "late"), Err(Error::HandlerEnded { .. })));
}

#[tokio::test(start_paused = true)]
async fn outports_can_be_used_without_a_handler_while_the_participant_runs() {
    let mut source = Participant::new("test/Source").role("s");
    let out: Outport<u32> = source.outport("OUT");
    assert!(matches!(out.send(&1).await, Err(Error::NotRunning { .. })));
    let bench = Bench::start([source]).await.expect("a start");
    bench.memory().set_confirms(Confirms::Held);
    assert!(timeout(LONG, out.send(&2)).await.is_err(), "resolves when it is confirmed");
    bench.memory().set_confirms(Confirms::Refused);
    assert!(matches!(out.send(&3).await, Err(Error::Send { .. })));
    bench.memory().set_confirms(Confirms::Given);
    out.send(&4).await.expect("a confirmation");
    let message = bench.message("s.OUT").await;
    assert_eq!(message.payload, "4");
    assert!(message.traceparent.is_some() && message.timestamp.is_some());
}
