//! "Did you mean": the known name that is closest to an unknown one.

/// Names further apart than this (Jaro-Winkler, 0 to 1) are not what the author meant.
const CLOSE_ENOUGH: f64 = 0.8;

/// The candidate that looks most like `name`, if one looks like it at all. Case counts little: `Resize` finds `resize`.
///
/// ```
/// let library = ["imageresize/HttpApi", "imageresize/ResizeImage"];
/// assert_eq!(fbp::did_you_mean("imageresise/ResizeImage", library), Some("imageresize/ResizeImage"));
/// assert_eq!(fbp::did_you_mean("thermometer", library), None);
/// ```
pub fn did_you_mean<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let wanted = name.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| *candidate != name)
        .map(|candidate| (strsim::jaro_winkler(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(similarity, _)| *similarity >= CLOSE_ENOUGH)
        // The first of equals wins, so that the answer does not depend on chance.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, candidate)| candidate)
}
