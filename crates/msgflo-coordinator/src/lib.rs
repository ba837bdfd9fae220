//! Keeps a network as its graph wants it: state, plan, component library, supervisor.
