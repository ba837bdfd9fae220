//! What a participant is, before it runs.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use msgflo_core::{BoxError, ComponentName, ParticipantId, PortName, Role};
use serde_json::Value;

use crate::Context;
use crate::inport::{Closure, Handler, Inport, Intake, work};
use crate::outport::{Outlet, Outport, OutportOptions};
use crate::payload::{Decode, Encode};

/// A participant: its ports, and what it does with the messages that come in.
///
/// Errors of the declaration, such as two inports of one name, show when it starts.
///
/// ```
/// use msgflo::{Inport, Participant};
///
/// let mut add = Participant::new("math/Add").label("Adds two numbers").icon("plus");
/// let sum = add.outport::<f64>("SUM");
/// let error = add.error_port("ERROR");
/// add.inport("IN", Inport::default().prefetch(10), move |(a, b): (f64, f64), context| {
///     let sum = sum.clone();
///     async move {
///         context.send(&sum, &(a + b))?;
///         Ok(())
///     }
/// });
/// # let _ = error;
/// ```
pub struct Participant {
    pub(crate) component: ComponentName,
    pub(crate) default_role: Role,
    pub(crate) label: Option<String>,
    pub(crate) icon: Option<String>,
    pub(crate) inports: Vec<Intake>,
    pub(crate) outports: Vec<Arc<Outlet>>,
    pub(crate) error_port: Option<Arc<Outlet>>,
}

impl Participant {
    /// A participant that runs `component`, such as `imageresize/ResizeImage`. Unless said otherwise it plays the role that
    /// is the last part of that name.
    pub fn new(component: impl Into<ComponentName>) -> Self {
        let component = component.into();
        let role = component.as_str().rsplit('/').next().unwrap_or_default();
        Self {
            default_role: Role::from(role),
            component,
            label: None,
            icon: None,
            inports: Vec::new(),
            outports: Vec::new(),
            error_port: None,
        }
    }

    /// The role that it plays unless `--role` says otherwise. Where several participants run in one process, `--role
    /// THIS=OTHER` refers to it.
    #[must_use]
    pub fn role(mut self, role: impl Into<Role>) -> Self {
        self.default_role = role.into();
        self
    }

    /// One line on what it does.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Its icon's name, by convention one of Font Awesome's.
    #[must_use]
    pub fn icon(mut self, icon: impl Into<String>) -> Self {
        self.icon = Some(icon.into());
        self
    }

    /// Adds a port on which values of `T` are sent.
    pub fn outport<T: Encode + ?Sized>(&mut self, name: impl Into<PortName>) -> Outport<T> {
        self.outport_with(name, OutportOptions::default())
    }

    /// Adds a port on which values of `T` are sent, described by `options`.
    pub fn outport_with<T: Encode + ?Sized>(
        &mut self,
        name: impl Into<PortName>,
        options: OutportOptions,
    ) -> Outport<T> {
        let outlet = Arc::new(Outlet::new(name.into(), options));
        self.outports.push(Arc::clone(&outlet));
        Outport::new(outlet)
    }

    /// Adds the port to which failures of every inport go, before their messages are refused: a JSON object `{"error":
    /// {"message": "…"}, "failed_at": "2026-01-31T12:00:00.000Z"}`, with the message's own keys beside them if it was a JSON
    /// object. There is one such port; a later one takes its place as the one that gets the failures.
    pub fn error_port(&mut self, name: impl Into<PortName>) -> Outport<Value> {
        let port =
            OutportOptions::default().data_type("object").description("What could not be done, and why");
        let outport = self.outport_with(name, port);
        self.error_port = self.outports.last().cloned();
        outport
    }

    /// Adds a port on which values of `I` are taken, and what is done with each. The closure is called for several messages
    /// at a time, up to the [prefetch](Inport::prefetch). See [`Handler::handle`] for what its result means.
    pub fn inport<I, F, W>(&mut self, name: impl Into<PortName>, options: Inport, handler: F)
    where
        I: Decode + Send + 'static,
        F: Fn(I, Context) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.handler(name, options, Closure(handler));
    }

    /// As [`inport`](Self::inport), for a struct.
    pub fn handler<I, H>(&mut self, name: impl Into<PortName>, options: Inport, handler: H)
    where
        I: Decode + Send + 'static,
        H: Handler<I>,
    {
        self.inports.push(Intake { name: name.into(), options, work: work(handler) });
    }

    /// What it says of itself as `id`, playing `role`.
    pub(crate) fn announcement(&self, id: ParticipantId, role: &Role) -> msgflo_core::Participant {
        let mut announced = msgflo_core::Participant::new(id, role.clone(), self.component.clone());
        announced.label.clone_from(&self.label);
        announced.icon.clone_from(&self.icon);
        announced.inports = self.inports.iter().map(|inport| inport.announced(role)).collect();
        let described = |outlet: &Arc<Outlet>| outlet.options.description.announced(role, &outlet.name);
        announced.outports = self.outports.iter().map(described).collect();
        announced
    }

    /// What is wrong with the declaration, in words.
    pub(crate) fn problems(&self) -> Vec<String> {
        let inports = self.inports.iter().map(|inport| &inport.name);
        let outports = self.outports.iter().map(|outlet| &outlet.name);
        let twice = |direction: &'static str, names: &mut dyn Iterator<Item = &PortName>| {
            let names: Vec<_> = names.collect();
            let again = |at: &usize| names[..*at].iter().any(|name| name.matches(names[*at]));
            let problem = |at: usize| {
                format!("`{}` has two {direction}s `{}`: name them differently", self.component, names[at])
            };
            (0..names.len()).filter(again).map(problem).collect::<Vec<_>>()
        };
        let mut problems = twice("inport", &mut { inports });
        problems.extend(twice("outport", &mut { outports }));
        problems
    }
}

impl Intake {
    fn announced(&self, role: &Role) -> msgflo_core::Port {
        let mut port = self.options.description.announced(role, &self.name);
        if self.options.sharing == msgflo_core::Sharing::Each {
            port.deliver_to_each();
        }
        port
    }
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participant")
            .field("component", &self.component)
            .field("role", &self.default_role)
            .finish_non_exhaustive()
    }
}
