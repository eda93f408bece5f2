//! What happened at the platform, in order.
//!
//! Invariant: the log only grows. Its text names tasks and codes, never what a message holds.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use baton_coupa::proto::platform as wire;
use baton_coupa::proto::rpc;
use prost::Name;
use prost_types::Any;
use tonic::Code;
use wire::baton_service_finish_task_request::{FinalState, Success};

use super::state::Rpc;

/// One thing that happened.
#[derive(Clone)]
pub struct Entry {
    pub at: Instant,
    pub event: Event,
}

#[derive(Clone)]
pub enum Event {
    /// A token was issued.
    Token,
    /// A token was refused.
    NoToken,
    /// A Hello was accepted; the task is empty at the start.
    Hello {
        task: String,
        request: Arc<wire::BatonServiceHelloRequest>,
    },
    /// Somebody asked for a task, or for so many beside those known.
    Asked { page: Option<(u32, Vec<String>)> },
    /// A task was handed out.
    Handed { task: String },
    /// A heartbeat was answered.
    Beat { task: String, answer: Beat },
    /// An upload began.
    Uploading { task: String },
    /// An upload was complete and sound.
    Uploaded { task: String, file: Arc<Vec<u8>> },
    /// A task was finished.
    Finished { task: String, finish: Finish },
    /// A call met a scripted trouble.
    Trouble { rpc: Rpc },
    /// The program ended.
    Gone,
}

/// How a heartbeat was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    Fine,
    Cancelled,
    Failed,
}

/// How a task was finished.
#[derive(Clone)]
pub struct Finish(Arc<wire::BatonServiceFinishTaskRequest>);

impl Finish {
    pub fn new(request: wire::BatonServiceFinishTaskRequest) -> Self {
        Self(Arc::new(request))
    }

    /// The success; anything else fails the test.
    pub fn success(&self) -> &Success {
        match &self.0.final_state {
            Some(FinalState::Success(success)) => success,
            _ => panic!("finished with an error: {}", self.told()),
        }
    }

    /// The response of a success.
    pub fn response<M: Name + Default>(&self) -> M {
        let any = self.success().response.as_ref().unwrap();
        assert_eq!(any.type_url, M::type_url());
        M::decode(any.value.as_slice()).unwrap()
    }

    /// Annotations of a success.
    pub fn annotations(&self) -> &[Any] {
        &self.success().annotations
    }

    /// The status of an error; a success fails the test.
    pub fn status(&self) -> &rpc::Status {
        assert!(!self.is_success(), "finished with success");
        self.0.status.as_ref().unwrap()
    }

    pub fn is_success(&self) -> bool {
        matches!(self.0.final_state, Some(FinalState::Success(_)))
    }

    /// Fails the test unless it is an error of `code` that says each of `words`, and that may be tried again or not.
    pub fn assert_error(&self, code: Code, retry: Retry, words: &[&str]) {
        let status = self.status();
        assert_eq!(status.code, code as i32, "{}", self.told());
        for word in words {
            assert!(
                status.message.contains(word),
                "{word:?} is not in {}",
                self.told()
            );
        }
        let Some(FinalState::Error(error)) = &self.0.final_state else {
            panic!("no error")
        };
        assert_eq!(error.non_retryable, retry == Retry::No, "{}", self.told());
    }

    fn told(&self) -> String {
        let status = self.0.status.as_ref();
        status.map_or_else(
            || "success".to_owned(),
            |status| format!("{} {:?}", status.code, status.message),
        )
    }
}

/// Whether the platform may try an error again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    Yes,
    No,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token => f.write_str("token"),
            Self::NoToken => f.write_str("no token"),
            Self::Hello { task, .. } => write!(f, "Hello {task}"),
            Self::Asked { page: None } => f.write_str("GetTask"),
            Self::Asked {
                page: Some((size, known)),
            } => write!(f, "GetTasks {size}, {} known", known.len()),
            Self::Handed { task } => write!(f, "handed out {task}"),
            Self::Beat { task, answer } => write!(f, "Heartbeat {task}: {answer:?}"),
            Self::Uploading { task } => write!(f, "upload of {task} begins"),
            Self::Uploaded { task, file } => write!(f, "upload of {task}: {} bytes", file.len()),
            Self::Finished { task, finish } => write!(f, "FinishTask {task}: {}", finish.told()),
            Self::Trouble { rpc } => write!(f, "{rpc:?} in trouble"),
            Self::Gone => f.write_str("the program ended"),
        }
    }
}
