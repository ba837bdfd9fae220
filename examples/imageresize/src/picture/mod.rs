//! Pictures: decode, fit within a box, encode.
//!
//! Pure and CPU-bound: bytes in, bytes out, so callers run it where blocking is allowed. A picture is decoded only after its
//! size was found to be within [`Limits`]. The camera's note on how it was held is followed, and its colour profile kept;
//! all other metadata, such as where a photograph was taken, is left out of the result.

mod decode;
mod encode;
mod fit;
mod orientation;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::message::Format;

pub use encode::jpeg;
pub use fit::Size;
use orientation::Orientation;

/// How large an original may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In pixels. Each takes 3 or 4 bytes of memory while it is worked on.
    pub max_pixels: u64,
}

/// What the result should be.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The box in which it fits.
    pub bounds: Size,
    /// How it is encoded.
    pub format: Format,
}

/// Why a picture cannot be resized.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It begins as no picture that we know.
    #[error("the original is neither a JPEG nor a PNG picture: it begins with {beginning}")]
    UnknownFormat {
        /// Its first bytes.
        beginning: String,
    },
    /// It is larger than we take.
    #[error("the original has {size} = {} megapixels; the limit is {}", megapixels(size.pixels()), megapixels(*limit))]
    TooLarge {
        /// Its size.
        size: Size,
        /// The limit in pixels.
        limit: u64,
    },
    /// It is damaged, or of a kind that the decoder does not know.
    #[error("the original cannot be decoded as {format}: {reason}")]
    Undecodable {
        /// `JPEG` or `PNG`.
        format: &'static str,
        /// The decoder's own words.
        reason: String,
    },
    /// The result cannot be made.
    #[error("the result cannot be made: {reason}")]
    Unencodable {
        /// The library's own words.
        reason: String,
    },
}

/// Millions, with one decimal.
fn megapixels(pixels: u64) -> String {
    let tenths = (pixels + 50_000) / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The channels of a pixel, a byte each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channels {
    Rgb,
    Rgba,
}

impl Channels {
    fn count(self) -> usize {
        match self {
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    fn pixel_type(self) -> PixelType {
        match self {
            Self::Rgb => PixelType::U8x3,
            Self::Rgba => PixelType::U8x4,
        }
    }
}

/// A decoded picture: `pixels` has `size.pixels()` pixels, row by row from the top left.
struct Picture {
    size: Size,
    channels: Channels,
    pixels: Vec<u8>,
    /// How `pixels` must be turned to be seen as intended.
    orientation: Orientation,
    /// The ICC profile of the colours.
    profile: Option<Vec<u8>>,
}

/// Decodes `original` and encodes it again within the box of `target`.
///
/// # Errors
/// When it is no picture that we know, too large, or damaged.
pub fn resize(original: &[u8], target: Target, limits: Limits) -> Result<Vec<u8>, Error> {
    let picture = decode::decode(original, limits)?;
    let small = shrink(picture, target.bounds)?;
    encode::encode(&small, target.format)
}

/// The picture within `bounds`, turned as it should be seen.
fn shrink(picture: Picture, bounds: Size) -> Result<Picture, Error> {
    let Picture { size, channels, pixels, orientation, profile } = picture;
    let seen = if orientation.turns_by_a_quarter() { bounds.turned() } else { bounds };
    let small = size.fit_within(seen);
    let pixels = if small == size { pixels } else { scaled(&pixels, size, small, channels)? };
    let (size, pixels) = orientation.apply(small, channels.count(), pixels);
    Ok(Picture { size, channels, pixels, orientation: Orientation::Upright, profile })
}

fn scaled(pixels: &[u8], from: Size, to: Size, channels: Channels) -> Result<Vec<u8>, Error> {
    let failed = |reason: String| Error::Unencodable { reason };
    let source = ImageRef::new(from.width, from.height, pixels, channels.pixel_type())
        .map_err(|error| failed(error.to_string()))?;
    let mut small = Image::new(to.width, to.height, channels.pixel_type());
    // As sharp as a bicubic filter when it shrinks, at the price of a bilinear one.
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Hamming));
    Resizer::new().resize(&source, &mut small, &options).map_err(|error| failed(error.to_string()))?;
    Ok(small.into_vec())
}

#[cfg(test)]
mod tests;
