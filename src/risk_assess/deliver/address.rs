//! Where the Quick Integration of one tenant is.
//!
//! Invariant: `https` unless its host is this machine, since the login travels in clear inside it; no credentials, path or query.

use std::fmt;

use url::{Host, Url};

/// The service's host (D498: `https://{tenant}.hiperos.com`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Url);

/// Why a text is no [`Address`]. Texts quote nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing was entered, or no URL.
    #[error("this is no address; enter for instance https://acme.hiperos.com")]
    Unreadable,
    /// A scheme other than `https`.
    #[error("only https is used to reach Risk Assess; enter for instance https://acme.hiperos.com")]
    NotHttps,
    /// User name or password in the URL.
    #[error("the address carries a user name or password; give them separately")]
    Credentials,
    /// A path, query or fragment.
    #[error("the address must end after the host; the connector adds /QuickIntegration/Users itself")]
    Path,
}

impl Address {
    /// The address of that text: a host, or a URL.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let strange = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '\\';
        if text.is_empty() || text.contains(strange) {
            return Err(AddressError::Unreadable);
        }
        let full = if text.contains("://") {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        let url = Url::parse(&full).map_err(|_| AddressError::Unreadable)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        let address = Self(url);
        match address.0.scheme() {
            "https" => {}
            "http" if address.is_loopback() => {}
            _ => return Err(AddressError::NotHttps),
        }
        if address.0.path() != "/" || address.0.query().is_some() || address.0.fragment().is_some() {
            return Err(AddressError::Path);
        }
        Ok(address)
    }

    /// Where users are posted.
    pub(super) fn users(&self) -> Url {
        let mut url = self.0.clone();
        url.set_path("/QuickIntegration/Users");
        url
    }

    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(super) fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_host_or_an_https_address() {
        for text in [
            "acme.hiperos.com",
            " https://acme.hiperos.com/ ",
            "https://acme.hiperos.com:443",
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), "https://acme.hiperos.com");
            assert_eq!(
                address.users().as_str(),
                "https://acme.hiperos.com/QuickIntegration/Users"
            );
            assert!(address.is_https() && !address.is_loopback());
        }
        for here in ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:9"] {
            assert!(Address::parse(here).unwrap().is_loopback());
        }
    }

    #[test]
    fn anything_else_is_refused_without_repeating_it() {
        for (text, expected) in [
            ("", AddressError::Unreadable),
            ("a b.hiperos.com", AddressError::Unreadable),
            (
                "https://evil.example\\@acme.hiperos.com",
                AddressError::Unreadable,
            ),
            ("http://acme.hiperos.com", AddressError::NotHttps),
            ("http://127.0.0.1.evil.example", AddressError::NotHttps),
            ("ftp://acme.hiperos.com", AddressError::NotHttps),
            (
                "https://me:sentinel-4711@acme.hiperos.com",
                AddressError::Credentials,
            ),
            (
                "https://acme.hiperos.com/QuickIntegration/Users",
                AddressError::Path,
            ),
            ("https://acme.hiperos.com/?a=1", AddressError::Path),
        ] {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(!format!("{error} {error:?}").contains("4711"));
        }
    }
}
