//! Limits that hold at certain times, in a time zone.
//!
//! A time is written as days and hours, `mon-fri 08:00-18:00` (either may be left out; hours that end before they
//! begin run past midnight and belong to the day on which they begin), or as the five fields of a crontab,
//! `*/15 8-17 * * mon-fri`, which hold during every minute that matches. Whether one holds is a function of the
//! local time, so that a change to summer time shifts nothing.

use std::fmt;

use jiff::Zoned;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::{Timestamp, WorkerLimits};

/// Other limits at other times.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    zone: TimeZone,
    rules: Vec<Rule>,
}

/// Limits while a time holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// When.
    pub when: When,
    /// Fewest workers then; `None` leaves it as it is otherwise.
    pub minimum: Option<u32>,
    /// Most workers then.
    pub maximum: Option<u32>,
}

/// A time that comes again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct When(Pattern);

#[derive(Clone, Debug, PartialEq)]
enum Pattern {
    /// Bit 0 of `days` is Sunday; minutes of the day, the end excluded.
    Hours { days: u8, from: u16, to: u16 },
    /// A bit for every value that matches.
    Crontab {
        minutes: u64,
        hours: u64,
        days: u64,
        months: u64,
        weekdays: u64,
        any_day: bool,
        any_weekday: bool,
    },
}

/// Text that is no such time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTime(String);

impl fmt::Display for BadTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadTime {}

const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const MINUTES_OF_DAY: u16 = 24 * 60;

impl Schedule {
    /// Rules of which the last that holds wins, in this time zone.
    pub fn new(zone: TimeZone, rules: Vec<Rule>) -> Self {
        Self { zone, rules }
    }

    /// The limits in force now, given those that hold otherwise.
    pub fn limits(&self, otherwise: WorkerLimits, now: Timestamp) -> WorkerLimits {
        let milliseconds = i64::try_from(now.as_duration().as_millis()).unwrap_or(i64::MAX);
        let Ok(instant) = jiff::Timestamp::from_millisecond(milliseconds) else {
            return otherwise;
        };
        let local = instant.to_zoned(self.zone.clone());
        self.rules.iter().filter(|rule| rule.when.holds(&local)).fold(otherwise, |limits, rule| {
            WorkerLimits {
                minimum: rule.minimum.unwrap_or(limits.minimum),
                maximum: rule.maximum.unwrap_or(limits.maximum),
            }
        })
    }
}

/// The time zone of this name, out of the database that is part of the program.
pub(crate) fn time_zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// The names of all time zones.
pub(crate) fn time_zones() -> impl Iterator<Item = String> {
    TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect::<Vec<_>>().into_iter()
}

impl When {
    /// Reads a time.
    ///
    /// # Errors
    /// Says which part of it is wrong.
    pub fn parse(text: &str) -> Result<Self, BadTime> {
        let words: Vec<_> = text.split_whitespace().collect();
        let all_days = 0b111_1111;
        let pattern = match words.as_slice() {
            [minutes, hours, days, months, weekdays] => Pattern::Crontab {
                minutes: field(minutes, 0, 59, &[])?,
                hours: field(hours, 0, 23, &[])?,
                days: field(days, 1, 31, &[])?,
                months: field(months, 1, 12, &MONTHS)?,
                weekdays: sunday(field(weekdays, 0, 7, &DAYS)?),
                any_day: days.starts_with('*'),
                any_weekday: weekdays.starts_with('*'),
            },
            [one] if one.contains(':') => {
                let (from, to) = hours(one)?;
                Pattern::Hours { days: all_days, from, to }
            }
            [one] => Pattern::Hours { days: weekdays(one)?, from: 0, to: MINUTES_OF_DAY },
            [days, range] => {
                let (from, to) = hours(range)?;
                Pattern::Hours { days: weekdays(days)?, from, to }
            }
            _ => {
                return Err(BadTime(format!(
                    "`{text}` is neither days and hours nor the five fields of a crontab"
                )));
            }
        };
        Ok(Self(pattern))
    }

    /// Whether it holds at this local time.
    fn holds(&self, local: &Zoned) -> bool {
        let today = u32::from(local.weekday().to_sunday_zero_offset().unsigned_abs());
        let (hour, minute) =
            (u32::from(local.hour().unsigned_abs()), u32::from(local.minute().unsigned_abs()));
        let has = |set: u64, bit: u32| set >> bit & 1 == 1;
        match self.0 {
            Pattern::Hours { days, from, to } => {
                let now = (hour * 60 + minute) as u16;
                let on = |day: u32| has(u64::from(days), day);
                if from < to {
                    on(today) && (from..to).contains(&now)
                } else {
                    // Past midnight it still is the evening before.
                    on(today) && now >= from || on((today + 6) % 7) && now < to
                }
            }
            Pattern::Crontab { minutes, hours, days, months, weekdays, any_day, any_weekday } => {
                let (day, month) =
                    (u32::from(local.day().unsigned_abs()), u32::from(local.month().unsigned_abs()));
                let (by_day, by_weekday) = (has(days, day), has(weekdays, today));
                // As cron has it: when both are restricted, either will do.
                let right_day =
                    if any_day || any_weekday { by_day && by_weekday } else { by_day || by_weekday };
                has(minutes, minute) && has(hours, hour) && has(months, month) && right_day
            }
        }
    }
}

fn weekdays(text: &str) -> Result<u8, BadTime> {
    // Eight bits, of which Sunday has two.
    Ok(sunday(field(text, 0, 7, &DAYS)?) as u8)
}

/// Sunday is 0, and 7 too.
fn sunday(days: u64) -> u64 {
    (days | days >> 7) & 0b111_1111
}

/// `08:30-17:45` as minutes of the day.
fn hours(text: &str) -> Result<(u16, u16), BadTime> {
    let wrong = || BadTime(format!("`{text}` is not a range of hours like 08:30-17:45"));
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour <= 24 && minute < 60 && hour * 60 + minute <= MINUTES_OF_DAY).then(|| hour * 60 + minute)
    };
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let (from, to) = (minute(from).ok_or_else(wrong)?, minute(to).ok_or_else(wrong)?);
    if from == to || from == MINUTES_OF_DAY {
        return Err(wrong());
    }
    Ok((from, to))
}

/// One field of a crontab: `*`, `5`, `1-5`, `*/15`, `mon-fri`, or several of these with commas.
fn field(text: &str, low: u32, high: u32, names: &[&str]) -> Result<u64, BadTime> {
    let wrong = |what: &str| {
        let names = if names.is_empty() { String::new() } else { format!(" or {}", names.join(", ")) };
        BadTime(format!("`{what}` is not {low} to {high}{names}"))
    };
    let value = |text: &str| {
        let named = names.iter().position(|name| text.to_lowercase() == *name);
        // Names count from the lowest value: Sunday from 0, January from 1.
        let number = named.map(|index| index as u32 + low).or_else(|| text.parse().ok());
        number.filter(|n| (low..=high).contains(n)).ok_or_else(|| wrong(text))
    };
    let mut set = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (
                range,
                step.parse().ok().filter(|step| (1..=high).contains(step)).ok_or_else(|| wrong(part))?,
            ),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (value(from)?, value(to)?),
            None if step > 1 => (value(range)?, high),
            None => (value(range)?, value(range)?),
        };
        // Friday to Monday runs over the end of the week.
        let span = if from <= to { to - from } else { to + high.min(6) + 1 - from };
        if from > to && names.len() != DAYS.len() {
            return Err(wrong(part));
        }
        for offset in (0..=span).step_by(step as usize) {
            let bit = from + offset;
            set |= 1 << if bit > high { bit - high.min(6) - 1 } else { bit };
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let zoned: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_unix_seconds(zoned.as_second().unsigned_abs())
    }

    fn holds(when: &str, zone: &str, moment: &str) -> bool {
        let rule = Rule { when: When::parse(when).unwrap(), minimum: Some(7), maximum: None };
        let schedule = Schedule::new(time_zone(zone).unwrap(), vec![rule]);
        let limits = schedule.limits(WorkerLimits { minimum: 0, maximum: 9 }, at(moment));
        assert_eq!(limits.maximum, 9);
        limits.minimum == 7
    }

    #[test]
    fn days_and_hours_hold_in_their_time_zone() {
        // A Monday.
        assert!(holds("mon-fri 08:00-18:00", "UTC", "2026-03-02T08:00:00Z"));
        assert!(!holds("mon-fri 08:00-18:00", "UTC", "2026-03-02T18:00:00Z"));
        assert!(holds("mon-fri 08:00-18:00", "Europe/Oslo", "2026-03-02T07:00:00Z"));
        // In summer it is an hour earlier.
        assert!(holds("mon-fri 08:00-18:00", "Europe/Oslo", "2026-07-06T06:00:00Z"));
        assert!(!holds("mon-fri 08:00-18:00", "Europe/Oslo", "2026-03-02T06:59:59Z"));
        assert!(!holds("mon-fri", "UTC", "2026-03-01T12:00:00Z"));
        assert!(holds("fri-mon", "UTC", "2026-03-01T12:00:00Z"));
        assert!(!holds("fri-mon", "UTC", "2026-03-03T12:00:00Z"));
        assert!(holds("sat,sun", "UTC", "2026-03-01T12:00:00Z"));
    }

    #[test]
    fn hours_past_midnight_belong_to_the_day_on_which_they_begin() {
        for (moment, expected) in [
            ("2026-03-06T22:00:00Z", true), // Friday evening
            ("2026-03-07T05:59:00Z", true), // and what follows
            ("2026-03-07T06:00:00Z", false),
            ("2026-03-06T05:59:00Z", false), // Thursday's night is not one of them
            ("2026-03-07T22:00:00Z", false),
        ] {
            assert_eq!(holds("fri 22:00-06:00", "UTC", moment), expected, "{moment}");
        }
        assert!(holds("18:00-24:00", "UTC", "2026-03-06T23:59:00Z"));
    }

    #[test]
    fn a_crontab_holds_during_the_minutes_that_match() {
        assert!(holds("*/15 8-17 * * mon-fri", "UTC", "2026-03-02T08:45:59Z"));
        assert!(!holds("*/15 8-17 * * mon-fri", "UTC", "2026-03-02T08:46:00Z"));
        assert!(holds("* * 24-31 dec *", "UTC", "2026-12-26T00:00:00Z"));
        // Either day will do when both are given.
        assert!(holds("* * 1 * mon", "UTC", "2026-03-02T00:00:00Z"));
        assert!(holds("* * 1 * mon", "UTC", "2026-03-01T00:00:00Z"));
        assert!(!holds("* * 1 * mon", "UTC", "2026-03-03T00:00:00Z"));
        assert!(holds("0 0 * * 7", "UTC", "2026-03-01T00:00:00Z"));
    }

    #[test]
    fn what_is_no_time_says_which_part() {
        let said = |text| When::parse(text).unwrap_err().to_string();
        assert_eq!(said("60 * * * *"), "`60` is not 0 to 59");
        assert_eq!(said("never 08:00-09:00"), "`never` is not 0 to 7 or sun, mon, tue, wed, thu, fri, sat");
        assert_eq!(said("mon 8-9"), "`8-9` is not a range of hours like 08:30-17:45");
        assert_eq!(said("mon 08:00-08:00"), "`08:00-08:00` is not a range of hours like 08:30-17:45");
        assert_eq!(said("a b c"), "`a b c` is neither days and hours nor the five fields of a crontab");
        assert_eq!(said("5-1 * * * *"), "`5-1` is not 0 to 59");
        assert!(When::parse("99999999999:00-1:00").is_err());
    }

    #[test]
    fn of_several_that_hold_the_last_wins() {
        let rule = |when: &str, minimum, maximum| Rule { when: When::parse(when).unwrap(), minimum, maximum };
        let rules = vec![rule("mon", Some(3), Some(20)), rule("12:00-13:00", Some(1), None)];
        let schedule = Schedule::new(TimeZone::UTC, rules);
        let otherwise = WorkerLimits { minimum: 0, maximum: 5 };
        let limits = |moment| {
            let limits = schedule.limits(otherwise, at(moment));
            (limits.minimum, limits.maximum)
        };
        assert_eq!(limits("2026-03-02T12:30:00Z"), (1, 20));
        assert_eq!(limits("2026-03-02T13:30:00Z"), (3, 20));
        assert_eq!(limits("2026-03-03T13:30:00Z"), (0, 5));
    }
}
