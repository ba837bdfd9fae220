//! Who plays what: the options, checked against the participants that a program has.

use std::time::Duration;

use msgflo_core::{ParticipantId, Role, discovery};
use uuid::Uuid;

use crate::{Error, Options, Participant};

/// Supervisors tend to kill after 30 seconds, so that this leaves time to leave in order.
const GRACE: Duration = Duration::from_secs(25);
/// By specification a participant announces itself somewhat more than twice a period.
const ANNOUNCEMENTS_PER_PERIOD: f64 = 2.2;

/// Checked options: who plays what.
#[derive(Debug)]
pub(crate) struct Cast {
    pub(crate) players: Vec<Player>,
    pub(crate) announce_every: Duration,
    pub(crate) grace: Duration,
}

/// A participant with its role and its identity.
#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) participant: Participant,
    pub(crate) role: Role,
    pub(crate) id: ParticipantId,
}

impl Cast {
    /// Which of `participants` plays what.
    ///
    /// # Errors
    /// [`Error::Config`] with everything that is wrong.
    pub(crate) fn new(options: &Options, participants: Vec<Participant>) -> Result<Self, Error> {
        let mut problems: Vec<_> = participants.iter().flat_map(Participant::problems).collect();
        let names: Vec<_> = participants.iter().map(|participant| participant.default_role.clone()).collect();
        problems.extend(repeated(&names).map(|name| {
            format!(
                "two participants have the role `{name}` by default: give them different ones in the program"
            )
        }));
        let roles = assign("--role", &options.role, &names, &mut problems);
        let ids = assign("--id", &options.id, &names, &mut problems);
        let assigned = participants.into_iter().zip(roles.into_iter().zip(ids));
        let players = assigned.map(|(participant, (role, id))| {
            let role = role.map_or_else(|| participant.default_role.clone(), Role::from);
            let id = id.map_or_else(|| format!("{role}-{}", Uuid::new_v4()), str::to_owned);
            Player { participant, role, id: ParticipantId::from(id) }
        });
        let players: Vec<_> = players.collect();
        if players.is_empty() {
            problems.push("there is no participant to run".into());
        }
        if problems.is_empty() {
            let roles: Vec<_> = players.iter().map(|player| player.role.clone()).collect();
            problems.extend(repeated(&roles).map(|role| {
                format!("two participants are to play `{role}`: give them different roles with --role")
            }));
        }
        if !problems.is_empty() {
            return Err(Error::Config { problems });
        }
        let period = options.discovery_period.unwrap_or(discovery::PERIOD);
        Ok(Self {
            players,
            announce_every: period.div_f64(ANNOUNCEMENTS_PER_PERIOD),
            grace: options.grace.unwrap_or(GRACE),
        })
    }
}

/// Those of `names` that were there before.
fn repeated(names: &[Role]) -> impl Iterator<Item = &Role> {
    let again = |(at, name): (usize, _)| names[..at].contains(name).then_some(name);
    names.iter().enumerate().filter_map(again)
}

/// For each of `names` the value that `given`, as `NAME=VALUE` or just `VALUE` where there is one name, has for it.
fn assign<'a>(
    option: &str,
    given: &'a [String],
    names: &[Role],
    problems: &mut Vec<String>,
) -> Vec<Option<&'a str>> {
    let mut values = vec![None; names.len()];
    let known = names.iter().map(Role::as_str).collect::<Vec<_>>().join(", ");
    for text in given {
        let (at, value) = match text.split_once('=') {
            Some((name, value)) => (names.iter().position(|known| known == name), value),
            None if names.len() == 1 => (Some(0), text.as_str()),
            None => (None, text.as_str()),
        };
        let problem = match at {
            None => format!(
                "`{option} {text}` does not say whose: write THIS=VALUE, where THIS is one of {known}"
            ),
            Some(_) if value.is_empty() => format!("`{option} {text}` is empty: give a name"),
            Some(at) if values[at].is_some() => {
                format!("`{option} {text}` is the second for `{}`: give one", names[at])
            }
            Some(at) => {
                values[at] = Some(value);
                continue;
            }
        };
        problems.push(problem);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast(options: &Options, roles: &[&str]) -> Result<Vec<String>, Vec<String>> {
        let participants = roles.iter().map(|role| Participant::new("a/A").role(*role)).collect();
        match Cast::new(options, participants) {
            Ok(cast) => Ok(cast.players.iter().map(|player| player.role.to_string()).collect()),
            Err(Error::Config { problems }) => Err(problems),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn one_participant_takes_the_role_as_it_is() {
        assert_eq!(cast(&Options::default(), &["A"]), Ok(vec!["A".into()]));
        assert_eq!(cast(&Options::default().role("resize"), &["A"]), Ok(vec!["resize".into()]));
        assert_eq!(cast(&Options::default().role("A=resize"), &["A"]), Ok(vec!["resize".into()]));
    }

    #[test]
    fn several_participants_are_told_apart_by_their_default_roles() {
        let options = Options::default().role("web=frontend");
        assert_eq!(cast(&options, &["web", "store"]), Ok(vec!["frontend".into(), "store".into()]));
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let options =
            Options::default().role("frontend").role("shop=x").role("web=a").role("web=b").id("store=");
        let problems = cast(&options, &["web", "store"]).expect_err("wrong");
        assert_eq!(problems.len(), 4, "{problems:#?}");
        assert!(problems[0].contains("web, store"), "{problems:#?}");
    }

    #[test]
    fn a_role_is_played_by_one_participant_of_a_process() {
        let problems = cast(&Options::default().role("web=store"), &["web", "store"]).expect_err("wrong");
        assert_eq!(problems.len(), 1, "{problems:#?}");
    }

    #[test]
    fn a_default_id_is_the_role_and_something_unique() {
        let players =
            || Cast::new(&Options::default(), vec![Participant::new("a/A")]).expect("a cast").players;
        let (one, two) = (players(), players());
        assert!(one[0].id.as_str().starts_with("A-"));
        assert_ne!(one[0].id, two[0].id);
    }
}
