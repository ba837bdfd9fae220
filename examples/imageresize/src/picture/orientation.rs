//! How a camera was held: the tag `Orientation` of Exif 2.3, §4.6.4.

use super::Size;

/// How stored pixels must be turned to be seen as intended. The numbers are those of the tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Orientation {
    #[default]
    Upright = 1,
    MirroredAcross = 2,
    UpsideDown = 3,
    MirroredDown = 4,
    Transposed = 5,
    /// To be turned clockwise by a quarter.
    TurnRight = 6,
    Transversed = 7,
    /// To be turned anticlockwise by a quarter.
    TurnLeft = 8,
}

/// The tag's number.
const TAG: u16 = 0x0112;
/// The type `SHORT` of its value.
const SHORT: u16 = 3;
/// The length of an entry of a directory.
const ENTRY: usize = 12;

impl Orientation {
    /// Reads it out of a block of Exif (a TIFF header and its first directory). `None` when it is not there.
    pub(super) fn from_exif(exif: &[u8]) -> Option<Self> {
        let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
        let little_endian = match exif.get(..4)? {
            b"II*\0" => true,
            b"MM\0*" => false,
            _ => return None,
        };
        let short = |at: usize| {
            let bytes: [u8; 2] = exif.get(at..at.checked_add(2)?)?.try_into().ok()?;
            Some(if little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
        };
        let long = |at: usize| {
            let bytes: [u8; 4] = exif.get(at..at.checked_add(4)?)?.try_into().ok()?;
            Some(if little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
        };
        let directory = usize::try_from(long(4)?).ok()?;
        let entries = usize::from(short(directory)?);
        let first = directory.checked_add(2)?;
        (0..entries)
            .map(|entry| first.saturating_add(entry * ENTRY))
            .find(|&entry| short(entry) == Some(TAG) && short(entry.saturating_add(2)) == Some(SHORT))
            .and_then(|entry| Self::from_tag(short(entry.checked_add(8)?)?))
    }

    fn from_tag(value: u16) -> Option<Self> {
        Some(match value {
            1 => Self::Upright,
            2 => Self::MirroredAcross,
            3 => Self::UpsideDown,
            4 => Self::MirroredDown,
            5 => Self::Transposed,
            6 => Self::TurnRight,
            7 => Self::Transversed,
            8 => Self::TurnLeft,
            _ => return None,
        })
    }

    /// Whether width and height change places.
    pub(super) fn turns_by_a_quarter(self) -> bool {
        matches!(self, Self::Transposed | Self::TurnRight | Self::Transversed | Self::TurnLeft)
    }

    /// The pixels as they are seen, `bytes` bytes each.
    pub(super) fn apply(self, size: Size, bytes: usize, pixels: Vec<u8>) -> (Size, Vec<u8>) {
        if self == Self::Upright {
            return (size, pixels);
        }
        let seen = if self.turns_by_a_quarter() { size.turned() } else { size };
        let (right, bottom) = (size.width.saturating_sub(1), size.height.saturating_sub(1));
        let mut turned = Vec::with_capacity(pixels.len());
        for y in 0..seen.height {
            for x in 0..seen.width {
                let (column, row) = match self {
                    Self::Upright => (x, y),
                    Self::MirroredAcross => (right - x, y),
                    Self::UpsideDown => (right - x, bottom - y),
                    Self::MirroredDown => (x, bottom - y),
                    Self::Transposed => (y, x),
                    Self::TurnRight => (y, bottom - x),
                    Self::Transversed => (right - y, bottom - x),
                    Self::TurnLeft => (right - y, x),
                };
                let at = (row as usize * size.width as usize + column as usize) * bytes;
                turned.extend_from_slice(&pixels[at..at + bytes]);
            }
        }
        (seen, turned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A block of Exif with nothing but the orientation.
    pub(in crate::picture) fn exif(little_endian: bool, value: u16) -> Vec<u8> {
        let short = |number: u16| if little_endian { number.to_le_bytes() } else { number.to_be_bytes() };
        let long = |number: u32| if little_endian { number.to_le_bytes() } else { number.to_be_bytes() };
        let mut bytes = if little_endian { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        bytes.extend(long(8));
        bytes.extend(short(1));
        bytes.extend(short(TAG));
        bytes.extend(short(SHORT));
        bytes.extend(long(1));
        bytes.extend(short(value));
        bytes.extend(short(0));
        bytes
    }

    #[test]
    fn it_is_read_in_both_byte_orders() {
        for little_endian in [true, false] {
            assert_eq!(Orientation::from_exif(&exif(little_endian, 6)), Some(Orientation::TurnRight));
            assert_eq!(Orientation::from_exif(&exif(little_endian, 9)), None);
        }
        let mut prefixed = b"Exif\0\0".to_vec();
        prefixed.extend(exif(true, 8));
        assert_eq!(Orientation::from_exif(&prefixed), Some(Orientation::TurnLeft));
    }

    #[test]
    fn pixels_are_turned_as_the_standard_says() {
        // Stored:  1 2 3
        //          4 5 6
        let size = Size::new(3, 2);
        for (tag, seen_size, seen) in [
            (1, (3, 2), [1, 2, 3, 4, 5, 6]),
            (2, (3, 2), [3, 2, 1, 6, 5, 4]),
            (3, (3, 2), [6, 5, 4, 3, 2, 1]),
            (4, (3, 2), [4, 5, 6, 1, 2, 3]),
            (5, (2, 3), [1, 4, 2, 5, 3, 6]),
            (6, (2, 3), [4, 1, 5, 2, 6, 3]),
            (7, (2, 3), [6, 3, 5, 2, 4, 1]),
            (8, (2, 3), [3, 6, 2, 5, 1, 4]),
        ] {
            let orientation = Orientation::from_tag(tag).expect("a tag of the standard");
            let (size, pixels) = orientation.apply(size, 1, vec![1, 2, 3, 4, 5, 6]);
            assert_eq!(((size.width, size.height), pixels.as_slice()), (seen_size, &seen[..]), "tag {tag}");
        }
    }

    proptest! {
        #[test]
        fn no_block_makes_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..80), header in any::<bool>()) {
            if header && bytes.len() >= 4 {
                bytes[..4].copy_from_slice(b"II*\0");
            }
            let _ = Orientation::from_exif(&bytes);
        }
    }
}
