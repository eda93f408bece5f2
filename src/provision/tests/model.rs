//! Random changes under random readings, events, crashes, full disks and edits by others, against a model of what must come of it.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::{Bench, LISTS, grant, on_paused_clock, revoke};
use crate::model::change::{Change, Effect, ListKind, Outcome};
use crate::model::fault::Fault;
use crate::model::journal::{Entry, Stage};
use crate::provision::fake::{
    Edit, Empty, Event, GIVEN_ROLE, ListWrite, Membership, Readings, item, person, uid,
};
use crate::provision::{ByHand, Exception, Recover};

const USERS: [u64; 2] = [5, 6];

#[derive(Debug, Clone)]
struct Wish {
    user: u64,
    list: ListKind,
    id: u64,
    gives: bool,
}

#[derive(Debug, Clone)]
enum Deed {
    Change(Wish),
    /// Recovery goes round; it, too, may meet anything.
    Recover,
    /// Time passes.
    Calm,
}

#[derive(Debug, Clone)]
struct Turn {
    deed: Deed,
    events: Vec<(usize, Event)>,
    /// Operations of the journal that fail.
    disk: Option<(usize, usize)>,
}

fn list() -> impl Strategy<Value = ListKind> {
    prop_oneof![Just(ListKind::Roles), Just(ListKind::Groups)]
}

fn id(list: ListKind) -> u64 {
    match list {
        ListKind::Roles => 10,
        ListKind::Groups => 20,
    }
}

fn wish() -> impl Strategy<Value = Wish> {
    let parts = (
        prop::sample::select(USERS.to_vec()),
        list(),
        0..6u64,
        any::<bool>(),
    );
    parts.prop_map(|(user, list, n, gives)| {
        let id = id(list) + n;
        Wish {
            user,
            list,
            id,
            gives,
        }
    })
}

fn edit() -> impl Strategy<Value = Edit> {
    wish().prop_map(|wish| {
        let Wish {
            user,
            list,
            id,
            gives,
        } = wish;
        Edit {
            user,
            list,
            id,
            adds: gives,
        }
    })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::LostBefore),
        2 => Just(Event::LostAfter),
        2 => Just(Event::Partial),
        2 => (0..14u64).prop_map(Event::Late),
        1 => (0..90u64).prop_map(Event::Limited),
        1 => Just(Event::Rejected),
        1 => Just(Event::Unauthenticated),
        2 => Just(Event::CrashBefore),
        2 => Just(Event::CrashAfter),
        2 => edit().prop_map(Event::EditBefore),
        2 => edit().prop_map(Event::EditAfter),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    let deed = prop_oneof![
        6 => wish().prop_map(Deed::Change),
        2 => Just(Deed::Recover),
        1 => Just(Deed::Calm),
    ];
    let events = prop::collection::vec((1..30usize, event()), 0..5);
    let disk = prop_oneof![
        5 => Just(None),
        1 => (1..14usize, 0..3usize).prop_map(|(first, more)| Some((first, first + more))),
        1 => (1..14usize).prop_map(|first| Some((first, 1000))),
    ];
    (deed, events, disk).prop_map(|(deed, events, disk)| Turn { deed, events, disk })
}

fn readings() -> impl Strategy<Value = Readings> {
    let lists = prop_oneof![3 => Just(ListWrite::Add), 2 => Just(ListWrite::Replace)];
    let empty = || {
        prop_oneof![
            3 => Just(Empty::Clears),
            1 => Just(Empty::Ignored),
            1 => Just(Empty::Rejected),
        ]
    };
    let membership = prop_oneof![
        Just(Membership::Works),
        Just(Membership::Absent),
        Just(Membership::Ignored),
    ];
    let delay = prop_oneof![
        3 => Just((0u32, 0u64)),
        1 => (1..6u32).prop_map(|reads| (reads, 0)),
        1 => (1..4000u64).prop_map(|ms| (0, ms)),
    ];
    let parts = (lists, empty(), empty(), any::<bool>(), membership, delay);
    parts.prop_map(
        |(lists, null, brackets, given, membership, (delay_reads, ms))| Readings {
            lists,
            null,
            brackets,
            given,
            membership,
            delay_reads,
            delay: Duration::from_millis(ms),
            ..Readings::default()
        },
    )
}

type Place = (u64, ListKind, u64);

/// What the tenant has to hold in the end, and what it may hold.
#[derive(Debug, Default)]
struct Model {
    must: BTreeSet<Place>,
    may: BTreeSet<Place>,
    edited: BTreeSet<u64>,
}

impl Model {
    /// Nobody can tell whether it is there.
    fn unsure(&mut self, place: Place) {
        self.must.remove(&place);
        self.may.insert(place);
    }

    fn sure(&mut self, place: Place, held: bool) {
        self.must.remove(&place);
        self.may.remove(&place);
        if held {
            self.must.insert(place);
        }
    }

    fn after(&mut self, wish: &Wish, answer: Option<&Result<Outcome, Fault>>) {
        let place = (wish.user, wish.list, wish.id);
        match answer {
            // Coupa may still show what was before an edit by somebody else.
            Some(Ok(outcome)) if outcome.effect == Effect::AlreadySo && self.may.contains(&place) => {}
            Some(Ok(_)) => self.sure(place, wish.gives),
            Some(Err(_)) | None => self.unsure(place),
        }
    }

    /// Edits by others that have happened. One that was shown to us must be kept from then on; of others nobody can know.
    fn edits(&mut self, bench: &Bench, turn: &Turn) {
        let reached = bench.fake.calls();
        for (_, event) in turn.events.iter().filter(|(at, _)| *at <= reached) {
            let (Event::EditBefore(edit) | Event::EditAfter(edit)) = event else {
                continue;
            };
            self.unsure((edit.user, edit.list, edit.id));
            self.edited.insert(edit.user);
        }
        for (_, event) in turn.events.iter().filter(|(at, _)| *at <= reached) {
            let (Event::EditBefore(edit) | Event::EditAfter(edit)) = event else {
                continue;
            };
            let place = (edit.user, edit.list, edit.id);
            let only = turn
                .events
                .iter()
                .filter(|(_, other)| touches(other, place))
                .count()
                == 1;
            let asked = matches!(&turn.deed, Deed::Change(wish) if (wish.user, wish.list, wish.id) == place);
            let shown = bench.fake.world().shown.contains(&place);
            if edit.adds && only && !asked && shown {
                self.sure(place, true);
            }
        }
    }
}

fn touches(event: &Event, place: Place) -> bool {
    match event {
        Event::EditBefore(edit) | Event::EditAfter(edit) => (edit.user, edit.list, edit.id) == place,
        _ => false,
    }
}

fn change(wish: &Wish) -> Change {
    let item = item(wish.list, wish.id);
    if wish.gives {
        grant(uid(wish.user), item)
    } else {
        revoke(uid(wish.user), item)
    }
}

async fn play(readings: Readings, turns: Vec<Turn>) -> Result<(), TestCaseError> {
    let users = USERS
        .map(|user| person(user, &[10, 11, 12, 13], &[20, 21, 22]))
        .to_vec();
    let mut model = Model::default();
    for user in USERS {
        model.must.extend((10..14).map(|id| (user, ListKind::Roles, id)));
        model.must.extend((20..23).map(|id| (user, ListKind::Groups, id)));
    }
    let mut bench = Bench::allowing(users, readings, &[Exception::NoRoles]);
    for turn in &turns {
        bench.fake.plan(turn.events.iter().copied());
        bench
            .journal
            .fail(turn.disk.into_iter().flat_map(|(first, last)| first..=last));
        let before = bench.writes();
        match &turn.deed {
            Deed::Change(wish) => {
                let answer = bench.apply(None, &change(wish)).await;
                model.after(wish, answer.as_ref());
                prop_assert!(bench.writes() - before <= bench.config.bound(12) as usize);
            }
            Deed::Recover => {
                bench.recover().await;
            }
            Deed::Calm => bench.fake.calm().await,
        }
        model.edits(&bench, turn);
    }
    bench.heal().await;
    ask_persons(&bench, &model).await?;
    judge(&bench, &model)
}

/// Only where somebody else has edited may a person be needed; who then says "put it back" is obeyed.
async fn ask_persons(bench: &Bench, model: &Model) -> Result<(), TestCaseError> {
    for entry in bench.journal.open_entries() {
        let edited = entry
            .intent
            .user
            .is_some_and(|user| model.edited.contains(&user.get()));
        let person = matches!(entry.stage, Stage::NeedsPerson { .. });
        prop_assert!(person && edited, "left open: {entry:?}");
        let by_hand = Recover::ByHand(entry.id, ByHand::Restore);
        bench.provision.recover(by_hand).await.unwrap();
    }
    prop_assert!(bench.journal.open_entries().is_empty());
    Ok(())
}

fn judge(bench: &Bench, model: &Model) -> Result<(), TestCaseError> {
    for user in USERS {
        for list in LISTS {
            let now = bench.fake.holds(user, list);
            let entries: Vec<Entry> = bench.journal.all();
            for (_, _, id) in model.must.iter().filter(|(u, l, _)| (*u, *l) == (user, list)) {
                prop_assert!(now.contains(id), "user {user} lost {id}: {now:?}\n{entries:#?}");
            }
            for id in &now {
                let place = (user, list, *id);
                let known = model.must.contains(&place) || model.may.contains(&place) || *id == GIVEN_ROLE;
                prop_assert!(known, "user {user} has {id}: {now:?}\n{entries:#?}");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 3000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_whatever_happens(readings in readings(), turns in prop::collection::vec(turn(), 1..5)) {
        let mut result = Ok(());
        on_paused_clock(async { result = play(readings, turns).await; });
        result?;
    }
}
