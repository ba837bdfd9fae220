//! The governor: queue sources, actuators, and the loop between them.
