//! Making ports, and sending to them.

use msgflo_core::{Error, InportOptions, Sharing};

use crate::Bed;
use crate::bed::queue;
use crate::inbox::{Inbox, message};

/// A port may be made again, by the same and by another participant; what waits in it stays.
pub async fn making_a_port_again_changes_nothing(bed: &Bed) {
    let (first, second) = (bed.client().await, bed.client().await);
    let (inport, outport) = (queue("role.IN"), queue("role.OUT"));
    for client in [&first, &first, &second] {
        client.create_inport(&inport, InportOptions::default()).await.expect("an inport is made");
        client.create_outport(&outport).await.expect("an outport is made");
        first.send_to_queue(&inport, message("kept")).await.expect("it is sent");
    }
    let mut inbox = Inbox::open(&*second, &inport, Sharing::Shared, 10).await;
    assert_eq!(inbox.texts(3).await, ["kept"; 3]);
}

/// Sending on an outport succeeds if nothing is bound there.
pub async fn nobody_need_listen_to_an_outport(bed: &Bed) {
    let client = bed.client().await;
    client.create_outport(&queue("role.OUT")).await.expect("an outport is made");
    client.send(&queue("role.OUT"), message("unheard")).await.expect("it is confirmed");
}

/// What is put straight into an inport's queue arrives, in order.
pub async fn an_inport_takes_what_is_put_into_it(bed: &Bed) {
    let client = bed.client().await;
    let mut inbox = Inbox::open(&*client, &queue("role.IN"), Sharing::Shared, 10).await;
    for text in ["1", "2", "3"] {
        client.send_to_queue(&queue("role.IN"), message(text)).await.expect("it is sent");
    }
    assert_eq!(inbox.texts(3).await, ["1", "2", "3"]);
}

/// Putting a message into a queue that does not exist is an error, and does not harm the connection.
pub async fn what_is_put_into_no_queue_is_not_found(bed: &Bed) {
    let client = bed.client().await;
    let error =
        client.send_to_queue(&queue("nowhere"), message("lost")).await.expect_err("there is no such queue");
    assert!(matches!(&error, Error::NotFound { name } if name == "nowhere"), "{error:?}");
    an_inport_takes_what_is_put_into_it(bed).await;
    let mut inbox = Inbox::open(&*client, &queue("next.IN"), Sharing::Shared, 10).await;
    client.send_to_queue(&queue("next.IN"), message("arrives")).await.expect("it is sent");
    assert_eq!(inbox.text().await, "arrives");
}

/// An outport and an inport that name the same queue are connected without a binding.
pub async fn ports_of_one_name_are_connected(bed: &Bed) {
    let (sender, receiver) = (bed.client().await, bed.client().await);
    let mut inbox = Inbox::open(&*receiver, &queue("shared"), Sharing::Shared, 10).await;
    sender.create_outport(&queue("shared")).await.expect("an outport is made");
    sender.send(&queue("shared"), message("through")).await.expect("it is sent");
    assert_eq!(inbox.text().await, "through");
}
