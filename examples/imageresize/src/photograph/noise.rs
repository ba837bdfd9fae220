//! Value noise: random values at the points of a grid, joined smoothly (Perlin's *Making Noise*, 1999).

/// The grid repeats after this many points; a power of two.
const POINTS: usize = 256;

/// A table of random values.
pub(super) struct Noise {
    values: Vec<f32>,
}

impl Noise {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x6e6f_6973);
        Self { values: (0..POINTS * POINTS).map(|_| random.f32()).collect() }
    }

    /// From 0 to 1, another for each pixel.
    pub(super) fn at_pixel(&self, column: u32, row: u32) -> f32 {
        // Rows are shifted against each other, so that the repetition is not seen.
        let row = row as usize;
        self.point(column as usize + row.wrapping_mul(97) / POINTS * 31, row)
    }

    /// From 0 to 1: `octaves` noises, each twice as fine and half as strong as the one before.
    pub(super) fn layered(&self, x: f32, y: f32, octaves: u32) -> f32 {
        let (mut sum, mut strength, mut total, mut scale) = (0.0, 1.0, 0.0, 1.0);
        for _ in 0..octaves {
            sum += strength * self.smooth(x * scale, y * scale);
            total += strength;
            strength *= 0.5;
            scale *= 2.0;
        }
        sum / total
    }

    fn smooth(&self, x: f32, y: f32) -> f32 {
        // Coordinates are never negative here, so to cut is to round down. A cast from a float saturates.
        let (column, row) = (x as u32, y as u32);
        let (across, down) = (ease(x - column as f32), ease(y - row as f32));
        let (column, row) = (column as usize, row as usize);
        let upper = lerp(self.point(column, row), self.point(column + 1, row), across);
        let lower = lerp(self.point(column, row + 1), self.point(column + 1, row + 1), across);
        lerp(upper, lower, down)
    }

    fn point(&self, column: usize, row: usize) -> f32 {
        self.values[(row % POINTS) * POINTS + column % POINTS]
    }
}

fn lerp(from: f32, to: f32, share: f32) -> f32 {
    from + (to - from) * share
}

fn ease(share: f32) -> f32 {
    share * share * (3.0 - 2.0 * share)
}
