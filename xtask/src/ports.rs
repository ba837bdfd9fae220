//! Free ports of the loopback interface.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

/// Ports that nobody listened on a moment ago, all different.
pub(crate) fn free<const N: usize>() -> Result<[u16; N]> {
    // All are held until the last one is found, so that none comes twice.
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
        *port = listener.local_addr().context("looking for a free port")?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
