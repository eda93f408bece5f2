//! Single situations, each with its answer.

use super::{Bench, LONG, grant, kind, on_paused_clock, order, revoke};
use crate::model::access::Item;
use crate::model::change::{Activity, Call, Change, Effect, ListKind, WriteTenant};
use crate::model::fault::FaultKind;
use crate::model::journal::{Ending, Held, Stage};
use crate::provision::Exception;
use crate::provision::fake::{
    Edit, Empty, Event, INACTIVE_GROUP, ListWrite, Membership, Readings, SUPPLIER_ROLE, item, person, uid,
};

fn role(id: u64) -> Item {
    item(ListKind::Roles, id)
}

fn license(name: &str) -> Item {
    Item::License(name.parse().unwrap())
}

fn bench(readings: Readings) -> Bench {
    Bench::new(
        vec![person(5, &[11, 12, 13], &[21]), person(6, &[11], &[])],
        readings,
    )
}

fn replacing() -> Readings {
    Readings {
        lists: ListWrite::Replace,
        ..Readings::default()
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_so_already_sends_nothing_and_journals_nothing() {
    let mut bench = bench(Readings::default());
    for change in [grant(uid(5), role(11)), revoke(uid(5), role(14))] {
        let outcome = bench.ask(&change).await.unwrap();
        assert_eq!(
            (outcome.effect, outcome.entry, outcome.attempts),
            (Effect::AlreadySo, None, 0)
        );
    }
    assert_eq!(bench.writes(), 0);
    assert!(bench.journal.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_grant_sends_the_union_and_is_read_back() {
    let mut bench = bench(replacing());
    let outcome = bench.ask(&grant(uid(5), role(14))).await.unwrap();
    assert_eq!(outcome.effect, Effect::Made);
    assert_eq!(outcome.before, Held::Ids(vec![11, 12, 13]));
    assert_eq!(outcome.after, Held::Ids(vec![11, 12, 13, 14]));
    assert_eq!(outcome.attempts, 1);
    assert_eq!(outcome.user.access.roles().len(), 4);
    let entry = &bench.journal.all()[0];
    assert_eq!(entry.steps[0].call, "put roles 11,12,13,14");
    assert_eq!(entry.steps[0].end.as_deref(), Some("accepted"));
}

#[tokio::test(start_paused = true)]
async fn a_replacing_tenant_is_never_cleared() {
    let mut bench = bench(replacing());
    bench.ask(&revoke(uid(5), role(12))).await.unwrap();
    assert_eq!(bench.fake.holds(5, ListKind::Roles), [11, 13]);
    assert_eq!(bench.writes(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_adding_tenant_is_cleared_and_set_and_the_gap_is_recorded() {
    let mut bench = bench(Readings::default());
    let outcome = bench.ask(&revoke(uid(5), role(12))).await.unwrap();
    assert_eq!(bench.fake.holds(5, ListKind::Roles), [11, 13]);
    assert_eq!(outcome.attempts, 3, "reduced, clear, reduced");
    let entry = &bench.journal.all()[0];
    let calls: Vec<&str> = entry.steps.iter().map(|step| step.call.as_str()).collect();
    assert_eq!(calls, ["put roles 11,13", "clear roles null", "put roles 11,13"]);
    let Stage::Closed(closing) = &entry.stage else {
        panic!()
    };
    assert_eq!(closing.ending, Ending::Made);
    assert!(closing.window_ms.is_some() && closing.empty_ms.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_list_that_one_surface_cuts_is_never_written_back_cut() {
    let mut bench = bench(replacing());
    bench.fake.world().other_adds = vec![17];
    bench.ask(&grant(uid(5), role(14))).await.unwrap();
    assert_eq!(bench.fake.holds(5, ListKind::Roles), [11, 12, 13, 14, 17]);
}

#[tokio::test(start_paused = true)]
async fn no_form_of_emptiness_works() {
    let none = Readings {
        null: Empty::Rejected,
        brackets: Empty::Ignored,
        ..Readings::default()
    };
    let mut bench = bench(none.clone());
    assert_eq!(
        kind(&bench.ask(&revoke(uid(5), role(12))).await),
        FaultKind::Unchanged
    );
    assert_eq!(bench.endings(), [Ending::Unchanged]);
    assert_eq!(bench.fake.holds(5, ListKind::Roles), [11, 12, 13]);

    let rejected = Readings {
        brackets: Empty::Rejected,
        ..none
    };
    let mut bench = self::bench(rejected);
    assert_eq!(
        kind(&bench.ask(&revoke(uid(5), role(12))).await),
        FaultKind::Invalid
    );
    assert_eq!(bench.endings(), [Ending::NotMade]);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_insists_on_the_item_gets_the_list_back_as_it_was() {
    let mut bench = bench(Readings::default());
    bench.fake.world().after_clear = Some(Box::new(|world| world.insisted = [12].into()));
    let answer = bench.ask(&revoke(uid(5), role(12))).await;
    assert_eq!(kind(&answer), FaultKind::Invalid);
    assert_eq!(bench.fake.holds(5, ListKind::Roles), [11, 12, 13]);
    assert_eq!(bench.endings(), [Ending::Restored]);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_coupa_no_longer_takes_is_named_and_the_rest_is_put_back() {
    let mut bench = bench(Readings::default());
    bench.fake.world().after_clear = Some(Box::new(|world| world.unassignable = [11].into()));
    let answer = bench.ask(&revoke(uid(5), role(12))).await;
    let text = answer.unwrap_err().to_string();
    assert!(
        text.contains("roles 11 are missing") && text.contains("journal entry 1"),
        "{text}"
    );
    assert_eq!(bench.fake.holds(5, ListKind::Roles), [13], "one by one");
    assert_eq!(bench.journal.open_entries().len(), 1);
    assert!(bench.writes() <= bench.config.bound(3) as usize);
    let waiting = bench.ask(&grant(uid(5), role(14))).await;
    assert_eq!(kind(&waiting), FaultKind::Unavailable);
    bench.fake.world().unassignable.clear();
    bench.heal().await;
    assert_eq!(bench.fake.holds(5, ListKind::Roles), [11, 13]);
    assert_eq!(bench.endings(), [Ending::Made]);
}

#[tokio::test(start_paused = true)]
async fn two_grants_at_once_for_one_user_both_hold() {
    for readings in [replacing(), Readings::default()] {
        let bench = bench(readings);
        let (one, other) = (grant(uid(5), role(14)), grant(uid(5), role(15)));
        let order = order(None);
        let answers = tokio::join!(
            bench.provision.apply(&order, &one),
            bench.provision.apply(&order, &other)
        );
        assert!(answers.0.is_ok() && answers.1.is_ok());
        assert_eq!(bench.fake.holds(5, ListKind::Roles), [11, 12, 13, 14, 15]);
    }
}

#[tokio::test(start_paused = true)]
async fn of_the_last_two_administrators_one_stays() {
    let admins = || vec![person(5, &[1, 11], &[]), person(6, &[2, 11], &[])];
    let off = |user| Change::SetActive {
        user: uid(user),
        to: Activity::Inactive,
    };
    for (one, other) in [
        (revoke(uid(5), role(1)), revoke(uid(6), role(2))),
        (off(5), off(6)),
        (revoke(uid(5), role(1)), off(6)),
    ] {
        let bench = Bench::new(admins(), Readings::default());
        let order = order(None);
        let (one, other) = tokio::join!(
            bench.provision.apply(&order, &one),
            bench.provision.apply(&order, &other)
        );
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        let declined = if one.is_ok() { other } else { one };
        assert_eq!(kind(&declined), FaultKind::Declined);
    }
}

#[tokio::test(start_paused = true)]
async fn an_administrator_under_an_unfinished_removal_does_not_count() {
    let mut bench = Bench::new(
        vec![person(5, &[1, 11], &[]), person(6, &[2, 11], &[])],
        replacing(),
    );
    // The answer to the removal from 5 is lost for good, and it cannot be read back either.
    let lost = (1..).skip(10).map(|at| (at, Event::LostBefore)).take(400);
    bench.fake.plan(lost);
    let first = bench.ask(&revoke(uid(5), role(1))).await;
    assert_eq!(kind(&first), FaultKind::Unavailable);
    assert_eq!(bench.journal.open_entries().len(), 1);
    bench.fake.plan([]);
    assert_eq!(
        kind(&bench.ask(&revoke(uid(6), role(2))).await),
        FaultKind::Declined
    );
}

#[tokio::test(start_paused = true)]
async fn an_administrator_whose_role_one_surface_cuts_is_one() {
    let mut bench = bench(replacing());
    bench.fake.world().other_adds = vec![1];
    let off = Change::SetActive {
        user: uid(5),
        to: Activity::Inactive,
    };
    for change in [revoke(uid(5), role(1)), off] {
        assert_eq!(kind(&bench.ask(&change).await), FaultKind::Declined, "{change:?}");
    }
    assert_eq!(bench.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn policies_decline_before_anything_is_sent() {
    let users = || {
        let mut support = person(8, &[11], &[]);
        support.marks.support_user = true;
        vec![person(5, &[11], &[]), person(7, &[SUPPLIER_ROLE], &[]), support]
    };
    let group = item(ListKind::Groups, INACTIVE_GROUP);
    let off = Change::SetActive {
        user: uid(5),
        to: Activity::Inactive,
    };
    for (change, exception) in [
        (grant(uid(5), group), Exception::InactiveGroup),
        (grant(uid(7), role(11)), Exception::SupplierAccount),
        (revoke(uid(8), role(11)), Exception::SupportAccount),
        (off, Exception::OwnAccount),
        (revoke(uid(5), role(11)), Exception::NoRoles),
    ] {
        let own = (exception == Exception::OwnAccount).then(|| uid(5));
        let mut bench = Bench::new(users(), replacing());
        bench.fake.world().own = own;
        let fault = bench.ask(&change).await.unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Declined);
        assert!(fault.to_string().contains(exception.name()), "{fault}");
        assert_eq!((bench.writes(), bench.journal.all().len()), (0, 0));

        let mut bench = Bench::allowing(users(), replacing(), &[exception, Exception::NoRoles]);
        bench.fake.world().own = own;
        assert_eq!(
            bench.ask(&change).await.unwrap().effect,
            Effect::Made,
            "{exception:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_or_cannot_be_changed_is_refused() {
    let mut bench = bench(Readings::default());
    for (change, expected) in [
        (grant(uid(99), role(11)), FaultKind::NotFound),
        (grant(uid(5), role(99)), FaultKind::NotFound),
        (grant(uid(5), item(ListKind::Groups, 99)), FaultKind::NotFound),
        (grant(uid(5), license("travel-user")), FaultKind::NotFound),
        (
            grant(uid(5), license("category-strategy-user")),
            FaultKind::Refused,
        ),
    ] {
        assert_eq!(kind(&bench.ask(&change).await), expected, "{change:?}");
    }
    assert_eq!(bench.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_finds_nobody_does_not_make_the_account_absent() {
    let off = Change::SetActive {
        user: uid(5),
        to: Activity::Inactive,
    };
    for change in [
        revoke(uid(5), role(12)),
        revoke(uid(5), item(ListKind::Groups, 21)),
        off,
    ] {
        let mut bench = bench(Readings {
            membership: Membership::Absent,
            ..Readings::default()
        });
        bench.fake.plan((1..99).map(|at| (at, Event::NotFound)));
        let fault = bench.ask(&change).await.unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Conflict, "{change:?}: {fault}");
        assert_eq!(bench.endings(), [Ending::NotMade]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_is_absent_only_if_no_reading_shows_it() {
    let off = Change::SetActive {
        user: uid(5),
        to: Activity::Inactive,
    };
    for change in [revoke(uid(5), role(12)), off] {
        let mut bench = bench(replacing());
        bench.fake.world().hides = 1;
        assert_eq!(bench.ask(&change).await.unwrap().effect, Effect::Made);
        bench.fake.world().hides = 99;
        assert_eq!(
            kind(&bench.ask(&change).await),
            FaultKind::Unavailable,
            "{change:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_license_counts_only_when_it_is_shown() {
    let change = grant(uid(5), license("risk-assess-user"));
    let mut sound = bench(Readings::default());
    assert_eq!(sound.ask(&change).await.unwrap().after, Held::Flag(true));
    assert_eq!(sound.ask(&change).await.unwrap().effect, Effect::AlreadySo);
    assert_eq!(
        sound
            .ask(&revoke(uid(5), license("risk-assess-user")))
            .await
            .unwrap()
            .after,
        Held::Flag(false)
    );

    let mut sticky = bench(Readings {
        licenses_stick: true,
        ..Readings::default()
    });
    let fault = sticky.ask(&change).await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Unchanged);
    assert!(
        fault.to_string().contains("license risk-assess-user of user 5"),
        "{fault}"
    );
    assert_eq!(sticky.writes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_license_of_doubtful_spelling_is_spelled_both_ways() {
    let readings = Readings {
        underscored: true,
        ..Readings::default()
    };
    let mut bench = bench(readings);
    let outcome = bench.ask(&grant(uid(5), license("treasury-user"))).await.unwrap();
    assert_eq!((outcome.effect, outcome.attempts), (Effect::Made, 2));
}

#[tokio::test(start_paused = true)]
async fn a_second_spelling_that_is_rejected_hides_no_first_that_had_no_effect() {
    let sticks = Readings {
        licenses_stick: true,
        ..Readings::default()
    };
    let change = grant(uid(5), license("treasury-user"));
    let mut bench = bench(sticks);
    bench.fake.world().dashed_only = true;
    assert_eq!(kind(&bench.ask(&change).await), FaultKind::Unchanged);
    assert_eq!(bench.endings(), [Ending::Unchanged]);
    assert_eq!(bench.writes(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_gets_the_recorded_answer() {
    let mut bench = bench(Readings::default());
    let change = grant(uid(5), role(14));
    let first = bench.apply(Some("task-1"), &change).await.unwrap().unwrap();
    bench.restart();
    let again = bench.apply(Some("task-1"), &change).await.unwrap().unwrap();
    assert_eq!((again.effect, again.entry), (Effect::Made, first.entry));
    assert_eq!((again.before, again.after), (first.before, first.after));
    assert_eq!(bench.writes(), 1);
    let other = bench
        .apply(Some("task-1"), &grant(uid(5), role(15)))
        .await
        .unwrap();
    assert_eq!(kind(&other), FaultKind::Conflict);

    let both = order(Some("task-2"));
    let change = grant(uid(5), role(16));
    let (one, two) = tokio::join!(
        bench.provision.apply(&both, &change),
        bench.provision.apply(&both, &change)
    );
    assert_eq!(one.unwrap().entry, two.unwrap().entry);
    assert_eq!(bench.writes(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_recorded_unchanged_stays_unchanged() {
    let sticks = Readings {
        licenses_stick: true,
        ..Readings::default()
    };
    let mut bench = bench(sticks);
    let change = grant(uid(5), license("risk-assess-user"));
    for _ in 0..2 {
        let answer = bench.apply(Some("task"), &change).await.unwrap();
        assert_eq!(kind(&answer), FaultKind::Unchanged);
    }
    assert_eq!(bench.writes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_goes_away_stops_nothing() {
    let bench = bench(Readings::default());
    let order = order(None);
    let change = revoke(uid(5), role(12));
    tokio::select! {
        biased;
        _ = bench.provision.apply(&order, &change) => panic!("it takes longer than one poll"),
        () = tokio::task::yield_now() => {}
    }
    bench.provision.drain(LONG).await;
    assert_eq!(bench.fake.holds(5, ListKind::Roles), [11, 13]);
    assert_eq!(bench.endings(), [Ending::Made]);
    let late = bench.provision.apply(&order, &grant(uid(5), role(14))).await;
    assert_eq!(kind(&late), FaultKind::Unavailable, "nothing new after the drain");
}

#[tokio::test(start_paused = true)]
async fn an_edit_right_before_the_clear_starts_the_change_over_and_is_kept() {
    for at in 1..30 {
        let mut bench = bench(Readings::default());
        let edit = Edit {
            user: 5,
            list: ListKind::Roles,
            id: 17,
            adds: true,
        };
        bench.fake.plan([(at, Event::EditBefore(edit))]);
        bench.ask(&revoke(uid(5), role(12))).await.unwrap();
        if bench.fake.calls() < at {
            break;
        }
        let now = bench.fake.holds(5, ListKind::Roles);
        let in_window = !now.contains(&17);
        let clear_sent_at_once = bench.journal.all()[0].steps.len() == 3;
        assert!(!in_window || clear_sent_at_once, "lost at call {at}: {now:?}");
        assert!([11, 13].iter().all(|id| now.contains(id)) && !now.contains(&12));
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_who_never_stops_editing_gets_a_conflict() {
    let mut bench = bench(Readings::default());
    let edits = (8..200).map(|at| {
        let edit = Edit {
            user: 5,
            list: ListKind::Groups,
            id: 22,
            adds: at % 2 == 0,
        };
        (at, Event::EditBefore(edit))
    });
    bench.fake.plan(edits);
    assert_eq!(
        kind(&bench.ask(&revoke(uid(5), role(12))).await),
        FaultKind::Conflict
    );
    assert_eq!(bench.fake.holds(5, ListKind::Roles), [11, 12, 13]);
    assert!(
        !bench
            .fake
            .world()
            .sent
            .iter()
            .any(|call| matches!(call, Call::ClearList { .. }))
    );
}

#[tokio::test(start_paused = true)]
async fn what_others_added_meanwhile_is_kept_and_told() {
    let mut bench = bench(Readings::default());
    let edit = Edit {
        user: 5,
        list: ListKind::Roles,
        id: 17,
        adds: true,
    };
    bench.fake.world().after_clear = Some(Box::new(move |world| world.edit(edit)));
    let outcome = bench.ask(&revoke(uid(5), role(12))).await.unwrap();
    assert_eq!(bench.fake.holds(5, ListKind::Roles), [11, 13, 17]);
    assert!(
        outcome
            .findings
            .iter()
            .any(|finding| finding.text.contains("roles 17 appeared")),
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_plan_sends_nothing_and_names_conditions() {
    let bench = bench(Readings::default());
    let plan = bench.provision.plan(&revoke(uid(5), role(12))).await.unwrap();
    assert_eq!(plan.after, Held::Ids(vec![11, 13]));
    assert_eq!(plan.requests[0].condition, None);
    assert!(
        plan.requests[1..]
            .iter()
            .all(|request| request.condition.is_some())
    );
    let plan = bench.provision.plan(&grant(uid(5), role(11))).await.unwrap();
    assert_eq!((plan.effect, plan.requests.len()), (Effect::AlreadySo, 0));
    let declined = bench.provision.plan(&revoke(uid(6), role(11))).await;
    assert_eq!(*declined.unwrap_err().kind(), FaultKind::Declined);
    assert_eq!(bench.writes(), 0);
    assert!(bench.journal.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_kept_until_it_is_old_or_no_longer_fits() {
    let mut bench = bench(Readings::default());
    let surveys = |bench: &Bench| bench.fake.world().surveys;
    bench.ask(&grant(uid(5), role(14))).await.unwrap();
    bench.ask(&grant(uid(5), role(15))).await.unwrap();
    assert_eq!(surveys(&bench), 1);
    // A reading that cannot be understood: the first call is the other way of reading.
    bench.fake.plan([(1, Event::Rejected)]);
    bench.ask(&grant(uid(5), role(16))).await.unwrap();
    assert_eq!(surveys(&bench), 2);
    tokio::time::sleep(LONG).await;
    bench.fake.plan([]);
    bench.ask(&grant(uid(5), role(17))).await.unwrap();
    assert_eq!(surveys(&bench), 3);
}

#[test]
fn a_rate_limit_that_asks_for_too_much_is_passed_on() {
    on_paused_clock(async {
        let mut bench = bench(Readings::default());
        let limits = (1..200)
            .filter(|at| *at >= 9)
            .map(|at| (at, Event::Limited(3600)));
        bench.fake.plan(limits);
        let answer = bench.ask(&grant(uid(5), role(14))).await;
        assert!(matches!(kind(&answer), FaultKind::RateLimited { .. }));
        assert_eq!(bench.writes(), 1);
    });
}
