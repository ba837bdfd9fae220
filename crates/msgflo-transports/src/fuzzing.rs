//! The entry points of the fuzz targets: what a broker sends, without the socket.

/// Any bytes from a broker of MQTT: the first says the version, and how they are cut into pieces. They are taken or refused,
/// the same whatever the pieces are, and a session that is told of them keeps its books.
pub fn mqtt(bytes: &[u8]) {
    crate::mqtt::fuzzing::stream(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            super::mqtt(&bytes);
        }

        /// Packets whose head is right, to reach further than any bytes would.
        #[test]
        fn so_are_packets_with_any_content(
            first in any::<u8>(),
            packets in prop::collection::vec(
                (prop::sample::select(vec![0x20, 0x30, 0x32, 0x3a, 0x40, 0x90, 0xb0, 0xd0, 0xe0]),
                 prop::collection::vec(any::<u8>(), 0..40)),
                0..8,
            ),
        ) {
            let mut bytes = vec![first];
            for (head, body) in packets {
                bytes.extend([head, u8::try_from(body.len()).expect("it is short")]);
                bytes.extend(body);
            }
            super::mqtt(&bytes);
        }
    }
}
