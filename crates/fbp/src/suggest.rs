//! "Did you mean": the known name that is closest to an unknown one.

/// Names further apart than this (Jaro-Winkler, 0 to 1) are not what the author meant.
const CLOSE_ENOUGH: f64 = 0.8;

/// One slip of the finger is always close enough, but every name of two letters is one slip from many others.
const SLIP_MIN_LEN: usize = 3;

/// Longer names than this (in bytes) are not compared, and no more candidates than these: hostile text must not cost
/// more time than it is worth.
const MAX_LEN: usize = 128;
const MAX_CANDIDATES: usize = 10_000;

/// The candidate that looks most like `name`, if one looks like it at all. Case counts little: `Resize` finds `resize`.
///
/// ```
/// let library = ["imageresize/HttpApi", "imageresize/ResizeImage"];
/// assert_eq!(fbp::did_you_mean("imageresise/ResizeImage", library), Some("imageresize/ResizeImage"));
/// assert_eq!(fbp::did_you_mean("thermometer", library), None);
/// ```
pub fn did_you_mean<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if name.len() > MAX_LEN {
        return None;
    }
    let wanted = name.to_lowercase();
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .filter(|candidate| *candidate != name && candidate.len() <= MAX_LEN)
        .map(|candidate| (similarity(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(similarity, _)| *similarity >= CLOSE_ENOUGH)
        // The first of equals wins, so that the answer does not depend on chance.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, candidate)| candidate)
}

fn similarity(a: &str, b: &str) -> f64 {
    let similarity = strsim::jaro_winkler(a, b);
    let is_slip = a.len() >= SLIP_MIN_LEN && strsim::osa_distance(a, b) <= 1;
    if is_slip { similarity.max(CLOSE_ENOUGH) } else { similarity }
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn the_closest_name_is_meant() {
        assert_eq!(did_you_mean("wbe", ["store", "web"]), Some("web"));
        assert_eq!(did_you_mean("Resize", ["resized", "resize"]), Some("resize"));
        assert_eq!(did_you_mean("a", ["b", "a"]), None);
        assert_eq!(did_you_mean("store", ["web", "resize"]), None);
        let long = "n".repeat(super::MAX_LEN + 1);
        assert_eq!(did_you_mean(&long, [&long[1..]]), None);
    }
}
