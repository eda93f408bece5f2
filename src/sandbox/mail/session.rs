//! One conversation with a client (RFC 5321, 3207, 4954).

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::wire::{Command, Text, Wire};
use super::{Action, Auth, Mailbox, Received, Stage};

const HOST: &str = "sink.sandbox.example";

/// What all conversations of one sink share.
pub(super) struct Office {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) auth: Option<Auth>,
    pub(super) size_limit: usize,
}

impl Office {
    /// Talks with a client until it leaves.
    pub(super) async fn attend(
        &self,
        stream: TcpStream,
        acceptor: Option<TlsAcceptor>,
        implicit: bool,
    ) -> io::Result<()> {
        let Some(acceptor) = acceptor else {
            return Session::new(self, stream, Safety::Never).run().await.map(drop);
        };
        if implicit {
            let secured = acceptor.accept(stream).await?;
            return Session::new(self, secured, Safety::Safe).run().await.map(drop);
        }
        if let End::Secure(stream) = Session::new(self, stream, Safety::Offered).run().await? {
            let secured = acceptor.accept(stream).await?;
            let mut session = Session::new(self, secured, Safety::Safe);
            // Everything said before the handshake is forgotten, and the server does not greet again.
            session.greeted = true;
            session.run().await?;
        }
        Ok(())
    }
}

/// Whether a conversation is under TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Safety {
    Never,
    Offered,
    Safe,
}

/// How a conversation ended.
enum End<S> {
    Left,
    /// To go on under TLS.
    Secure(S),
}

/// What to do after a command.
enum Next {
    GoOn,
    Leave,
    Secure,
}

struct Session<'a, S> {
    office: &'a Office,
    wire: Wire<S>,
    safety: Safety,
    greeted: bool,
    helo: Option<String>,
    user: Option<String>,
    from: Option<String>,
    to: Vec<String>,
}

/// `FROM:<a@b> SIZE=3`: the address and the parameters.
fn path<'a>(text: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let head = text.get(..keyword.len())?;
    let rest = text[keyword.len()..].trim_start().strip_prefix('<')?;
    let (address, parameters) = rest.split_once('>')?;
    head.eq_ignore_ascii_case(keyword)
        .then_some((address, parameters.trim()))
}

fn size_of(parameters: &str) -> Option<usize> {
    let mut parameters = parameters.split_whitespace();
    parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.eq_ignore_ascii_case("SIZE").then(|| value.parse().ok())?
    })
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Session<'a, S> {
    fn new(office: &'a Office, stream: S, safety: Safety) -> Self {
        Self {
            office,
            wire: Wire::new(stream),
            safety,
            greeted: false,
            helo: None,
            user: None,
            from: None,
            to: Vec::new(),
        }
    }

    async fn run(mut self) -> io::Result<End<S>> {
        if !self.greeted {
            match self.office.mailbox.trouble(Stage::Greeting) {
                Some(Action::Drop) => return Ok(End::Left),
                Some(Action::Reply { code }) => {
                    self.wire.reply(code, &["not now"]).await?;
                    return Ok(End::Left);
                }
                None => self.wire.reply(220, &[&format!("{HOST} ESMTP")]).await?,
            }
        }
        loop {
            let line = match self.wire.command().await? {
                Command::Gone => return Ok(End::Left),
                Command::TooLong => {
                    self.wire.reply(500, &["5.5.2 line too long"]).await?;
                    return Ok(End::Left);
                }
                Command::Line(line) => line,
            };
            match self.obey(&line).await? {
                Next::GoOn => {}
                Next::Leave => return Ok(End::Left),
                Next::Secure => {
                    return Ok(self.wire.into_stream().map_or(End::Left, End::Secure));
                }
            }
        }
    }

    async fn obey(&mut self, line: &str) -> io::Result<Next> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => self.hello(rest).await,
            "HELO" => {
                self.forget();
                self.helo = Some(rest.to_owned());
                self.say(250, HOST).await
            }
            "STARTTLS" => self.start_tls().await,
            "AUTH" => self.authenticate(rest).await,
            "MAIL" => self.mail(rest).await,
            "RCPT" => self.rcpt(rest).await,
            "DATA" => self.data().await,
            "RSET" => {
                self.forget();
                self.say(250, "2.0.0 ok").await
            }
            "NOOP" => self.say(250, "2.0.0 ok").await,
            "VRFY" => self.say(252, "2.5.0 send and see").await,
            "QUIT" => {
                self.say(221, "2.0.0 bye").await?;
                Ok(Next::Leave)
            }
            _ => self.say(502, "5.5.1 unknown command").await,
        }
    }

    async fn say(&mut self, code: u16, text: &str) -> io::Result<Next> {
        self.wire.reply(code, &[text]).await?;
        Ok(Next::GoOn)
    }

    /// The trouble at this point, carried out; `None` if there is none.
    async fn troubled(&mut self, stage: Stage) -> io::Result<Option<Next>> {
        Ok(match self.office.mailbox.trouble(stage) {
            None => None,
            Some(Action::Drop) => Some(Next::Leave),
            Some(Action::Reply { code }) => Some(self.say(code, "trouble on purpose").await?),
        })
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }

    fn offers_auth(&self) -> bool {
        let auth = self.office.auth.as_ref();
        auth.is_some_and(|auth| self.safety == Safety::Safe || !auth.only_under_tls)
    }

    async fn hello(&mut self, name: &str) -> io::Result<Next> {
        self.forget();
        self.helo = Some(name.to_owned());
        let size = format!("SIZE {}", self.office.size_limit);
        let mut lines = vec![
            HOST,
            "PIPELINING",
            &size,
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
        ];
        if self.safety == Safety::Offered {
            lines.push("STARTTLS");
        }
        if self.offers_auth() {
            lines.push("AUTH PLAIN LOGIN");
        }
        self.wire.reply(250, &lines).await?;
        Ok(Next::GoOn)
    }

    async fn start_tls(&mut self) -> io::Result<Next> {
        if self.safety != Safety::Offered {
            return self.say(502, "5.5.1 no TLS here").await;
        }
        if let Some(next) = self.troubled(Stage::StartTls).await? {
            return Ok(next);
        }
        self.say(220, "2.0.0 go on").await?;
        Ok(Next::Secure)
    }

    async fn authenticate(&mut self, rest: &str) -> io::Result<Next> {
        let Some(auth) = &self.office.auth else {
            return self.say(502, "5.5.1 nobody need log in").await;
        };
        if !self.offers_auth() {
            return self.say(538, "5.7.11 only under TLS").await;
        }
        if self.user.is_some() {
            return self.say(503, "5.5.1 logged in already").await;
        }
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let given = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => self.plain(initial).await?,
            "LOGIN" => self.login(initial).await?,
            _ => return self.say(504, "5.5.4 PLAIN or LOGIN").await,
        };
        if let Some(next) = self.troubled(Stage::Auth).await? {
            return Ok(next);
        }
        match given {
            None => self.say(501, "5.5.2 cannot be decoded").await,
            Some((username, password)) if username == auth.username && password == auth.password => {
                self.user = Some(username);
                self.say(235, "2.7.0 welcome").await
            }
            Some(_) => self.say(535, "5.7.8 wrong credentials").await,
        }
    }

    async fn plain(&mut self, initial: &str) -> io::Result<Option<(String, String)>> {
        let text = self.answer_to("", initial).await?;
        Ok(text.and_then(|text| {
            let mut parts = text.split('\0').skip(1);
            Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
        }))
    }

    async fn login(&mut self, initial: &str) -> io::Result<Option<(String, String)>> {
        let Some(username) = self.answer_to("Username:", initial).await? else {
            return Ok(None);
        };
        let password = self.answer_to("Password:", "").await?;
        Ok(password.map(|password| (username, password)))
    }

    /// What the client gave already, or gives when asked.
    async fn answer_to(&mut self, question: &str, given: &str) -> io::Result<Option<String>> {
        if !given.is_empty() {
            return Ok(decoded(given));
        }
        self.say(334, &STANDARD.encode(question)).await?;
        Ok(match self.wire.command().await? {
            Command::Line(line) => decoded(&line),
            Command::Gone | Command::TooLong => None,
        })
    }

    async fn mail(&mut self, rest: &str) -> io::Result<Next> {
        if self.helo.is_none() || self.from.is_some() {
            return self.say(503, "5.5.1 not in this order").await;
        }
        let must = self.office.auth.as_ref().is_some_and(|auth| auth.required);
        if must && self.user.is_none() {
            return self.say(530, "5.7.0 log in first").await;
        }
        let Some((address, parameters)) = path(rest, "FROM:") else {
            return self.say(501, "5.5.4 MAIL FROM:<address>").await;
        };
        if size_of(parameters).is_some_and(|size| size > self.office.size_limit) {
            return self.say(552, "5.3.4 too large").await;
        }
        if let Some(next) = self.troubled(Stage::Mail).await? {
            return Ok(next);
        }
        self.from = Some(address.to_owned());
        self.say(250, "2.1.0 ok").await
    }

    async fn rcpt(&mut self, rest: &str) -> io::Result<Next> {
        if self.from.is_none() {
            return self.say(503, "5.5.1 MAIL first").await;
        }
        let Some((address, _)) = path(rest, "TO:").filter(|(address, _)| !address.is_empty()) else {
            return self.say(501, "5.5.4 RCPT TO:<address>").await;
        };
        if let Some(next) = self.troubled(Stage::Rcpt).await? {
            return Ok(next);
        }
        self.to.push(address.to_owned());
        self.say(250, "2.1.5 ok").await
    }

    async fn data(&mut self) -> io::Result<Next> {
        if self.to.is_empty() {
            return self.say(503, "5.5.1 RCPT first").await;
        }
        if let Some(next) = self.troubled(Stage::Data).await? {
            return Ok(next);
        }
        self.say(354, "go on; end with a dot").await?;
        let broken = self.office.mailbox.trouble(Stage::Body).is_some();
        let data = match self.wire.text(self.office.size_limit, broken).await? {
            Text::Broken => return Ok(Next::Leave),
            Text::TooLarge => {
                self.forget();
                return self.say(552, "5.3.4 too large").await;
            }
            Text::Whole(data) => data,
        };
        let (from, to) = (self.from.take().unwrap_or_default(), std::mem::take(&mut self.to));
        if let Some(next) = self.troubled(Stage::Dot).await? {
            return Ok(next);
        }
        self.office.mailbox.keep(Received {
            from,
            to,
            data,
            tls: self.safety == Safety::Safe,
            user: self.user.clone(),
            helo: self.helo.clone().unwrap_or_default(),
        });
        match self.troubled(Stage::Accepted).await? {
            Some(next) => Ok(next),
            None => self.say(250, "2.0.0 kept").await,
        }
    }
}
