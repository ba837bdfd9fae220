//! What a client asks for, checked: the body of `POST /resize`.
//!
//! Pure. All that is wrong with a body is said at once, each with the place where it stands.

use serde::Deserialize;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use crate::message::{Format, ImageId, Operation, Order};

/// The images that one job may have.
pub const MAX_IMAGES: usize = 1_000;

/// The longest side that a box may have, in pixels.
pub const MAX_SIDE: u32 = 8_192;

/// The longest URL of an original, in bytes.
const MAX_URL: usize = 4_096;

/// What is wrong with a body, each with its place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct Invalid(pub Vec<String>);

/// Reads a body, and gives each image an id.
///
/// # Errors
/// [`Invalid`] with everything that is wrong.
pub fn read(body: &[u8]) -> Result<Vec<Order>, Invalid> {
    let body: Value =
        serde_json::from_slice(body).map_err(|error| Invalid(vec![format!("not JSON: {error}")]))?;
    let Some(images) = body.get("images").and_then(Value::as_array) else {
        return Err(Invalid(vec!["images: an array of images is missing".into()]));
    };
    if images.is_empty() {
        return Err(Invalid(vec!["images: it is empty; a job has at least one image".into()]));
    }
    if images.len() > MAX_IMAGES {
        let message = format!("images: there are {}; a job has at most {MAX_IMAGES}", images.len());
        return Err(Invalid(vec![message]));
    }
    let mut wrong = Vec::new();
    let mut orders = Vec::with_capacity(images.len());
    for (index, image) in images.iter().enumerate() {
        match order(image) {
            Ok(order) => orders.push(order),
            Err(reasons) => {
                wrong.extend(reasons.into_iter().map(|reason| format!("images[{index}].{reason}")));
            }
        }
    }
    if wrong.is_empty() { Ok(orders) } else { Err(Invalid(wrong)) }
}

fn order(image: &Value) -> Result<Order, Vec<String>> {
    let mut wrong = Vec::new();
    let input = checked(input(image), &mut wrong);
    let width = checked(side(image, "width"), &mut wrong);
    let height = checked(side(image, "height"), &mut wrong);
    let operation = checked(one_of(image, "operation", "`max`"), &mut wrong);
    let policy = checked(one_of::<Operation>(image, "policy", "`max`"), &mut wrong);
    let format = checked(one_of::<Format>(image, "format", "`jpeg` or `png`"), &mut wrong);
    match (input, width, height, operation, policy, format) {
        (Some(input), Some(width), Some(height), Some(operation), Some(policy), Some(format)) => Ok(Order {
            id: ImageId(Uuid::new_v4()),
            input,
            width,
            height,
            operation: operation.or(policy).unwrap_or_default(),
            format: format.unwrap_or_default(),
            policy,
        }),
        _ => Err(wrong),
    }
}

fn checked<T>(part: Result<T, String>, wrong: &mut Vec<String>) -> Option<T> {
    part.map_err(|reason| wrong.push(reason)).ok()
}

fn input(image: &Value) -> Result<String, String> {
    let Some(text) = image.get("input").and_then(Value::as_str) else {
        return Err("input: the URL of the original is missing".into());
    };
    if text.len() > MAX_URL {
        return Err(format!("input: it is longer than {MAX_URL} bytes"));
    }
    let url = Url::parse(text).map_err(|error| format!("input: `{text}` is no URL: {error}"))?;
    match url.scheme() {
        "http" | "https" | "file" => Ok(text.to_owned()),
        scheme => Err(format!("input: `{scheme}:` is not fetched; use http, https or file")),
    }
}

fn side(image: &Value, name: &str) -> Result<u32, String> {
    let side = image.get(name).ok_or_else(|| format!("{name}: it is missing"))?;
    let pixels = side.as_u64().and_then(|pixels| u32::try_from(pixels).ok());
    pixels
        .filter(|pixels| (1..=MAX_SIDE).contains(pixels))
        .ok_or_else(|| format!("{name}: `{side}` is no whole number of pixels from 1 to {MAX_SIDE}"))
}

fn one_of<T: for<'de> Deserialize<'de>>(image: &Value, name: &str, known: &str) -> Result<Option<T>, String> {
    match image.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => T::deserialize(value)
            .map(Some)
            .map_err(|_| format!("{name}: `{value}` is not supported; use {known}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read_json(body: &Value) -> Result<Vec<Order>, Invalid> {
        read(body.to_string().as_bytes())
    }

    fn reasons(body: &Value) -> Vec<String> {
        read_json(body).expect_err("it is wrong").0
    }

    #[test]
    fn a_plain_request_is_read_with_the_defaults() {
        let body =
            json!({"images": [{"input": "http://a/b.jpg", "width": 10, "height": 20, "operation": "max"}]});
        let orders = read_json(&body).expect("it is right");
        assert_eq!(orders.len(), 1);
        assert_eq!((orders[0].width, orders[0].height), (10, 20));
        assert_eq!((orders[0].operation, orders[0].format), (Operation::Max, Format::Jpeg));
    }

    #[test]
    fn each_image_gets_an_id_of_its_own_whatever_it_came_with() {
        let image = json!({"id": "mine", "input": "file:///b.jpg", "width": 1, "height": 1});
        let orders = read_json(&json!({"images": [image, image]})).expect("it is right");
        assert_ne!(orders[0].id, orders[1].id);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let body = json!({"images": [
            {"input": "http://a/b.jpg", "width": 1, "height": 1},
            {"input": "gopher://a/b.jpg", "width": 0, "height": 1.5, "format": "gif", "policy": "crop"},
            {"width": "10"},
        ]});
        let reasons = reasons(&body);
        let starts = [
            "images[1].input: `gopher:`",
            "images[1].width: `0`",
            "images[1].height: `1.5`",
            "images[1].policy: `\"crop\"` is not supported; use `max`",
            "images[1].format: `\"gif\"` is not supported; use `jpeg` or `png`",
            "images[2].input: the URL",
            "images[2].width: `\"10\"`",
            "images[2].height: it is missing",
        ];
        assert_eq!(reasons.len(), starts.len(), "{reasons:#?}");
        for (reason, start) in reasons.iter().zip(starts) {
            assert!(reason.starts_with(start), "{reason} should start with {start}");
        }
    }

    #[test]
    fn a_body_without_images_is_refused() {
        for body in [json!({}), json!({"images": {}}), json!({"images": []}), json!(null), json!([])] {
            assert_eq!(reasons(&body).len(), 1, "{body}");
        }
        let many = vec![json!({}); MAX_IMAGES + 1];
        assert_eq!(reasons(&json!({"images": many})), ["images: there are 1001; a job has at most 1000"]);
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&body);
        }
    }
}
