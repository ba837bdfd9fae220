//! How large a picture becomes within a box.

/// Width and height in pixels, each at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

impl Size {
    /// A size.
    pub fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// How many pixels.
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// The same, turned by a quarter.
    #[must_use]
    pub fn turned(self) -> Self {
        Self { width: self.height, height: self.width }
    }

    /// The largest size of the same shape that fits within `bounds` and is not larger than `self`. Rounded to whole pixels, and
    /// never to nothing.
    #[must_use]
    pub fn fit_within(self, bounds: Size) -> Self {
        if self.width <= bounds.width && self.height <= bounds.height {
            return self;
        }
        // The side that the box shortens most decides; compare width/bounds.width with height/bounds.height as fractions.
        let by_width = u64::from(self.width) * u64::from(bounds.height)
            >= u64::from(self.height) * u64::from(bounds.width);
        if by_width {
            Self {
                width: bounds.width,
                height: scale(self.height, bounds.width, self.width).min(bounds.height),
            }
        } else {
            Self {
                width: scale(self.width, bounds.height, self.height).min(bounds.width),
                height: bounds.height,
            }
        }
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} × {}", self.width, self.height)
    }
}

/// `side · numerator / denominator`, rounded to the nearest, at least 1.
fn scale(side: u32, numerator: u32, denominator: u32) -> u32 {
    let (numerator, denominator) = (u64::from(numerator), u64::from(denominator.max(1)));
    let scaled = (u64::from(side) * numerator + denominator / 2) / denominator;
    u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shape_is_kept_and_width_stays_width() {
        for (original, bounds, expected) in [
            ((4000, 3000), (400, 400), (400, 300)),
            ((3000, 4000), (400, 400), (300, 400)),
            ((4000, 3000), (1000, 90), (120, 90)),
            ((1600, 900), (320, 1000), (320, 180)),
            ((100, 50), (400, 400), (100, 50)),
            ((400, 400), (400, 400), (400, 400)),
            ((10_000, 2), (100, 100), (100, 1)),
            ((401, 399), (400, 400), (400, 398)),
        ] {
            let size = Size::new(original.0, original.1).fit_within(Size::new(bounds.0, bounds.1));
            assert_eq!((size.width, size.height), expected, "{original:?} within {bounds:?}");
        }
    }

    proptest! {
        #[test]
        fn it_fits_touches_and_keeps_its_shape(
            width in 1u32..20_000, height in 1u32..20_000, box_width in 1u32..9_000, box_height in 1u32..9_000,
        ) {
            let (original, bounds) = (Size::new(width, height), Size::new(box_width, box_height));
            let size = original.fit_within(bounds);
            prop_assert!((1..=box_width).contains(&size.width) && (1..=box_height).contains(&size.height));
            prop_assert!(size.width <= width && size.height <= height);
            prop_assert!(size == original || size.width == box_width || size.height == box_height);
            // Each side is within half a pixel of the exact one, or is the one pixel that must remain.
            let factor = (f64::from(box_width) / f64::from(width)).min(f64::from(box_height) / f64::from(height)).min(1.0);
            prop_assert!((f64::from(size.width) - (f64::from(width) * factor).max(1.0)).abs() <= 0.5 + 1e-6);
            prop_assert!((f64::from(size.height) - (f64::from(height) * factor).max(1.0)).abs() <= 0.5 + 1e-6);
            // Turning the picture and the box turns the result.
            prop_assert_eq!(original.turned().fit_within(bounds.turned()), size.turned());
        }
    }
}
