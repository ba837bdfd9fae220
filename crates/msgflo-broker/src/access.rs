//! Who may connect, and to which virtual hosts.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

use crate::options::Credentials;

/// The length of the salt before RabbitMQ's password hashes (bytes).
const SALT: usize = 4;

/// A user that may connect.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    name: String,
    secret: Secret,
    /// `None`: all virtual hosts.
    vhosts: Option<Vec<String>>,
}

#[derive(Clone, PartialEq, Eq)]
enum Secret {
    Password(String),
    /// As RabbitMQ keeps it: salt, and SHA-256 of salt and password.
    Hash(Vec<u8>),
}

impl User {
    /// A user of all virtual hosts.
    pub fn new(credentials: Credentials) -> Self {
        let Credentials { user, password } = credentials;
        Self { name: user, secret: Secret::Password(password), vhosts: None }
    }

    /// A user of no virtual host yet, with RabbitMQ's `password_hash` (`rabbit_password_hashing_sha256`); `None` if that
    /// is no such hash.
    pub fn hashed(name: &str, password_hash: &str) -> Option<Self> {
        let hash = STANDARD.decode(password_hash).ok()?;
        let is_hash = hash.len() == SALT + digest::SHA256_OUTPUT_LEN;
        is_hash.then(|| Self { name: name.to_owned(), secret: Secret::Hash(hash), vhosts: Some(Vec::new()) })
    }

    /// A user of no virtual host yet.
    pub fn with_password(name: &str, password: &str) -> Self {
        let secret = Secret::Password(password.to_owned());
        Self { name: name.to_owned(), secret, vhosts: Some(Vec::new()) }
    }

    /// Lets the user open a virtual host.
    #[must_use]
    pub fn may_open(mut self, vhost: &str) -> Self {
        if let Some(vhosts) = &mut self.vhosts {
            vhosts.push(vhost.to_owned());
        }
        self
    }

    /// The user's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn knows(&self, password: &[u8]) -> bool {
        match &self.secret {
            Secret::Password(right) => constant_time_eq(password, right.as_bytes()),
            Secret::Hash(hash) => {
                let (salt, right) = hash.split_at(SALT);
                let mut context = digest::Context::new(&digest::SHA256);
                context.update(salt);
                context.update(password);
                constant_time_eq(context.finish().as_ref(), right)
            }
        }
    }

    /// Whether everybody knows the password.
    fn is_default(&self) -> bool {
        *self == Self::new(Credentials::default())
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("vhosts", &self.vhosts).finish_non_exhaustive()
    }
}

/// All users.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    users: BTreeMap<String, User>,
}

impl Access {
    pub(crate) fn new(users: impl IntoIterator<Item = User>) -> Self {
        Self { users: users.into_iter().map(|user| (user.name.clone(), user)).collect() }
    }

    /// Whether anybody could come in from another machine.
    pub(crate) fn is_open(&self) -> bool {
        self.users.is_empty() || self.users.values().any(User::is_default)
    }

    /// The user, if the password is right. The well-known one is for peers on this machine only.
    pub(crate) fn authenticate(&self, user: &[u8], password: &[u8], local: bool) -> Option<&User> {
        let user = self.users.get(str::from_utf8(user).ok()?)?;
        (user.knows(password) && (local || !user.is_default())).then_some(user)
    }

    /// Whether a user may open a virtual host.
    pub(crate) fn may_open(&self, user: &str, vhost: &str) -> bool {
        let allowed = self.users.get(user).map(|user| &user.vhosts);
        allowed.is_some_and(|vhosts| {
            vhosts.as_ref().is_none_or(|vhosts| vhosts.iter().any(|name| name == vhost))
        })
    }

    /// The users' names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(String::as_str)
    }
}

/// Compares without telling by its duration where the first difference is.
fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_hashes_open_what_they_should() {
        let salt_and_hash = {
            let mut context = digest::Context::new(&digest::SHA256);
            context.update(b"saltsecret");
            [b"salt".as_slice(), context.finish().as_ref()].concat()
        };
        let hashed = User::hashed("ann", &STANDARD.encode(salt_and_hash)).expect("a hash").may_open("team");
        let access = Access::new([hashed, User::with_password("bob", "pass").may_open("/")]);
        let may = |user: &str, password: &str| {
            access.authenticate(user.as_bytes(), password.as_bytes(), false).is_some()
        };
        assert!(may("ann", "secret") && may("bob", "pass"));
        assert!(!may("ann", "pass") && !may("bob", "") && !may("eve", "secret"));
        assert!(access.may_open("ann", "team") && !access.may_open("ann", "/"));
        assert!(!access.is_open());
        assert!(User::hashed("ann", "bm8=").is_none());
    }

    #[test]
    fn the_known_password_is_for_this_machine() {
        let access = Access::new([User::new(Credentials::default())]);
        assert!(access.is_open());
        assert!(access.authenticate(b"guest", b"guest", true).is_some());
        assert!(access.authenticate(b"guest", b"guest", false).is_none());
        assert!(access.may_open("guest", "any"));
    }
}
