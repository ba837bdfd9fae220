//! Moments and spans of time as people write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use guv::Timestamp;

/// A span: a number with s, m, h or d; without a unit, seconds.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(format!("`{text}` is not a span of time such as 90s, 15m, 6h or 7d")),
    };
    let number: f64 =
        digits.parse().map_err(|_| format!("`{text}` is not a span of time such as 90s or 6h"))?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| format!("`{text}` is not a span of time"))
}

/// A moment: RFC 3339, Unix seconds, or a span that counts back from now.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        let milliseconds = u64::try_from(moment.as_millisecond()).map_err(|_| "before 1970".to_owned())?;
        return Ok(Timestamp::since_epoch(Duration::from_millis(milliseconds)));
    }
    if let Some(seconds) = text.parse::<u64>().ok().filter(|seconds| *seconds > 100_000_000) {
        return Ok(Timestamp::from_unix_seconds(seconds));
    }
    let back = span(text).map_err(|_| {
        format!(
            "`{text}` is neither a time such as 2026-03-01T08:00:00Z, nor Unix seconds, nor a span such as 6h"
        )
    })?;
    Ok(Timestamp::since_epoch(now().as_duration().saturating_sub(back)))
}

/// Now.
pub(crate) fn now() -> Timestamp {
    Timestamp::since_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The last moment of a whole second, which is how moments are shown; another one as it is.
pub(crate) fn end_of_second(at: Timestamp) -> Timestamp {
    if at.as_duration().subsec_nanos() == 0 { at + Duration::from_millis(999) } else { at }
}

/// A moment for people.
pub(crate) fn shown(at: Timestamp) -> String {
    let milliseconds = i64::try_from(at.as_duration().as_millis()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(milliseconds) {
        Ok(moment) => format!("{moment:.0}"),
        Err(_) => format!("{} s", at.as_duration().as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_moments() {
        assert_eq!(span("90").unwrap(), Duration::from_secs(90));
        assert_eq!(span("1.5h").unwrap(), Duration::from_secs(5400));
        assert_eq!(span("7d").unwrap(), Duration::from_secs(7 * 86_400));
        assert!(span("7 weeks").is_err() && span("-1h").is_err() && span("h").is_err());
        assert_eq!(moment("1795320358").unwrap(), Timestamp::from_unix_seconds(1_795_320_358));
        assert_eq!(moment("2026-03-02T08:00:00Z").unwrap(), Timestamp::from_unix_seconds(1_772_438_400));
        assert_eq!(shown(Timestamp::from_unix_seconds(1_772_438_400)), "2026-03-02T08:00:00Z");
        assert!(moment("1h").unwrap() < now());
        assert!(moment("yesterday").is_err());
    }
}
