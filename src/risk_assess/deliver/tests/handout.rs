//! Files for a person.

use std::path::Path;

use tempfile::TempDir;

use super::super::*;
use super::world::*;
use crate::model::downstream::{Load, Outbox as _, ParcelStage, Standing};
use crate::model::fault::{Fault, FaultKind};
use crate::model::tenant::AccountClass;
use crate::risk_assess::config::RiskAssessConfig;
use crate::risk_assess::sheet;

fn read(path: &Path) -> Vec<Vec<String>> {
    let sheet = sheet::read(&std::fs::read(path).unwrap()).unwrap();
    sheet.lines.into_iter().map(|line| line.cells).collect()
}

fn handout(world: &std::sync::Arc<World>) -> Handout {
    Handout::new(world.desk(&RiskAssessConfig::default()))
}

#[tokio::test]
async fn everything_goes_into_one_private_file_and_is_settled_as_no_more_than_that() {
    let world = World::new(3);
    let folder = TempDir::new().unwrap();
    world.facts().profiles.get_mut(&user(2)).unwrap().class = AccountClass::Api;
    world.post(&[
        Load::User(user(1)),
        Load::User(user(2)),
        line(2, &[]),
        Load::User(user(3)),
    ]);
    // A user whose parcel was under way and who was posted again stands there once.
    let first = ids(&world.state().unsettled().unwrap())[0];
    world.state().advance(&[first], &ParcelStage::Sending).unwrap();
    world.rename(1);
    for name in ["users.csv", "more.xlsx"] {
        let path = folder.path().join(name);
        let run = handout(&world).write(&path).await.unwrap();
        assert!(run.stopped.is_none());
        assert_eq!(run.waiting(), 0);
        let lines = read(&path);
        let emails: Vec<&str> = lines.iter().map(|cells| cells[2].as_str()).collect();
        assert_eq!(
            emails,
            ["ann1@example.com", "line2@example.com", "ann3@example.com"]
        );
        assert_eq!(
            (&*lines[0][1], &*lines[0][4]),
            ("Name1", "1"),
            "as it is now, with the Coupa User ID"
        );
        assert_eq!(
            run.settled(),
            [("expected", run.entries.len() - 1), ("unknown", 1)].into()
        );
        assert_eq!(world.standing(1), Standing::Expected);
        assert!(
            world.facts().ledger[&user(1)]
                .evidence
                .contains("for a person to upload")
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        world.post(&[
            Load::User(user(1)),
            line(2, &[]),
            Load::User(user(2)),
            Load::User(user(3)),
        ]);
        // The order of the first file.
        let kept = world.state().unsettled().unwrap();
        assert_eq!(kept.len(), 4);
    }
}

#[tokio::test]
async fn an_earlier_file_is_never_replaced_and_trouble_leaves_everything() {
    let world = World::new(2);
    let folder = TempDir::new().unwrap();
    world.post(&[Load::User(user(1)), Load::User(user(2))]);
    let path = folder.path().join("users.csv");
    std::fs::write(&path, "of yesterday").unwrap();
    let fault = handout(&world).write(&path).await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Conflict);
    assert_eq!(std::fs::read(&path).unwrap(), b"of yesterday");
    let wrong = [
        folder.path().join("users.txt"),
        folder.path().join("missing/users.csv"),
    ];
    for path in wrong {
        assert!(handout(&world).write(&path).await.is_err());
    }
    world.facts().faults.push_back(Fault::unavailable("Coupa sleeps"));
    let other = folder.path().join("other.csv");
    assert!(handout(&world).write(&other).await.unwrap_err().is_transient());
    assert!(!other.exists());
    let kept = world.state().unsettled().unwrap();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|parcel| parcel.stage == ParcelStage::Waiting));
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing half-written stays"
    );
}

#[tokio::test]
async fn without_a_row_there_is_no_file() {
    let world = World::new(0);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("users.xlsx");
    assert!(handout(&world).write(&path).await.unwrap().entries.is_empty());
    world.post(&[line(2, &[("Administrator", "Yes")])]);
    let run = handout(&world).write(&path).await.unwrap();
    assert_eq!(run.entries[0].ended, Ended::Settled(Standing::Unknown));
    assert!(!path.exists());
}
