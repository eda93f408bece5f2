//! What Risk Assess' answer to a file means, and the port through which a file is posted.
//!
//! Invariant: only 201 to a file with one row says something good about a row. 204 is ambiguous by its own description, 202 says that
//! nothing has happened yet, and an answer that no document names proves nothing.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::file::UsersFile;

/// An answer. `Debug` shows the status: the body may quote people.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body, or its beginning.
    pub body: Vec<u8>,
    /// How long it asks us to wait.
    pub retry_after: Option<Duration>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Why there is no answer; the texts are for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// Nothing went out.
    NotSent(String),
    /// Something went out; nobody knows what came of it.
    Unknown(String),
}

/// The port to Risk Assess: one exchange, never repeated here.
#[async_trait]
pub trait Post: Send + Sync {
    /// Posts one file of users.
    async fn post(&self, file: &UsersFile) -> Result<Answer, Unanswered>;
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// 201 to a file with one row: that row was taken.
    Delivered,
    /// 201 to a file with several rows: some were taken.
    Accepted,
    /// 202: what becomes of it goes out by mail.
    Queued,
    /// 204, nothing new or a wrong format; or a success that no document names.
    Doubtful,
    /// 400: a row or a column was refused.
    Rejected,
    /// 401, the headers were missing, or 403, the login is wrong or may not do this: nothing else would fare better.
    Unauthorised,
    /// A redirect, or a statement that there is no such service: the address is wrong.
    Elsewhere,
    /// 500, could not be saved; or anything else: later it may work.
    Failed,
}

/// The table (D498), for a file with that many rows.
pub const fn judge(status: u16, rows: usize) -> Answered {
    match status {
        201 if rows == 1 => Answered::Delivered,
        201 => Answered::Accepted,
        202 => Answered::Queued,
        200..=299 => Answered::Doubtful,
        400 => Answered::Rejected,
        401 | 403 => Answered::Unauthorised,
        300..=399 | 404 | 405 | 410 => Answered::Elsewhere,
        _ => Answered::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_meaning() {
        for (status, one, many) in [
            (201, Answered::Delivered, Answered::Accepted),
            (202, Answered::Queued, Answered::Queued),
            (204, Answered::Doubtful, Answered::Doubtful),
            (200, Answered::Doubtful, Answered::Doubtful),
            (206, Answered::Doubtful, Answered::Doubtful),
            (400, Answered::Rejected, Answered::Rejected),
            (401, Answered::Unauthorised, Answered::Unauthorised),
            (403, Answered::Unauthorised, Answered::Unauthorised),
            (302, Answered::Elsewhere, Answered::Elsewhere),
            (404, Answered::Elsewhere, Answered::Elsewhere),
            (408, Answered::Failed, Answered::Failed),
            (429, Answered::Failed, Answered::Failed),
            (500, Answered::Failed, Answered::Failed),
            (503, Answered::Failed, Answered::Failed),
        ] {
            assert_eq!((judge(status, 1), judge(status, 2)), (one, many), "{status}");
        }
    }

    #[test]
    fn nothing_but_201_to_one_row_is_a_delivery() {
        for status in 100..=999 {
            for rows in 1..=3 {
                let delivered = judge(status, rows) == Answered::Delivered;
                assert_eq!(delivered, status == 201 && rows == 1, "{status} to {rows}");
            }
        }
    }
}
