//! From bytes to pixels.

use std::io::Cursor;

use png::{ColorType, Transformations};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{Channels, Error, Limits, Orientation, Picture, Size};

const JPEG: &[u8] = &[0xff, 0xd8, 0xff];
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The sides that a decoder may be asked for; [`Limits`] bounds their product.
const MAX_SIDE: usize = 1 << 16;

pub(super) fn decode(original: &[u8], limits: Limits) -> Result<Picture, Error> {
    if original.starts_with(JPEG) {
        decode_jpeg(original, limits)
    } else if original.starts_with(PNG) {
        decode_png(original, limits)
    } else {
        let beginning = match &original[..original.len().min(8)] {
            [] => "nothing".to_owned(),
            bytes => format!("`{}`", bytes.escape_ascii()),
        };
        Err(Error::UnknownFormat { beginning })
    }
}

fn check(size: Size, limits: Limits) -> Result<(), Error> {
    if size.pixels() > limits.max_pixels {
        return Err(Error::TooLarge { size, limit: limits.max_pixels });
    }
    Ok(())
}

fn decode_jpeg(original: &[u8], limits: Limits) -> Result<Picture, Error> {
    let undecodable = |reason: String| Error::Undecodable { format: "JPEG", reason };
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::RGB)
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(original), options);
    decoder.decode_headers().map_err(|error| undecodable(error.to_string()))?;
    let (width, height) = decoder.dimensions().ok_or_else(|| undecodable("it has no size".into()))?;
    let side = |pixels| u32::try_from(pixels).map_err(|_| undecodable("its size makes no sense".into()));
    let size = Size::new(side(width)?, side(height)?);
    check(size, limits)?;
    let is_colour = matches!(decoder.input_colorspace(), Some(ColorSpace::YCbCr | ColorSpace::RGB));
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif(exif)).unwrap_or_default();
    let profile = decoder.icc_profile().filter(|_| is_colour);
    let pixels = decoder.decode().map_err(|error| undecodable(error.to_string()))?;
    Ok(Picture { size, channels: Channels::Rgb, pixels, orientation, profile })
}

fn decode_png(original: &[u8], limits: Limits) -> Result<Picture, Error> {
    let undecodable =
        |error: png::DecodingError| Error::Undecodable { format: "PNG", reason: error.to_string() };
    let mut decoder = png::Decoder::new(Cursor::new(original));
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let header = decoder.read_header_info().map_err(undecodable)?;
    let size = Size::new(header.width, header.height);
    check(size, limits)?;
    let mut reader = decoder.read_info().map_err(undecodable)?;
    let too_large = || Error::TooLarge { size, limit: limits.max_pixels };
    let mut pixels = vec![0; reader.output_buffer_size().ok_or_else(too_large)?];
    let frame = reader.next_frame(&mut pixels).map_err(undecodable)?;
    pixels.truncate(frame.buffer_size());
    let info = reader.info();
    let orientation = info.exif_metadata.as_deref().and_then(Orientation::from_exif).unwrap_or_default();
    let profile = info.icc_profile.as_deref().map(<[u8]>::to_vec);
    let (channels, pixels, profile) = match frame.color_type {
        ColorType::Rgb => (Channels::Rgb, pixels, profile),
        ColorType::Rgba => (Channels::Rgba, pixels, profile),
        ColorType::Grayscale => (Channels::Rgb, pixels.iter().flat_map(|&grey| [grey; 3]).collect(), None),
        ColorType::GrayscaleAlpha => {
            let coloured = pixels.chunks_exact(2).flat_map(|pair| [pair[0], pair[0], pair[0], pair[1]]);
            (Channels::Rgba, coloured.collect(), None)
        }
        ColorType::Indexed => {
            let reason = "its palette was not applied".to_owned();
            return Err(Error::Undecodable { format: "PNG", reason });
        }
    };
    Ok(Picture { size, channels, pixels, orientation, profile })
}
