//! Reports by mail, over SMTP.
//!
//! Invariants: a mail leaves this machine only under TLS, with a certificate that the system trusts; login and password are in no text of ours;
//! nothing takes longer than two minutes. A server's own words may name people: they go to who asked, not to the log.

use std::error::Error as _;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use super::report::Report;
use crate::model::fault::{Fault, FaultKind};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(20);
/// Longest time for a whole mail.
const WHOLE: Duration = Duration::from_mins(2);
/// Most of a server's words that are quoted, in letters.
const QUOTED: usize = 400;

/// Where mail goes out: `smtp://user:password@host:587` or `smtps://user:password@host:465`.
///
/// `smtps` is TLS from the first byte; `smtp` begins in plain text and must be lifted to TLS (STARTTLS), or nothing is sent. To this machine
/// itself `smtp` stays plain, unless the address ends in `?tls=required`. Ports: 465 and 587 where none is given (RFC 8314).
#[derive(Clone)]
pub struct SmtpUrl {
    host: Host<String>,
    port: u16,
    security: Security,
    login: Option<Login>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    Plain,
    StartTls,
    Tls,
}

#[derive(Clone)]
struct Login {
    name: SecretString,
    password: SecretString,
}

/// Why a text is not an [`SmtpUrl`]. No text repeats what was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SmtpUrlError {
    /// No URL, or no host in it.
    #[error(
        "this is no address of a mail server; enter for instance smtps://user:password@smtp.example.com:465 \
         (in user and password write @ : / ? # % as %40 %3A %2F %3F %23 %25)"
    )]
    Unreadable,
    /// Another scheme.
    #[error("a mail server's address begins with smtps:// or smtp://")]
    Scheme,
    /// A user without a password, or the other way round.
    #[error("give both user and password, or neither")]
    HalfLogin,
    /// Something behind host and port.
    #[error("nothing may follow host and port but ?tls=required or, for this machine itself, ?tls=none")]
    Trailing,
    /// Plain text over a network.
    #[error(
        "mail goes out without TLS only to this machine itself; leave ?tls=none out or use smtps://, and the report is sent encrypted"
    )]
    PlainText,
}

impl FromStr for SmtpUrl {
    type Err = SmtpUrlError;

    fn from_str(text: &str) -> Result<Self, SmtpUrlError> {
        let url = Url::parse(text.trim()).map_err(|_| SmtpUrlError::Unreadable)?;
        let wrapped = match url.scheme() {
            "smtps" => true,
            "smtp" => false,
            _ => return Err(SmtpUrlError::Scheme),
        };
        // The URL library knows hosts of web schemes only; for others it hands the text over as it stands.
        let host = url.host_str().filter(|host| !host.is_empty());
        let host =
            Host::parse(host.ok_or(SmtpUrlError::Unreadable)?).map_err(|_| SmtpUrlError::Unreadable)?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(SmtpUrlError::Trailing);
        }
        Ok(Self {
            port: url.port().unwrap_or(if wrapped { 465 } else { 587 }),
            security: security(wrapped, url.query(), is_loopback(&host))?,
            login: login(&url)?,
            host,
        })
    }
}

fn security(wrapped: bool, query: Option<&str>, loopback: bool) -> Result<Security, SmtpUrlError> {
    match (wrapped, query) {
        (true, None | Some("tls=required")) => Ok(Security::Tls),
        (false, None | Some("tls=none")) if loopback => Ok(Security::Plain),
        (_, Some("tls=none")) => Err(SmtpUrlError::PlainText),
        (false, None | Some("tls=required")) => Ok(Security::StartTls),
        (_, Some(_)) => Err(SmtpUrlError::Trailing),
    }
}

fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

fn login(url: &Url) -> Result<Option<Login>, SmtpUrlError> {
    let decoded = |text: &str| {
        let text = percent_decode_str(text)
            .decode_utf8()
            .map_err(|_| SmtpUrlError::Unreadable)?;
        Ok(SecretString::from(text.into_owned()))
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) | (_, None) => Err(SmtpUrlError::HalfLogin),
        (name, Some(password)) => Ok(Some(Login {
            name: decoded(name)?,
            password: decoded(password)?,
        })),
    }
}

impl SmtpUrl {
    /// Port of the server.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The host as the network and a certificate know it: an IPv6 address without brackets.
    pub fn server(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }
}

/// Scheme, host and port.
impl fmt::Display for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.security {
            Security::Tls => "smtps",
            Security::StartTls | Security::Plain => "smtp",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Sends reports from one address to another. Each mail has a connection of its own.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Mailbox,
}

/// Nothing: addresses are personal.
impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").finish_non_exhaustive()
    }
}

impl Mailer {
    /// A mailer over `url` to the address `to`. Without `from` the mail comes from the login, where that is an address, else from `to`
    /// itself: servers refuse senders that they do not know.
    pub fn new(url: &SmtpUrl, from: Option<&str>, to: &str) -> Result<Self, Fault> {
        Self::made(url, from, to, Vec::new())
    }

    /// The same, trusting besides what the system trusts also these certificates (PEM).
    pub fn trusting(url: &SmtpUrl, from: Option<&str>, to: &str, roots: &[u8]) -> Result<Self, Fault> {
        let roots = Certificate::from_pem(roots)
            .map_err(|_| Fault::invalid("the certificates to trust for mail cannot be read"))?;
        Self::made(url, from, to, vec![roots])
    }

    fn made(url: &SmtpUrl, from: Option<&str>, to: &str, roots: Vec<Certificate>) -> Result<Self, Fault> {
        let to = address("of the recipient", to)?;
        let from = match from {
            Some(from) => address("of the sender", from)?,
            None => sender(url).unwrap_or_else(|| to.clone()),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(url.server())
            .port(url.port)
            .timeout(Some(CONNECT))
            .tls(tls(url, roots)?);
        if let Some(login) = &url.login {
            let secret = |text: &SecretString| text.expose_secret().to_owned();
            builder = builder.credentials(Credentials::new(secret(&login.name), secret(&login.password)));
        }
        Ok(Self {
            transport: builder.build(),
            from,
            to,
        })
    }

    /// Mails a report: its title as the subject, its summary as the text, its file attached. A failure does not always mean that nothing
    /// arrived: the connection may have broken after the last byte.
    pub async fn send(&self, report: &Report) -> Result<(), Fault> {
        let message = self.message(report)?;
        match tokio::time::timeout(WHOLE, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => {
                let told = format!("the mail server did not answer within {} s", WHOLE.as_secs());
                Err(Fault::unavailable(told).advise("look whether the mail arrived nonetheless"))
            }
        }
    }

    fn message(&self, report: &Report) -> Result<Message, Fault> {
        let broken = |error: &dyn fmt::Display| Fault::internal("the mail cannot be made").because(error);
        let csv = ContentType::parse("text/csv; charset=utf-8").map_err(|error| broken(&error))?;
        let domain = Some(self.from.email.domain()).filter(|domain| domain.is_ascii());
        let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(32).collect();
        Message::builder()
            .from(self.from.clone())
            .to(self.to.clone())
            .subject(report.title.clone())
            .date_now()
            .message_id(Some(format!("<{random}@{}>", domain.unwrap_or("localhost"))))
            // RFC 3834: nobody's absence notice answers this.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .multipart(
                MultiPart::mixed()
                    .singlepart(SinglePart::plain(report.summary.clone()))
                    .singlepart(Attachment::new(report.file_name.clone()).body(report.csv.clone(), csv)),
            )
            .map_err(|error| broken(&error))
    }
}

fn address(whose: &str, text: &str) -> Result<Mailbox, Fault> {
    text.trim().parse().map_err(|_| {
        Fault::invalid(format!("the e-mail address {whose} cannot be read"))
            .advise("write it as name@example.com")
    })
}

/// The login, where it is an address.
fn sender(url: &SmtpUrl) -> Option<Mailbox> {
    url.login.as_ref()?.name.expose_secret().parse().ok()
}

fn tls(url: &SmtpUrl, roots: Vec<Certificate>) -> Result<Tls, Fault> {
    let parameters = || {
        let builder = TlsParameters::builder(url.server());
        let builder = roots.into_iter().fold(builder, |builder, root| {
            // In addition to the system's, `SSL_CERT_FILE` included: the same verifier as for HTTP.
            builder.add_root_certificate(root)
        });
        builder
            .build()
            .map_err(|error| Fault::internal("TLS for mail cannot be set up").because(error))
    };
    Ok(match url.security {
        Security::Plain => Tls::None,
        Security::StartTls => Tls::Required(parameters()?),
        Security::Tls => Tls::Wrapper(parameters()?),
    })
}

/// What a failed mail means.
fn failed(error: &smtp::Error) -> Fault {
    if let Some(code) = error.status() {
        return refused(u16::from(code), error);
    }
    if causes(error).any(<dyn std::error::Error>::is::<rustls::Error>) {
        return Fault::unavailable("the mail server cannot be reached by TLS: its certificate or protocol is not accepted")
            .advise("check the host name in --smtp-url, and whether this machine trusts the server's certificate authority")
            .because(chain(error));
    }
    if error.is_client() {
        // Texts of the library about what the server does not offer, for instance STARTTLS: nothing of the server's.
        return Fault::new(
            FaultKind::Refused,
            "the mail server does not offer what this mail needs, and nothing was sent",
        )
        .quoting(chain(error))
        .because(chain(error));
    }
    if error.is_response() {
        // The library quotes the server here; that is not for the log.
        return Fault::unavailable("the mail server's answer cannot be understood")
            .advise("check host and port in --smtp-url: smtps:// speaks TLS at once, smtp:// does not");
    }
    Fault::unavailable("the mail server cannot be reached, or the connection to it broke")
        .advise("check host and port in --smtp-url and the network")
        .because(chain(error))
}

/// What an answer of the server other than success means (RFC 5321, 4.2.1; RFC 4954, 6).
fn refused(code: u16, error: &smtp::Error) -> Fault {
    let fault = match code {
        530 | 534 | 535 | 538 => Fault::new(
            FaultKind::Unauthenticated,
            format!("the mail server does not accept user and password ({code})"),
        )
        .advise("check user and password in --smtp-url"),
        400..=499 => Fault::unavailable(format!("the mail server does not take the mail now ({code})")),
        _ => Fault::new(
            FaultKind::Refused,
            format!("the mail server refuses the mail ({code})"),
        ),
    };
    match error.source().map(ToString::to_string) {
        Some(words) if !words.trim().is_empty() => fault.quoting(quotable(&words)),
        _ => fault,
    }
}

/// One bounded line, without what a terminal would obey.
fn quotable(words: &str) -> String {
    let plain = words
        .chars()
        .map(|sign| if sign.is_control() { ' ' } else { sign });
    plain.take(QUOTED).collect::<String>().trim().to_owned()
}

fn causes<'a>(error: &'a smtp::Error) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let current = next?;
        // An `io::Error` hides what it wraps from `source`.
        let wrapped = current
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => current.source(),
        };
        Some(current)
    })
}

fn chain(error: &smtp::Error) -> String {
    let mut texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn parse(text: &str) -> SmtpUrl {
        text.parse()
            .unwrap_or_else(|error: SmtpUrlError| panic!("{text}: {error}"))
    }

    #[test]
    fn an_address_says_how_mail_is_encrypted() {
        for (text, security, port) in [
            ("smtps://smtp.example.com", Security::Tls, 465),
            ("SMTPS://smtp.example.com:2465/", Security::Tls, 2465),
            ("smtp://smtp.example.com", Security::StartTls, 587),
            ("smtp://smtp.example.com:25?tls=required", Security::StartTls, 25),
            ("smtp://10.0.0.1", Security::StartTls, 587),
            ("smtp://127.0.0.1:2525", Security::Plain, 2525),
            ("smtp://localhost:25?tls=none", Security::Plain, 25),
            ("smtp://[::1]:25", Security::Plain, 25),
            ("smtp://127.0.0.1?tls=required", Security::StartTls, 587),
            ("smtps://localhost", Security::Tls, 465),
        ] {
            let url = parse(text);
            assert_eq!((url.security, url.port), (security, port), "{text}");
            assert!(url.login.is_none());
        }
        assert_eq!(parse("smtp://[::1]:25").server(), "::1");
        assert_eq!(
            parse("smtp://u:p@Smtp.Example.com").to_string(),
            "smtp://smtp.example.com:587"
        );
    }

    #[test]
    fn what_is_no_such_address_is_told() {
        for (text, error) in [
            ("", SmtpUrlError::Unreadable),
            ("smtp.example.com", SmtpUrlError::Unreadable),
            ("smtp://", SmtpUrlError::Unreadable),
            ("smtp://exa mple", SmtpUrlError::Unreadable),
            ("smtp://host:99999", SmtpUrlError::Unreadable),
            ("smtp://u:pa/ss@host", SmtpUrlError::Unreadable),
            ("https://smtp.example.com", SmtpUrlError::Scheme),
            ("smtp://user@host", SmtpUrlError::HalfLogin),
            ("smtp://:pass@host", SmtpUrlError::HalfLogin),
            ("smtp://host/path", SmtpUrlError::Trailing),
            ("smtp://host?tls=opportunistic", SmtpUrlError::Trailing),
            ("smtp://host#x", SmtpUrlError::Trailing),
            ("smtp://host?tls=none", SmtpUrlError::PlainText),
            ("smtp://127.0.0.1.example.com?tls=none", SmtpUrlError::PlainText),
            ("smtps://localhost?tls=none", SmtpUrlError::PlainText),
        ] {
            assert_eq!(text.parse::<SmtpUrl>().unwrap_err(), error, "{text:?}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        for text in [
            "smtp://ada%40example.com:s%3Ae%2Fcr%25et@smtp.example.com",
            "smtp://ada@example.com:s%3Ae%2Fcr%25et@smtp.example.com",
        ] {
            let url = parse(text);
            let login = url.login.as_ref().unwrap();
            assert_eq!(login.name.expose_secret(), "ada@example.com");
            assert_eq!(login.password.expose_secret(), "s:e/cr%et");
            let mailer = Mailer::new(&url, None, "Admin <admin@example.com>").unwrap();
            let shown = format!("{url} {url:?} {mailer:?}");
            assert!(
                !shown.contains("ada") && !shown.contains("cr") && !shown.contains("admin"),
                "{shown}"
            );
            assert_eq!(mailer.from.email.to_string(), "ada@example.com");
        }
        for text in [
            "smtp://user:sentinel#x@host",
            "smtp://sentinel@host",
            "smtp://u:sentinel@",
            "http://u:sentinel@h",
        ] {
            let error = text.parse::<SmtpUrl>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("sentinel"));
        }
    }

    #[test]
    fn who_sends_is_known_to_the_server() {
        let to = "admin@example.com";
        let from = |url: &str, from| {
            let mailer = Mailer::new(&parse(url), from, to).unwrap();
            mailer.from.email.to_string()
        };
        assert_eq!(
            from("smtp://localhost", Some("baton@example.com")),
            "baton@example.com"
        );
        assert_eq!(from("smtp://apikey:x@localhost", None), to);
        assert_eq!(from("smtp://localhost", None), to);
    }

    #[test]
    fn an_address_that_is_none_is_told_without_it() {
        for (from, to) in [
            (None, "sentinel"),
            (Some("sentinel"), "a@b.c"),
            (None, "a@b.c\r\nBcc: sentinel@x.y"),
        ] {
            let fault = Mailer::new(&parse("smtp://localhost"), from, to).unwrap_err();
            assert_eq!(*fault.kind(), FaultKind::Invalid);
            assert!(!format!("{fault} {fault:?}").contains("sentinel"));
        }
    }
}
