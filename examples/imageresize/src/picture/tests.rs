use super::*;
use jpeg_encoder::{ColorType, Encoder};

const LIMITS: Limits = Limits { max_pixels: 10_000_000 };

fn target(width: u32, height: u32, format: Format) -> Target {
    Target { bounds: Size::new(width, height), format }
}

/// A picture whose left half is red and whose right half is blue.
fn red_and_blue(size: Size) -> Vec<u8> {
    let row =
        |_| (0..size.width).flat_map(|x| if x < size.width / 2 { [220, 20, 20] } else { [20, 20, 220] });
    (0..size.height).flat_map(row).collect()
}

fn png_of(size: Size, colour: png::ColorType, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.width, size.height);
    encoder.set_color(colour);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(pixels).expect("the pixels");
    writer.finish().expect("an end");
    bytes
}

fn pixel(picture: &Picture, x: u32, y: u32) -> &[u8] {
    let at = (y * picture.size.width + x) as usize * picture.channels.count();
    &picture.pixels[at..at + picture.channels.count()]
}

fn is_red(pixel: &[u8]) -> bool {
    pixel[0] > 150 && pixel[2] < 100
}

fn is_blue(pixel: &[u8]) -> bool {
    pixel[2] > 150 && pixel[0] < 100
}

#[test]
fn a_jpeg_shrinks_within_the_box_and_shows_the_same() {
    let size = Size::new(640, 360);
    let original = jpeg(size, &red_and_blue(size), 90, None).expect("it is encoded");
    for format in [Format::Jpeg, Format::Png] {
        let small = resize(&original, target(160, 160, format), LIMITS).expect("it is resized");
        let small = decode::decode(&small, LIMITS).expect("the result is a picture");
        assert_eq!(small.size, Size::new(160, 90));
        assert!(is_red(pixel(&small, 20, 45)), "{:?}", pixel(&small, 20, 45));
        assert!(is_blue(pixel(&small, 140, 45)), "{:?}", pixel(&small, 140, 45));
    }
}

#[test]
fn a_small_picture_is_not_made_larger() {
    let size = Size::new(64, 36);
    let original = jpeg(size, &red_and_blue(size), 90, None).expect("it is encoded");
    let same = resize(&original, target(1000, 1000, Format::Jpeg), LIMITS).expect("it is resized");
    assert_eq!(decode::decode(&same, LIMITS).expect("a picture").size, size);
}

#[test]
fn a_photograph_of_a_camera_on_its_side_is_turned_upright() {
    let size = Size::new(320, 160);
    let mut original = Vec::new();
    let mut encoder = Encoder::new(&mut original, 90);
    // Orientation 6, as TIFF: little-endian, one entry.
    let exif = [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0".as_slice(), &[0; 4]].concat();
    encoder.add_exif_metadata(&exif).expect("a block of Exif");
    encoder.encode(&red_and_blue(size), 320, 160, ColorType::Rgb).expect("it is encoded");

    let small = resize(&original, target(400, 80, Format::Png), LIMITS).expect("it is resized");
    let small = decode::decode(&small, LIMITS).expect("a picture");
    assert_eq!(small.size, Size::new(40, 80));
    assert!(is_red(pixel(&small, 20, 10)), "the left half is now the upper one");
    assert!(is_blue(pixel(&small, 20, 70)));
}

#[test]
fn every_kind_of_png_is_read() {
    let size = Size::new(4, 4);
    for (colour, pixels, seen) in [
        (png::ColorType::Rgb, [10, 200, 30].repeat(16), [10, 200, 30].as_slice()),
        (png::ColorType::Rgba, [10, 200, 30, 128].repeat(16), &[10, 200, 30, 128]),
        (png::ColorType::Grayscale, vec![77; 16], &[77, 77, 77]),
        (png::ColorType::GrayscaleAlpha, [77, 9].repeat(16), &[77, 77, 77, 9]),
    ] {
        let original = png_of(size, colour, &pixels);
        let same = resize(&original, target(10, 10, Format::Png), LIMITS).expect("it is resized");
        assert_eq!(pixel(&decode::decode(&same, LIMITS).expect("a picture"), 1, 1), seen, "{colour:?}");
    }
}

#[test]
fn what_was_transparent_becomes_white_in_a_jpeg() {
    let original = png_of(Size::new(8, 8), png::ColorType::Rgba, &[0, 0, 0, 0].repeat(64));
    let opaque = resize(&original, target(8, 8, Format::Jpeg), LIMITS).expect("it is resized");
    assert_eq!(pixel(&decode::decode(&opaque, LIMITS).expect("a picture"), 4, 4), [255, 255, 255]);
}

#[test]
fn the_colour_profile_stays_and_the_place_is_left_out() {
    let size = Size::new(64, 64);
    let profile = vec![7_u8; 600];
    let original = jpeg(size, &red_and_blue(size), 90, Some(&profile)).expect("it is encoded");
    for format in [Format::Jpeg, Format::Png] {
        let small = resize(&original, target(32, 32, format), LIMITS).expect("it is resized");
        assert_eq!(decode::decode(&small, LIMITS).expect("a picture").profile.as_ref(), Some(&profile));
        assert!(!small.windows(4).any(|bytes| bytes == b"Exif" || bytes == b"eXIf"));
    }
}

#[test]
fn what_is_no_picture_is_refused_with_its_beginning() {
    let error = resize(b"<html>oops", target(10, 10, Format::Jpeg), LIMITS).expect_err("no picture");
    assert_eq!(
        error.to_string(),
        "the original is neither a JPEG nor a PNG picture: it begins with `<html>oo`"
    );
    let error = resize(b"", target(10, 10, Format::Jpeg), LIMITS).expect_err("no picture");
    assert!(error.to_string().ends_with("it begins with nothing"), "{error}");
}

#[test]
fn a_damaged_picture_is_refused() {
    let size = Size::new(64, 64);
    let original = jpeg(size, &red_and_blue(size), 90, None).expect("it is encoded");
    let error = resize(&original[..60], target(10, 10, Format::Jpeg), LIMITS).expect_err("cut in its header");
    assert!(matches!(error, Error::Undecodable { format: "JPEG", .. }), "{error}");
    let original = png_of(size, png::ColorType::Rgb, &red_and_blue(size));
    let half = &original[..original.len() / 2];
    let error = resize(half, target(10, 10, Format::Jpeg), LIMITS).expect_err("cut in its pixels");
    assert!(matches!(error, Error::Undecodable { format: "PNG", .. }), "{error}");
}

#[test]
fn a_picture_that_is_too_large_is_refused_before_it_is_decoded() {
    let size = Size::new(400, 300);
    let limits = Limits { max_pixels: 100_000 };
    for original in [
        jpeg(size, &red_and_blue(size), 90, None).expect("it is encoded"),
        png_of(size, png::ColorType::Rgb, &red_and_blue(size)),
    ] {
        let error = resize(&original, target(10, 10, Format::Jpeg), limits).expect_err("too large");
        assert_eq!(error.to_string(), "the original has 400 × 300 = 0.1 megapixels; the limit is 0.1");
    }
}
