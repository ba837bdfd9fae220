//! What participants say of themselves, and when.

use std::time::Duration;

use msgflo::testing::Bench;
use msgflo::{Error, Inport, Options, OutportOptions, Participant, Raw};
use serde_json::json;
use tokio::time::Instant;

fn web_and_store() -> [Participant; 2] {
    let mut web = Participant::new("shop/Web").role("web").label("Takes orders").icon("shopping-cart");
    let order = OutportOptions::default().data_type("buffer").description("An order, as it came");
    web.outport_with::<Raw>("ORDER", order);
    let mut store = Participant::new("shop/Store");
    store.inport("IN", Inport::default(), |_: Raw, _| async { Ok(()) });
    let settings = Inport::default().each().hidden().queue("shop.settings");
    store.inport("SETTINGS", settings, |_: Raw, _| async { Ok(()) });
    store.error_port("ERROR");
    [web, store]
}

#[tokio::test(start_paused = true)]
async fn every_participant_announces_its_role_and_its_ports() {
    let options = Options::default().role("web=frontend").id("Store=store-7");
    let bench = Bench::start_with(options, web_and_store()).await.expect("a start");
    let [web, store] = &bench.memory().announced(2).await[..] else { panic!("one announcement each") };
    let id = web.id.as_str();
    assert!(id.starts_with("frontend-"), "{id}");
    assert_eq!(
        json!(web),
        json!({
            "id": id, "role": "frontend", "component": "shop/Web", "label": "Takes orders",
            "icon": "shopping-cart", "inports": [],
            "outports": [{"id": "ORDER", "queue": "frontend.ORDER", "type": "buffer",
                "description": "An order, as it came"}],
        })
    );
    assert_eq!(
        json!(store),
        json!({
            "id": "store-7", "role": "Store", "component": "shop/Store",
            "inports": [
                {"id": "IN", "queue": "Store.IN", "type": "any"},
                {"id": "SETTINGS", "queue": "shop.settings", "type": "any", "hidden": true,
                    "options": {"delivery": "each"}},
            ],
            "outports": [{"id": "ERROR", "queue": "Store.ERROR", "type": "object",
                "description": "What could not be done, and why"}],
        })
    );
}

#[tokio::test(start_paused = true)]
async fn announcements_are_repeated_within_the_period() {
    let options = Options::default().discovery_period(Duration::from_secs(22));
    let bench = Bench::start_with(options, web_and_store()).await.expect("a start");
    let start = Instant::now();
    let announced = bench.memory().announced(6).await;
    let elapsed = start.elapsed();
    assert!((Duration::from_secs(20)..Duration::from_secs(21)).contains(&elapsed), "{elapsed:?}");
    assert_eq!(announced[4], announced[0], "they say the same");
}

#[tokio::test(start_paused = true)]
async fn announcements_are_repeated_after_a_reconnection() {
    let bench = Bench::start(web_and_store()).await.expect("a start");
    let start = Instant::now();
    for count in [4, 6] {
        bench.memory().reconnect();
        bench.memory().announced(count).await;
    }
    assert_eq!(start.elapsed(), Duration::ZERO, "at once");
}

#[tokio::test(start_paused = true)]
async fn wrong_declarations_stop_the_start_and_are_all_told() {
    let [web, mut store] = web_and_store();
    store.inport("in", Inport::default(), |_: Raw, _| async { Ok(()) });
    store.outport::<str>("ERROR");
    let error = Bench::start([web, store.role("web")]).await.expect_err("nothing of this is right");
    let Error::Config { problems } = &error else { panic!("{error}") };
    assert_eq!(problems.len(), 3, "{problems:#?}");
}
