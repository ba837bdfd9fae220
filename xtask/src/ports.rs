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

/// Two ports that nobody listened on a moment ago, the second one `distance` above the first.
pub(crate) fn free_pair(distance: u16) -> Result<[u16; 2]> {
    loop {
        let [first] = free()?;
        if let Some(second) = first.checked_add(distance)
            && TcpListener::bind((Ipv4Addr::LOCALHOST, second)).is_ok()
        {
            return Ok([first, second]);
        }
    }
}
