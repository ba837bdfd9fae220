//! Learning of participants.

use futures_util::StreamExt;
use msgflo_core::discovery::{Announcement, Error, QUEUE};
use msgflo_core::{Announcements, Broker, Depth, Participant, Port};
use tokio::time::timeout;

use crate::Bed;
use crate::bed::queue;
use crate::inbox::{PATIENCE, eventually, message};

/// A participant with everything that can be said of one.
fn participant(id: &str) -> Participant {
    let mut participant = Participant::new(id, "role", "test/Component");
    participant.label = Some("does nothing".into());
    participant.icon = Some("cog".into());
    participant.inports.push(Port::new("IN", Some("role.IN".into())));
    participant.outports.push(Port::new("OUT", Some("role.OUT".into())));
    participant.extra.insert("version".into(), "1.2".into());
    participant
}

async fn watch(broker: &dyn Broker) -> Announcements {
    broker.watch_discovery().await.expect("discovery is watched")
}

async fn next(announcements: &mut Announcements) -> Result<Announcement, Error> {
    let next = timeout(PATIENCE, announcements.next()).await.expect("an announcement comes in time");
    next.expect("discovery goes on")
}

async fn next_id(announcements: &mut Announcements) -> String {
    next(announcements).await.expect("an announcement").participant.id.to_string()
}

/// Each of them everything, however often they take from the one queue; and what was said arrives as it was said.
pub async fn every_coordinator_sees_every_announcement(bed: &Bed) {
    let (client, one, other) = (bed.client().await, bed.broker().await, bed.broker().await);
    let (mut left, mut right) = (watch(&*one).await, watch(&*other).await);
    let participants: Vec<_> = (0..20).map(|n| participant(&format!("role-{n:02}"))).collect();
    for participant in &participants {
        client.announce(participant).await.expect("it is announced");
    }
    for announcements in [&mut left, &mut right] {
        let mut seen = Vec::new();
        for _ in &participants {
            let announcement = next(announcements).await.expect("an announcement");
            assert_eq!(announcement.notes, [""; 0]);
            seen.push(announcement.participant);
        }
        seen.sort_by(|a, b| a.id.cmp(&b.id));
        assert_eq!(seen, participants);
    }
}

/// A participant may start before anybody watches.
pub async fn announcements_wait_for_the_first_coordinator(bed: &Bed) {
    let client = bed.client().await;
    client.announce(&participant("early")).await.expect("it is announced");
    client.close().await.expect("it closes");
    let broker = bed.broker().await;
    assert_eq!(next_id(&mut watch(&*broker).await).await, "early");
}

/// Nothing piles up there while a coordinator runs, also if it does not read.
pub async fn the_discovery_queue_stays_empty(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    let mut announcements = watch(&*broker).await;
    for n in 0..500 {
        client.announce(&participant(&format!("role-{n}"))).await.expect("it is announced");
    }
    let depth = async || broker.depth(&queue(QUEUE)).await.expect("the queue is there");
    eventually(depth, |depth: &Depth| depth.ready == 0, "the queue is empty").await;
    for _ in 0..500 {
        next(&mut announcements).await.expect("an announcement");
    }
}

/// Whatever strangers send, the next announcement is seen.
pub async fn what_is_no_announcement_is_told_and_stops_nothing(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    let mut announcements = watch(&*broker).await;
    let strange: [&[u8]; 6] = [
        b"",
        b"not JSON",
        b"null",
        b"[1, 2]",
        b"\xff\xfe",
        br#"{"protocol":"discovery","command":"participant","payload":{"id":"nameless"}}"#,
    ];
    for bytes in strange {
        let message = msgflo_core::Message::new(bytes);
        client.send_to_queue(&queue(QUEUE), message).await.expect("it is sent");
        let error = next(&mut announcements).await.expect_err("it is no announcement");
        let is_nameless = matches!(&error, Error::NotDiscovery { sender: Some(id), .. } if id == "nameless");
        assert_eq!(is_nameless, bytes.ends_with(b"}"), "{error:?}");
    }
    client.announce(&participant("proper")).await.expect("it is announced");
    assert_eq!(next_id(&mut announcements).await, "proper");
}

/// The one that stays sees what is announced after it, and before it stopped taking.
pub async fn a_coordinator_that_leaves_takes_nothing_along(bed: &Bed) {
    let (client, staying) = (bed.client().await, bed.broker().await);
    let mut announcements = watch(&*staying).await;
    for n in 0..10 {
        let leaving = bed.broker().await;
        let own = watch(&*leaving).await;
        client.announce(&participant(&format!("role-{n}"))).await.expect("it is announced");
        if n % 2 == 0 {
            leaving.close().await.expect("it closes");
        }
        drop((own, leaving));
        // Before it may come what a coordinator passed on twice, because it died before it acknowledged.
        loop {
            let id = next_id(&mut announcements).await;
            if id == format!("role-{n}") {
                break;
            }
            let is_earlier = (0..n).any(|earlier| id == format!("role-{earlier}"));
            assert!(is_earlier, "{id} instead of role-{n}");
        }
    }
    // Or it comes here.
    client.send_to_queue(&queue(QUEUE), message("end")).await.expect("it is sent");
    while let Ok(again) = next(&mut announcements).await {
        assert!(again.participant.id.as_str().starts_with("role-"), "{again:?}");
    }
}
