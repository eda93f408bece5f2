//! What this machine keeps: the state directory, its lock and its journal, and temporary files.

use baton_coupa::model::access::Item;
use baton_coupa::model::change::Via;
use baton_coupa::model::id::{RoleId, UserId};
use baton_coupa::model::journal::{Held, Intent, Journal, Stage, Subject};
use baton_coupa::state::State;

use super::Patient;

#[tokio::test(flavor = "multi_thread")]
async fn the_state_directory() {
    let patient = Patient::healthy().await;
    std::fs::write(patient.folder.path().join("file"), "no directory").unwrap();
    let mut command = patient.doctor();
    command.env("BATON_STATE_DIR", patient.folder.path().join("file/state"));
    let report = patient.report(command).await;
    report.lacks(
        "state-directory",
        13,
        &["state-database", "state-space", "journal-open"],
    );
    assert_eq!(
        report.verdict("read-plan"),
        "fine",
        "the tenant is examined all the same"
    );

    let mut nowhere = patient.doctor();
    nowhere.env_remove("BATON_STATE_DIR");
    patient.report(nowhere).await.warns(&["state-directory"]);
    let mut nowhere = patient.doctor();
    nowhere.env_remove("BATON_STATE_DIR").arg("-p");
    patient
        .report(nowhere)
        .await
        .lacks("state-directory", 9, &["state-lock", "journal-open"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_somebody_elses() {
    let patient = Patient::healthy().await;
    let other = State::open(&patient.state_dir(), "other.coupahost.com", "client").unwrap();
    let theirs = other.dir().to_owned();
    drop(other);
    let ours = patient.state(patient.sandbox.client_id()).dir().to_owned();
    std::fs::remove_dir_all(&ours).unwrap();
    std::fs::rename(theirs, &ours).unwrap();
    let report = patient.report(patient.doctor()).await;
    report.lacks("state-database", 9, &["journal-open"]);
    report.saw("state-database", &["other.coupahost.com"]);

    let patient = Patient::healthy().await;
    leave_an_entry(&patient.state("another-client"), UserId::new(2), &Stage::Writing);
    let report = patient.report(patient.doctor()).await;
    report.lacks("state-database", 9, &["journal-open"]);
    assert!(
        !report.everything.contains("another-client"),
        "ids are not shown whole"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_another_process_holds() {
    let patient = Patient::healthy().await;
    let held = patient.state(patient.sandbox.client_id()).lock_writer().unwrap();
    let mut command = patient.doctor();
    command.arg("-p");
    let report = patient.report(command).await;
    report.lacks("state-lock", 10, &[]);
    report.saw("state-lock", &[&format!("process {}", std::process::id())]);
    let report = patient.report(patient.doctor()).await;
    report.warns(&[]);
    assert_eq!(
        report.verdict("state-lock"),
        "not-needed",
        "reading needs no lock"
    );
    drop(held);
    let mut command = patient.doctor();
    command.arg("-p");
    patient.report(command).await.warns(&[]);
}

fn leave_an_entry(kept: &State, user: Option<UserId>, stage: &Stage) {
    let entry = kept
        .open(&Intent {
            request: None,
            via: Via::CommandLine,
            user,
            subject: Subject::Revoke(Item::Role(RoleId::new(7).unwrap())),
            before: Held::Ids(vec![7, 999_999]),
            wanted: Held::Ids(vec![999_999]),
        })
        .unwrap();
    if *stage != Stage::Writing {
        kept.advance(entry, stage).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_wait_for_an_end() {
    let patient = Patient::healthy().await;
    let user = UserId::new(patient.sandbox.truth().users[1].id);
    let state = patient.state(patient.sandbox.client_id());
    leave_an_entry(&state, user, &Stage::Writing);
    patient.report(patient.doctor()).await.warns(&["journal-open"]);
    let waits = Stage::NeedsPerson {
        reason: "role 999999 is gone".into(),
        full: Some(vec![7, 999_999]),
    };
    leave_an_entry(&state, user, &waits);
    let report = patient.report(patient.doctor()).await;
    report.lacks("journal-open", 9, &[]);
    let user = format!("user {}", user.unwrap().get());
    report.saw(
        "journal-open",
        &[
            "2 entries are open, 1 of them wait for a person",
            &user,
            "journal",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_files() {
    let patient = Patient::healthy().await;
    let mut command = patient.doctor();
    command.env_remove("BATON_TMPDIR");
    let report = patient.report(command).await;
    report.lacks("temp-directory", 13, &["temp-space"]);
}
