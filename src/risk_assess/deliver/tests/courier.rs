//! What each answer, and each failure to get one, comes to.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::date;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::super::*;
use super::world::*;
use crate::model::downstream::{Link, Load, Outbox as _, ParcelStage, Standing};
use crate::model::fault::{Fault, FaultKind};
use crate::model::profile::Profile;
use crate::model::tenant::AccountClass;
use crate::risk_assess::columns::Column;
use crate::risk_assess::config::{Removal, RiskAssessConfig, UserSync};

fn settled(run: &Deliveries) -> Vec<Ended> {
    run.entries.iter().map(|entry| entry.ended).collect()
}

#[tokio::test(start_paused = true)]
async fn each_answer_is_written_down_as_what_it_is() {
    for (turn, standing, evidence) in [
        (
            Turn::Answers(201),
            Standing::Delivered,
            "201 to a file with this row alone",
        ),
        (Turn::Answers(202), Standing::Queued, "in its queue"),
        (
            Turn::Answers(204),
            Standing::Doubtful,
            "nothing new, or the wrong format",
        ),
        (Turn::Answers(200), Standing::Doubtful, "not documented"),
        (
            Turn::Says(400, "LastName is strange".into()),
            Standing::Rejected,
            "LastName is strange",
        ),
    ] {
        let world = World::new(1);
        world.post(&[Load::User(user(1))]);
        world.script(std::slice::from_ref(&turn));
        let run = world.run(patient(3)).await.unwrap();
        assert_eq!(settled(&run), [Ended::Settled(standing)], "{turn:?}");
        assert_eq!(run.settled()[standing.name()], 1);
        let record = world.facts().ledger[&user(1)].clone();
        assert_eq!(record.standing, standing);
        assert!(record.evidence.contains(evidence), "{}", record.evidence);
        assert_eq!(record.problems.len(), usize::from(standing == Standing::Rejected));
        assert_eq!(world.facts().requests.len(), 1, "no answer is asked for twice");
        assert!(world.run(patient(3)).await.unwrap().entries.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_is_sent_as_coupa_shows_it_now() {
    let world = World::new(1);
    world.post(&[Load::User(user(1))]);
    world.rename(1);
    world.run(patient(1)).await.unwrap();
    let requests = world.facts().requests.clone();
    assert_eq!(requests.len(), 1, "posted twice, waiting once");
    assert_eq!(requests[0].rows.len(), 1);
    assert_eq!(requests[0].rows[0][&Column::LastName], "Name1");
    assert_eq!(
        requests[0].rows[0].get(&Column::CoupaUserId),
        None,
        "D501 has no such column"
    );
}

#[tokio::test(start_paused = true)]
async fn trouble_is_tried_again_and_what_is_not_settled_waits() {
    let world = World::new(1);
    world.post(&[Load::User(user(1))]);
    world.script(&[
        Turn::Unreachable,
        Turn::Answers(500),
        Turn::Lost,
        Turn::Answers(503),
    ]);
    let run = world.run(patient(4)).await.unwrap();
    assert_eq!(settled(&run), [Ended::Waits]);
    assert!(run.entries[0].told.contains("503"), "{:?}", run.entries);
    assert_eq!(world.statuses(), [Some(500), None, Some(503)]);
    assert_eq!(world.standing(1), Standing::Doubtful, "something went out");
    assert_eq!(world.facts().reads, 4, "read again for each try");
    let run = world.run(patient(4)).await.unwrap();
    assert_eq!(
        (settled(&run), world.standing(1)),
        (vec![Ended::Settled(Standing::Delivered)], Standing::Delivered)
    );
}

#[tokio::test(start_paused = true)]
async fn what_never_went_out_leaves_the_ledger_as_it_was() {
    let world = World::new(1);
    world.post(&[Load::User(user(1))]);
    world.script(&[Turn::Unreachable, Turn::Unreachable]);
    let before = world.facts().ledger[&user(1)].clone();
    let run = world.run(patient(2)).await.unwrap();
    assert_eq!(settled(&run), [Ended::Waits]);
    assert_eq!(world.facts().ledger[&user(1)], before);
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_stops_everything_at_once_and_loses_nothing() {
    for (status, kind) in [
        (401, FaultKind::Unauthenticated),
        (403, FaultKind::Unauthenticated),
        (302, FaultKind::Invalid),
        (404, FaultKind::Invalid),
    ] {
        let world = World::new(3);
        world.post(&[Load::User(user(1)), Load::User(user(2)), Load::User(user(3))]);
        world.script(&[Turn::Answers(201), Turn::Answers(status)]);
        let run = world.run(patient(4)).await.unwrap();
        assert_eq!(
            settled(&run),
            [Ended::Settled(Standing::Delivered), Ended::Waits, Ended::Waits]
        );
        let fault = run.stopped.unwrap();
        assert_eq!(*fault.kind(), kind, "{fault}");
        assert!(fault.advice().unwrap().contains("--risk-assess-"), "{fault}");
        assert_eq!(world.statuses(), [Some(201), Some(status)], "asked once");
        assert_eq!(world.standing(2), Standing::Expected);
        let run = world.run(patient(1)).await.unwrap();
        assert_eq!(settled(&run), [Ended::Settled(Standing::Delivered); 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_row_holds_up_nobody_and_a_server_that_is_down_ends_the_run() {
    let world = World::new(5);
    let all: Vec<Load> = (1..=5).map(|id| Load::User(user(id))).collect();
    world.post(&all);
    world.script(&[Turn::Answers(500), Turn::Answers(500), Turn::Answers(500)]);
    let run = world.run(patient(1)).await.unwrap();
    assert!(run.stopped.unwrap().is_transient());
    assert_eq!(world.statuses().len(), 3, "three in a row are enough");
    assert_eq!(run.entries[4].told, "not reached by this run");
    world.script(&[
        Turn::Answers(201),
        Turn::Answers(201),
        Turn::Answers(500),
        Turn::Answers(201),
    ]);
    let run = world.run(patient(1)).await.unwrap();
    assert!(run.stopped.is_none());
    let delivered = Ended::Settled(Standing::Delivered);
    assert_eq!(
        settled(&run),
        [Ended::Waits, delivered, delivered, delivered, delivered],
        "untried ones first"
    );
}

#[tokio::test(start_paused = true)]
async fn waits_grow_and_are_bounded() {
    let world = World::new(1);
    world.post(&[Load::User(user(1))]);
    world.script(&vec![Turn::Answers(500); 9]);
    let start = tokio::time::Instant::now();
    world.run(patient(10)).await.unwrap();
    // 1 + 2 + ... + 32 + 60 + 60 + 60 seconds, each between a half and the whole.
    let waited = start.elapsed();
    assert!(
        waited >= Duration::from_secs(121) && waited <= Duration::from_secs(243),
        "{waited:?}"
    );
    assert_eq!(world.standing(1), Standing::Delivered);
}

#[tokio::test(start_paused = true)]
async fn coupas_trouble_leaves_the_parcel_and_goes_on() {
    let world = World::new(2);
    world.post(&[Load::User(user(1)), Load::User(user(2))]);
    world.facts().faults.push_back(Fault::unavailable("Coupa sleeps"));
    let run = world.run(patient(3)).await.unwrap();
    assert_eq!(settled(&run), [Ended::Waits, Ended::Settled(Standing::Delivered)]);
    assert!(run.entries[0].told.contains("Coupa sleeps"));
}

#[tokio::test(start_paused = true)]
async fn a_change_while_it_is_sent_is_sent_after_it_and_the_older_one_claims_nothing() {
    let world = World::new(1);
    world.post(&[Load::User(user(1))]);
    world.script(&[Turn::AnswersAfterChange(201, 1)]);
    let run = world.run(patient(1)).await.unwrap();
    assert_eq!(settled(&run), [Ended::Settled(Standing::Delivered)]);
    assert_eq!(
        world.standing(1),
        Standing::Expected,
        "what was delivered is not what stands there"
    );
    world.run(patient(1)).await.unwrap();
    assert_eq!(world.facts().requests[1].rows[0][&Column::LastName], "Name1");
    assert_eq!(world.standing(1), Standing::Delivered);

    let world = World::new(1);
    world.post(&[Load::User(user(1))]);
    world.facts().change_after_read = Some(1);
    world.run(patient(1)).await.unwrap();
    assert_eq!(world.standing(1), Standing::Expected);
    assert_eq!(
        world.state().unsettled().unwrap().len(),
        1,
        "it was marked before it was read"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_but_people_of_the_company_with_a_license_is_sent() {
    let other = |change: fn(&mut Profile)| {
        let world = World::new(1);
        change(world.facts().profiles.get_mut(&user(1)).unwrap());
        world
    };
    for (world, told) in [
        (
            other(|profile| profile.class = AccountClass::Supplier),
            "class supplier",
        ),
        (
            other(|profile| profile.class = AccountClass::Support),
            "class support",
        ),
        (other(|profile| profile.email = None), "Email is required"),
        (
            other(|profile| profile.licensed = None),
            "whether the license is held",
        ),
    ] {
        world.post(&[Load::User(user(1))]);
        let run = world.run(patient(1)).await.unwrap();
        assert_eq!(settled(&run), [Ended::Settled(Standing::Unknown)]);
        assert!(run.entries[0].told.contains(told), "{:?}", run.entries);
        assert!(world.facts().requests.is_empty());
    }
    let world = World::new(1);
    world.post(&[Load::User(user(9))]);
    let run = world.run(patient(1)).await.unwrap();
    assert!(
        run.entries[0].told.contains("does not have the user"),
        "{:?}",
        run.entries
    );
}

#[tokio::test(start_paused = true)]
async fn two_users_of_one_address_are_not_mixed_up() {
    let world = World::new(2);
    world.change(1, |profile| profile.email = Some("ANN2@example.com".into()));
    let run = world.run(patient(1)).await.unwrap();
    assert_eq!(settled(&run), [Ended::Settled(Standing::Unknown)]);
    assert!(
        run.entries[0].told.contains("also that of user 2"),
        "{:?}",
        run.entries
    );
    let record = world.facts().ledger[&user(1)].clone();
    assert_eq!(
        (record.standing, &*record.problems[0].kind),
        (Standing::Unknown, "not-deliverable")
    );
    assert!(world.facts().requests.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_license_and_the_operator_say_decides_what_is_sent() {
    for (licensed, active, removal, sent) in [
        (true, true, Removal::Unknown, Some("Yes")),
        (true, false, Removal::Unknown, Some("No")),
        (false, true, Removal::Unknown, None),
        (false, true, Removal::Stays, None),
        (false, true, Removal::Closes, Some("No")),
    ] {
        let world = World::new(1);
        world.change(1, |profile| {
            profile.licensed = Some(licensed);
            profile.active = active;
        });
        let config = RiskAssessConfig {
            removal,
            ..RiskAssessConfig::default()
        };
        let server = Quiet::default();
        let courier = Courier::new(
            world.desk(&config),
            server.clone().into(),
            CourierConfig::default(),
        );
        let run = courier.deliver_all().await;
        let seen = server
            .files()
            .into_iter()
            .map(|rows| rows[0][&Column::Status].clone())
            .next();
        assert_eq!(seen.as_deref(), sent, "{licensed} {active} {removal:?}");
        let standing = if sent.is_some() {
            Standing::Delivered
        } else {
            Standing::Expected
        };
        assert_eq!(settled(&run), [Ended::Settled(standing)]);
    }
}

#[tokio::test(start_paused = true)]
async fn accounts_that_coupa_keeps_are_left_to_coupa() {
    for (link, user_sync, sent) in [
        (Some(Link::CoupaId), UserSync::On, false),
        (Some(Link::Username), UserSync::Unknown, false),
        (Some(Link::Username), UserSync::Off, true),
        (Some(Link::Email), UserSync::On, true),
        (None, UserSync::On, true),
    ] {
        let world = World::new(1);
        world.post(&[Load::User(user(1))]);
        let before = {
            let mut facts = world.facts();
            let record = facts.ledger.get_mut(&user(1)).unwrap();
            record.link = link.map(|link| (link, date(2026, 11, 22)));
            record.clone()
        };
        let config = RiskAssessConfig {
            user_sync,
            ..RiskAssessConfig::default()
        };
        let server = Quiet::default();
        let courier = Courier::new(
            world.desk(&config),
            server.clone().into(),
            CourierConfig::default(),
        );
        let run = courier.deliver_all().await;
        assert_eq!(server.files().len(), usize::from(sent), "{link:?} {user_sync:?}");
        if !sent {
            assert!(
                run.entries[0].told.contains("User Sync keeps it"),
                "{:?}",
                run.entries
            );
            assert_eq!(world.facts().ledger[&user(1)], before);
        }
    }
}

/// A Risk Assess that takes everything.
#[derive(Clone, Default)]
struct Quiet(Arc<std::sync::Mutex<Vec<UsersFile>>>);

impl Quiet {
    fn files(&self) -> Vec<Vec<std::collections::BTreeMap<Column, String>>> {
        self.0.lock().unwrap().iter().map(rows).collect()
    }
}

impl From<Quiet> for Arc<dyn Post> {
    fn from(quiet: Quiet) -> Self {
        Arc::new(quiet)
    }
}

#[async_trait::async_trait]
impl Post for Quiet {
    async fn post(&self, file: &UsersFile) -> Result<Answer, Unanswered> {
        self.0.lock().unwrap().push(file.clone());
        Ok(Answer {
            status: 201,
            body: Vec::new(),
            retry_after: None,
        })
    }
}

fn together(rows: usize) -> CourierConfig {
    CourierConfig {
        proof: Proof::RowsPerFile(rows.try_into().unwrap()),
        ..patient(2)
    }
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_file_may_go_together_and_then_nothing_is_proven() {
    let world = World::new(2);
    world.post(&[
        line(2, &[]),
        line(3, &[]),
        line(4, &[]),
        Load::User(user(1)),
        Load::User(user(2)),
        line(5, &[]),
    ]);
    let run = world.run(together(2)).await.unwrap();
    let sizes: Vec<usize> = world
        .facts()
        .requests
        .iter()
        .map(|request| request.rows.len())
        .collect();
    assert_eq!(sizes, [2, 1, 1, 1, 1], "users go alone");
    let (doubtful, delivered) = (
        Ended::Settled(Standing::Doubtful),
        Ended::Settled(Standing::Delivered),
    );
    assert_eq!(
        settled(&run),
        [doubtful, doubtful, delivered, delivered, delivered, delivered]
    );
    assert!(
        run.entries[0].told.contains("a file of 2 rows"),
        "{:?}",
        run.entries
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_file_is_sent_again_row_by_row() {
    let world = World::new(0);
    let administrator = line(3, &[("Administrator", "Yes")]);
    world.post(&[line(2, &[]), administrator, line(4, &[]), line(5, &[])]);
    world.script(&[
        Turn::Answers(500),
        Turn::Answers(400),
        Turn::Answers(201),
        Turn::Says(400, "line4@example.com: BO LI is not welcome".into()),
        Turn::Answers(202),
    ]);
    let run = world.run(together(9)).await.unwrap();
    let sizes: Vec<usize> = world
        .facts()
        .requests
        .iter()
        .map(|request| request.rows.len())
        .collect();
    assert_eq!(sizes, [3, 3, 1, 1, 1], "the administrator is never sent");
    let expected = [
        Standing::Delivered,
        Standing::Unknown,
        Standing::Rejected,
        Standing::Queued,
    ];
    assert_eq!(settled(&run), expected.map(Ended::Settled));
    assert!(
        run.entries[1].told.contains("makes an administrator"),
        "{:?}",
        run.entries
    );
    assert_eq!(
        run.entries[2].told,
        "Risk Assess answered 400 and refused the row: [Email]: [First Name] [Last Name] is not welcome"
    );
    let words = run.entries[2].words.clone().unwrap();
    assert!(words.0.contains("BO LI"), "the person who asked sees it");
    assert!(!format!("{run:?}").contains("BO LI"));
    let kept = world.state().parcels().unwrap();
    for parcel in kept {
        let Load::Row { cells, .. } = &parcel.load else {
            panic!("{parcel:?}")
        };
        assert!(cells.is_empty(), "the values are gone");
        assert!(!format!("{parcel:?}").contains("example.com"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_running_courier_wakes_up_comes_back_and_stops() {
    let world = World::new(2);
    let (wake, stop) = (Arc::new(Notify::new()), CancellationToken::new());
    let courier = Arc::new(world.courier(patient(1)));
    world.script(&[Turn::Answers(403)]);
    world.post(&[Load::User(user(1))]);
    let running = tokio::spawn(courier.run(wake.clone(), stop.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.statuses(), [Some(403)]);
    world.post(&[Load::User(user(2))]);
    wake.notify_one();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        world.statuses().len(),
        1,
        "a refused login is not tried with each change"
    );
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(world.statuses(), [Some(403), Some(201), Some(201)]);
    world.rename(1);
    wake.notify_one();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.statuses().len(), 4);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_courier_that_is_stopped_leaves_the_rest_waiting() {
    let world = World::new(3);
    let stop = CancellationToken::new();
    world.post(&[Load::User(user(1)), Load::User(user(2))]);
    world.script(&[Turn::Answers(500)]);
    let courier = Arc::new(world.courier(patient(9)));
    let running = tokio::spawn(courier.run(Arc::new(Notify::new()), stop.clone()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(world.statuses(), [Some(500)]);
    let kept = world.state().unsettled().unwrap();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|parcel| parcel.stage == ParcelStage::Waiting));
}
