//! What MsgFlo is made of: participants, ports, bindings, discovery, and the traits of a transport.
