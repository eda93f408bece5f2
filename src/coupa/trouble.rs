//! What can go wrong between us and Coupa, and how it is told as a [`Fault`].
//!
//! Invariant: no text here repeats anything from a body, a query string or a header; details are I/O errors with their addresses
//! removed.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::fault::{Fault, FaultKind};

/// What is read, or looked up before a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Object {
    Users,
    Groups,
    Roles,
    /// Rows that put one user into one group.
    Memberships,
    /// The description of the GraphQL schema.
    Schema,
    /// An access token.
    Token,
}

impl Object {
    /// The scope that unlocks it (list of scopes and endpoints as of R34.3).
    pub(crate) const fn scope(self) -> &'static str {
        match self {
            Self::Users | Self::Schema | Self::Token => "core.user.read",
            Self::Groups | Self::Memberships => "core.user_group.read",
            Self::Roles => "core.common.read",
        }
    }

    /// The name used in messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Groups => "user groups",
            Self::Roles => "roles",
            Self::Memberships => "group memberships",
            Self::Schema => "the GraphQL schema",
            Self::Token => "an access token",
        }
    }

    /// The root of field paths in its answers.
    pub(crate) const fn root(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Groups => "user_groups",
            Self::Roles => "roles",
            Self::Memberships => "user_group_memberships",
            Self::Schema => "schema",
            Self::Token => "token",
        }
    }
}

/// One of the two ways to read a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Surface {
    Rest,
    Graphql,
}

impl Surface {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Rest => Self::Graphql,
            Self::Graphql => Self::Rest,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Graphql => "graphql",
        }
    }
}

impl fmt::Display for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rest => "REST",
            Self::Graphql => "GraphQL",
        })
    }
}

/// What is wrong with the other side's TLS. The first flaw found ends the handshake; what else is wrong stays unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsFlaw {
    /// No protocol in common, or the port does not speak TLS.
    Handshake,
    /// The certificate's time is over.
    Expired,
    /// The certificate's time has not come.
    NotYetValid,
    /// No authority that this machine trusts has signed it.
    UnknownAuthority,
    /// It is another host's.
    OtherName,
    /// Anything else about the certificate.
    Unsound,
}

impl TlsFlaw {
    /// What the certificate or the other side does.
    const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "it does not speak a protocol that is accepted here",
            Self::Expired => "its certificate has expired",
            Self::NotYetValid => "its certificate is not valid yet",
            Self::UnknownAuthority => {
                "its certificate comes from an authority that this machine does not trust"
            }
            Self::OtherName => "its certificate is for another name",
            Self::Unsound => "its certificate is not accepted",
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::Handshake => {
                "check host and port, and for a proxy in between that does not pass TLS through"
            }
            Self::Expired | Self::NotYetValid => {
                "check the clock of this machine; if it is right, the certificate must be renewed"
            }
            Self::UnknownAuthority | Self::Unsound => {
                "check the Coupa domain, and for an inspecting proxy whose certificate authority this machine must trust (SSL_CERT_FILE names a file of authorities)"
            }
            Self::OtherName => "check the Coupa domain for a typing mistake, and the DNS of this machine",
        }
    }
}

/// Why one attempt failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("401 for a token that has been replaced")]
    TokenSuperseded,
    #[error("401 for a token minted seconds ago")]
    TokenTooFresh,
    #[error("401")]
    TokenRefused,
    #[error("403")]
    Forbidden,
    #[error("404")]
    NotFound,
    #[error("{0}")]
    Rejected(u16),
    #[error("redirect {0}")]
    Redirect(u16),
    #[error("{status}")]
    Server {
        status: u16,
        retry_after: Option<Duration>,
    },
    #[error("429")]
    TooMany { retry_after: Option<Duration> },
    #[error("host name unknown")]
    UnknownHost,
    #[error("no connection")]
    Unreachable,
    #[error("TLS failure")]
    Tls(TlsFlaw),
    #[error("no answer in time")]
    Timeout,
    #[error("connection lost")]
    Lost,
    #[error("answer cut off")]
    CutOff,
    #[error("answer too large")]
    TooLarge,
    #[error("answer is not JSON")]
    NotJson,
    /// Request errors; `fields` are those of our own field names that the messages mention.
    #[error("GraphQL refuses the query")]
    GraphqlRefused { fields: Vec<String> },
    #[error("GraphQL reports errors beside partial data")]
    GraphqlPartial,
    /// JSON, but not of the form expected at `path`.
    #[error("unexpected form at {path}")]
    Shape { path: String },
    /// Paging brings the same rows again and again.
    #[error("the same rows on every page")]
    Endless,
    /// Rows came that the conditions rule out, too many to look through.
    #[error("conditions not heeded")]
    Unheeded,
    /// A write waited too long for its token or its turn and was not sent.
    #[error("turn came too late")]
    Late,
    #[error("no token")]
    NoToken(Box<Fault>),
    /// The request could not be made.
    #[error("request could not be built")]
    Ours,
}

impl Trouble {
    /// The wait Coupa asks for.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Server { retry_after, .. } | Self::TooMany { retry_after } => *retry_after,
            _ => None,
        }
    }
}

/// A failed call: what was read where, and why it failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) object: Object,
    pub(crate) surface: Surface,
    pub(crate) trouble: Trouble,
    /// Text of an I/O error, without addresses.
    pub(crate) detail: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} over {}: {}",
            self.object.name(),
            self.surface,
            self.trouble
        )
    }
}

impl std::error::Error for Failure {}

impl Failure {
    pub(crate) const fn new(object: Object, surface: Surface, trouble: Trouble) -> Self {
        Self {
            object,
            surface,
            trouble,
            detail: None,
        }
    }

    /// Whether the list as a whole was `null` or no list.
    pub(crate) fn is_null_list(&self) -> bool {
        matches!(&self.trouble, Trouble::Shape { path } if path == self.object.root())
    }

    /// Whether the same call may work later, so that nothing is learned about the tenant.
    pub(crate) fn is_transient(&self) -> bool {
        match &self.trouble {
            Trouble::NoToken(fault) => fault.is_transient(),
            Trouble::Server { .. }
            | Trouble::TooMany { .. }
            | Trouble::UnknownHost
            | Trouble::Unreachable
            | Trouble::Timeout
            | Trouble::Lost
            | Trouble::CutOff => true,
            _ => false,
        }
    }

    /// Whether Coupa understood the request and will not have it so.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(
            self.trouble,
            Trouble::Rejected(_) | Trouble::GraphqlRefused { .. }
        )
    }

    /// Whether no other request would fare better: wrong client, or a missing scope of the token.
    pub(crate) const fn concerns_all(&self) -> bool {
        matches!(
            self.trouble,
            Trouble::NoToken(_) | Trouble::TokenRefused | Trouble::TokenTooFresh | Trouble::TokenSuperseded
        )
    }

    /// How much the failure tells a person who has to mend it; more is better.
    pub(crate) const fn telling(&self) -> u8 {
        match self.trouble {
            Trouble::NoToken(_) => 5,
            Trouble::Forbidden => 4,
            Trouble::TokenRefused | Trouble::TokenTooFresh | Trouble::TokenSuperseded => 3,
            Trouble::NotFound | Trouble::GraphqlRefused { .. } => 1,
            _ => 2,
        }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        let fault = tell(&failure);
        match failure.detail {
            Some(detail) => fault.because(detail),
            None => fault,
        }
    }
}

const CHECK_DOMAIN: &str = "check that the Coupa domain is right";
const TRY_LATER: &str = "try again later";

fn tell(failure: &Failure) -> Fault {
    let what = failure.object.name();
    let over = failure.surface;
    let unavailable = |message: String| Fault::unavailable(message);
    match &failure.trouble {
        Trouble::NoToken(fault) => (**fault).clone(),
        Trouble::TokenSuperseded | Trouble::TokenTooFresh | Trouble::TokenRefused => Fault::new(
            FaultKind::Unauthenticated,
            format!("Coupa does not accept the token it issued (401 while reading {what} over {over})"),
        )
        .advise("check that the OAuth client is still active in Coupa"),
        Trouble::Forbidden => forbidden(failure),
        Trouble::NotFound => unavailable(format!(
            "Coupa has no path for {what} over {over} (404); this is not an empty list"
        ))
        .advise("check the Coupa domain, and whether this release offers the resource"),
        Trouble::Rejected(status) => Fault::corrupt(format!(
            "Coupa rejects the request for {what} over {over} ({status})"
        )),
        Trouble::Redirect(status) => unavailable(format!(
            "the host answers the request for {what} with a redirect ({status}), which is not followed"
        ))
        .advise(CHECK_DOMAIN),
        Trouble::Server { status, .. } => {
            unavailable(format!("Coupa fails while reading {what} over {over} ({status})")).advise(TRY_LATER)
        }
        Trouble::TooMany { retry_after } => rate_limited(what, *retry_after),
        Trouble::UnknownHost => unavailable("the host name of the Coupa domain is unknown".into())
            .advise("check the Coupa domain for a typing mistake, and the DNS of this machine"),
        Trouble::Unreachable => unavailable("the Coupa host cannot be reached".into())
            .advise("check network, firewall and proxy of this machine"),
        Trouble::Tls(flaw) => unavailable(format!(
            "the Coupa host cannot be reached by TLS: {}",
            flaw.name()
        ))
        .advise(flaw.advice()),
        Trouble::Timeout => unavailable(format!(
            "Coupa did not answer in time while reading {what} over {over}"
        ))
        .advise("check the network, or try again later"),
        Trouble::Lost => unavailable(format!(
            "the connection to Coupa broke while reading {what} over {over}"
        ))
        .advise(TRY_LATER),
        Trouble::CutOff => {
            unavailable(format!("Coupa's answer with {what} over {over} was cut off")).advise(TRY_LATER)
        }
        Trouble::TooLarge => Fault::corrupt(format!(
            "Coupa's answer with {what} over {over} is larger than any page can be"
        )),
        Trouble::NotJson => unavailable(format!(
            "the host answers the request for {what} over {over} with something that is not JSON"
        ))
        .advise("check the Coupa domain, and for a proxy or a maintenance page"),
        Trouble::GraphqlRefused { fields } => Fault::corrupt(format!(
            "Coupa refuses the GraphQL query for {what}{}",
            about(fields)
        )),
        Trouble::GraphqlPartial => unavailable(format!(
            "Coupa reports GraphQL errors while reading {what}; partial data is not used"
        )),
        Trouble::Shape { .. } if failure.is_null_list() => Fault::corrupt(format!(
            "Coupa answers the request for {what} over {over} with something that is not a list"
        )),
        Trouble::Shape { path } => Fault::corrupt(format!(
            "Coupa's answer over {over} does not have the expected form at {path}"
        )),
        Trouble::Endless => Fault::corrupt(format!(
            "Coupa repeats the same {what} over {over} on every page; the list cannot be read to its end"
        )),
        Trouble::Unheeded => Fault::new(
            FaultKind::Unsupported,
            format!(
                "Coupa does not heed the conditions on {what} over {over}; single ones cannot be looked up"
            ),
        ),
        Trouble::Late => unavailable(format!(
            "the request for {what} waited too long for its turn and was not sent"
        ))
        .advise(TRY_LATER),
        Trouble::Ours => Fault::internal(format!("the request for {what} could not be built")),
    }
}

fn forbidden(failure: &Failure) -> Fault {
    let scope = failure.object.scope();
    Fault::new(
        FaultKind::MissingScope {
            scope: Cow::Borrowed(scope),
        },
        format!(
            "Coupa refuses to show {} over {} (403)",
            failure.object.name(),
            failure.surface
        ),
    )
    .advise(format!(
        "give the OAuth client in Coupa the scope {scope} and access to the API"
    ))
}

/// Assumed wait when Coupa names none: its rate counts in seconds.
const QUIET_WAIT: Duration = Duration::from_mins(1);

fn rate_limited(what: &str, retry_after: Option<Duration>) -> Fault {
    let wait = retry_after.unwrap_or(QUIET_WAIT).min(QUIET_WAIT);
    let until = Timestamp::now().checked_add(wait).unwrap_or(Timestamp::MAX);
    Fault::new(
        FaultKind::RateLimited { until },
        format!("Coupa still asks to slow down while reading {what} (429)"),
    )
    .advise("other integrations may use up the instance's limit; lower the requests per second or try again later")
}

fn about(fields: &[String]) -> String {
    if fields.is_empty() {
        String::new()
    } else {
        format!(" (about {})", fields.join(", "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn fault(object: Object, trouble: Trouble) -> Fault {
        Failure::new(object, Surface::Rest, trouble).into()
    }

    #[test]
    fn a_refusal_names_the_scope_of_the_object() {
        for (object, expected) in [
            (Object::Users, "core.user.read"),
            (Object::Groups, "core.user_group.read"),
            (Object::Roles, "core.common.read"),
        ] {
            let fault = fault(object, Trouble::Forbidden);
            assert!(matches!(fault.kind(), FaultKind::MissingScope { scope } if scope == expected));
            assert!(fault.advice().unwrap().contains(expected));
        }
    }

    #[test]
    fn a_missing_path_is_never_a_missing_object() {
        assert_eq!(
            fault(Object::Roles, Trouble::NotFound).kind(),
            &FaultKind::Unavailable
        );
    }

    #[test]
    fn the_time_to_come_back_is_near() {
        let long = Some(Duration::from_mins(429));
        let fault = fault(Object::Users, Trouble::TooMany { retry_after: long });
        let FaultKind::RateLimited { until } = fault.kind() else {
            panic!("{fault:?}");
        };
        let wait = until.duration_since(Timestamp::now());
        assert!(wait.as_secs() <= 60 && wait.as_secs() >= 50, "{wait:?}");
    }
}
