//! From pixels to bytes.

use jpeg_encoder::{ColorType, Encoder};

use super::{Channels, Error, Picture, Size};
use crate::message::Format;

/// Of results, of 100: the usual value for photographs on web pages.
const QUALITY: u8 = 82;

pub(super) fn encode(picture: &Picture, format: Format) -> Result<Vec<u8>, Error> {
    match format {
        Format::Jpeg => encode_jpeg(picture),
        Format::Png => encode_png(picture),
    }
}

/// A JPEG of `pixels`, three bytes each, row by row.
///
/// # Errors
/// When a side is longer than 65535 pixels, or `pixels` is too short.
pub fn jpeg(size: Size, pixels: &[u8], quality: u8, profile: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    let failed = |reason: String| Error::Unencodable { reason };
    let side = |pixels: u32| {
        u16::try_from(pixels).map_err(|_| failed(format!("a JPEG picture cannot have a side of {pixels}")))
    };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    if let Some(profile) = profile {
        encoder.add_icc_profile(profile).map_err(|error| failed(error.to_string()))?;
    }
    encoder
        .encode(pixels, side(size.width)?, side(size.height)?, ColorType::Rgb)
        .map_err(|error| failed(error.to_string()))?;
    Ok(bytes)
}

fn encode_jpeg(picture: &Picture) -> Result<Vec<u8>, Error> {
    let profile = picture.profile.as_deref();
    match picture.channels {
        Channels::Rgb => jpeg(picture.size, &picture.pixels, QUALITY, profile),
        Channels::Rgba => jpeg(picture.size, &on_white(&picture.pixels), QUALITY, profile),
    }
}

/// What is seen of pixels with an alpha channel on a white page.
fn on_white(pixels: &[u8]) -> Vec<u8> {
    let over = |colour: u8, alpha: u8| {
        let (colour, alpha) = (u32::from(colour), u32::from(alpha));
        let mixed = (colour * alpha + 255 * (255 - alpha) + 127) / 255;
        u8::try_from(mixed).unwrap_or(u8::MAX)
    };
    pixels.chunks_exact(4).flat_map(|p| [over(p[0], p[3]), over(p[1], p[3]), over(p[2], p[3])]).collect()
}

fn encode_png(picture: &Picture) -> Result<Vec<u8>, Error> {
    let failed = |error: png::EncodingError| Error::Unencodable { reason: error.to_string() };
    let mut info = png::Info::with_size(picture.size.width, picture.size.height);
    info.color_type = match picture.channels {
        Channels::Rgb => png::ColorType::Rgb,
        Channels::Rgba => png::ColorType::Rgba,
    };
    info.icc_profile = picture.profile.as_deref().map(Into::into);
    let mut bytes = Vec::new();
    let mut writer =
        png::Encoder::with_info(&mut bytes, info).and_then(png::Encoder::write_header).map_err(failed)?;
    writer.write_image_data(&picture.pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}
