//! Connecting, or being told why not.

use msgflo_core::{BrokerOptions, BrokerUrl, Error};
use tokio::net::TcpListener;
use url::Url;

use crate::Bed;

fn changed(url: &BrokerUrl, change: impl FnOnce(&mut Url)) -> BrokerUrl {
    let mut url = url.expose().clone();
    change(&mut url);
    url.as_str().parse().expect("it was a URL before")
}

/// It is told as such, without the password, and trying again is not suggested.
pub async fn a_wrong_password_is_refused(bed: &Bed) {
    let url = changed(bed.url(), |url| {
        url.set_username("stranger").expect("a broker's URL takes a user");
        url.set_password(Some("open-sesame")).expect("a broker's URL takes a password");
    });
    let client = bed.transport().client(&url).await.err();
    let broker = bed.transport().broker(&url, BrokerOptions::default()).await.err();
    for error in [client, broker] {
        let error = error.expect("a stranger is refused");
        assert!(matches!(error, Error::AccessRefused { .. }), "{error:?}");
        assert!(!error.is_transient(), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("open-sesame"), "{error:?}");
    }
}

/// It is told as such, and trying again may help.
pub async fn a_broker_that_is_away_is_unreachable(bed: &Bed) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    drop(listener);
    let url = changed(bed.url(), |url| url.set_port(Some(port)).expect("a broker's URL takes a port"));
    let client = bed.transport().client(&url).await.err();
    let broker = bed.transport().broker(&url, BrokerOptions::default()).await.err();
    for error in [client, broker] {
        let error = error.expect("nobody listens there");
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        assert!(error.is_transient(), "{error:?}");
    }
}
