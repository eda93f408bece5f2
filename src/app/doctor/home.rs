//! This machine: the state directory with its database, lock and journal, temporary files, and room for both.
//!
//! Invariant: nothing is made that stays. Where something is still to be made, the finding says so.

use std::path::{Path, PathBuf};
use std::{env, io};

use crate::config::{StateDir, Target, TenantSettings};
use crate::model::checkup::{Chart, Check, Finding};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::model::journal::{Entry, Stage};
use crate::model::tenant::ReadTenant;
use crate::snapshot::holds;
use crate::state::{Look, Place, State, Stored, Writer};

const MIB: u64 = 1024 * 1024;

/// Journal, ledger and outbox of a large tenant stay far below.
const FOR_STATE: Room = Room {
    least: 16 * MIB,
    enough: 128 * MIB,
};

/// A pass over a million users spools some hundred megabytes, and the sync file is unpacked beside it.
const FOR_TEMPORARY: Room = Room {
    least: 64 * MIB,
    enough: 512 * MIB,
};

/// Everything about the state.
const STATE: [Check; 5] = [
    Check::StateDirectory,
    Check::StateDatabase,
    Check::StateLock,
    Check::StateSpace,
    Check::JournalOpen,
];

/// How much room something wants, in bytes.
struct Room {
    /// With less it will not work.
    least: u64,
    /// With less it may not.
    enough: u64,
}

/// Whose state is looked at, and for what.
pub(super) struct Whose<'a> {
    pub(super) key: &'a str,
    pub(super) client_id: &'a str,
    pub(super) changes: bool,
}

pub(super) async fn examine(
    settings: &TenantSettings,
    whose: &Whose<'_>,
    reader: Option<&dyn ReadTenant>,
    chart: &mut Chart,
) {
    match (&settings.state_dir, &settings.target) {
        // The journal goes with the changes, and these with the process.
        (_, Target::Sandbox(_)) if whose.changes => no_state(
            "the embedded sandbox forgets changes, and so does its journal",
            chart,
        ),
        (StateDir::Temporary, _) => no_state("it goes with the process", chart),
        (StateDir::Nowhere, _) => nowhere(whose.changes, chart),
        (StateDir::Named(dir), _) => state(dir, whose, reader, chart).await,
        (StateDir::PerUser(dir), _) => per_user(dir, whose, reader, chart).await,
    }
    temporary(
        settings.temp_dir.clone().unwrap_or_else(env::temp_dir).as_path(),
        chart,
    );
}

fn no_state(why: &str, chart: &mut Chart) {
    for check in STATE {
        chart.note(Finding::not_needed(check, why));
    }
}

fn nowhere(changes: bool, chart: &mut Chart) {
    const SAW: &str = "neither a setting nor the environment tells a place";
    const ADVICE: &str = "name a directory that lasts with --state-dir";
    if changes {
        let fault = Fault::new(FaultKind::Refused, SAW).advise(ADVICE);
        chart.note(Finding::failing(Check::StateDirectory, &fault));
        chart.wait(&STATE, Check::StateDirectory);
    } else {
        chart.note(Finding::warning(Check::StateDirectory, SAW, ADVICE));
        no_state("nothing is kept between runs", chart);
    }
}

/// The usual place of the user. Nobody asked for it, so reading goes on without one.
async fn per_user(dir: &Path, whose: &Whose<'_>, reader: Option<&dyn ReadTenant>, chart: &mut Chart) {
    let look = State::look(dir, whose.key, whose.client_id);
    match &look.place {
        Err(fault) if !whose.changes && !dir.exists() => {
            let advice = "name a directory that this user can write to with --state-dir";
            chart.note(Finding::warning(Check::StateDirectory, fault.message(), advice));
            no_state("nothing is kept between runs", chart);
        }
        _ => seen(look, dir, whose, reader, chart).await,
    }
}

async fn state(dir: &Path, whose: &Whose<'_>, reader: Option<&dyn ReadTenant>, chart: &mut Chart) {
    let look = State::look(dir, whose.key, whose.client_id);
    seen(look, dir, whose, reader, chart).await;
}

async fn seen(
    look: Look,
    base: &Path,
    whose: &Whose<'_>,
    reader: Option<&dyn ReadTenant>,
    chart: &mut Chart,
) {
    let dir = match look.place {
        Ok(Place::There(dir)) => {
            chart.note(Finding::fine(Check::StateDirectory, dir.display().to_string()));
            dir
        }
        Ok(Place::ToBeMade) => {
            let saw = format!("{} is made when it is needed", base.display());
            chart.note(Finding::fine(Check::StateDirectory, saw));
            base.to_owned()
        }
        Err(fault) => {
            chart.note(Finding::failing(Check::StateDirectory, &fault));
            chart.wait(&STATE, Check::StateDirectory);
            return;
        }
    };
    chart.note(lock(&look.writer, whose.changes));
    chart.note(FOR_STATE.judged(Check::StateSpace, &dir, free(&dir)));
    match look.stored {
        None => {
            chart.note(Finding::fine(Check::StateDatabase, "nothing is kept yet"));
            chart.note(Finding::fine(Check::JournalOpen, "no change was made yet"));
        }
        Some(Err(fault)) => {
            chart.note(Finding::failing(Check::StateDatabase, &fault));
            chart.wait(&[Check::JournalOpen], Check::StateDatabase);
        }
        Some(Ok(stored)) => {
            chart.note(database(&stored));
            chart.note(journal(stored.open, reader).await);
        }
    }
}

fn database(stored: &Stored) -> Finding {
    let Stored { version, newest, .. } = stored;
    let saw = if version == newest {
        format!("version {version}, of this tenant")
    } else {
        format!("version {version}, of this tenant; the next run brings it to {newest}")
    };
    Finding::fine(Check::StateDatabase, saw)
}

fn lock(writer: &Writer, changes: bool) -> Finding {
    match (writer, changes) {
        (Writer::Nobody, true) => Finding::fine(Check::StateLock, "nobody holds the lock"),
        (Writer::Somebody(who), true) => {
            let who = who.as_deref().unwrap_or("another process of this connector");
            let fault = Fault::new(
                FaultKind::Conflict,
                format!("{who} makes changes to this tenant, and only one process may"),
            );
            Finding::failing(Check::StateLock, &fault.advise("stop it, or let it do the work"))
        }
        (Writer::Nobody, false) => Finding::not_needed(Check::StateLock, "reading needs no lock"),
        (Writer::Somebody(who), false) => {
            let who = who.as_deref().unwrap_or("another process");
            Finding::not_needed(Check::StateLock, format!("reading needs no lock; {who} holds it"))
        }
    }
}

/// What waits for its end, and whether a sync would stop at it: it does where an account's list is still damaged by a change of ours.
async fn journal(open: Option<Vec<Entry>>, reader: Option<&dyn ReadTenant>) -> Finding {
    let Some(open) = open else {
        return Finding::fine(Check::JournalOpen, "looked at once the database has its version");
    };
    if open.is_empty() {
        return Finding::fine(Check::JournalOpen, "no entry is open");
    }
    let mut damaged = Vec::new();
    if let Some(reader) = reader {
        for entry in &open {
            if is_damaged(entry, reader).await {
                damaged.push(entry);
            }
        }
    }
    judge_open(&open, &damaged)
}

fn judge_open(open: &[Entry], damaged: &[&Entry]) -> Finding {
    const ADVICE: &str = "baton-coupa journal --open shows them; baton-coupa journal recover brings to an end what needs no decision";
    let persons = open
        .iter()
        .filter(|entry| matches!(entry.stage, Stage::NeedsPerson { .. }))
        .count();
    let saw = format!(
        "{} open, {persons} of them wait for a person",
        entries(open.len())
    );
    if let Some(first) = damaged.first() {
        let user = first.intent.user.map_or(0, UserId::get);
        let fault = Fault::new(
            FaultKind::Refused,
            format!(
                "{saw}; a sync stops at entry {}: user {user} lacks what a change of ours took away",
                first.id
            ),
        );
        return Finding::failing(Check::JournalOpen, &fault.advise(ADVICE));
    }
    Finding::warning(Check::JournalOpen, saw, ADVICE)
}

fn entries(count: usize) -> String {
    if count == 1 {
        "1 entry is".to_owned()
    } else {
        format!("{count} entries are")
    }
}

async fn is_damaged(entry: &Entry, reader: &dyn ReadTenant) -> bool {
    let (Some(user), Some((list, ids))) = (entry.intent.user, entry.must_hold()) else {
        return false;
    };
    // A user who cannot be read now is no proof of damage.
    matches!(reader.user(user).await, Ok(Some(user)) if !holds(&user.access, list, &ids))
}

fn temporary(dir: &Path, chart: &mut Chart) {
    // A file without a name: it leaves nothing behind.
    match tempfile::tempfile_in(dir) {
        Ok(_) => chart.note(Finding::fine(Check::TempDirectory, dir.display().to_string())),
        Err(error) => {
            let told = format!("no file can be made in {}", dir.display());
            let fault = Fault::internal(told)
                .advise("choose another directory with --c1z-temp-dir (or TMPDIR)")
                .because(error);
            chart.note(Finding::failing(Check::TempDirectory, &fault));
            chart.wait(&[Check::TempSpace], Check::TempDirectory);
            return;
        }
    }
    chart.note(FOR_TEMPORARY.judged(Check::TempSpace, dir, free(dir)));
}

impl Room {
    fn judged(&self, check: Check, dir: &Path, free: io::Result<Option<u64>>) -> Finding {
        let free = match free {
            Ok(Some(free)) => free,
            Ok(None) => return Finding::not_needed(check, "this system does not tell it here"),
            Err(error) => {
                let advice = "look at the file system's free space by hand";
                return Finding::warning(check, "the free space is not told", advice)
                    .with([error.to_string()]);
            }
        };
        let saw = format!("{} MiB free at {}", free / MIB, dir.display());
        let advice = format!("make room: at least {} MiB", self.enough / MIB);
        if free < self.least {
            return Finding::failing(check, &Fault::internal(saw).advise(advice));
        }
        if free < self.enough {
            return Finding::warning(check, saw, advice);
        }
        Finding::fine(check, saw)
    }
}

/// Bytes that this user can still write where `dir` is, or will be; `None` where the system has no such question.
#[cfg(unix)]
fn free(dir: &Path) -> io::Result<Option<u64>> {
    let there: Option<PathBuf> = dir.ancestors().find(|dir| dir.exists()).map(Path::to_owned);
    let of = match there {
        Some(there) if !there.as_os_str().is_empty() => there,
        _ => PathBuf::from("."),
    };
    let told = rustix::fs::statvfs(&of)?;
    Ok(Some(told.f_bavail.saturating_mul(told.f_frsize)))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
fn free(_dir: &Path) -> io::Result<Option<u64>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jiff::Timestamp;

    use super::*;
    use crate::model::access::Item;
    use crate::model::change::Via;
    use crate::model::checkup::Verdict;
    use crate::model::journal::{EntryId, Held, Intent, Subject};

    #[test]
    fn room_is_judged_by_what_is_wanted() {
        let room = Room {
            least: 10 * MIB,
            enough: 20 * MIB,
        };
        let verdict = |free| room.judged(Check::TempSpace, Path::new("/tmp"), free).verdict;
        assert_eq!(verdict(Ok(Some(20 * MIB))), Verdict::Fine);
        assert_eq!(verdict(Ok(Some(20 * MIB - 1))), Verdict::Warning);
        assert_eq!(
            verdict(Ok(Some(10 * MIB - 1))),
            Verdict::Failing(FaultKind::Internal)
        );
        assert_eq!(verdict(Ok(None)), Verdict::NotNeeded);
        assert_eq!(verdict(Err(io::ErrorKind::Other.into())), Verdict::Warning);
    }

    #[cfg(unix)]
    #[test]
    fn free_space_is_told_also_of_what_is_still_to_be_made() {
        let there = free(Path::new("/")).unwrap().unwrap();
        assert!(there > 0);
        free(Path::new("/no/such/place")).unwrap().unwrap();
        free(Path::new("relative/place")).unwrap().unwrap();
    }

    #[test]
    fn a_held_lock_matters_to_changes_only() {
        let held = Writer::Somebody(Some("process 12 since today".into()));
        let failing = lock(&held, true);
        assert_eq!(failing.verdict, Verdict::Failing(FaultKind::Conflict));
        assert!(failing.saw.contains("process 12"), "{}", failing.saw);
        assert_eq!(lock(&held, false).verdict, Verdict::NotNeeded);
        assert_eq!(lock(&Writer::Nobody, true).verdict, Verdict::Fine);
    }

    #[test]
    fn an_open_entry_stops_a_sync_where_the_account_is_still_damaged() {
        let entry = Entry {
            id: EntryId(17),
            opened_at: Timestamp::UNIX_EPOCH,
            intent: Intent {
                request: None,
                via: Via::Grpc,
                user: "42".parse().ok(),
                subject: Subject::Revoke(Item::Role("7".parse().unwrap())),
                before: Held::Ids(vec![5, 7]),
                wanted: Held::Ids(vec![5]),
            },
            stage: Stage::NeedsPerson {
                reason: "role 5 is gone".into(),
                full: Some(vec![5, 7]),
            },
            steps: Vec::new(),
        };
        let open = [entry];
        let waiting = judge_open(&open, &[]);
        assert_eq!(waiting.verdict, Verdict::Warning);
        assert_eq!(waiting.saw, "1 entry is open, 1 of them wait for a person");
        let damaged = judge_open(&open, &[&open[0]]);
        assert_eq!(damaged.verdict, Verdict::Failing(FaultKind::Refused));
        assert!(
            damaged.saw.contains("entry 17") && damaged.saw.contains("user 42"),
            "{}",
            damaged.saw
        );
    }
}
