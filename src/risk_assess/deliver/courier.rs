//! Sends what the outbox holds to Risk Assess.
//!
//! Invariants: every parcel that a run found has an entry in its report; a parcel leaves the outbox only with an answer or a reason; a refused
//! login stops the run at once, since every further try could lock the account. What could not be sent waits for the next run, behind what was
//! tried less often, so that one bad row holds up nobody.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use crate::model::downstream::{Load, Parcel, ParcelId};
use crate::model::fault::{Fault, FaultKind};

use super::answer::{Answer, Answered, Post, Unanswered, judge};
use super::complaint;
use super::deliveries::{Deliveries, Ended, Log, Words};
use super::desk::{Desk, Piece};
use super::file::{FileForm, UsersFile};
use super::render::Row;
use super::standing::Came;

/// Parcels in a row that could not be sent: then nothing can be sent now.
const GIVEN_UP: u32 = 3;

/// How many rows of an imported file go into one file. A user always goes alone: only so an answer proves something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Proof {
    /// One each: the answer is about that row.
    #[default]
    EachRow,
    /// So many: faster, and an acceptance proves nothing for a single row. A refused file is sent again row by row.
    RowsPerFile(NonZeroUsize),
}

/// How often a parcel is sent, and what is waited in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Tries in one run.
    pub tries: NonZeroU32,
    /// The first wait; doubles each time.
    pub first_wait: Duration,
    /// The longest wait, one that Risk Assess asks for included.
    pub longest_wait: Duration,
    /// How long after a run that left something the next one begins; doubles each time.
    pub pause: Duration,
    /// The longest of these.
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: NonZeroU32::MIN.saturating_add(3),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_mins(1),
            pause: Duration::from_mins(1),
            longest_pause: Duration::from_mins(15),
        }
    }
}

/// How a courier works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CourierConfig {
    /// How rows of imported files are sent.
    pub proof: Proof,
    /// How files are stored.
    pub form: FileForm,
    /// What is tried again.
    pub patience: Patience,
}

/// Sends parcels, one run at a time.
pub struct Courier {
    desk: Desk,
    transport: Arc<dyn Post>,
    config: CourierConfig,
    running: Mutex<()>,
}

/// What became of one try to send some parcels.
enum Tried {
    /// Each has its end.
    Done,
    /// They wait; it may work after a while.
    Again { told: String, wait: Option<Duration> },
    /// They wait; another try now would not help.
    NotNow(Fault),
    /// The file was refused as a whole: each row for itself.
    Apart,
}

/// What became of some parcels in this run.
enum Went {
    Done,
    Left(Fault),
    Apart(Vec<Parcel>),
}

impl Courier {
    /// A courier for what the desk has.
    pub fn new(desk: Desk, transport: Arc<dyn Post>, config: CourierConfig) -> Self {
        Self {
            desk,
            transport,
            config,
            running: Mutex::new(()),
        }
    }

    /// Sends everything that is there.
    pub async fn deliver_all(&self) -> Deliveries {
        self.deliver_until(&CancellationToken::new()).await
    }

    /// Sends whatever is there, again after each `wake`, until `stop`. The exchange under way at that moment comes to its end.
    pub async fn run(self: Arc<Self>, wake: Arc<Notify>, stop: CancellationToken) {
        let patience = self.config.patience;
        let mut pause = patience.pause;
        while !stop.is_cancelled() {
            let run = self.deliver_until(&stop).await;
            report(&run);
            if run.stopped.is_none() && run.waiting() == 0 {
                pause = patience.pause;
                tokio::select! {
                    () = wake.notified() => {}
                    () = stop.cancelled() => {}
                }
            } else {
                // Not woken: what is posted now would meet the same trouble, and a refused login must not be tried with each change.
                tokio::select! {
                    () = tokio::time::sleep(jittered(pause)) => {}
                    () = stop.cancelled() => {}
                }
                pause = (pause * 2).min(patience.longest_pause);
            }
        }
    }

    async fn deliver_until(&self, stop: &CancellationToken) -> Deliveries {
        let _alone = self.running.lock().await;
        let parcels = match self.desk.unsettled() {
            Ok(parcels) => parcels,
            Err(fault) => return Log::default().close(Some(fault)),
        };
        let mut log = Log::of(&parcels);
        let stopped = self.deliver(parcels, &mut log, stop).await.err();
        log.close(stopped)
    }

    async fn deliver(
        &self,
        parcels: Vec<Parcel>,
        log: &mut Log,
        stop: &CancellationToken,
    ) -> Result<(), Fault> {
        let mut left = 0;
        let mut files = files(parcels, self.config.proof);
        // From the back: what has to go apart is put where it is taken next.
        files.reverse();
        while let Some(file) = files.pop() {
            if stop.is_cancelled() {
                return Err(Fault::new(FaultKind::Cancelled, "the delivery was called off"));
            }
            match self.send(file, log, stop).await? {
                Went::Done => left = 0,
                Went::Apart(rows) => files.extend(rows.into_iter().rev().map(|parcel| vec![parcel])),
                Went::Left(fault) => {
                    left += 1;
                    if left == GIVEN_UP {
                        return Err(fault);
                    }
                }
            }
        }
        Ok(())
    }

    async fn send(
        &self,
        mut file: Vec<Parcel>,
        log: &mut Log,
        stop: &CancellationToken,
    ) -> Result<Went, Fault> {
        let Patience {
            tries,
            first_wait,
            longest_wait,
            ..
        } = self.config.patience;
        let mut wait = first_wait;
        let mut tries = tries.get();
        loop {
            tries -= 1;
            let tried = self.attempt(&file, log).await;
            // A row that cannot be sent has had its end.
            file.retain(|parcel| log.waits(parcel.id));
            let (told, asked) = match tried {
                Ok(Tried::Done) => return Ok(Went::Done),
                Ok(Tried::Apart) => return Ok(Went::Apart(file)),
                Ok(Tried::NotNow(fault)) => {
                    tell(log, &file, fault.message());
                    return Ok(Went::Left(fault));
                }
                Ok(Tried::Again { told, wait }) => (told, wait),
                Err(fault) => {
                    tell(log, &file, fault.message());
                    return Err(fault);
                }
            };
            tell(log, &file, &told);
            if tries == 0 || stop.is_cancelled() {
                return Ok(Went::Left(Fault::unavailable(told)));
            }
            let wait_now = asked.map_or_else(|| jittered(wait), |asked| asked.min(longest_wait));
            tokio::select! {
                () = tokio::time::sleep(wait_now) => {}
                () = stop.cancelled() => {}
            }
            wait = (wait * 2).min(longest_wait);
        }
    }

    /// One try. Whatever it says, parcels without an end are waiting again; a fault stops the run.
    async fn attempt(&self, file: &[Parcel], log: &mut Log) -> Result<Tried, Fault> {
        let ids: Vec<ParcelId> = file.iter().map(|parcel| parcel.id).collect();
        self.desk.take(&ids)?;
        let mut pieces = Vec::with_capacity(file.len());
        for parcel in file {
            match self.desk.prepare(parcel).await {
                Ok(piece) => pieces.push(piece),
                Err(fault) => {
                    self.desk.put_back(&ids)?;
                    return Ok(Tried::NotNow(fault));
                }
            }
        }
        let mut sent: Vec<(&Piece, &Row)> = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            match &piece.row {
                Ok(row) => sent.push((piece, row)),
                Err(came) => self.settle(piece, came, None, log)?,
            }
        }
        if sent.is_empty() {
            return Ok(Tried::Done);
        }
        let rows: Vec<&Row> = sent.iter().map(|(_, row)| *row).collect();
        let answer = self
            .transport
            .post(&UsersFile::of(&rows, self.config.form)?)
            .await;
        self.conclude(&sent, answer, log)
    }

    fn conclude(
        &self,
        sent: &[(&Piece, &Row)],
        answer: Result<Answer, Unanswered>,
        log: &mut Log,
    ) -> Result<Tried, Fault> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(Unanswered::NotSent(detail)) => {
                tracing::debug!(detail, "risk assess was not reached");
                return self.again(sent, None, None);
            }
            Err(Unanswered::Unknown(detail)) => {
                tracing::debug!(detail, "risk assess did not answer");
                return self.again(sent, Some(&Came::Unanswered), None);
            }
        };
        let (status, rows) = (answer.status, sent.len());
        let came = match judge(status, rows) {
            Answered::Delivered => Came::Delivered,
            Answered::Accepted => Came::Accepted { rows },
            Answered::Queued => Came::Queued,
            Answered::Doubtful => Came::Doubtful { status },
            Answered::Rejected if rows > 1 => {
                self.put_back(sent)?;
                return Ok(Tried::Apart);
            }
            Answered::Rejected => return self.rejected(sent, &answer, log),
            Answered::Unauthorised => {
                self.put_back(sent)?;
                return Err(unauthorised(status));
            }
            Answered::Elsewhere => {
                self.put_back(sent)?;
                return Err(elsewhere(status));
            }
            Answered::Failed => return self.again(sent, Some(&Came::Failed { status }), answer.retry_after),
        };
        for (piece, _) in sent {
            self.settle(piece, &came, None, log)?;
        }
        Ok(Tried::Done)
    }

    fn rejected(&self, sent: &[(&Piece, &Row)], answer: &Answer, log: &mut Log) -> Result<Tried, Fault> {
        let words = complaint::words(&answer.body);
        for (piece, row) in sent {
            let told = words
                .as_deref()
                .map(|words| complaint::without_values(words, &[row]));
            let words = words.as_deref().map(|words| Words(words.into()));
            self.settle(piece, &Came::Rejected { told }, words, log)?;
        }
        Ok(Tried::Done)
    }

    /// Puts back what may be sent again; `came` is known of it meanwhile.
    fn again(
        &self,
        sent: &[(&Piece, &Row)],
        came: Option<&Came>,
        wait: Option<Duration>,
    ) -> Result<Tried, Fault> {
        if let Some(came) = came {
            let at = Timestamp::now();
            for (piece, _) in sent {
                self.desk.note(piece, came, at)?;
            }
        }
        self.put_back(sent)?;
        let told = came.map_or_else(
            || "Risk Assess could not be reached".to_owned(),
            |came| came.told(&[]),
        );
        Ok(Tried::Again { told, wait })
    }

    fn put_back(&self, sent: &[(&Piece, &Row)]) -> Result<(), Fault> {
        let ids: Vec<ParcelId> = sent.iter().map(|(piece, _)| piece.parcel).collect();
        self.desk.put_back(&ids)
    }

    fn settle(&self, piece: &Piece, came: &Came, words: Option<Words>, log: &mut Log) -> Result<(), Fault> {
        let told = self.desk.settle(piece, came)?;
        log.tell(piece.parcel, Ended::Settled(came.standing()), told, words);
        Ok(())
    }
}

/// What goes into one file each: what was tried least first, then what is oldest.
fn files(mut parcels: Vec<Parcel>, proof: Proof) -> Vec<Vec<Parcel>> {
    parcels.sort_by_key(|parcel| (parcel.attempts, parcel.id));
    let mut files: Vec<Vec<Parcel>> = Vec::new();
    for parcel in parcels {
        match files.last_mut() {
            Some(last)
                if last.last().is_some_and(|other| go_together(other, &parcel)) && has_room(last, proof) =>
            {
                last.push(parcel);
            }
            _ => files.push(vec![parcel]),
        }
    }
    files
}

fn go_together(one: &Parcel, other: &Parcel) -> bool {
    match (&one.load, &other.load) {
        (Load::Row { file, .. }, Load::Row { file: also, .. }) => file == also,
        _ => false,
    }
}

fn has_room(file: &[Parcel], proof: Proof) -> bool {
    match proof {
        Proof::EachRow => false,
        Proof::RowsPerFile(rows) => file.len() < rows.get(),
    }
}

fn tell(log: &mut Log, parcels: &[Parcel], told: &str) {
    for parcel in parcels {
        log.tell_waiting(parcel.id, format!("{told}; it waits and is sent again"));
    }
}

/// Between a half and the whole of it, so that couriers of several tenants do not come back together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + fastrand::f64() / 2.0)
}

fn unauthorised(status: u16) -> Fault {
    let message = match status {
        401 => "Risk Assess did not see a user name and password (401)",
        _ => "Risk Assess does not accept the user name and password, or they may not import users (403)",
    };
    Fault::new(FaultKind::Unauthenticated, message).advise(
        "check --risk-assess-username and --risk-assess-password, and that the login is in the group QuickIntegration; everything not delivered waits",
    )
}

fn elsewhere(status: u16) -> Fault {
    Fault::new(
        FaultKind::Invalid,
        format!("there is no Quick Integration at this address (Risk Assess answered {status})"),
    )
    .advise("check --risk-assess-url or --risk-assess-tenant; everything not delivered waits")
}

fn report(run: &Deliveries) {
    for (standing, count) in run.settled() {
        tracing::info!(standing, count, "delivered to risk assess");
    }
    match &run.stopped {
        Some(fault) => tracing::warn!(waiting = run.waiting(), ?fault, "delivery to risk assess stopped"),
        None if run.waiting() > 0 => tracing::warn!(
            waiting = run.waiting(),
            "not everything was delivered to risk assess"
        ),
        None => {}
    }
}
