//! Which hosts are Coupa, and how what people type becomes one.
//!
//! Invariant: an [`Endpoint`] is `https` unless its host is this machine, carries no credentials, path or query, and its
//! host is not one of the Coupa hosts that serve other products.

use std::fmt;

use url::{Host, Url};

/// Domains under which Coupa runs tenants (coupa-api, hosts).
const TENANT_DOMAINS: [&str; 3] = ["coupahost.com", "coupacloud.com", "coupadev.com"];

/// Where the API of one tenant is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    base: Url,
    host: String,
}

/// Why a text is not an [`Endpoint`]: what is wrong, then what to enter. Texts quote no more than a host name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Nothing was entered.
    #[error("the Coupa domain is empty; enter for instance acme.coupahost.com")]
    Empty,
    /// No URL and no host name.
    #[error("this is neither a host name nor a URL; enter for instance acme.coupahost.com")]
    Unreadable,
    /// A name without a domain.
    #[error("this is a single name; enter the full host, for instance {0}.coupahost.com")]
    SingleName(String),
    /// A scheme other than `https`.
    #[error("only https is used to reach Coupa; enter the host alone or an https:// address")]
    NotHttps,
    /// User name or password in the URL.
    #[error(
        "the address carries a user name or password; enter the host alone and give the OAuth client separately"
    )]
    Credentials,
    /// A port where none belongs.
    #[error(
        "a Coupa tenant has no port of its own; enter the host alone, or use the base URL for a test server"
    )]
    Port,
    /// A path, query or fragment in a base URL.
    #[error("the base URL must end after host and port; the connector adds /api itself")]
    Path,
    /// Not under a Coupa domain.
    #[error(
        "{host} is not a Coupa tenant; a tenant is called NAME.coupahost.com, NAME.coupacloud.com or \
         NAME.coupadev.com (for any other address give the base URL)"
    )]
    Foreign {
        /// The host.
        host: String,
    },
    /// A Coupa host that serves something else.
    #[error(
        "{host} is {what}, not the Core API; enter the address where people log in to Coupa, for instance acme.coupahost.com"
    )]
    OtherProduct {
        /// The host.
        host: String,
        /// What it is.
        what: &'static str,
    },
}

impl Endpoint {
    /// The endpoint for a tenant's domain, as people have it: a host, or any https address pasted from a browser (path and
    /// query are dropped).
    pub fn from_domain(text: &str) -> Result<Self, EndpointError> {
        let url = parse(text)?;
        if url.scheme() != "https" {
            return Err(EndpointError::NotHttps);
        }
        if url.port().is_some() {
            return Err(EndpointError::Port);
        }
        let Some(Host::Domain(host)) = url.host() else {
            return Err(EndpointError::Unreadable);
        };
        let host = host.trim_end_matches('.').to_owned();
        judge(&host)?;
        let base = Url::parse(&format!("https://{host}/")).map_err(|_| EndpointError::Unreadable)?;
        Ok(Self { base, host })
    }

    /// The endpoint for an explicit base URL: any host by https, this machine also by http.
    pub fn from_base_url(text: &str) -> Result<Self, EndpointError> {
        let base = parse(text)?;
        match base.scheme() {
            "https" => {}
            "http" if is_loopback(&base) => {}
            _ => return Err(EndpointError::NotHttps),
        }
        if base.path() != "/" || base.query().is_some() || base.fragment().is_some() {
            return Err(EndpointError::Path);
        }
        let host = base.host_str().ok_or(EndpointError::Unreadable)?;
        if let Some(what) = other_product(host) {
            let host = host.to_owned();
            return Err(EndpointError::OtherProduct { host, what });
        }
        let host = match base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Self { base, host })
    }

    /// Host, and port where one is given: what tells one tenant from another.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether requests stay on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.base)
    }

    /// Whether requests are encrypted.
    pub(crate) fn is_https(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// The address of an absolute path.
    pub(crate) fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.as_str().trim_end_matches('/'))
    }
}

fn parse(text: &str) -> Result<Url, EndpointError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(EndpointError::Empty);
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(EndpointError::Unreadable);
    }
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let url = Url::parse(&full).map_err(|_| EndpointError::Unreadable)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EndpointError::Credentials);
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(EndpointError::Unreadable);
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn judge(host: &str) -> Result<(), EndpointError> {
    if let Some(what) = other_product(host) {
        let host = host.to_owned();
        return Err(EndpointError::OtherProduct { host, what });
    }
    let Some(name) = tenant_part(host) else {
        return Err(if host.contains('.') {
            EndpointError::Foreign {
                host: host.to_owned(),
            }
        } else {
            EndpointError::SingleName(host.to_owned())
        });
    };
    if name.split('.').all(is_label) {
        Ok(())
    } else {
        Err(EndpointError::Foreign {
            host: host.to_owned(),
        })
    }
}

/// What stands before the Coupa domain.
fn tenant_part(host: &str) -> Option<&str> {
    TENANT_DOMAINS
        .iter()
        .find_map(|domain| host.strip_suffix(domain)?.strip_suffix('.'))
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// What a Coupa host is that is no tenant of the Core API.
fn other_product(host: &str) -> Option<&'static str> {
    if host == "hiperos.com" || host.ends_with(".hiperos.com") {
        return Some("Risk Assess");
    }
    let mut labels = tenant_part(host)?.split('.');
    let first = labels.next().unwrap_or_default();
    let begins = |word: &str| {
        first
            .strip_prefix(word)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    if begins("supplier") {
        return Some("the supplier portal");
    }
    if begins("sso") || begins("identity") {
        return Some("a sign-in service");
    }
    // A product may have its own name as the only label (`risk.coupahost.com`) or behind a customer's.
    std::iter::once(first)
        .chain(labels)
        .find_map(|label| match label {
            "risk" => Some("Risk Assess"),
            "cso" => Some("Sourcing Optimization"),
            "ctm" => Some("Treasury"),
            "io" => Some("an internal service"),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn tenants_are_accepted_in_every_form_people_have_them() {
        for (text, host) in [
            ("acme.coupahost.com", "acme.coupahost.com"),
            ("  Acme.CoupaHost.com \n", "acme.coupahost.com"),
            ("acme-test.coupahost.com", "acme-test.coupahost.com"),
            ("acme-uat.coupahost.com.", "acme-uat.coupahost.com"),
            ("acme.coupacloud.com", "acme.coupacloud.com"),
            ("acme.coupadev.com", "acme.coupadev.com"),
            ("eu.acme.coupahost.com", "eu.acme.coupahost.com"),
            ("https://acme.coupahost.com/session/new", "acme.coupahost.com"),
            ("acme.coupahost.com/users?page=2#top", "acme.coupahost.com"),
            ("https://acme.coupahost.com:443/", "acme.coupahost.com"),
            ("supplierhub.coupahost.com", "supplierhub.coupahost.com"),
        ] {
            let endpoint = Endpoint::from_domain(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(endpoint.host(), host);
            assert_eq!(endpoint.to_string(), format!("https://{host}"));
            assert_eq!(
                endpoint.at("/oauth2/token").as_str(),
                format!("https://{host}/oauth2/token")
            );
        }
    }

    #[test]
    fn other_products_are_refused_with_a_hint() {
        for host in [
            "supplier.coupahost.com",
            "supplier-test.coupahost.com",
            "sso-prd1.coupahost.com",
            "identity-eu.io.coupahost.com",
            "acme.risk.coupahost.com",
            "acme.hiperos.com",
            "acme.cso.coupahost.com",
            "acme.cso.coupacloud.com",
            "acme.ctm.coupahost.com",
        ] {
            for text in [host.to_owned(), format!("https://{host}/login")] {
                let error = Endpoint::from_domain(&text).unwrap_err();
                assert!(
                    matches!(error, EndpointError::OtherProduct { .. }),
                    "{text}: {error}"
                );
                assert!(error.to_string().contains("enter "), "{error}");
            }
            assert!(
                Endpoint::from_base_url(&format!("https://{host}")).is_err(),
                "{host}"
            );
        }
    }

    #[test]
    fn what_is_no_tenant_is_refused() {
        for (text, expected) in [
            ("", EndpointError::Empty),
            ("  ", EndpointError::Empty),
            ("acme", EndpointError::SingleName("acme".into())),
            ("http://acme.coupahost.com", EndpointError::NotHttps),
            ("ftp://acme.coupahost.com", EndpointError::NotHttps),
            ("user@acme.coupahost.com", EndpointError::Credentials),
            ("https://u:p@acme.coupahost.com", EndpointError::Credentials),
            ("acme.coupahost.com:8443", EndpointError::Port),
            ("a b.coupahost.com", EndpointError::Unreadable),
            ("10.0.0.1", EndpointError::Unreadable),
            ("https://", EndpointError::Unreadable),
        ] {
            assert_eq!(Endpoint::from_domain(text), Err(expected), "{text:?}");
        }
        for text in [
            "coupahost.com",
            "evilcoupahost.com",
            "acme.coupahost.com.evil.example",
            "https://evil.example/acme.coupahost.com",
            "https://evil.example\\@acme.coupahost.com",
            "-acme.coupahost.com",
            "ac_me.coupahost.com",
        ] {
            assert!(
                matches!(Endpoint::from_domain(text), Err(EndpointError::Foreign { .. })),
                "{text}: {:?}",
                Endpoint::from_domain(text)
            );
        }
    }

    #[test]
    fn no_message_repeats_credentials() {
        for text in ["https://me:sentinel-4711@acme.coupahost.com", "sentinel-4711@x"] {
            let error = Endpoint::from_domain(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("4711"));
        }
    }

    #[test]
    fn a_base_url_is_https_unless_it_stays_here() {
        for (text, host) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://localhost:1/", "localhost:1"),
            ("http://[::1]:9", "[::1]:9"),
            (
                "https://coupa.internal.example:8443",
                "coupa.internal.example:8443",
            ),
            ("https://acme.coupahost.com", "acme.coupahost.com"),
            ("gateway.example", "gateway.example"),
        ] {
            assert_eq!(Endpoint::from_base_url(text).unwrap().host(), host);
        }
        for (text, expected) in [
            ("http://gateway.example", EndpointError::NotHttps),
            ("http://127.0.0.1.evil.example", EndpointError::NotHttps),
            ("https://gateway.example/api", EndpointError::Path),
            ("https://gateway.example/?a=1", EndpointError::Path),
            ("https://u@gateway.example", EndpointError::Credentials),
        ] {
            assert_eq!(Endpoint::from_base_url(text), Err(expected), "{text}");
        }
        assert!(
            Endpoint::from_base_url("http://127.0.0.1:1")
                .unwrap()
                .is_loopback()
        );
        assert!(
            !Endpoint::from_base_url("https://gateway.example")
                .unwrap()
                .is_loopback()
        );
    }
}
