//! What every transport and every broker must do, as a suite of tests.
//!
//! A case is an asynchronous function that takes a [`Bed`]: a transport and the URL of a broker that is empty and that nobody
//! else uses, since announcements are seen by everybody. A case panics when something is not as it must be. The macros
//! make a test of each case:
//!
//! - [`suite!`](crate::suite) for every transport: ports, messages, deliveries, bindings, taps, discovery, reconnection;
//! - [`amqp_suite!`](crate::amqp_suite) besides, for those that speak AMQP 0-9-1: the layout in the broker, and participants that do
//!   as they like, played by a plain client.
//!
//! ```text
//! async fn bed() -> Bed { Bed::new(MyTransport, url_of_an_empty_broker().await) }
//! msgflo_conformance::suite!(bed);
//! ```
//!
//! Nothing here sleeps: what must come is waited for, and what must not come is shown by something later that came
//! without it.

pub mod amqp;
mod bed;
pub mod bindings;
pub mod connections;
pub mod deliveries;
pub mod discovery;
mod inbox;
pub mod messages;
pub mod mqtt;
pub mod participant;
pub mod ports;
mod proxy;
pub mod reconnection;
pub mod retries;
pub mod taps;

pub use bed::Bed;

/// Makes a test of each case in a module of this crate. `$bed` is an asynchronous function that returns a [`Bed`].
#[doc(hidden)]
#[macro_export]
macro_rules! cases {
    ($bed:path, $module:ident: $($case:ident),+ $(,)?) => {
        mod $module {
            $(
                #[::tokio::test]
                async fn $case() {
                    $crate::$module::$case(&$bed().await).await;
                }
            )+
        }
    };
}

/// Tests what every transport must do. The argument is the path, from the crate's root, of an asynchronous function that
/// returns a [`Bed`].
#[macro_export]
macro_rules! suite {
    ($bed:path) => {
        $crate::cases!($bed, ports:
            making_a_port_again_changes_nothing,
            nobody_need_listen_to_an_outport,
            an_inport_takes_what_is_put_into_it,
            what_is_put_into_no_queue_is_not_found,
            ports_of_one_name_are_connected,
        );
        $crate::cases!($bed, messages:
            payloads_are_kept_byte_for_byte,
            what_travels_beside_the_payload_is_kept,
            what_was_not_said_stays_unsaid,
        );
        $crate::cases!($bed, deliveries:
            at_most_prefetch_are_unanswered,
            what_is_acknowledged_is_gone,
            what_is_dropped_comes_back,
            what_is_refused_is_gone,
            what_a_dropped_subscription_held_goes_back,
            what_a_closed_client_held_goes_back,
            many_unanswered_are_answered_in_any_order,
            instances_compete,
            queues_outlive_their_participants,
        );
        $crate::cases!($bed, bindings:
            a_binding_carries_messages_once,
            a_removed_binding_carries_nothing,
            one_source_serves_two_targets,
            two_sources_serve_one_target,
            a_missing_end_is_not_found_and_hurts_nobody,
            every_instance_gets_a_broadcast,
            a_round_robin_carries_messages,
            one_round_robin_leaves_the_other,
            a_round_robin_sends_what_is_refused_to_the_deadletter,
            bindings_outlive_the_coordinator,
            a_coordinator_knows_its_bindings_again,
        );
        $crate::cases!($bed, taps:
            a_tap_sees_copies_and_takes_nothing,
            a_slow_tap_holds_up_nobody,
            a_tap_on_nothing_is_not_found,
            a_queue_tells_its_depth,
            no_queue_has_no_depth,
            a_coordinator_can_send_and_take,
        );
        $crate::cases!($bed, discovery:
            every_coordinator_sees_every_announcement,
            announcements_wait_for_the_first_coordinator,
            the_discovery_queue_stays_empty,
            what_is_no_announcement_is_told_and_stops_nothing,
            a_coordinator_that_leaves_takes_nothing_along,
        );
        $crate::cases!($bed, reconnection:
            a_subscription_goes_on,
            what_was_unanswered_comes_again,
            sending_goes_on,
            a_client_hears_of_it,
            an_instance_gets_broadcasts_again,
            a_coordinator_goes_on,
        );
        $crate::cases!($bed, connections:
            a_wrong_password_is_refused,
            a_broker_that_is_away_is_unreachable,
        );
    };
}

/// Tests what transports that speak AMQP 0-9-1 must do besides. The argument is that of [`suite!`](crate::suite).
#[macro_export]
macro_rules! amqp_suite {
    ($bed:path) => {
        $crate::cases!($bed, amqp:
            an_inport_is_laid_out_as_ever,
            an_outport_is_laid_out_as_ever,
            a_round_robin_is_laid_out_as_ever,
            an_announcement_is_sent_as_ever,
            ports_of_strangers_are_bound_as_they_are,
            an_inport_that_differs_is_a_mismatch_and_hurts_nobody,
            a_discovery_queue_that_differs_will_do,
            a_discovery_queue_that_is_deleted_is_made_again,
        );
        $crate::cases!($bed, retries:
            refused_messages_are_tried_again_and_then_parked,
            what_succeeds_when_it_is_tried_again_is_done,
            another_delay_takes_over_while_messages_wait,
            a_round_robin_that_goes_leaves_no_message_behind,
        );
    };
}

/// Tests what transports that speak MQTT must do: of what all must do, that which MQTT can promise, and its own. The argument
/// is that of [`suite!`](crate::suite). The broker must speak version 5.
#[macro_export]
macro_rules! mqtt_suite {
    ($bed:path) => {
        $crate::cases!($bed, ports:
            nobody_need_listen_to_an_outport,
            an_inport_takes_what_is_put_into_it,
            ports_of_one_name_are_connected,
        );
        $crate::cases!($bed, messages:
            payloads_are_kept_byte_for_byte,
            what_was_not_said_stays_unsaid,
        );
        $crate::cases!($bed, deliveries:
            what_is_acknowledged_is_gone,
            what_is_dropped_comes_back,
            what_is_refused_is_gone,
            what_a_dropped_subscription_held_goes_back,
            many_unanswered_are_answered_in_any_order,
        );
        $crate::cases!($bed, bindings:
            a_removed_binding_carries_nothing,
            one_source_serves_two_targets,
            two_sources_serve_one_target,
            every_instance_gets_a_broadcast,
            a_round_robin_carries_messages,
        );
        $crate::cases!($bed, taps:
            a_tap_sees_copies_and_takes_nothing,
            a_slow_tap_holds_up_nobody,
        );
        $crate::cases!($bed, discovery:
            every_coordinator_sees_every_announcement,
            what_is_no_announcement_is_told_and_stops_nothing,
            a_coordinator_that_leaves_takes_nothing_along,
        );
        $crate::cases!($bed, reconnection:
            a_subscription_goes_on,
            what_was_unanswered_comes_again,
            sending_goes_on,
            a_client_hears_of_it,
            an_instance_gets_broadcasts_again,
            a_coordinator_goes_on,
        );
        $crate::cases!($bed, connections:
            a_broker_that_is_away_is_unreachable,
        );
        $crate::cases!($bed, mqtt:
            an_older_version_is_spoken_too,
            texts_beside_the_payload_are_kept,
            instances_share_each_message_once,
            at_most_prefetch_are_out,
            a_binding_that_is_made_again_carries_once,
            what_is_sent_while_the_coordinator_is_away_is_carried,
            two_coordinators_carry_a_message_once,
            nothing_is_carried_that_was_unbound_in_another_life,
            a_chain_of_bindings_keeps_the_order,
            an_announcement_that_was_retained_is_heard,
            dead_letters_are_not_promised,
            peers_speak_to_the_router,
        );
    };
}
