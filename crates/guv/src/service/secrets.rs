//! What must not be read from a stolen file: tokens are kept as hashes, everything else sealed.
//!
//! A token is 256 random bits, so that its plain SHA-256 is safe to keep: there is nothing to guess. Texts are sealed
//! with ChaCha20-Poly1305 (RFC 8439) under a random nonce, bound to the place where they are kept, so that one
//! cannot be put in the place of another.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// The key that everything is sealed with.
pub struct SealingKey(LessSafeKey);

/// Something sealed cannot be opened, or a key is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not 64 hexadecimal digits.
    #[error("the key must be 64 hexadecimal digits; make one with `openssl rand -hex 32`")]
    BadKey,
    /// Another key, or another place, or it was changed.
    #[error("it was sealed with another key, or has been changed")]
    Unsealed,
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// A token, only ever shown when it is made.
pub struct Token(String);

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; 32]);

impl SealingKey {
    /// Reads a key: 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::BadKey`] when it is something else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = unhex(text.trim()).ok_or(Error::BadKey)?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| Error::BadKey)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals a text for one place.
    pub(super) fn seal(&self, place: &str, text: &str) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| Error::NoRandomness)?;
        let mut sealed = text.as_bytes().to_vec();
        let (unique, place) = (Nonce::assume_unique_for_key(nonce), Aad::from(place.as_bytes()));
        self.0.seal_in_place_append_tag(unique, place, &mut sealed).map_err(|_| Error::Unsealed)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens what was sealed for this place.
    pub(super) fn open(&self, place: &str, sealed: &[u8]) -> Result<String, Error> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(Error::Unsealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Unsealed)?;
        let mut text = text.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(place.as_bytes()), &mut text);
        let opened = opened.map_err(|_| Error::Unsealed)?;
        String::from_utf8(opened.to_vec()).map_err(|_| Error::Unsealed)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(***)")
    }
}

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// [`Error::NoRandomness`] when the system has none.
    pub fn new() -> Result<Self, Error> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self(format!("guv_{digits}")))
    }

    /// The token itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &str) -> Self {
        let hash = digest(&SHA256, token.as_bytes());
        Self(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its first digits, by which a token is named.
    pub(super) fn id(&self) -> String {
        self.0.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_in_its_place_only() {
        let key = SealingKey::parse(&"0f".repeat(32)).unwrap();
        let sealed = key.seal("a", "hunter2").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
        assert_eq!(key.open("a", &sealed).as_deref(), Ok("hunter2"));
        assert_eq!(key.open("b", &sealed), Err(Error::Unsealed));
        assert_eq!(SealingKey::parse(&"0e".repeat(32)).unwrap().open("a", &sealed), Err(Error::Unsealed));
        assert_eq!(key.open("a", &sealed[..5]), Err(Error::Unsealed));
        assert_ne!(key.seal("a", "hunter2").unwrap(), sealed, "a nonce is used once");
    }

    #[test]
    fn a_key_is_64_digits() {
        assert!(SealingKey::parse("12").is_err() && SealingKey::parse(&"é".repeat(32)).is_err());
    }
}
