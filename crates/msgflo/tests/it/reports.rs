//! What participants report of their jobs.

use std::time::{Duration, SystemTime};

use msgflo::core::{JobReport, Outcome};
use msgflo::testing::Bench;
use msgflo::{Context, Inport, Message, Participant, Timestamp};

/// A participant `p` that works as many milliseconds as it is told; after a second it is over.
fn sleeper() -> Participant {
    let mut sleeper = Participant::new("test/Sleeper").role("p");
    let out = sleeper.outport::<u64>("OUT");
    sleeper.error_port("ERROR");
    let options = Inport::default().prefetch(10).timeout(Duration::from_secs(1));
    sleeper.inport("IN", options, move |millis: u64, context: Context| {
        let out = out.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            if millis == 0 { Err("not tired".into()) } else { Ok(context.send(&out, &millis)?) }
        }
    });
    sleeper
}

fn completed(reports: &[JobReport]) -> usize {
    reports.iter().map(|report| report.completed.len()).sum()
}

#[tokio::test(start_paused = true)]
async fn every_job_is_reported_with_its_outcome() {
    let bench = Bench::start([sleeper()]).await.expect("a start");
    let now = Timestamp::from(SystemTime::now());
    for millis in [0u64, 300, 2000] {
        let sent = Some(Timestamp(now.0 - 1500));
        bench.put("p.IN", Message { timestamp: sent, ..Message::json(&millis).expect("JSON") });
    }
    let reports = bench.memory().reports(|reports| completed(reports) == 3).await;
    let jobs: Vec<_> = reports.iter().flat_map(|report| &report.completed).collect();
    let told = jobs.iter().map(|job| (job.outcome, job.outport.as_ref().expect("a port").as_str()));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [(Outcome::Failed, "ERROR"), (Outcome::Completed, "OUT"), (Outcome::TimedOut, "ERROR")]
    );
    for (job, processing) in jobs.iter().zip([0.0, 0.3, 1.0]) {
        assert!((job.processing - processing).abs() < 0.01, "{job:?}");
        assert!((1.5..60.0).contains(&job.waiting.expect("the message has a time")), "{job:?}");
    }
    let report = &reports[0];
    assert_eq!((report.role.as_str(), report.component.as_str()), ("p", "test/Sleeper"));
    assert_eq!((report.queue.as_str(), report.inport.as_str()), ("p.IN", "IN"));
    assert_eq!(report.id, bench.memory().announced(1).await[0].id);
    assert_eq!(report.in_flight, 2, "one has ended within the time in which changes are gathered");
}

#[tokio::test(start_paused = true)]
async fn reports_are_gathered() {
    let bench = Bench::start([sleeper()]).await.expect("a start");
    for _ in 0..200 {
        bench.send("p.IN", &1u64);
    }
    let reports = bench.memory().reports(|reports| completed(reports) == 200).await;
    // Ten jobs at a time of a millisecond each take a fifth of the time in which changes are gathered.
    assert!(reports.len() <= 2, "{} reports", reports.len());
}

#[tokio::test(start_paused = true)]
async fn the_last_report_says_that_nothing_is_in_hand() {
    let bench = Bench::start([sleeper()]).await.expect("a start");
    let memory = bench.memory().clone();
    bench.send("p.IN", &500u64);
    memory.reports(|reports| reports.iter().any(|report| report.in_flight == 1)).await;
    bench.stop().await.expect("a stop in order");
    let reports = memory.reports(|reports| completed(reports) == 1).await;
    let last = reports.last().expect("a report");
    assert_eq!((last.in_flight, last.completed.len()), (0, 1));
}
