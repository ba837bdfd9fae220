//! The broker as real clients see it: lapin over a real socket.

mod support;

mod publishing;
