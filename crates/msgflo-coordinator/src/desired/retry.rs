//! What the graph says of a round-robin binding that tries refused messages again.

use std::time::Duration;

use fbp::Graph;
use msgflo_core::Retry;
use serde_json::Value;

/// The inport of a round-robin node that takes how long a refused message waits.
const DELAY: &str = "delay";
/// The inport that takes how often it is tried again.
const RETRIES: &str = "retries";
/// What counts where only the other one is said.
const DEFAULT: Retry = Retry { delay: Duration::from_secs(10), times: 3 };
/// The longest delay.
const MAX_DELAY: Duration = Duration::from_secs(7 * 24 * 3600);

/// How `node` tries refused messages again, if it does.
///
/// # Errors
/// What is wrong with what the graph says, in words.
pub(super) fn of(graph: &Graph, node: &str) -> Result<Option<Retry>, String> {
    let said = |port: &str| {
        let mut packets = graph.initials().filter(|initial| initial.tgt.process == *node);
        packets.rfind(|initial| initial.tgt.port.as_str().eq_ignore_ascii_case(port))
    };
    let (delay, times) = (said(DELAY), said(RETRIES));
    if delay.is_none() && times.is_none() {
        return Ok(None);
    }
    let delay = delay.map_or(Ok(DEFAULT.delay), |packet| {
        duration(&packet.data).filter(|delay| !delay.is_zero() && *delay <= MAX_DELAY).ok_or_else(|| {
            format!(
                "DELAY of `{node}` is {}: say a time from 1 ms to 7 days, as 30, '30s' or '5min'",
                packet.data
            )
        })
    })?;
    let times = times.map_or(Ok(DEFAULT.times), |packet| {
        let number = number(&packet.data).and_then(|number| u8::try_from(number).ok());
        number.filter(|times| (1..=Retry::MOST).contains(times)).ok_or_else(|| {
            format!("RETRIES of `{node}` is {}: say a number from 1 to {}", packet.data, Retry::MOST)
        })
    })?;
    Ok(Some(Retry { delay, times }))
}

fn number(data: &Value) -> Option<u64> {
    data.as_u64().or_else(|| data.as_str()?.trim().parse().ok())
}

/// Seconds, or a text with a unit.
fn duration(data: &Value) -> Option<Duration> {
    let seconds = |number: f64| Duration::try_from_secs_f64(number).ok();
    if let Some(number) = data.as_f64() {
        return seconds(number);
    }
    let text = data.as_str()?.trim();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = text[..text.len() - unit.len()].parse().ok()?;
    match unit.trim() {
        "ms" => seconds(number / 1000.0),
        "" | "s" => seconds(number),
        "min" => seconds(number * 60.0),
        "h" => seconds(number * 3600.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Result<Option<Retry>, String> {
        let graph =
            fbp::parse(&format!("a(A) OUT -> IN jobs(msgflo/RoundRobin) OUT -> IN b(B)\n{text}")).unwrap();
        of(&graph, "jobs")
    }

    fn retry(milliseconds: u64, times: u8) -> Result<Option<Retry>, String> {
        Ok(Some(Retry { delay: Duration::from_millis(milliseconds), times }))
    }

    #[test]
    fn a_delay_is_seconds_or_has_a_unit() {
        assert_eq!(said(""), Ok(None));
        for (text, milliseconds) in
            [("30", 30_000), ("1.5", 1_500), ("250ms", 250), ("5 min", 300_000), ("2h", 7_200_000)]
        {
            assert_eq!(
                said(&format!("'{text}' -> DELAY jobs\n'5' -> RETRIES jobs")),
                retry(milliseconds, 5),
                "{text}"
            );
        }
        assert_eq!(said("'20s' -> delay jobs"), retry(20_000, 3));
        assert_eq!(said("'7' -> RETRIES jobs"), retry(10_000, 7));
    }

    #[test]
    fn what_cannot_be_is_said() {
        for text in
            ["'soon' -> DELAY jobs", "'0' -> DELAY jobs", "'8 days' -> DELAY jobs", "'200h' -> DELAY jobs"]
        {
            assert!(said(text).unwrap_err().starts_with("DELAY of `jobs` is"), "{text}");
        }
        for text in ["'0' -> RETRIES jobs", "'33' -> RETRIES jobs", "'often' -> RETRIES jobs"] {
            assert!(said(text).unwrap_err().starts_with("RETRIES of `jobs` is"), "{text}");
        }
    }
}
