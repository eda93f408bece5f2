//! The runner at the other end of standard input: its one line, and its end.
//!
//! Invariant: whoever waits here can also be ended by a signal. Standard input is read on a thread of its own, which does not keep the
//! process from ending; the runtime's own reader would.

use std::io::{self, BufRead, BufReader, Read};
use std::thread;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::model::fault::Fault;

/// Longest line, as for a Go child; a usual one has about 1.5 kB.
const LONGEST_LINE: u64 = 64 * 1024;

/// The runner that started this process.
pub struct Runner {
    line: oneshot::Receiver<Result<String, Fault>>,
    gone: CancellationToken,
}

impl Runner {
    /// Listens to a runner that writes to `stdin` and keeps it open for as long as it lives.
    pub fn at(stdin: impl Read + Send + 'static) -> Result<Self, Fault> {
        let (said, line) = oneshot::channel();
        let gone = CancellationToken::new();
        let ended = gone.clone().drop_guard();
        thread::Builder::new()
            .name("runner".to_owned())
            .spawn(move || {
                let mut stdin = BufReader::new(stdin);
                // Nobody waits for it any more if the process was told to stop meanwhile.
                let _ = said.send(first_line(&mut stdin));
                // What else it may say means nothing; an error is as good as an end.
                let _ = io::copy(&mut stdin, &mut io::sink());
                drop(ended);
            })
            .map_err(|error| Fault::internal("cannot listen to the runner").because(error))?;
        Ok(Self { line, gone })
    }

    /// What it said first. Waits for as long as the runner takes; to be called once.
    pub async fn line(&mut self) -> Result<String, Fault> {
        match (&mut self.line).await {
            Ok(line) => line,
            Err(_) => Err(Fault::internal("the thread that listens to the runner ended")),
        }
    }

    /// Returns when the runner is gone.
    pub async fn gone(&self) {
        self.gone.cancelled().await;
    }
}

fn first_line(stdin: &mut impl BufRead) -> Result<String, Fault> {
    let mut line = Vec::new();
    stdin
        .take(LONGEST_LINE + 1)
        .read_until(b'\n', &mut line)
        .map_err(|error| {
            Fault::invalid("cannot read the runner's line from standard input").because(error)
        })?;
    if line.pop_if(|last| *last == b'\n').is_none() {
        return Err(match line.len() {
            0 => Fault::invalid(
                "standard input ended without a line: _connector-service is for runners to start",
            ),
            length if length as u64 > LONGEST_LINE => {
                Fault::invalid("the runner's line is longer than 64 KiB")
            }
            _ => Fault::invalid("standard input ended in the middle of the runner's line"),
        });
    }
    String::from_utf8(line).map_err(|_| Fault::invalid("the runner's line is not base64"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn told(stdin: &[u8]) -> String {
        first_line(&mut &*stdin).unwrap_err().to_string()
    }

    #[test]
    fn exactly_one_line_is_read() {
        let mut stdin = &b"one\ntwo\n"[..];
        assert_eq!(first_line(&mut stdin).unwrap(), "one");
        assert_eq!(stdin, b"two\n");
        let longest = [vec![b'a'; 65_536], b"\n".to_vec()].concat();
        assert_eq!(first_line(&mut &*longest).unwrap().len(), 65_536);
    }

    #[test]
    fn a_line_that_is_none_says_why() {
        assert!(told(b"").contains("without a line"));
        assert!(told(b"half").contains("in the middle"));
        assert!(told(&vec![b'a'; 70_000]).contains("64 KiB"));
        assert!(told(b"\xff\n").contains("base64"));
    }

    #[tokio::test]
    async fn the_end_of_the_runner_is_noticed() {
        let (ours, theirs) = io::pipe().unwrap();
        let mut runner = Runner::at(ours).unwrap();
        io::Write::write_all(&mut &theirs, b"hello\nand more").unwrap();
        assert_eq!(runner.line().await.unwrap(), "hello");
        assert!(!runner.gone.is_cancelled());
        drop(theirs);
        runner.gone().await;
    }
}
