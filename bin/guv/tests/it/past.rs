//! `guv run` keeps a history, and `history`, `explain`, `cost`, `export` and `replay` read it.

use std::process::Stdio;

use serde_json::Value;
use tokio::time::timeout;

use crate::program::told;
use crate::run::{Decisions, PATIENCE, Scene, signal};

#[tokio::test]
async fn what_was_decided_is_explained_counted_exported_and_replayed() {
    let scene = Scene::set("past", 1000).await;
    scene.accept(25).await;
    let mut command = scene.command(&["--json", "--history", "h.sqlite"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut decisions = Decisions::of(&mut child);
    decisions.next(|record| record["outcome"]["kind"] == "applied").await;
    // The double of the platform still says that there is one worker; the number is not sent again at once.
    decisions.next(|record| record["decision"]["limits"].to_string().contains("throttled")).await;
    signal(&child, "-TERM");
    assert_eq!(timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap().code(), Some(0));

    let call = |arguments: &[&str]| {
        let output = scene.place.call(&[arguments, &["--history", "h.sqlite"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let history = call(&["history"]);
    assert!(history.contains("up at once → 25 (changed to 25)"), "{history}");
    let explained = call(&["explain", "resize"]);
    assert!(explained.contains("seen       1000 ready, 0 in flight"), "{explained}");
    assert!(explained.contains("limit      at most the maximum of 25"), "{explained}");
    let explained: Value = serde_json::from_str(&call(&["explain", "resize", "--json"])).unwrap();
    assert_eq!(explained["record"]["decision"]["inputs"]["observation"]["queue"]["ready"], 1000);
    // A time as it is shown is that of the decision, though its fraction of a second is not.
    let all = call(&["history", "--all", "--limit", "1"]);
    let shown = all.split_whitespace().next().unwrap();
    assert!(
        call(&["explain", "resize", "--at", shown]).starts_with(&format!("at         {shown}\n")),
        "{all}"
    );
    let events = call(&["export"]);
    let event: Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    assert_eq!((&event["eventType"], &event["jobs"]), (&"GuvScaled".into(), &1000.into()));
    assert!(call(&["export", "--format", "csv"]).lines().last().unwrap().contains(",resize,my-app,1000,"));
    let costs: Value = serde_json::from_str(&call(&["cost", "autoscale.guv.yaml", "--json"])).unwrap();
    assert_eq!((&costs[0]["role"], &costs[0]["size"]), (&"resize".into(), &"standard-1x".into()));
    let replayed = call(&["replay", "-c", "resize: {max: 7}", "--json"]);
    let replayed: Value = serde_json::from_str(&replayed).unwrap();
    assert_eq!(replayed["resize"]["replayed"]["most"], 7);
    assert_eq!(replayed["resize"]["without_budget"], false);
    let budget = "'*': {budget: {workers: 2}}\nresize: {max: 7}";
    let replayed: Value = serde_json::from_str(&call(&["replay", "-c", budget, "--json"])).unwrap();
    assert_eq!(replayed["resize"]["without_budget"], true);

    let nobody = scene.place.call(&["explain", "nobody", "--history", "h.sqlite"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(told(&nobody).contains("it has: resize"), "{}", told(&nobody));
    assert_eq!(scene.place.call(&["history", "--history", "none.sqlite"]).status.code(), Some(78));
}
