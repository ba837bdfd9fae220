//! A job: its images, and what has become of each.
//!
//! Pure. A job only ever goes forward: an image that has ended keeps its ending whatever is delivered later, so results that a
//! broker delivers twice are counted once, and a job that has ended stays so.

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::message::{Ended, Ending, Failure, ImageId, JobId, Order, ResizeMessage, Resized};

/// A job, as it is stored and shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The job.
    pub id: JobId,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When anything about it last changed.
    pub updated_at: Timestamp,
    /// When its last image ended, if none failed.
    pub completed_at: Option<Timestamp>,
    /// When its last image ended, if any failed.
    pub failed_at: Option<Timestamp>,
    /// Its images.
    pub data: Images,
}

/// The images of a job, in the order in which they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Images {
    /// Each image by its id.
    pub images: IndexMap<ImageId, Image>,
}

/// An image of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// What to do to it.
    #[serde(flatten)]
    pub order: Order,
    /// When a worker took it.
    pub started_at: Option<Timestamp>,
    /// When its result was stored.
    pub completed_at: Option<Timestamp>,
    /// When it was given up.
    pub failed_at: Option<Timestamp>,
    /// Its result.
    pub result: Option<Resized>,
    /// Why it was given up.
    pub error: Option<Failure>,
}

/// What a result did to its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The image has ended with it.
    Changed,
    /// The image had ended before; nothing changed.
    AlreadyEnded,
}

/// How many of a job's images are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Neither completed nor failed.
    pub pending: u64,
    /// Completed.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
}

impl Image {
    /// An image that waits.
    pub fn new(order: Order) -> Self {
        Self { order, started_at: None, completed_at: None, failed_at: None, result: None, error: None }
    }

    /// When the work on it ended, if it has.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.completed_at.or(self.failed_at)
    }
}

impl Job {
    /// A job that waits.
    pub fn new(id: JobId, created_at: Timestamp, orders: impl IntoIterator<Item = Order>) -> Self {
        let images = orders.into_iter().map(|order| (order.id, Image::new(order))).collect();
        Self {
            id,
            created_at,
            updated_at: created_at,
            completed_at: None,
            failed_at: None,
            data: Images { images },
        }
    }

    /// The messages that ask for what has not ended.
    pub fn pending_messages(&self) -> Vec<ResizeMessage> {
        let pending = self.data.images.values().filter(|image| image.ended_at().is_none());
        pending.map(|image| ResizeMessage::new(self.id, self.created_at, image.order.clone())).collect()
    }

    /// Whether every image has ended.
    pub fn has_ended(&self) -> bool {
        self.data.images.values().all(|image| image.ended_at().is_some())
    }

    /// How many images are where.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for image in self.data.images.values() {
            match (image.completed_at, image.failed_at) {
                (Some(_), _) => counts.completed += 1,
                (None, Some(_)) => counts.failed += 1,
                (None, None) => counts.pending += 1,
            }
        }
        counts
    }

    /// Takes over what a worker says of one image. `None` when it is not one of this job's.
    pub fn merge(&mut self, ended: &Ended, now: Timestamp) -> Option<Merged> {
        let image = self.data.images.get_mut(&ended.image)?;
        if image.ended_at().is_some() {
            return Some(Merged::AlreadyEnded);
        }
        image.started_at = ended.started_at;
        match &ended.ending {
            Ending::Completed(result) => {
                image.completed_at = Some(ended.ended_at);
                image.result = Some(result.clone());
            }
            Ending::Failed(error) => {
                image.failed_at = Some(ended.ended_at);
                image.error = Some(error.clone());
            }
        }
        self.updated_at = now;
        let counts = self.counts();
        if counts.pending == 0 {
            let ended = if counts.failed == 0 { &mut self.completed_at } else { &mut self.failed_at };
            *ended = Some(now);
        }
        Some(Merged::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Format, Operation};
    use proptest::prelude::*;
    use uuid::Uuid;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time in this age")
    }

    fn image(number: u128) -> ImageId {
        ImageId(Uuid::from_u128(number))
    }

    fn job(images: u128) -> Job {
        let orders = (0..images).map(|number| Order {
            id: image(number),
            input: format!("http://example.net/{number}.jpg"),
            width: 100,
            height: 100,
            operation: Operation::Max,
            format: Format::Jpeg,
            policy: None,
        });
        Job::new(JobId(Uuid::from_u128(1)), at(0), orders)
    }

    fn completed(number: u128, ended_at: i64) -> Ended {
        Ended {
            job: JobId(Uuid::from_u128(1)),
            image: image(number),
            started_at: Some(at(ended_at - 1)),
            ended_at: at(ended_at),
            ending: Ending::Completed(Resized { output: format!("file:///{number}.jpg") }),
        }
    }

    fn failed(number: u128, ended_at: i64) -> Ended {
        let ending = Ending::Failed(Failure { message: "no".into() });
        Ended { ending, ..completed(number, ended_at) }
    }

    #[test]
    fn a_job_completes_with_its_last_image() {
        let mut job = job(2);
        assert_eq!(job.merge(&completed(1, 5), at(6)), Some(Merged::Changed));
        assert!(!job.has_ended());
        assert_eq!((job.completed_at, job.updated_at), (None, at(6)));
        assert_eq!(job.merge(&completed(0, 7), at(8)), Some(Merged::Changed));
        assert!(job.has_ended());
        assert_eq!((job.completed_at, job.failed_at), (Some(at(8)), None));
        assert_eq!(job.counts(), Counts { pending: 0, completed: 2, failed: 0 });
    }

    #[test]
    fn one_failed_image_fails_the_job_once_all_have_ended() {
        let mut job = job(2);
        job.merge(&failed(0, 5), at(6));
        assert_eq!((job.completed_at, job.failed_at), (None, None));
        job.merge(&completed(1, 7), at(8));
        assert_eq!((job.completed_at, job.failed_at), (None, Some(at(8))));
    }

    #[test]
    fn a_second_ending_changes_nothing() {
        let mut job = job(1);
        job.merge(&completed(0, 5), at(6));
        let before = job.clone();
        assert_eq!(job.merge(&failed(0, 9), at(9)), Some(Merged::AlreadyEnded));
        assert_eq!(job.merge(&completed(0, 9), at(9)), Some(Merged::AlreadyEnded));
        assert_eq!(job, before);
    }

    #[test]
    fn a_stranger_is_not_taken_in() {
        let mut job = job(1);
        assert_eq!(job.merge(&completed(9, 5), at(6)), None);
        assert_eq!(job.counts().pending, 1);
    }

    #[test]
    fn only_what_has_not_ended_is_asked_for_again() {
        let mut job = job(3);
        job.merge(&completed(1, 5), at(6));
        let asked: Vec<_> = job.pending_messages().iter().map(|message| message.payload.id).collect();
        assert_eq!(asked, [image(0), image(2)]);
    }

    #[test]
    fn it_is_stored_as_it_is_read() {
        let mut job = job(2);
        job.merge(&failed(1, 5), at(6));
        let json = serde_json::to_value(&job).expect("it is JSON");
        assert_eq!(json["data"]["images"][image(1).to_string()]["error"]["message"], "no");
        assert_eq!(serde_json::from_value::<Job>(json).expect("it is a job"), job);
    }

    proptest! {
        /// Whatever is delivered, in whatever order and however often, the first ending of each image stays, and the counts
        /// are those of the images that were named at least once.
        #[test]
        fn the_first_ending_of_each_image_stays(
            deliveries in prop::collection::vec((0u128..8, any::<bool>()), 0..40),
        ) {
            let mut job = job(8);
            let mut first = std::collections::BTreeMap::new();
            for (time, (number, succeeded)) in (1i64..).zip(deliveries) {
                let ended = if succeeded { completed(number, time) } else { failed(number, time) };
                let is_first = !first.contains_key(&number);
                let expected = if is_first { Merged::Changed } else { Merged::AlreadyEnded };
                prop_assert_eq!(job.merge(&ended, at(time)), Some(expected));
                first.entry(number).or_insert((time, succeeded));
            }
            for (&number, &(time, succeeded)) in &first {
                let image = &job.data.images[&image(number)];
                prop_assert_eq!(image.ended_at(), Some(at(time)));
                prop_assert_eq!(image.result.is_some(), succeeded);
            }
            prop_assert_eq!(job.counts().pending, 8 - first.len() as u64);
            prop_assert_eq!(job.has_ended(), first.len() == 8);
        }
    }
}
