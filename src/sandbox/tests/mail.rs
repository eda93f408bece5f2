//! The mail sink, spoken to by hand over a socket: plain, with STARTTLS, under TLS; and its troubles.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::*;
use crate::sandbox::mail::{Action, Auth, MailConfig, MailSink, Pem, RunningMail, Stage, Tls, Trouble};

/// One end of a conversation.
struct Talk<S> {
    io: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    fn on(stream: S) -> Self {
        Self {
            io: BufReader::new(stream),
        }
    }

    async fn send(&mut self, text: &str) {
        self.io.write_all(text.as_bytes()).await.unwrap();
        self.io.flush().await.unwrap();
    }

    /// A whole reply; `None` if the connection is closed.
    async fn reply(&mut self) -> Option<String> {
        let mut whole = String::new();
        loop {
            let mut line = String::new();
            match self.io.read_line(&mut line).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
            let last = line.as_bytes().get(3) != Some(&b'-');
            whole.push_str(&line);
            if last {
                return Some(whole);
            }
        }
    }

    async fn ask(&mut self, line: &str) -> String {
        self.send(&format!("{line}\r\n")).await;
        self.reply().await.unwrap()
    }

    async fn expect(&mut self, line: &str, code: &str) -> String {
        let reply = self.ask(line).await;
        assert!(reply.starts_with(code), "{line}: {reply}");
        reply
    }

    /// From greeting to the point where the text is asked for.
    async fn address(&mut self) {
        self.expect("EHLO me.example", "250").await;
        self.expect("MAIL FROM:<a@x.example> SIZE=40 BODY=8BITMIME", "250")
            .await;
        self.expect("RCPT TO:<b@y.example>", "250").await;
        self.expect("DATA", "354").await;
    }
}

async fn dial(sink: &RunningMail) -> Talk<TcpStream> {
    let mut talk = Talk::on(TcpStream::connect(sink.addr()).await.unwrap());
    assert!(talk.reply().await.unwrap().starts_with("220 "));
    talk
}

async fn sink(change: impl FnOnce(&mut MailConfig)) -> RunningMail {
    let mut config = MailConfig::default();
    change(&mut config);
    MailSink::start(config).await.unwrap()
}

fn certificate() -> (Pem, TlsConnector) {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let pem = Pem {
        cert: certified.cert.pem(),
        key: certified.signing_key.serialize_pem(),
    };
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pem.cert.as_bytes()).unwrap())
        .unwrap();
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    (pem, TlsConnector::from(Arc::new(config)))
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

#[tokio::test]
async fn what_is_sent_is_kept_byte_by_byte() {
    let sink = sink(|_| ()).await;
    let mut talk = dial(&sink).await;
    talk.address().await;
    let text = "Subject: =?UTF-8?Q?=C3=A4?=\r\n\r\nfirst\r\n..one dot\r\nbare\n.\nnot the end\r\n...\r\nümlaut\r\n.\r\n";
    talk.send(text).await;
    assert!(talk.reply().await.unwrap().starts_with("250"));
    talk.expect("QUIT", "221").await;
    assert_eq!(talk.reply().await, None);
    let messages = sink.arrived(1).await;
    let message = &messages[0];
    assert_eq!(
        String::from_utf8_lossy(&message.data),
        "Subject: =?UTF-8?Q?=C3=A4?=\r\n\r\nfirst\r\n.one dot\r\nbare\n.\nnot the end\r\n..\r\nümlaut\r\n"
    );
    assert_eq!(
        (message.from.as_str(), message.to.as_slice()),
        ("a@x.example", ["b@y.example".to_owned()].as_slice())
    );
    assert_eq!(
        (message.tls, message.user.as_deref(), message.helo.as_str()),
        (false, None, "me.example")
    );
    assert_eq!(sink.url(), format!("smtp://{}", sink.addr()));
    sink.clear();
    assert!(sink.messages().is_empty());
    sink.shutdown().await;
}

#[tokio::test]
async fn commands_may_come_in_one_go_and_out_of_order_not_at_all() {
    let sink = sink(|_| ()).await;
    let mut talk = dial(&sink).await;
    talk.expect("MAIL FROM:<a@x.example>", "503").await;
    talk.expect("EHLO me", "250").await;
    for (line, code) in [
        ("RCPT TO:<b@y.example>", "503"),
        ("DATA", "503"),
        ("MAIL FROM:nobody", "501"),
        ("STARTTLS", "502"),
        ("AUTH PLAIN AAA", "502"),
        ("NOOP", "250"),
        ("JUMP", "502"),
        ("mail from:<>", "250"),
        ("RCPT TO:<>", "501"),
        ("RSET", "250"),
        ("RCPT TO:<b@y.example>", "503"),
    ] {
        talk.expect(line, code).await;
    }
    talk.send("MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\nDATA\r\n")
        .await;
    for code in ["250", "250", "250", "354"] {
        assert!(talk.reply().await.unwrap().starts_with(code));
    }
    talk.send("x\r\n.\r\nMAIL FROM:<d@x.example>\r\n").await;
    assert!(talk.reply().await.unwrap().starts_with("250"), "kept");
    assert!(talk.reply().await.unwrap().starts_with("250"), "the next one");
    assert_eq!(sink.messages()[0].to, ["b@y.example", "c@y.example"]);
    talk.send(&format!("NOOP {}\r\n", "x".repeat(5_000))).await;
    assert!(talk.reply().await.unwrap().starts_with("500"));
}

#[tokio::test]
async fn size_is_limited_by_word_and_by_deed() {
    let sink = sink(|config| config.size_limit = 100).await;
    let mut talk = dial(&sink).await;
    assert!(talk.expect("EHLO me", "250").await.contains("SIZE 100\r\n"));
    talk.expect("MAIL FROM:<a@x.example> SIZE=101", "552").await;
    talk.address().await;
    talk.send(&format!("{}\r\n.\r\n", "x".repeat(200))).await;
    assert!(talk.reply().await.unwrap().starts_with("552"));
    talk.address().await;
    talk.send(&format!("{}\r\n.\r\n", "x".repeat(98))).await;
    assert!(talk.reply().await.unwrap().starts_with("250"));
    assert_eq!(sink.messages().len(), 1);
}

#[tokio::test]
async fn it_speaks_tls_when_asked() {
    let (pem, connector) = certificate();
    let sink = sink(|config| {
        config.tls = Tls::StartTls(pem);
        config.auth = Some(Auth {
            username: "me".into(),
            password: "sentinel-4711".into(),
            required: true,
            only_under_tls: true,
        });
    })
    .await;
    let mut talk = dial(&sink).await;
    let offer = talk.expect("EHLO me", "250").await;
    assert!(offer.contains("STARTTLS") && !offer.contains("AUTH"), "{offer}");
    talk.expect("AUTH PLAIN AG1lAHNlbnRpbmVsLTQ3MTE=", "538").await;
    talk.expect("MAIL FROM:<a@x.example>", "530").await;
    talk.expect("STARTTLS", "220").await;
    let secured = connector
        .connect(localhost(), talk.io.into_inner())
        .await
        .unwrap();
    let mut talk = Talk::on(secured);
    talk.expect("MAIL FROM:<a@x.example>", "503").await;
    let offer = talk.expect("EHLO me", "250").await;
    assert!(
        !offer.contains("STARTTLS") && offer.contains("AUTH PLAIN LOGIN"),
        "{offer}"
    );
    talk.expect("AUTH PLAIN AG1lAHdyb25n", "535").await;
    talk.expect("AUTH PLAIN *", "501").await;
    talk.expect("AUTH CRAM-MD5", "504").await;
    talk.expect("AUTH PLAIN", "334").await;
    talk.expect("AG1lAHNlbnRpbmVsLTQ3MTE=", "235").await;
    talk.address().await;
    talk.send("x\r\n.\r\n").await;
    assert!(talk.reply().await.unwrap().starts_with("250"));
    let message = &sink.messages()[0];
    assert_eq!((message.tls, message.user.as_deref()), (true, Some("me")));
}

#[tokio::test]
async fn what_is_said_before_the_handshake_is_not_heard_after_it() {
    let (pem, connector) = certificate();
    let sink = sink(|config| config.tls = Tls::StartTls(pem)).await;
    let mut talk = dial(&sink).await;
    talk.expect("EHLO me", "250").await;
    talk.send("STARTTLS\r\nMAIL FROM:<evil@x.example>\r\n").await;
    assert!(talk.reply().await.unwrap().starts_with("220"));
    let hands = connector.connect(localhost(), talk.io.into_inner()).await;
    assert!(hands.is_err(), "the sink hangs up on who speaks out of turn");
}

#[tokio::test]
async fn tls_may_come_first_and_login_is_understood() {
    let (pem, connector) = certificate();
    let sink = sink(|config| {
        config.tls = Tls::Implicit(pem);
        config.auth = Some(Auth {
            username: "me".into(),
            password: "pw".into(),
            required: false,
            only_under_tls: false,
        });
    })
    .await;
    assert!(sink.url().starts_with("smtps://"));
    let stream = TcpStream::connect(sink.addr()).await.unwrap();
    let mut talk = Talk::on(connector.connect(localhost(), stream).await.unwrap());
    assert!(talk.reply().await.unwrap().starts_with("220"));
    talk.expect("EHLO me", "250").await;
    let question = talk.expect("AUTH LOGIN", "334").await;
    assert_eq!(question, "334 VXNlcm5hbWU6\r\n");
    assert_eq!(talk.ask("bWU=").await, "334 UGFzc3dvcmQ6\r\n");
    talk.expect("cHc=", "235").await;
    talk.expect("AUTH LOGIN", "503").await;
    assert!(!format!("{sink:?}").contains("pw"));
}

#[tokio::test]
async fn troubles_refuse_and_hang_up() {
    let sink = sink(|_| ()).await;
    let reply = |code| Action::Reply { code };
    sink.set_troubles(vec![
        Trouble::once(Stage::Greeting, reply(421)),
        Trouble::once(Stage::Rcpt, reply(450)),
        Trouble::once(Stage::Data, reply(451)),
        Trouble::once(Stage::Dot, reply(554)),
    ]);
    let mut turned_away = Talk::on(TcpStream::connect(sink.addr()).await.unwrap());
    assert!(turned_away.reply().await.unwrap().starts_with("421"));
    assert_eq!(turned_away.reply().await, None);
    let mut talk = dial(&sink).await;
    talk.expect("EHLO me", "250").await;
    talk.expect("MAIL FROM:<a@x.example>", "250").await;
    talk.expect("RCPT TO:<b@y.example>", "450").await;
    talk.expect("RCPT TO:<b@y.example>", "250").await;
    talk.expect("DATA", "451").await;
    talk.expect("DATA", "354").await;
    talk.send("x\r\n.\r\n").await;
    assert!(talk.reply().await.unwrap().starts_with("554"));
    assert!(sink.messages().is_empty(), "refused, so not kept");

    for (stage, kept) in [(Stage::Body, 0), (Stage::Dot, 0), (Stage::Accepted, 1)] {
        sink.clear();
        sink.set_troubles(vec![Trouble::once(stage, Action::Drop)]);
        let mut talk = dial(&sink).await;
        talk.address().await;
        talk.send("one\r\ntwo\r\n.\r\n").await;
        assert_eq!(talk.reply().await, None, "{stage:?}");
        assert_eq!(sink.messages().len(), kept, "{stage:?}");
    }
    assert_eq!(sink.connections(), 5);
}

#[tokio::test]
async fn the_sandbox_has_a_sink_of_its_own() {
    let (pem, connector) = certificate();
    let dir = tempfile::tempdir().unwrap();
    let files = TlsFiles {
        cert: dir.path().join("cert.pem"),
        key: dir.path().join("key.pem"),
    };
    std::fs::write(&files.cert, &pem.cert).unwrap();
    std::fs::write(&files.key, &pem.key).unwrap();
    let config = SandboxConfig {
        users: 30,
        ..SandboxConfig::default()
    };
    let plain = Sandbox::start(config.clone(), local(), None).await.unwrap();
    assert_eq!(plain.smtps_url(), None);
    let http = client().build().unwrap();
    let url = format!("{}/_sandbox/mail", plain.base_url());
    let troubles = json!([{ "stage": "mail", "action": { "reply": { "code": 451 } }, "times": 1 }]);
    let answer = http.put(&url).json(&troubles).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let mut talk = dial(plain.mail()).await;
    assert!(!talk.expect("EHLO me", "250").await.contains("STARTTLS"));
    talk.expect("MAIL FROM:<a@x.example>", "451").await;
    talk.address().await;
    talk.send("Subject: x\r\n\r\nhello\r\n.\r\n").await;
    assert!(talk.reply().await.unwrap().starts_with("250"));
    let shown: Value = http.get(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!(shown[0]["text"], "Subject: x\r\n\r\nhello\r\n");
    assert_eq!(
        (&shown[0]["from"], &shown[0]["to"]),
        (&json!("a@x.example"), &json!(["b@y.example"]))
    );
    http.delete(&url).send().await.unwrap();
    assert!(plain.mail().messages().is_empty());
    plain.shutdown().await;

    let secure = Sandbox::start(config, local(), Some(files)).await.unwrap();
    let mut talk = dial(secure.mail()).await;
    assert!(talk.expect("EHLO me", "250").await.contains("STARTTLS"));
    let implicit = secure.smtps_url().unwrap();
    let addr: SocketAddr = implicit.strip_prefix("smtps://").unwrap().parse().unwrap();
    let stream = TcpStream::connect(addr).await.unwrap();
    let mut talk = Talk::on(connector.connect(localhost(), stream).await.unwrap());
    assert!(talk.reply().await.unwrap().starts_with("220"));
    talk.address().await;
    talk.send("x\r\n.\r\n").await;
    assert!(talk.reply().await.unwrap().starts_with("250"));
    assert_eq!(secure.mail().messages().len(), 1, "one mailbox for both");
}
