//! Pictures that compress and decode like photographs, for those who have none at hand.
//!
//! Each shows hills one behind the other under a sky, with a sun, mist, grass or water in front and the grain of a sensor: smooth
//! parts, hard edges and fine texture, as photographs have. The same number always gives the same picture.

mod noise;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::picture::{self, Size};
use noise::Noise;

/// How many distinct pictures there are; after them they repeat.
pub const DISTINCT: u64 = 24;

/// Their sizes, from 1 to 3 megapixels, lying and standing.
const SIZES: [(u32, u32); 8] = [
    (1200, 900),
    (960, 1280),
    (1600, 1066),
    (1152, 1152),
    (1920, 1080),
    (1066, 1600),
    (1400, 1050),
    (2048, 1464),
];

/// As cameras do by default.
const QUALITY: u8 = 87;

/// Why a picture could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It could not be encoded.
    #[error("photograph {number} cannot be encoded")]
    Encode {
        /// Which.
        number: u64,
        /// Why.
        source: picture::Error,
    },
    /// It could not be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A colour, red, green and blue from 0 to 1.
type Colour = [f32; 3];

/// Writes `count` distinct photographs to `folder`, which exists, on all processors. Returns their files in order.
///
/// # Errors
/// When one cannot be written.
pub fn render_all(folder: &Path, count: u64) -> Result<Vec<PathBuf>, Error> {
    let path = |number: u64| folder.join(format!("photograph-{number:02}.jpg"));
    let numbers = Mutex::new(0..count);
    let next = || numbers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    let render = || {
        while let Some(number) = next() {
            let bytes = render(number)?;
            let path = path(number);
            std::fs::write(&path, bytes).map_err(|source| Error::Write { path, source })?;
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(render)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(rendered) => rendered,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    Ok((0..count).map(path).collect())
}

/// Photograph `number` as a JPEG of 1 to 3 megapixels.
///
/// # Errors
/// When it cannot be encoded.
pub fn render(number: u64) -> Result<Vec<u8>, Error> {
    let (width, height) = SIZES[usize::try_from(number % SIZES.len() as u64).unwrap_or(0)];
    let size = Size::new(width, height);
    picture::jpeg(size, &Scene::new(number % DISTINCT).pixels(size), QUALITY, None)
        .map_err(|source| Error::Encode { number, source })
}

/// What a photograph shows. Lengths are in heights of the picture.
struct Scene {
    noise: Noise,
    /// At the top and at the horizon.
    sky: [Colour; 2],
    sun: (f32, f32, f32),
    /// How dense the clouds are, 0 to 1.
    clouds: f32,
    hills: Vec<Hill>,
    /// Amplitude of the sensor's grain, 0 to 1.
    grain: f32,
}

struct Hill {
    /// Height of its mean line, from the top.
    line: f32,
    /// How far it departs from that line.
    relief: f32,
    /// How many summits there are to a height of the picture.
    frequency: f32,
    colour: Colour,
    /// How strongly its surface varies.
    texture: f32,
    /// Where in the noise it lies, so that no two hills are alike.
    offset: f32,
}

impl Scene {
    fn new(number: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(0x0070_686f_746f ^ (number << 32));
        let mut between = |low: f32, high: f32| low + (high - low) * random.f32();
        let hour = between(0.0, 1.0);
        let sky = [
            mix([0.16, 0.36, 0.68], [0.24, 0.18, 0.38], hour),
            mix([0.74, 0.84, 0.92], [0.96, 0.62, 0.42], hour),
        ];
        let ground = mix([0.12, 0.26, 0.10], [0.30, 0.22, 0.12], between(0.0, 1.0));
        let count = 3 + number % 4;
        let hills = (0..count).map(|index| {
            let near = (index + 1) as f32 / count as f32;
            Hill {
                line: 0.42 + 0.46 * near * near + between(-0.03, 0.03),
                relief: between(0.05, 0.16) * (1.2 - near),
                frequency: between(0.8, 2.2),
                // What is far takes on the colour of the horizon.
                colour: mix(sky[1], ground, 0.25 + 0.75 * near),
                texture: 0.10 + 0.55 * near,
                offset: between(0.0, 900.0),
            }
        });
        let hills = hills.collect();
        let sun = (between(0.1, 1.2), between(0.08, 0.38), between(0.02, 0.05));
        let (clouds, grain) = (between(0.2, 0.9), between(0.020, 0.045));
        Self { noise: Noise::new(number), sky, sun, clouds, hills, grain }
    }

    /// Three bytes a pixel, row by row.
    fn pixels(&self, size: Size) -> Vec<u8> {
        let scale = 1.0 / size.height as f32;
        let columns: Vec<Vec<f32>> =
            self.hills.iter().map(|hill| self.ridge(hill, size.width, scale)).collect();
        let mut pixels = Vec::with_capacity(size.width as usize * size.height as usize * 3);
        for row in 0..size.height {
            let y = row as f32 * scale;
            for column in 0..size.width {
                let x = column as f32 * scale;
                // The nearest hill that reaches up to here hides all behind it.
                let hill =
                    (self.hills.iter().zip(&columns)).rev().find(|(_, ridge)| y >= ridge[column as usize]);
                let colour = match hill {
                    Some((hill, ridge)) => self.hillside(hill, x, y, y - ridge[column as usize]),
                    None => self.sky(x, y),
                };
                let grain = (self.noise.at_pixel(column, row) - 0.5) * 2.0 * self.grain;
                pixels.extend(colour.map(|channel| to_byte(channel + grain)));
            }
        }
        pixels
    }

    /// The height of a hill's outline at each column.
    fn ridge(&self, hill: &Hill, width: u32, scale: f32) -> Vec<f32> {
        let outline = |column: u32| {
            let x = column as f32 * scale * hill.frequency;
            hill.line - hill.relief * (self.noise.layered(x + hill.offset, hill.offset, 6) * 2.0 - 1.0)
        };
        (0..width).map(outline).collect()
    }

    fn sky(&self, x: f32, y: f32) -> Colour {
        let clear = mix(self.sky[0], self.sky[1], (y * 1.9).min(1.0));
        // Clouds are flat: they lie closer together toward the horizon.
        let density = self.noise.layered(x * 2.2, y * 5.0 + 40.0, 4) - (1.0 - 0.55 * self.clouds);
        let clouded = mix(clear, [0.96, 0.95, 0.95], (density * 3.0).clamp(0.0, 0.85));
        let (sun_x, sun_y, radius) = self.sun;
        let distance = ((x - sun_x).powi(2) + (y - sun_y).powi(2)).sqrt();
        let glow = if distance < radius { 1.0 } else { (radius / distance).powi(2) * 0.8 };
        mix(clouded, [1.0, 0.96, 0.84], glow)
    }

    fn hillside(&self, hill: &Hill, x: f32, y: f32, depth: f32) -> Colour {
        let coarse = self.noise.layered(x * 9.0 + hill.offset, y * 22.0, 3) - 0.5;
        let fine = self.noise.layered(x * 130.0, y * 150.0 + hill.offset, 2) - 0.5;
        let light = 1.0 + hill.texture * (0.9 * coarse + 0.8 * fine);
        let lit = hill.colour.map(|channel| channel * light);
        // Mist lies in the valleys between the hills.
        mix(lit, self.sky[1], (0.35 - depth * 1.4).clamp(0.0, 0.35) * (1.0 - hill.texture))
    }
}

fn mix(from: Colour, to: Colour, share: f32) -> Colour {
    std::array::from_fn(|channel| from[channel] + (to[channel] - from[channel]) * share)
}

fn to_byte(channel: f32) -> u8 {
    // A cast from a float saturates.
    (channel * 255.0 + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn sizes_are_one_to_three_megapixels() {
        for (width, height) in SIZES {
            let pixels = width * height;
            assert!((1_000_000..=3_000_000).contains(&pixels), "{width} × {height} = {pixels}");
        }
    }

    #[test]
    fn every_number_is_another_picture_and_always_the_same() {
        let size = Size::new(60, 40);
        let pictures: HashSet<_> = (0..DISTINCT).map(|number| Scene::new(number).pixels(size)).collect();
        assert_eq!(pictures.len() as u64, DISTINCT);
        assert_eq!(Scene::new(5).pixels(size), Scene::new(5).pixels(size));
    }

    /// A flat picture would take next to nothing, and noise more than 4 bits a pixel; cameras write 1 to 3.
    #[test]
    fn they_compress_like_photographs() {
        let size = Size::new(600, 400);
        for number in (0..DISTINCT).step_by(5) {
            let bytes = picture::jpeg(size, &Scene::new(number).pixels(size), QUALITY, None).expect("a JPEG");
            let bits = bytes.len() as f64 * 8.0 / size.pixels() as f64;
            assert!((0.8..=3.5).contains(&bits), "photograph {number} takes {bits:.2} bits a pixel");
        }
    }
}
