//! W3C trace context: which messages belong to one chain of work.
//!
//! The format is that of <https://www.w3.org/TR/trace-context/#traceparent-header>. Nothing is recorded here: a message only
//! carries the trace on, so that whoever records can join the pieces.

/// The header that travels with a traceparent, which we pass on unread.
pub(crate) const TRACESTATE: &str = "tracestate";

/// `sampled`: whoever samples by its parent records the trace.
const SAMPLED: u8 = 0x01;

/// A trace, and a span of our own in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    trace: u128,
    span: u64,
    flags: u8,
}

impl Span {
    /// A new span in the trace of `parent`; in a new trace if there is none, or none that can be understood.
    pub(crate) fn child_of(parent: Option<&str>) -> Self {
        let (trace, flags) = parent.and_then(parse).unwrap_or_else(|| (fastrand::u128(1..), SAMPLED));
        Self { trace, span: fastrand::u64(1..), flags }
    }

    /// As a `traceparent` header.
    pub(crate) fn traceparent(self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

/// The trace id and the flags of a traceparent.
fn parse(text: &str) -> Option<(u128, u8)> {
    let mut parts = text.splitn(5, '-');
    let version = u8::try_from(hex(parts.next()?, 2)?).ok()?;
    let trace = hex(parts.next()?, 32)?;
    let span = hex(parts.next()?, 16)?;
    let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
    // Later versions may append fields; version 00 may not, and ff is none.
    let known = version != 0xff && (version != 0 || parts.next().is_none());
    (known && trace != 0 && span != 0).then_some((trace, flags & SAMPLED))
}

/// A number of exactly `digits` lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    lower.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    #[test]
    fn a_child_stays_in_its_parents_trace_with_a_span_of_its_own() {
        let child = Span::child_of(Some(PARENT)).traceparent();
        assert_eq!(child.len(), PARENT.len());
        assert_eq!(child[..36], PARENT[..36]);
        assert_ne!(child[36..52], PARENT[36..52]);
        assert_eq!(child[52..], PARENT[52..], "whether it is sampled is the root's to say");
    }

    #[test]
    fn what_is_no_traceparent_starts_a_trace() {
        for text in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        ] {
            let span = Span::child_of(Some(text));
            assert_ne!(span.trace, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, "{text}");
            assert!(span.traceparent().ends_with("-01"), "{text}");
        }
    }

    #[test]
    fn a_later_version_may_say_more() {
        let text = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-more";
        assert_eq!(parse(text), Some((0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 1)));
    }

    proptest::proptest! {
        #[test]
        fn what_we_write_we_read(parent in ".{0,60}") {
            let span = Span::child_of(Some(&parent));
            assert_eq!(parse(&span.traceparent()), Some((span.trace, span.flags)));
        }
    }
}
