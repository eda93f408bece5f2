//! Lines in, replies out, and the text of a message.
//!
//! Invariant: the text ends at a lone dot between CRLFs and nowhere else, so that no message can smuggle in another.

use std::io;

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};

/// Longest command line (RFC 5321: 512; extensions add to it).
const LINE: u64 = 4_096;
/// Longest line of a message that is read at once.
const TEXT_LINE: u64 = 1 << 20;

/// One connection.
pub(super) struct Wire<S> {
    io: BufReader<S>,
}

/// What stands on a line of commands.
pub(super) enum Command {
    /// The client is gone.
    Gone,
    TooLong,
    Line(String),
}

/// The text of a message.
pub(super) enum Text {
    Whole(Vec<u8>),
    TooLarge,
    /// It was to be broken off.
    Broken,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            io: BufReader::new(stream),
        }
    }

    /// The stream again; `None` if the client has said more already, which before a handshake it must not.
    pub(super) fn into_stream(self) -> Option<S> {
        self.io.buffer().is_empty().then(|| self.io.into_inner())
    }

    pub(super) async fn command(&mut self) -> io::Result<Command> {
        let mut line = Vec::new();
        let read = (&mut self.io).take(LINE).read_until(b'\n', &mut line).await?;
        if read == 0 {
            return Ok(Command::Gone);
        }
        if line.last() != Some(&b'\n') {
            return Ok(Command::TooLong);
        }
        let text = String::from_utf8_lossy(&line);
        Ok(Command::Line(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// Sends a reply; all lines but the last go on.
    pub(super) async fn reply(&mut self, code: u16, lines: &[&str]) -> io::Result<()> {
        let last = lines.len().saturating_sub(1);
        for (number, line) in lines.iter().enumerate() {
            let mark = if number == last { ' ' } else { '-' };
            let text = format!("{code}{mark}{line}\r\n");
            self.io.write_all(text.as_bytes()).await?;
        }
        self.io.flush().await
    }

    /// Reads a message up to its end, even one that is too large; `broken` stops after its first line.
    pub(super) async fn text(&mut self, limit: usize, broken: bool) -> io::Result<Text> {
        let (mut text, mut too_large, mut at_start) = (Vec::new(), false, true);
        loop {
            let mut line = Vec::new();
            let read = (&mut self.io)
                .take(TEXT_LINE)
                .read_until(b'\n', &mut line)
                .await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if broken {
                return Ok(Text::Broken);
            }
            if at_start && line == b".\r\n" {
                break;
            }
            let unstuffed = if at_start {
                line.strip_prefix(b".").unwrap_or(&line)
            } else {
                &line
            };
            too_large |= text.len() + unstuffed.len() > limit;
            if !too_large {
                text.extend_from_slice(unstuffed);
            }
            at_start = line.ends_with(b"\r\n");
        }
        Ok(if too_large {
            Text::TooLarge
        } else {
            Text::Whole(text)
        })
    }
}
