//! The quantile function of the normal distribution.
//!
//! M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", Applied Statistics
//! 37 (1988), 477–484, routine PPND16: rational approximations in three regions, relative accuracy about 1e-16.

/// Numerator and denominator coefficients, constant term first.
type Rational = ([f64; 8], [f64; 8]);

/// |p − ½| ≤ 0.425.
const CENTRAL: Rational = (
    [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ],
);

/// Further out, while √(−ln tail) ≤ 5.
const INTERMEDIATE: Rational = (
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
);

/// The far tail.
const TAIL: Rational = (
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
);

/// Φ⁻¹(p): the z for which a standard normal variable is at most z with probability p.
///
/// 0 gives −∞, 1 gives +∞; outside [0, 1] (and for NaN) the result is NaN.
pub fn inverse_normal_cdf(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * evaluate(&CENTRAL, 0.425 * 0.425 - q * q);
    }
    let tail = p.min(1.0 - p);
    if tail == 0.0 {
        return f64::INFINITY.copysign(q);
    }
    let r = (-tail.ln()).sqrt();
    let z = if r <= 5.0 { evaluate(&INTERMEDIATE, r - 1.6) } else { evaluate(&TAIL, r - 5.0) };
    z.copysign(q)
}

fn evaluate((numerator, denominator): &Rational, x: f64) -> f64 {
    let horner = |coefficients: &[f64; 8]| coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c);
    horner(numerator) / horner(denominator)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Φ(z) by Marsaglia's series ½ + φ(z)·(z + z³/3 + z⁵/15 + …), exact to rounding for moderate z.
    fn normal_cdf(z: f64) -> f64 {
        let (mut term, mut sum, mut odd) = (z, z, 1.0);
        while term.abs() > 1e-18 {
            odd += 2.0;
            term *= z * z / odd;
            sum += term;
        }
        0.5 + sum * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
    }

    #[test]
    fn known_quantiles() {
        // From tables to 15 digits; the last two are those that the paper itself prints for its test.
        let table = [
            (0.5, 0.0),
            (0.9, 1.281_551_565_544_600_4),
            (0.95, 1.644_853_626_951_472_2),
            (0.975, 1.959_963_984_540_054),
            (0.99, 2.326_347_874_040_841),
            (0.999, 3.090_232_306_167_813_5),
            (0.25, -0.674_489_750_196_081_7),
            (0.001, -3.090_232_306_167_813_5),
            (1e-20, -9.262_340_089_798_408),
        ];
        for (p, z) in table {
            assert!((inverse_normal_cdf(p) - z).abs() < 1e-12, "{p}: {} is not {z}", inverse_normal_cdf(p));
        }
    }

    #[test]
    fn it_inverts_the_distribution_function() {
        for i in 1..10_000 {
            let p = f64::from(i) / 10_000.0;
            let z = inverse_normal_cdf(p);
            assert!((normal_cdf(z) - p).abs() < 1e-13, "{p} → {z} → {}", normal_cdf(z));
            assert!((inverse_normal_cdf(1.0 - p) + z).abs() < 1e-9);
        }
    }

    #[test]
    fn the_ends_and_beyond() {
        assert_eq!(inverse_normal_cdf(0.0), f64::NEG_INFINITY);
        assert_eq!(inverse_normal_cdf(1.0), f64::INFINITY);
        assert!(inverse_normal_cdf(1.1).is_nan() && inverse_normal_cdf(-0.1).is_nan());
        assert!(inverse_normal_cdf(f64::NAN).is_nan());
    }
}
