//! Message properties as raw bytes.
//!
//! [`scan`] walks the 14 optional properties of `basic` content once and notes those that the broker acts on;
//! [`rewrite`] copies them with other headers. All the rest stays as the publisher wrote it.

use bytes::Bytes;

use super::table::{self, Malformed};

/// The properties in wire order: the flag is bit `15 - index`.
const KINDS: [Kind; 14] = [
    Kind::Short, // content-type
    Kind::Short, // content-encoding
    Kind::Table, // headers
    Kind::Octet, // delivery-mode
    Kind::Octet, // priority
    Kind::Short, // correlation-id
    Kind::Short, // reply-to
    Kind::Short, // expiration
    Kind::Short, // message-id
    Kind::Stamp, // timestamp
    Kind::Short, // type
    Kind::Short, // user-id
    Kind::Short, // app-id
    Kind::Short, // cluster-id
];
const HEADERS: usize = 2;
const DELIVERY_MODE: usize = 3;
const PRIORITY: usize = 4;
const EXPIRATION: usize = 7;
const TIMESTAMP: usize = 9;
const USER_ID: usize = 11;

#[derive(Clone, Copy)]
enum Kind {
    Short,
    Table,
    Octet,
    Stamp,
}

/// What the broker looks at, borrowed from the raw properties.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Properties<'a> {
    /// The entries of the headers table (without its length).
    pub(crate) headers: Option<&'a [u8]>,
    /// 2 means persistent.
    pub(crate) delivery_mode: Option<u8>,
    /// Priority as sent, not yet capped by a queue.
    pub(crate) priority: Option<u8>,
    /// Time to live as decimal text, in milliseconds.
    pub(crate) expiration: Option<&'a [u8]>,
    /// When it was sent (seconds since 1970).
    pub(crate) timestamp: Option<u64>,
    /// The user that the publisher claims to be.
    pub(crate) user_id: Option<&'a [u8]>,
}

/// Splits raw properties into their flags and fields.
fn fields(raw: &[u8]) -> Result<(u16, [&[u8]; KINDS.len()]), Malformed> {
    let (flags, mut rest) = raw.split_first_chunk::<2>().ok_or(Malformed)?;
    let flags = u16::from_be_bytes(*flags);
    if flags & 0b11 != 0 {
        // Continuation flags announce properties that 0-9-1 does not have.
        return Err(Malformed);
    }
    let mut found = [&[][..]; KINDS.len()];
    for (index, kind) in KINDS.into_iter().enumerate() {
        if flags & (1 << (15 - index)) == 0 {
            continue;
        }
        let after = match kind {
            Kind::Short => table::short_string(rest)?.1,
            Kind::Table => table::long_string(rest)?.1,
            Kind::Octet => rest.get(1..).ok_or(Malformed)?,
            Kind::Stamp => rest.get(8..).ok_or(Malformed)?,
        };
        found[index] = &rest[..rest.len() - after.len()];
        rest = after;
    }
    if rest.is_empty() { Ok((flags, found)) } else { Err(Malformed) }
}

/// Checks raw properties (flags first, nothing after the last one) and notes what the broker acts on.
pub(crate) fn scan(raw: &[u8]) -> Result<Properties<'_>, Malformed> {
    if raw == [0, 0] {
        return Ok(Properties::default());
    }
    let (flags, found) = fields(raw)?;
    let present = |index: usize| (flags & (1 << (15 - index)) != 0).then(|| found[index]);
    let headers = present(HEADERS).map(|field| &field[4..]);
    if let Some(headers) = headers {
        table::check(headers)?;
    }
    Ok(Properties {
        headers,
        delivery_mode: present(DELIVERY_MODE).map(|field| field[0]),
        priority: present(PRIORITY).map(|field| field[0]),
        expiration: present(EXPIRATION).map(|field| &field[1..]),
        timestamp: present(TIMESTAMP).and_then(|field| field.try_into().ok()).map(u64::from_be_bytes),
        user_id: present(USER_ID).map(|field| &field[1..]),
    })
}

/// Copies checked properties with the given headers (entries, without length) in place of the old ones, and without
/// the expiration if so asked.
pub(crate) fn rewrite(raw: &[u8], headers: &[u8], keep_expiration: bool) -> Bytes {
    let (mut flags, found) = fields(raw).expect("properties are checked when a message is accepted");
    flags |= 1 << (15 - HEADERS);
    if !keep_expiration {
        flags &= !(1 << (15 - EXPIRATION));
    }
    let mut out = Vec::with_capacity(raw.len() + headers.len() + 8);
    out.extend_from_slice(&flags.to_be_bytes());
    for (index, field) in found.into_iter().enumerate() {
        if index == HEADERS {
            let length =
                u32::try_from(headers.len()).expect("headers come from one frame and grow by a few entries");
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(headers);
        } else if index != EXPIRATION || keep_expiration {
            out.extend_from_slice(field);
        }
    }
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use amq_protocol::protocol::basic::{AMQPProperties, gen_properties};
    use amq_protocol::types::{AMQPValue, FieldTable};

    use super::*;

    fn raw(properties: &AMQPProperties) -> Vec<u8> {
        gen_properties(properties)(Vec::new().into()).unwrap().into_inner().0
    }

    fn full() -> AMQPProperties {
        let mut headers = FieldTable::default();
        headers.insert("k".into(), AMQPValue::LongInt(1));
        AMQPProperties::default()
            .with_content_type("text/plain".into())
            .with_headers(headers)
            .with_delivery_mode(2)
            .with_priority(5)
            .with_correlation_id("c".into())
            .with_expiration("1000".into())
            .with_timestamp(12)
            .with_user_id("guest".into())
            .with_app_id("a".into())
    }

    #[test]
    fn scans_what_the_codec_writes() {
        let raw = raw(&full());
        let found = scan(&raw).unwrap();
        assert_eq!(found.delivery_mode, Some(2));
        assert_eq!(found.priority, Some(5));
        assert_eq!(found.expiration, Some(&b"1000"[..]));
        assert_eq!(found.user_id, Some(&b"guest"[..]));
        assert_eq!(
            table::find(found.headers.unwrap(), "k").and_then(table::value),
            Some(AMQPValue::LongInt(1))
        );
    }

    #[test]
    fn every_cut_is_malformed() {
        let raw = raw(&full());
        for cut in 0..raw.len() {
            assert_eq!(scan(&raw[..cut]), Err(Malformed), "cut at {cut}");
        }
        let mut long = raw;
        long.push(0);
        assert_eq!(scan(&long), Err(Malformed));
    }

    #[test]
    fn rewrite_keeps_everything_else() {
        let raw = raw(&full());
        let headers = scan(&raw).unwrap().headers.unwrap().to_vec();
        assert_eq!(rewrite(&raw, &headers, true), raw);
        let without = rewrite(&raw, &headers, false);
        let found = scan(&without).unwrap();
        assert_eq!(found.expiration, None);
        assert_eq!(found.user_id, Some(&b"guest"[..]));
    }

    #[test]
    fn binary_correlation_id_passes() {
        let raw = [0b0000_0100, 0, 2, 0xff, 0xfe];
        assert!(scan(&raw).is_ok());
    }
}
