//! The file of a sync on its way to the platform: metadata, pieces of 512 KiB, and the end with the checksum of it all.
//!
//! Invariants: the file is read piece by piece as the platform takes them, so memory stays flat; an upload that stands still is given
//! up; what could not be read to its end is never ended as if it had been.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::stream::unfold;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};
use tonic::Status;

use super::port::{Asset, Platform, told};
use super::task::TaskId;
use crate::model::fault::{Fault, FaultKind};
use crate::proto::platform::BatonServiceUploadAssetRequest;
use crate::proto::platform::baton_service_upload_asset_request::{
    Msg, UploadData, UploadEof, UploadMetadata,
};

/// Bytes of one piece (baton-sdk; the platform takes up to 1 MiB).
const PIECE: usize = 512 * 1024;

/// Pauses before the second and the third try (baton-sdk: pkg/tasks/c1api).
const PAUSES: [Duration; 2] = [Duration::ZERO, Duration::from_secs(1)];

/// How long the platform may take no piece, and how long it may take to answer after the last.
const STALL: Duration = Duration::from_mins(5);

/// Delivers the file; each try sends the whole of it.
pub(super) async fn deliver(platform: &dyn Platform, task: &TaskId, path: &Path) -> Result<(), Fault> {
    let asset = prepare(path)
        .await
        .map_err(|error| Fault::internal("the sync file cannot be read").because(error))?;
    let mut pauses = PAUSES.iter();
    loop {
        let Err(status) = platform.upload(task, &asset).await else {
            return Ok(());
        };
        let error = told(&status);
        let Some(pause) = pauses.next() else {
            return Err(
                Fault::new(FaultKind::Unavailable, "the sync file could not be uploaded").because(error),
            );
        };
        tracing::warn!(error, "the upload failed and is tried again");
        sleep(*pause).await;
    }
}

/// Reads the file once for its checksum.
async fn prepare(path: &Path) -> io::Result<Asset> {
    let mut file = File::open(path).await?;
    let mut checksum = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece).await? {
            0 => break,
            read => checksum.update(&piece[..read]),
        }
    }
    Ok(Asset {
        path: path.to_owned(),
        checksum: checksum.finalize().into(),
    })
}

/// Watches a stream that somebody else reads.
pub(super) struct Watch {
    progress: Arc<Notify>,
    broken: oneshot::Receiver<io::Error>,
}

/// Where a stream is.
enum Next {
    Metadata,
    Data,
    Ended,
}

struct Reading {
    file: File,
    next: Next,
    progress: Arc<Notify>,
    broken: Option<oneshot::Sender<io::Error>>,
    metadata: UploadMetadata,
    checksum: Vec<u8>,
}

/// The messages of one try.
pub(super) async fn stream(
    host_id: String,
    task: &TaskId,
    asset: &Asset,
) -> Result<
    (
        impl Stream<Item = BatonServiceUploadAssetRequest> + Send + 'static,
        Watch,
    ),
    Status,
> {
    let file = File::open(&asset.path).await.map_err(|error| unread(&error))?;
    let progress = Arc::new(Notify::new());
    let (sender, broken) = oneshot::channel();
    let reading = Reading {
        file,
        next: Next::Metadata,
        progress: Arc::clone(&progress),
        broken: Some(sender),
        metadata: UploadMetadata {
            host_id,
            task_id: task.to_string(),
            annotations: Vec::new(),
        },
        checksum: asset.checksum.to_vec(),
    };
    let stream = unfold(reading, |mut reading| async {
        let msg = reading.message().await?;
        Some((BatonServiceUploadAssetRequest { msg: Some(msg) }, reading))
    });
    Ok((stream, Watch { progress, broken }))
}

impl Reading {
    /// The next message; `None` at the end. Never comes where the file cannot be read: an end would look like the file's.
    async fn message(&mut self) -> Option<Msg> {
        self.progress.notify_one();
        match self.next {
            Next::Metadata => {
                self.next = Next::Data;
                Some(Msg::Metadata(std::mem::take(&mut self.metadata)))
            }
            Next::Data => match piece(&mut self.file).await {
                Ok(data) if data.is_empty() => {
                    self.next = Next::Ended;
                    Some(Msg::Eof(UploadEof {
                        sha256_checksum: std::mem::take(&mut self.checksum),
                        annotations: Vec::new(),
                    }))
                }
                Ok(data) => Some(Msg::Data(UploadData { data })),
                Err(error) => {
                    if let Some(broken) = self.broken.take() {
                        // Nobody waits any more: then nobody reads on either.
                        let _ = broken.send(error);
                    }
                    std::future::pending().await
                }
            },
            Next::Ended => None,
        }
    }
}

/// The next piece, as long as it can be.
async fn piece(file: &mut File) -> io::Result<Vec<u8>> {
    let mut data = Vec::with_capacity(PIECE);
    let most = u64::try_from(PIECE).unwrap_or(u64::MAX);
    file.take(most).read_to_end(&mut data).await?;
    Ok(data)
}

impl Watch {
    /// The outcome of `exchange`, unless the stream breaks or stands still.
    pub(super) async fn over(self, exchange: impl Future<Output = Result<(), Status>>) -> Result<(), Status> {
        let Self { progress, broken } = self;
        let stalled = async { while timeout(STALL, progress.notified()).await.is_ok() {} };
        // Where the stream is dropped whole, its end is the exchange's.
        let broken = async {
            match broken.await {
                Ok(error) => error,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            error = broken => Err(unread(&error)),
            outcome = exchange => outcome,
            () = stalled => Err(Status::deadline_exceeded("the platform took no more of the file")),
        }
    }
}

fn unread(error: &io::Error) -> Status {
    Status::internal(format!("the sync file cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use futures::StreamExt as _;
    use tempfile::NamedTempFile;

    use super::super::fake::{FakePlatform, Rpc};
    use super::*;

    const ID: &str = "2wPbMEhC9cN9k9PqEV2sBUbUuu7";

    fn file(bytes: usize) -> NamedTempFile {
        let file = NamedTempFile::new().unwrap();
        let content: Vec<u8> = (0..bytes).map(|at| u8::try_from(at % 251).unwrap()).collect();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    async fn messages(asset: &Asset) -> Vec<Msg> {
        let (stream, _watch) = stream("host".into(), &ID.parse().unwrap(), asset).await.unwrap();
        stream.map(|request| request.msg.unwrap()).collect().await
    }

    #[tokio::test]
    async fn a_file_goes_in_pieces_between_metadata_and_checksum() {
        for (bytes, pieces) in [
            (0, vec![]),
            (1, vec![1]),
            (PIECE, vec![PIECE]),
            (2 * PIECE + 7, vec![PIECE, PIECE, 7]),
        ] {
            let file = file(bytes);
            let asset = prepare(file.path()).await.unwrap();
            let messages = messages(&asset).await;
            let [Msg::Metadata(metadata), data @ .., Msg::Eof(eof)] = &messages[..] else {
                panic!("the frame is broken")
            };
            assert_eq!(
                (metadata.host_id.as_str(), metadata.task_id.as_str()),
                ("host", ID)
            );
            let data: Vec<&Vec<u8>> = data
                .iter()
                .map(|msg| match msg {
                    Msg::Data(piece) => &piece.data,
                    _ => panic!("no piece"),
                })
                .collect();
            assert_eq!(data.iter().map(|piece| piece.len()).collect::<Vec<_>>(), pieces);
            let whole: Vec<u8> = data.into_iter().flatten().copied().collect();
            assert_eq!(whole, std::fs::read(file.path()).unwrap());
            assert_eq!(eof.sha256_checksum, Sha256::digest(&whole).to_vec());
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_never_ended() {
        let directory = tempfile::tempdir().unwrap();
        let asset = Asset {
            path: directory.path().to_owned(),
            checksum: [0; 32],
        };
        let (stream, watch) = stream("host".into(), &ID.parse().unwrap(), &asset).await.unwrap();
        let mut seen = 0;
        let drain = async {
            let mut stream = std::pin::pin!(stream);
            while let Some(message) = stream.next().await {
                assert!(!matches!(message.msg, Some(Msg::Eof(_))));
                seen += 1;
            }
            Ok(())
        };
        let status = watch.over(drain).await.unwrap_err();
        assert!(status.message().contains("cannot be read"), "{status:?}");
        assert_eq!(seen, 1, "the metadata");
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_stands_still_is_given_up_and_a_slow_one_is_not() {
        let watch = || {
            let progress = Arc::new(Notify::new());
            let (sender, broken) = oneshot::channel();
            let watch = Watch {
                progress: Arc::clone(&progress),
                broken,
            };
            (progress, sender, watch)
        };
        let (progress, _sender, slow) = watch();
        let exchange = async {
            for _ in 0..10 {
                sleep(STALL / 2).await;
                progress.notify_one();
            }
            Ok(())
        };
        slow.over(exchange).await.unwrap();
        let (_progress, _sender, stuck) = watch();
        let status = stuck.over(std::future::pending()).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
    }

    async fn tries(failures: u32) -> (Result<(), Fault>, Vec<u64>) {
        let platform = FakePlatform::new();
        platform.fails(Rpc::Upload, failures);
        let file = file(10);
        let outcome = deliver(&*platform, &ID.parse().unwrap(), file.path()).await;
        (outcome, platform.seconds_of(Rpc::Upload))
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_is_tried_three_times() {
        let (outcome, times) = tries(0).await;
        assert_eq!((outcome.is_ok(), times), (true, vec![0]));
        let (outcome, times) = tries(2).await;
        assert_eq!((outcome.is_ok(), times), (true, vec![0, 0, 1]));
        let (outcome, times) = tries(3).await;
        assert_eq!(*outcome.unwrap_err().kind(), FaultKind::Unavailable);
        assert_eq!(times, [0, 0, 1]);
    }
}
