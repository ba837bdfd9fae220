use std::path::Path;

use msgflo_core::{Message, Port};

use super::*;
use crate::desired::{Choice, PortRef, Problem};
use crate::library::Library;
use crate::processes::{Exit, Instance};
use crate::status::{EdgeState, NodeState};

const SERVICE: &str = "web(ir/Http) RESIZE -> IN resize(ir/Resize) OUT -> IN store(ir/Store)";

/// A network with its clock.
struct Bench {
    network: Network,
    now: Instant,
}

impl Bench {
    fn new(graph: &str, ignore: &[&str]) -> (Self, Vec<Action>) {
        Self::remembering(graph, ignore, vec![])
    }

    fn remembering(graph: &str, ignore: &[&str], bindings: Vec<Binding>) -> (Self, Vec<Action>) {
        let network = Network::new(desired(graph, ignore), bindings);
        let mut bench = Self { network, now: Instant::now() };
        let actions = bench.tell(Input::Tick);
        (bench, actions)
    }

    fn tell(&mut self, input: Input) -> Vec<Action> {
        self.network.handle([input], self.now)
    }

    fn heard(&mut self, id: &str, inports: &[&str], outports: &[&str]) -> Vec<Action> {
        self.tell(Input::Heard(participant(id, inports, outports)))
    }

    fn edges(&self) -> Vec<(EdgeState, Option<String>)> {
        self.network.status(self.now).edges.into_iter().map(|edge| (edge.state, edge.reason)).collect()
    }

    fn started(&mut self, unit: &str, number: u32) -> Vec<Action> {
        let instance = Instance { unit: UnitName(unit.into()), number };
        self.tell(Input::Started { instance, pid: 100 + number })
    }
}

fn desire(graph: &str, ignore: &[&str]) -> Input {
    Input::Desire(Box::new(desired(graph, ignore)))
}

fn desired(graph: &str, ignore: &[&str]) -> Desired {
    let library = r#"{"components": {
        "ir/Http": {"command": "serve", "with": ["ir/Store"]}, "ir/Resize": "resize --role #ROLE"}}"#;
    let library = Library::parse(library, Path::new(".")).unwrap();
    let choice = Choice { ignore: ignore.iter().map(|role| (*role).into()).collect(), ..Choice::default() };
    let (desired, problems) = Desired::checked(&fbp::parse(graph).unwrap(), &library, &choice);
    // Editors may say what no binding can be.
    assert!(problems.iter().all(|problem| matches!(problem, Problem::Binding { .. })), "{problems:?}");
    desired
}

/// A participant `role-number` with conventional queue names.
fn participant(id: &str, inports: &[&str], outports: &[&str]) -> Participant {
    let role = id.split('-').next().unwrap();
    let port = |name: &&str| Port::new(*name, Some(format!("{role}.{name}").into()));
    let mut participant = Participant::new(id, role, "ir/Any");
    participant.inports = inports.iter().map(port).collect();
    participant.outports = outports.iter().map(port).collect();
    participant
}

fn pubsub(source: &str, target: &str) -> Binding {
    Binding::PubSub { source: source.into(), target: target.into() }
}

fn exit() -> Exit {
    Exit { status: "exit status 1".into(), output: vec!["no such file".into()] }
}

#[test]
fn edges_are_bound_as_their_ends_appear() {
    let all = ["web", "resize", "store"];
    let (mut bench, actions) = Bench::new(SERVICE, &all);
    assert_eq!(actions, [], "nothing is ours to start");
    assert_eq!(bench.heard("resize-1", &["IN"], &["OUT", "ERROR"]), []);
    assert_eq!(bench.edges()[0], (EdgeState::Pending, Some("`web` has not announced itself yet".into())));
    let web = pubsub("web.RESIZE", "resize.IN");
    assert_eq!(bench.heard("web-1", &[], &["RESIZE"]), [Action::Bind(web.clone())]);
    assert_eq!(bench.tell(Input::Bound(web, Ok(()))), []);
    assert_eq!(bench.edges()[0], (EdgeState::Bound, None));
    assert_eq!(bench.heard("store-1", &["IN"], &[]), [Action::Bind(pubsub("resize.OUT", "store.IN"))]);
}

#[test]
fn a_restarted_participant_is_bound_again() {
    let (mut bench, _) = Bench::new(SERVICE, &["web", "resize", "store"]);
    bench.heard("web-1", &[], &["RESIZE"]);
    bench.heard("resize-1", &["IN"], &["OUT"]);
    let web = pubsub("web.RESIZE", "resize.IN");
    assert_eq!(bench.heard("resize-2", &["IN"], &["OUT"]), [], "the broker is being asked already");
    assert_eq!(
        bench.tell(Input::Bound(web.clone(), Ok(()))),
        [Action::Bind(web.clone())],
        "but before resize-2 came"
    );
    assert_eq!(bench.tell(Input::Bound(web.clone(), Ok(()))), []);
    assert_eq!(bench.heard("resize-2", &["IN"], &["OUT"]), [], "it only said again that it is there");
    assert_eq!(bench.heard("resize-3", &["IN"], &["OUT"]), [Action::Bind(web)]);
}

#[test]
fn an_unknown_port_fails_and_names_those_that_there_are() {
    let (mut bench, _) = Bench::new("a(X) OUTT -> IN b(Y)", &["a", "b"]);
    bench.heard("a-1", &[], &["OUT", "ERROR"]);
    assert_eq!(bench.heard("b-1", &["IN"], &[]), []);
    let reason = "`a` has no outport `outt`; it has: OUT, ERROR; did you mean `OUT`?".to_owned();
    assert_eq!(bench.edges(), [(EdgeState::Failed, Some(reason))]);
}

#[test]
fn what_the_broker_refuses_is_tried_again() {
    let (mut bench, _) = Bench::new("a(X) OUT -> IN b(Y)", &["a", "b"]);
    bench.heard("a-1", &[], &["OUT"]);
    bench.heard("b-1", &["IN"], &[]);
    let edge = pubsub("a.OUT", "b.IN");
    assert_eq!(bench.tell(Input::Bound(edge.clone(), Err("no queue b.IN".into()))), []);
    assert_eq!(bench.edges(), [(EdgeState::Failed, Some("no queue b.IN".into()))]);
    bench.now = bench.network.wake().unwrap();
    assert_eq!(bench.tell(Input::Tick), [Action::Bind(edge)]);
}

fn by_round_robin(deadletter: Option<&str>) -> Binding {
    let deadletter = deadletter.map(Into::into);
    Binding::RoundRobin { source: "a.OUT".into(), target: "b.IN".into(), deadletter, retry: None }
}

/// A network with one edge, which is bound.
fn with_a_bound_edge() -> (Bench, Binding) {
    let (mut bench, _) = Bench::new("a(X) OUT -> IN b(Y)", &["a", "b"]);
    bench.heard("a-1", &[], &["OUT"]);
    bench.heard("b-1", &["IN"], &[]);
    let edge = pubsub("a.OUT", "b.IN");
    bench.tell(Input::Bound(edge.clone(), Ok(())));
    (bench, edge)
}

/// From `a` to `b` by a round robin, with more of it.
fn round_robin(more: &str) -> String {
    format!("a(X) OUT -> IN rr(msgflo/RoundRobin) OUT -> IN b(Y)\nc(Z)\n{more}")
}

#[test]
fn a_connection_stays_as_it_was_until_what_it_is_to_be_is_there() {
    let all = ["a", "b", "c"];
    let (mut bench, _) = Bench::new(&round_robin(""), &all);
    bench.heard("a-1", &[], &["OUT"]);
    let plain = by_round_robin(None);
    assert_eq!(bench.heard("b-1", &["IN"], &[]), [Action::Bind(plain.clone())]);
    bench.tell(Input::Bound(plain.clone(), Ok(())));

    // Nobody knows where refused messages go, then nobody knows when they come again.
    assert_eq!(bench.tell(desire(&round_robin("rr DEADLETTER -> IN c"), &all)), []);
    let reason = "`c` has not announced itself yet; until then it is as it was before";
    assert_eq!(bench.edges(), [(EdgeState::Pending, Some(reason.to_owned()))]);
    assert_eq!(bench.tell(desire(&round_robin("rr DEADLETTER -> IN c\n'abc' -> DELAY rr"), &all)), []);
    assert!(matches!(&bench.edges()[..], [(EdgeState::Failed, Some(reason))] if reason.contains("abc")));
    bench.heard("c-1", &["IN"], &[]);
    assert!(matches!(&bench.edges()[..], [(EdgeState::Failed, Some(reason))] if reason.contains("abc")));

    let parked = by_round_robin(Some("c.IN"));
    let actions = bench.tell(desire(&round_robin("rr DEADLETTER -> IN c"), &all));
    assert_eq!(actions, [Action::Bind(parked.clone())], "the one before stays until this is there");
    assert_eq!(bench.tell(Input::Bound(parked, Ok(()))), [Action::Unbind(plain)]);
    assert_eq!(bench.edges(), [(EdgeState::Bound, None)]);
}

#[test]
fn one_that_cannot_be_removed_and_waits_for_its_successor_is_not_looked_at_all_the_time() {
    let all = ["a", "b", "c"];
    let (mut bench, _) = Bench::new(&round_robin("rr DEADLETTER -> IN c"), &all);
    bench.heard("a-1", &[], &["OUT"]);
    bench.heard("c-1", &["IN"], &[]);
    bench.heard("b-1", &["IN"], &[]);
    let (parked, plain) = (by_round_robin(Some("c.IN")), by_round_robin(None));
    bench.tell(Input::Bound(parked.clone(), Err("no queue c.IN".into())));
    assert_eq!(bench.tell(desire(&round_robin(""), &all)), [Action::Bind(plain.clone())]);
    bench.now += RETRY;
    assert_eq!(bench.tell(Input::Tick), [], "the broker takes its time");
    assert_eq!(bench.network.wake(), Some(bench.now + RETRY));
    assert_eq!(bench.tell(Input::Bound(plain, Ok(()))), []);
    bench.now += RETRY;
    assert_eq!(bench.tell(Input::Tick), [Action::Unbind(parked)]);
}

#[test]
fn what_an_earlier_life_bound_is_shown_as_it_is() {
    let parked = by_round_robin(Some("c.IN"));
    let graph = round_robin("rr DEADLETTER -> IN c");
    let (mut bench, _) = Bench::remembering(&graph, &["a", "b", "c"], vec![parked.clone()]);
    bench.heard("a-1", &[], &["OUT"]);
    bench.heard("b-1", &["IN"], &[]);
    // Once for each of the two who came.
    assert_eq!(bench.tell(Input::Bound(parked.clone(), Ok(()))), [Action::Bind(parked.clone())]);
    assert_eq!(bench.tell(Input::Bound(parked, Ok(()))), []);
    let reason = "`c` has not announced itself yet; until then it is as it was before";
    assert_eq!(bench.edges(), [(EdgeState::Pending, Some(reason.to_owned()))]);
}

#[test]
fn what_somebody_else_removes_is_bound_again() {
    let (mut bench, edge) = with_a_bound_edge();
    let revision = bench.network.revision();
    for _ in 0..2 {
        bench.now = bench.network.wake().unwrap();
        assert_eq!(bench.tell(Input::Tick), [Action::Check(edge.clone())]);
        assert_eq!(bench.tell(Input::Tick), []);
        assert_eq!(bench.edges(), [(EdgeState::Bound, None)], "nobody is told while nothing is wrong");
        assert_eq!(bench.tell(Input::Checked(edge.clone(), Ok(()))), []);
    }
    assert_eq!(bench.network.revision(), revision);
    bench.now = bench.network.wake().unwrap();
    bench.tell(Input::Tick);
    assert_eq!(bench.tell(Input::Checked(edge.clone(), Err("no queue b.IN".into()))), []);
    assert_eq!(bench.edges(), [(EdgeState::Failed, Some("no queue b.IN".into()))]);
    bench.now = bench.network.wake().unwrap();
    assert_eq!(bench.tell(Input::Tick), [Action::Bind(edge)]);
}

#[test]
fn all_is_bound_again_when_the_broker_is_there_again() {
    let (mut bench, edge) = with_a_bound_edge();
    assert_eq!(bench.tell(Input::Reconnected), [Action::Check(edge.clone())]);
    assert_eq!(bench.tell(Input::Reconnected), [], "the broker is being asked");
    assert_eq!(bench.tell(Input::Checked(edge.clone(), Ok(()))), [Action::Bind(edge.clone())]);
    // The broker has forgotten everything, and the participants have not made their ports again yet.
    assert_eq!(bench.tell(Input::Bound(edge.clone(), Err("no exchange a.OUT".into()))), []);
    assert_eq!(bench.heard("a-1", &[], &["OUT"]), [Action::Bind(edge.clone())], "a has");
    assert_eq!(bench.tell(Input::Bound(edge.clone(), Err("no queue b.IN".into()))), []);
    assert_eq!(bench.heard("b-1", &["IN"], &[]), [Action::Bind(edge.clone())]);
    assert_eq!(bench.tell(Input::Bound(edge, Ok(()))), []);
    assert_eq!(bench.edges(), [(EdgeState::Bound, None)]);
    assert_eq!(bench.heard("b-1", &["IN"], &[]), [], "it only said again that it is there");
}

#[test]
fn a_check_that_the_broker_does_not_answer_is_made_again_soon() {
    let (mut bench, edge) = with_a_bound_edge();
    bench.now = bench.network.wake().unwrap();
    assert_eq!(bench.tell(Input::Tick), [Action::Check(edge.clone())]);
    assert_eq!(bench.tell(Input::Unchecked(edge.clone())), []);
    assert_eq!(bench.edges(), [(EdgeState::Bound, None)], "nothing is known of it");
    bench.now += RETRY;
    assert_eq!(bench.tell(Input::Tick), [Action::Check(edge)]);
}

#[test]
fn an_edge_that_goes_while_it_is_looked_after_is_unbound() {
    let (mut bench, edge) = with_a_bound_edge();
    bench.now = bench.network.wake().unwrap();
    bench.tell(Input::Tick);
    assert_eq!(bench.tell(desire("a(X), b(Y)", &["a", "b"])), []);
    assert_eq!(bench.tell(Input::Checked(edge.clone(), Ok(()))), [Action::Unbind(edge)]);
}

#[test]
fn what_an_earlier_life_bound_is_adopted_or_removed_when_all_are_known() {
    let (wanted, stale) = (pubsub("a.OUT", "b.IN"), pubsub("a.OUT", "gone.IN"));
    let remembered = vec![wanted.clone(), stale.clone()];
    let (mut bench, actions) = Bench::remembering("a(X) OUT -> IN b(Y)", &["a", "b"], remembered);
    assert_eq!(actions, [], "nothing that the graph may want is removed at the start");
    assert_eq!(
        bench.heard("b-1", &["IN"], &[]),
        [Action::Bind(wanted)],
        "both are kept: they may be what a needs"
    );
    assert_eq!(bench.heard("a-1", &[], &["OUT"]), [Action::Unbind(stale.clone())]);
    assert_eq!(bench.tell(Input::Unbound(stale, Ok(()))), []);
}

#[test]
fn only_the_edges_that_change_are_touched() {
    let (mut bench, _) = Bench::new("a(X) OUT -> IN b(Y), a OUT -> IN c(Y)", &["a", "b", "c"]);
    bench.heard("a-1", &[], &["OUT"]);
    bench.heard("b-1", &["IN", "OTHER"], &[]);
    bench.heard("c-1", &["IN"], &[]);
    for target in ["b.IN", "c.IN"] {
        bench.tell(Input::Bound(pubsub("a.OUT", target), Ok(())));
    }
    let actions = bench.tell(desire("a(X) OUT -> OTHER b(Y), a OUT -> IN c(Y)", &["a", "b", "c"]));
    assert_eq!(actions, [Action::Unbind(pubsub("a.OUT", "b.IN")), Action::Bind(pubsub("a.OUT", "b.OTHER"))]);
}

#[test]
fn equal_queue_names_are_already_connected() {
    let (mut bench, _) = Bench::new("a(X) OUT -> IN b(Y)", &["a", "b"]);
    let mut sensor = participant("a-1", &[], &["OUT"]);
    sensor.outports[0].queue = Some("/topic".into());
    bench.tell(Input::Heard(sensor));
    let mut display = participant("b-1", &["IN"], &[]);
    display.inports[0].queue = Some("/topic".into());
    assert_eq!(bench.tell(Input::Heard(display)), []);
    assert_eq!(bench.edges(), [(EdgeState::Bound, None)]);
}

#[test]
fn ports_without_a_queue_never_match_each_other() {
    let (mut bench, _) = Bench::new("a(X) OUT -> IN b(Y)", &["a", "b"]);
    for (id, inports, outports) in [("a-1", vec![], vec!["OUT"]), ("b-1", vec!["IN"], vec![])] {
        let mut silent = participant(id, &inports, &outports);
        silent.inports.iter_mut().chain(&mut silent.outports).for_each(|port| port.queue = None);
        assert_eq!(bench.tell(Input::Heard(silent)), []);
    }
    assert!(matches!(&bench.edges()[..], [(EdgeState::Failed, Some(_))]));
}

#[test]
fn an_inport_of_which_each_instance_gets_all_is_bound_as_an_exchange() {
    let (mut bench, _) = Bench::new("a(X) OUT -> IN b(Y)", &["a", "b"]);
    bench.heard("a-1", &[], &["OUT"]);
    let mut all = participant("b-1", &["IN"], &[]);
    all.inports[0].deliver_to_each();
    let binding = Binding::Broadcast { source: "a.OUT".into(), target: "b.IN".into() };
    assert_eq!(bench.tell(Input::Heard(all)), [Action::Bind(binding)]);
}

#[test]
fn a_role_at_zero_is_started_once_to_introduce_itself() {
    let (mut bench, actions) = Bench::new(SERVICE, &["web", "store"]);
    assert!(matches!(&actions[..], [Action::Spawn(..)]), "{actions:?}");
    assert_eq!(
        bench.tell(Input::Scale { role: "resize".into(), instances: 0 }),
        [],
        "not before it is known"
    );
    bench.started("resize", 1);
    let actions = bench.heard("resize-1", &["IN"], &["OUT"]);
    assert!(matches!(&actions[..], [Action::Terminate(_)]), "{actions:?}");
    let instance = Instance { unit: UnitName("resize".into()), number: 1 };
    assert_eq!(bench.tell(Input::Exited { instance, exit: exit() }), []);
    assert_eq!(bench.network.status(bench.now).nodes[1].state, NodeState::Idle);
    let actions = bench.tell(Input::Scale { role: "resize".into(), instances: 25 });
    assert_eq!(actions.len(), 25);
}

#[test]
fn a_process_that_dies_is_shown_with_its_last_words() {
    let (mut bench, _) = Bench::new(SERVICE, &["web", "store"]);
    let instance = Instance { unit: UnitName("resize".into()), number: 1 };
    let told = bench.tell(Input::Exited { instance, exit: exit() });
    assert!(matches!(&told[..], [Action::Tell(ended)] if ended.status == "exit status 1"), "{told:?}");
    let node = bench.network.status(bench.now).nodes.remove(1);
    assert_eq!((node.state, node.process.unwrap().last_exit), (NodeState::Failed, Some(exit())));
}

#[test]
fn what_a_process_that_dies_has_left_behind_is_ended_and_counts_as_stopping() {
    let (mut bench, _) = Bench::new(SERVICE, &["web", "store"]);
    bench.started("resize", 1);
    let instance = Instance { unit: UnitName("resize".into()), number: 1 };
    let ended = Input::LeaderEnded { instance: instance.clone() };
    assert_eq!(bench.tell(ended), [Action::Terminate(instance.clone())]);
    let process = bench.network.status(bench.now).nodes.remove(1).process.unwrap();
    assert_eq!((process.running, process.stopping), (0, 1));
    let told = bench.tell(Input::Exited { instance, exit: exit() });
    assert!(matches!(&told[..], [Action::Tell(_)]), "{told:?}");
}

fn initial(target: &str, port: &str, data: &str) -> Action {
    let packet = Packet {
        target: PortRef { role: target.into(), port: port.into() },
        message: Message::json(data).unwrap(),
        origin: Origin::Initial,
    };
    Action::Send(Inlet::Queue(format!("{target}.{port}").as_str().into()), packet)
}

/// The targets of initial packets as the participants name them.
fn upper(actions: Vec<Action>) -> Vec<Action> {
    let upper = |action| match action {
        Action::Send(inlet, mut packet) => {
            packet.target.port = packet.target.port.as_str().to_uppercase().as_str().into();
            Action::Send(inlet, packet)
        }
        other => other,
    };
    actions.into_iter().map(upper).collect()
}

#[test]
fn initial_packets_are_sent_to_every_newcomer() {
    let (mut bench, _) = Bench::new("'5' -> SPEED a(X)", &["a"]);
    assert_eq!(upper(bench.heard("a-1", &["SPEED"], &[])), [initial("a", "SPEED", "5")]);
    assert_eq!(bench.heard("a-1", &["SPEED"], &[]), []);
    assert_eq!(upper(bench.heard("a-2", &["SPEED"], &[])), [initial("a", "SPEED", "5")]);
}

#[test]
fn an_initial_packet_waits_until_what_follows_from_it_is_not_lost() {
    let (mut bench, _) = Bench::new("'5' -> IN a(ir/Resize) OUT -> IN b(ir/Resize)", &[]);
    bench.started("a", 1);
    bench.started("b", 1);
    assert_eq!(bench.heard("a-1", &["IN"], &["OUT"]), [], "b will be there soon");
    let edge = pubsub("a.OUT", "b.IN");
    assert_eq!(bench.heard("b-1", &["IN"], &[]), [Action::Bind(edge.clone())]);
    assert!(!bench.network.has_settled());
    assert_eq!(upper(bench.tell(Input::Bound(edge, Ok(())))), [initial("a", "IN", "5")]);
    assert!(bench.network.has_settled());
}

#[test]
fn an_initial_packet_does_not_wait_for_ever() {
    let (mut bench, _) = Bench::new("'5' -> IN a(ir/Resize) OUT -> IN b(ir/Resize)", &[]);
    bench.started("a", 1);
    assert_eq!(bench.heard("a-1", &["IN"], &["OUT"]), []);
    bench.now = bench.network.wake().unwrap();
    assert_eq!(upper(bench.tell(Input::Tick)), [initial("a", "IN", "5")]);
}

#[test]
fn an_initial_packet_that_changes_is_sent_once_and_the_others_are_not() {
    let (mut bench, _) = Bench::new("'5' -> SPEED a(X), '1' -> SIZE a", &["a"]);
    assert_eq!(bench.heard("a-1", &["SPEED", "SIZE"], &[]).len(), 2);
    let actions = bench.tell(desire("'6' -> SPEED a(X), '1' -> SIZE a", &["a"]));
    assert_eq!(upper(actions), [initial("a", "SPEED", "6")]);
}

#[test]
fn a_packet_waits_for_its_receiver_and_comes_back_if_there_is_none() {
    let (mut bench, _) = Bench::new("a(X) OUT -> IN b(Y)", &["a", "b"]);
    let target = PortRef { role: "b".into(), port: "IN".into() };
    let message = Message::new("hello");
    assert_eq!(bench.tell(Input::Send(target.clone(), message.clone())), []);
    assert!(matches!(&bench.heard("b-1", &["IN"], &[])[..], [Action::Send(..)]));
    let nobody = PortRef { role: "c".into(), port: "IN".into() };
    assert_eq!(bench.tell(Input::Send(nobody, message.clone())), []);
    bench.now = bench.network.wake().unwrap();
    assert!(matches!(&bench.tell(Input::Tick)[..], [Action::Return(..)]));
    let no_port = PortRef { port: "NONE".into(), ..target };
    let returned = bench.tell(Input::Send(no_port, message));
    let told = "`b.NONE` is not an inport with a queue; there are: IN";
    assert!(matches!(&returned[..], [Action::Return(_, reason)] if reason == told), "{returned:?}");
}

#[test]
fn outports_are_watched_as_they_appear() {
    let (mut bench, _) = Bench::new("a(X) OUT -> IN b(Y)", &["a", "b"]);
    let port = PortRef { role: "a".into(), port: "out".into() };
    assert_eq!(bench.tell(Input::Watch([port.clone()].into())), []);
    assert_eq!(bench.heard("a-1", &[], &["OUT"]), [Action::Tap(port.clone(), "a.OUT".into())]);
    assert!(!bench.network.has_settled());
    let tapped = |is_open| Input::Tapped { port: port.clone(), queue: "a.OUT".into(), is_open };
    assert_eq!(bench.tell(tapped(true)), []);
    assert!(bench.network.has_settled());
    assert_eq!(bench.tell(tapped(false)), []);
    bench.now = bench.network.wake().unwrap();
    assert_eq!(bench.tell(Input::Tick), [Action::Tap(port.clone(), "a.OUT".into())], "it is tried again");
    assert_eq!(bench.tell(Input::Watch(BTreeSet::new())), [Action::Untap(port)]);
}

#[test]
fn a_process_is_replaced_after_its_successor_is_up() {
    let (mut bench, _) = Bench::new(SERVICE, &["web", "store"]);
    bench.started("resize", 1);
    bench.heard("resize-1", &["IN"], &["OUT"]);
    let actions = bench.tell(Input::Restart(vec!["resize".into()]));
    assert!(matches!(&actions[..], [Action::Spawn(instance, _)] if instance.number == 2), "{actions:?}");
    assert_eq!(bench.started("resize", 2), [], "it has not introduced itself");
    let actions = bench.heard("resize-2", &["IN"], &["OUT"]);
    assert!(matches!(&actions[..], [Action::Terminate(instance)] if instance.number == 1), "{actions:?}");
    let instance = Instance { unit: UnitName("resize".into()), number: 1 };
    assert_eq!(bench.tell(Input::Exited { instance, exit: exit() }), []);
}

#[test]
fn a_binding_whose_edge_goes_while_it_is_made_is_removed_again() {
    let (mut bench, _) = Bench::new("a(X) OUT -> IN b(Y)", &["a", "b"]);
    bench.heard("a-1", &[], &["OUT"]);
    bench.heard("b-1", &["IN"], &[]);
    assert_eq!(bench.tell(desire("a(X), b(Y)", &["a", "b"])), [], "the broker has not answered yet");
    let edge = pubsub("a.OUT", "b.IN");
    assert_eq!(bench.tell(Input::Bound(edge.clone(), Ok(()))), [Action::Unbind(edge)]);
}

#[test]
fn who_is_not_heard_for_long_is_missing() {
    let (mut bench, _) = Bench::new("'5' -> SPEED a(X)", &["a"]);
    bench.heard("a-1", &["SPEED"], &[]);
    assert_eq!(bench.network.status(bench.now).nodes[0].state, NodeState::Up);
    bench.now = bench.network.wake().unwrap();
    bench.tell(Input::Tick);
    assert_eq!(bench.network.status(bench.now).nodes[0].state, NodeState::Missing);
}

#[test]
fn stopping_ends_the_processes_and_leaves_the_bindings() {
    let (mut bench, _) = Bench::new(SERVICE, &["web", "store"]);
    bench.started("resize", 1);
    bench.heard("web-1", &[], &["RESIZE"]);
    bench.heard("resize-1", &["IN"], &["OUT"]);
    let actions = bench.tell(Input::Stop);
    assert!(matches!(&actions[..], [Action::Terminate(_)]), "{actions:?}");
    assert!(!bench.network.has_stopped());
    let instance = Instance { unit: UnitName("resize".into()), number: 1 };
    assert_eq!(bench.tell(Input::Exited { instance, exit: exit() }), []);
    assert!(bench.network.has_stopped());
}

#[test]
fn while_it_stops_it_wakes_for_its_processes_only() {
    let (mut bench, _) = Bench::new(SERVICE, &["web", "store"]);
    bench.started("resize", 1);
    bench.heard("web-1", &[], &["RESIZE"]);
    bench.heard("resize-1", &["IN"], &["OUT"]);
    bench.tell(Input::Bound(pubsub("web.RESIZE", "resize.IN"), Err("no queue resize.IN".into())));
    bench.tell(Input::Send(PortRef { role: "store".into(), port: "IN".into() }, Message::new("x")));
    bench.tell(Input::Stop);
    let kill = bench.network.wake().unwrap();
    assert!(kill > bench.now + RETRY, "the binding is not made any more");
    bench.now = kill;
    let actions = bench.tell(Input::Tick);
    assert!(matches!(&actions[..], [Action::Kill(_)]), "{actions:?}");
    assert_eq!(bench.network.wake(), None, "nothing is left to do but to wait for the exit");
}
