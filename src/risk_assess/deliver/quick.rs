//! The Quick Integration over HTTPS (D498): one file of users, one exchange.
//!
//! Invariants: no redirect is followed, since the login would go to another host; nothing takes longer than the request timeout; of an answer
//! no more than its beginning is read; logs show status and sizes only. What failed before the connection stood was not sent; whatever
//! failed later may have been.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderValue, header};
use reqwest::{multipart, redirect};
use secrecy::{ExposeSecret as _, SecretString};

use crate::model::fault::Fault;

use super::address::Address;
use super::answer::{Answer, Post, Unanswered};
use super::file::UsersFile;

/// How much of an answer is read: its status says it all, the rest is a message for people.
const ANSWER_CAP: usize = 64 * 1024;
/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(10);
/// Until the whole answer is there: an import of many rows may take its time.
const REQUEST: Duration = Duration::from_mins(2);
const USER_AGENT: &str = concat!("baton-coupa/", env!("CARGO_PKG_VERSION"));

/// Where to deliver and as whom.
#[derive(Clone)]
pub struct QuickIntegration {
    /// The service.
    pub address: Address,
    /// User name of a Risk Assess login in the group `QuickIntegration` (D498).
    pub username: String,
    /// Its password.
    pub password: SecretString,
}

/// The address only: the login is a person's.
impl fmt::Debug for QuickIntegration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuickIntegration")
            .field("address", &self.address.to_string())
            .finish_non_exhaustive()
    }
}

/// The client.
pub struct Quick {
    http: reqwest::Client,
    config: QuickIntegration,
    username: HeaderValue,
    password: HeaderValue,
}

impl Quick {
    /// The client for that service. A fault if the login cannot stand in a header.
    pub fn new(config: QuickIntegration) -> Result<Self, Fault> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(Fault::internal("no TLS provider is installed in this process"));
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .referer(false)
            // The courier decides what is sent again, and it must know of every exchange.
            .retry(reqwest::retry::never())
            .https_only(config.address.is_https())
            .connect_timeout(CONNECT)
            .timeout(REQUEST);
        if config.address.is_loopback() {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| {
            Fault::internal("HTTPS cannot be set up on this system")
                .advise("install its CA certificates, or name a file with them in SSL_CERT_FILE")
                .because(chain(&error))
        })?;
        let username = credential("user name", &config.username)?;
        let password = credential("password", config.password.expose_secret())?;
        Ok(Self {
            http,
            config,
            username,
            password,
        })
    }

    fn request(&self, file: &UsersFile) -> Result<reqwest::Request, reqwest::Error> {
        let part = multipart::Part::bytes(file.bytes.clone())
            .file_name(file.name())
            .mime_str(file.form.content_type())?;
        self.http
            .post(self.config.address.users())
            .header("username", self.username.clone())
            .header("password", self.password.clone())
            .multipart(multipart::Form::new().part("file", part))
            .build()
    }
}

#[async_trait]
impl Post for Quick {
    async fn post(&self, file: &UsersFile) -> Result<Answer, Unanswered> {
        let request = self
            .request(file)
            .map_err(|error| Unanswered::NotSent(chain(&error)))?;
        let mut response = self.http.execute(request).await.map_err(|error| {
            if error.is_connect() || error.is_builder() {
                Unanswered::NotSent(chain(&error))
            } else {
                Unanswered::Unknown(chain(&error))
            }
        })?;
        let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
        let mut body = Vec::new();
        // A message that is cut off is still an answer: the status came first.
        while let Ok(Some(part)) = response.chunk().await {
            body.extend_from_slice(&part[..part.len().min(ANSWER_CAP - body.len())]);
            if body.len() == ANSWER_CAP {
                break;
            }
        }
        tracing::debug!(
            status,
            sent = file.bytes.len(),
            got = body.len(),
            "risk assess answered"
        );
        Ok(Answer {
            status,
            body,
            retry_after,
        })
    }
}

fn credential(what: &str, value: &str) -> Result<HeaderValue, Fault> {
    if value.is_empty() {
        return Err(Fault::invalid(format!("the {what} for Risk Assess is empty")));
    }
    let mut header = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        Fault::invalid(format!(
            "the {what} for Risk Assess has a character that no HTTP header can hold"
        ))
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// Seconds; a date is not understood and counts as none.
fn retry_after(headers: &header::HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

/// The texts of what is behind an error, without the address.
fn chain(error: &reqwest::Error) -> String {
    let mut texts = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    texts.dedup();
    if texts.is_empty() {
        return "HTTP client error".to_owned();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use wiremock::matchers::{header, method, path};
    use wiremock::{Mock, MockServer, Request, ResponseTemplate};

    use super::super::file::FileForm;
    use super::super::render::tests::ann;
    use super::super::render::{Active, cells};
    use super::*;

    const SECRET: &str = "sentinel-4711-ü";
    const LOGIN: &str = "person@example.com";

    fn config(address: &str) -> QuickIntegration {
        let _ = rustls::crypto::ring::default_provider().install_default();
        QuickIntegration {
            address: Address::parse(address).unwrap(),
            username: LOGIN.into(),
            password: SECRET.into(),
        }
    }

    fn file(form: FileForm) -> UsersFile {
        UsersFile::of(&[&cells(&ann(7), Active::Yes).unwrap()], form).unwrap()
    }

    async fn answering(answer: ResponseTemplate) -> (MockServer, Quick) {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/QuickIntegration/Users"))
            .and(header("username", LOGIN))
            .respond_with(answer)
            .mount(&server)
            .await;
        let quick = Quick::new(config(&server.uri())).unwrap();
        (server, quick)
    }

    /// Head and content of the only part of a multipart body.
    fn only_part(request: &Request) -> (String, Vec<u8>) {
        let kind = request.headers["content-type"].to_str().unwrap();
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").expect(kind);
        let body = &request.body;
        let at = |what: &[u8]| {
            body.windows(what.len())
                .position(|window| window == what)
                .unwrap()
        };
        let end = at(format!("\r\n--{boundary}--").as_bytes());
        let start = at(b"\r\n\r\n");
        assert!(body.starts_with(format!("--{boundary}\r\n").as_bytes()));
        let inner = format!("\r\n--{boundary}\r\n");
        assert!(
            !body.windows(inner.len()).any(|window| window == inner.as_bytes()),
            "one part"
        );
        let head = String::from_utf8(body[boundary.len() + 4..start].to_vec()).unwrap();
        (head, body[start + 4..end].to_vec())
    }

    #[tokio::test]
    async fn a_file_goes_out_as_the_one_part_of_a_form_with_the_login_in_headers() {
        for (form, name) in [(FileForm::Csv, "users.csv"), (FileForm::Xlsx, "users.xlsx")] {
            let (server, quick) = answering(ResponseTemplate::new(201)).await;
            let file = file(form);
            let answer = quick.post(&file).await.unwrap();
            assert_eq!((answer.status, answer.body), (201, Vec::new()));
            let sent = server.received_requests().await.unwrap();
            assert_eq!(sent.len(), 1);
            assert_eq!(sent[0].headers["password"].as_bytes(), SECRET.as_bytes());
            let (head, content) = only_part(&sent[0]);
            assert!(head.contains(&format!("filename=\"{name}\"")), "{head}");
            assert!(
                head.contains(&format!("Content-Type: {}", form.content_type())),
                "{head}"
            );
            assert_eq!(content, file.bytes);
        }
    }

    #[tokio::test]
    async fn an_answer_is_kept_within_bounds_whatever_its_status() {
        let long = "x".repeat(3 * ANSWER_CAP);
        for (status, body, kept) in [
            (400, "no such State", 13),
            (500, long.as_str(), ANSWER_CAP),
            (204, "", 0),
        ] {
            let template = ResponseTemplate::new(status).set_body_string(body);
            let (_server, quick) = answering(template.insert_header("retry-after", "7")).await;
            let answer = quick.post(&file(FileForm::Csv)).await.unwrap();
            assert_eq!((answer.status, answer.body.len()), (status, kept));
            assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
            assert!(!format!("{answer:?}").contains("State"), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_the_login_goes_nowhere_else() {
        let elsewhere = MockServer::start().await;
        let to = format!("{}/QuickIntegration/Users", elsewhere.uri());
        let (_server, quick) = answering(ResponseTemplate::new(307).insert_header("location", to)).await;
        assert_eq!(quick.post(&file(FileForm::Csv)).await.unwrap().status, 307);
        assert!(elsewhere.received_requests().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_never_went_out_is_told_from_what_may_have() {
        use tokio::io::AsyncReadExt as _;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let quick = Quick::new(config(&address)).unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
        };
        let (lost, ()) = tokio::join!(
            async { quick.post(&file(FileForm::Csv)).await.unwrap_err() },
            server
        );
        assert!(matches!(lost, Unanswered::Unknown(_)), "{lost:?}");
        drop(listener);
        let refused = quick.post(&file(FileForm::Csv)).await.unwrap_err();
        assert!(matches!(refused, Unanswered::NotSent(_)), "{refused:?}");
        for text in [format!("{lost:?}"), format!("{refused:?}")] {
            assert!(
                !text.contains("4711") && !text.contains(LOGIN) && !text.contains("http://"),
                "{text}"
            );
        }
    }

    #[test]
    fn nothing_shows_the_login() {
        let config = config("https://acme.hiperos.com");
        let shown = format!("{config:?}");
        assert!(shown.contains("acme.hiperos.com"), "{shown}");
        assert!(!shown.contains("4711") && !shown.contains("person"), "{shown}");
        let quick = Quick::new(config.clone()).unwrap();
        let request = quick.request(&file(FileForm::Csv)).unwrap();
        let shown = format!("{request:?}");
        assert!(!shown.contains("4711") && !shown.contains("person"), "{shown}");
        for password in ["", "sentinel-4711\nx"] {
            let fault = Quick::new(QuickIntegration {
                password: password.into(),
                ..config.clone()
            })
            .err()
            .unwrap();
            let shown = format!("{fault} {fault:?}");
            assert!(shown.contains("password") && !shown.contains("4711"), "{shown}");
        }
    }
}
