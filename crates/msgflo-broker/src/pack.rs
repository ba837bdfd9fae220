//! The fields of stored records: numbers in big endian, texts and bytes behind their length.

use amq_protocol::types::FieldTable;
use amq_protocol::types::generation::gen_field_table;
use amq_protocol::types::parsing::parse_field_table;
use thiserror::Error;

/// A record that ends before its last field, or has one that means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("malformed record")]
pub(crate) struct Malformed;

/// Appends a text or bytes behind their length.
pub(crate) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("a message is smaller than 4 GB");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a number that may be missing.
pub(crate) fn optional(out: &mut Vec<u8>, number: Option<u64>) {
    out.push(u8::from(number.is_some()));
    out.extend_from_slice(&number.unwrap_or(0).to_be_bytes());
}

/// Appends a number in as few bytes as it needs, seven bits each, the low ones first.
pub(crate) fn short(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a table.
pub(crate) fn table(out: &mut Vec<u8>, table: &FieldTable) {
    let context = gen_field_table(table)(Vec::new().into()).expect("writing to a vector cannot fail");
    out.extend_from_slice(&context.into_inner().0);
}

/// What is left to be read of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unpack<'a>(pub(crate) &'a [u8]);

impl<'a> Unpack<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Malformed> {
        self.u8().map(|byte| byte != 0)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn optional(&mut self) -> Result<Option<u64>, Malformed> {
        let there = self.flag()?;
        let number = self.u64()?;
        Ok(there.then_some(number))
    }

    pub(crate) fn short(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()? as usize;
        let (head, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    /// A table; its depth was checked before it was stored.
    pub(crate) fn table(&mut self) -> Result<FieldTable, Malformed> {
        let (rest, table) = parse_field_table(self.0).map_err(|_| Malformed)?;
        self.0 = rest;
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use amq_protocol::types::AMQPValue;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fields_come_back(number: u64, bits in 0_u32..64, other: Option<u64>, text: String) {
            let mut arguments = FieldTable::default();
            arguments.insert("k".into(), AMQPValue::LongLongInt(number as i64));
            let mut out = Vec::new();
            short(&mut out, number >> bits);
            optional(&mut out, other);
            bytes(&mut out, text.as_bytes());
            table(&mut out, &arguments);
            for cut in 0..out.len() {
                let mut fields = Unpack(&out[..cut]);
                let read = fields
                    .short()
                    .and_then(|_| fields.optional())
                    .and_then(|_| fields.text().map(str::len))
                    .and_then(|_| fields.table());
                prop_assert!(read.is_err(), "cut at {cut}");
            }
            let mut fields = Unpack(&out);
            prop_assert_eq!(fields.short(), Ok(number >> bits));
            prop_assert_eq!(fields.optional(), Ok(other));
            prop_assert_eq!(fields.text(), Ok(text.as_str()));
            prop_assert_eq!(fields.table(), Ok(arguments));
            prop_assert!(fields.is_empty());
        }
    }
}
