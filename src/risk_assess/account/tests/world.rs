//! A small Coupa, a small Risk Assess and whatever lies between them, every reading of the uncertain facts switchable; and a ledger that is told of
//! it in any order. After every step each record is held against everything that ever happened.
//!
//! Users take each other's logins, addresses and names, so that whatever can be confused is.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::super::{Sent, absent, answered, claim, expectation, fingerprint, graded, observe, read};
use crate::model::downstream::{Expectation, Link, Record, Standing};
use crate::model::id::UserId;
use crate::model::profile::Profile;
use crate::model::tenant::AccountClass;
use crate::risk_assess::columns::Column;
use crate::risk_assess::config::{Delivery, Removal, RiskAssessConfig, Strictness, UserSync};
use crate::risk_assess::matching::Roster;
use crate::risk_assess::theirs::TheirAccount;

const USERS: usize = 3;
const NAMES: [&str; 4] = ["ann", "bob", "cleo", "dan"];

/// A user as Coupa has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Person {
    login: usize,
    email: usize,
    first: usize,
    active: bool,
    licensed: bool,
    updated_at: Timestamp,
}

impl Person {
    fn login(&self) -> String {
        NAMES[self.login].to_owned()
    }

    fn email(&self) -> String {
        format!("{}@x.com", NAMES[self.email])
    }

    fn first(&self) -> String {
        NAMES[self.first].to_uppercase()
    }

    fn profile(&self, user: usize, tells_time: bool) -> Profile {
        Profile {
            user: id(user),
            class: AccountClass::Internal,
            active: self.active,
            licensed: Some(self.licensed),
            login: self.login().into(),
            email: Some(self.email().into()),
            first_name: Some(self.first().into()),
            middle_name: None,
            last_name: None,
            phone: None,
            address: None,
            authentication_method: None,
            updated_at: tells_time.then_some(self.updated_at),
        }
    }

    /// Equal in what the sync takes along.
    fn is_like(&self, other: &Self) -> bool {
        let fields = |person: &Self| (person.login, person.email, person.first, person.active);
        fields(self) == fields(other)
    }
}

/// An account as Risk Assess has it.
#[derive(Debug, Clone)]
struct Account {
    coupa_id: Option<usize>,
    coupa_username: Option<String>,
    username: String,
    email: String,
    first: String,
    active: bool,
}

/// When Coupa's sync looks at a licensed user again (risk-assess.md, 9.7).
#[derive(Debug, Clone, Copy)]
enum Retrigger {
    AnyChange,
    SyncedFields,
    LicenseOnly,
}

/// The uncertain facts, as they are in this world.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
struct Readings {
    sync_is_on: bool,
    removal_closes: bool,
    retrigger: Retrigger,
    /// A renamed login keeps its account; otherwise a second one is made.
    id_links: bool,
    /// Longer names are cut.
    cuts: bool,
    grid_shows_ids: bool,
    coupa_tells_time: bool,
}

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Event {
    SetLogin(usize, usize),
    SetEmail(usize, usize),
    SetFirst(usize, usize),
    SetActive(usize, bool),
    SetLicense(usize, bool),
    /// The native sync gets round to a user.
    Native(usize),
    /// Somebody makes or changes an account in Risk Assess by hand.
    ByHand(usize, bool),
    /// A user is read and recorded at once.
    Follow(usize),
    /// A user is read; the answer is recorded later, if at all.
    Ask(usize),
    Record(usize),
    /// A row of the user as Coupa shows it now is on its way; the answer comes later.
    Send(usize),
    Answer(usize, Standing),
    /// A grid is exported; what it proves is asked later, with users read then or before.
    Export,
    AskAll,
    Evidence(usize, Option<usize>),
    /// Coupa says once that it has no such user.
    Absent(usize),
    Wait(i64),
}

struct Row {
    user: usize,
    person: Person,
    sent: Sent,
}

struct Answer {
    user: usize,
    person: Person,
    expectation: Expectation,
    standing: Standing,
    at: Timestamp,
}

/// A grid and the users it was held against, as they were then.
struct Graded {
    grid: usize,
    asked_at: Timestamp,
}

struct World {
    now: Timestamp,
    readings: Readings,
    config: RiskAssessConfig,
    people: Vec<Person>,
    history: Vec<Vec<(Timestamp, Person)>>,
    dirty: Vec<bool>,
    accounts: Vec<Account>,
    asked: Vec<(Timestamp, usize, Person)>,
    rows: Vec<Row>,
    answers: Vec<Answer>,
    absences: Vec<(usize, Timestamp)>,
    grids: Vec<(Date, Vec<TheirAccount>)>,
    asked_all: Vec<(Timestamp, Vec<Person>)>,
    graded: Vec<Graded>,
    ledger: BTreeMap<usize, Record>,
    /// When each user was last read, as the ledger told it before this step.
    told: BTreeMap<usize, Timestamp>,
}

fn id(user: usize) -> UserId {
    UserId::new(user as u64 + 1).unwrap()
}

fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

impl World {
    fn new(readings: Readings, config: RiskAssessConfig) -> Self {
        let now: Timestamp = "2026-11-01T08:00:00Z".parse().unwrap();
        let person = |user| Person {
            login: user,
            email: user,
            first: user,
            active: true,
            licensed: false,
            updated_at: now,
        };
        let people: Vec<Person> = (0..USERS).map(person).collect();
        Self {
            now,
            readings,
            config,
            history: people.iter().map(|person| vec![(now, person.clone())]).collect(),
            people,
            dirty: vec![false; USERS],
            accounts: Vec::new(),
            asked: Vec::new(),
            rows: Vec::new(),
            answers: Vec::new(),
            absences: Vec::new(),
            grids: Vec::new(),
            asked_all: Vec::new(),
            graded: Vec::new(),
            ledger: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    fn happens(&mut self, event: Event) {
        self.now += SignedDuration::from_secs(1);
        let told = self
            .ledger
            .iter()
            .map(|(user, record)| (*user, record.reading.at));
        self.told = told.collect();
        match event {
            Event::SetLogin(user, to) => self.set(user, true, |person| person.login = to),
            Event::SetEmail(user, to) => self.set(user, true, |person| person.email = to),
            Event::SetFirst(user, to) => self.set(user, true, |person| person.first = to),
            Event::SetActive(user, to) => self.set(user, true, |person| person.active = to),
            Event::SetLicense(user, to) => self.set(user, false, |person| person.licensed = to),
            Event::Native(user) => self.native(user),
            Event::ByHand(name, linked) => self.accounts.push(Account {
                coupa_id: None,
                coupa_username: linked.then(|| NAMES[name].to_owned()),
                username: NAMES[name].to_owned(),
                email: format!("{}@x.com", NAMES[name]),
                first: NAMES[name].to_uppercase(),
                active: true,
            }),
            Event::Follow(user) => self.record(self.now, user, &self.people[user].clone()),
            Event::Ask(user) => self.asked.push((self.now, user, self.people[user].clone())),
            Event::Record(which) => {
                if let Some((at, user, person)) = pick(&self.asked, which).cloned() {
                    self.record(at, user, &person);
                }
            }
            Event::Send(user) => self.send(user),
            Event::Answer(which, standing) => self.answer(which, standing),
            Event::Export => self.export(),
            Event::AskAll => self.asked_all.push((self.now, self.people.clone())),
            Event::Evidence(grid, asked) => self.evidence(grid, asked),
            Event::Absent(user) => {
                self.absences.push((user, self.now));
                if let Some(record) = self.ledger.remove(&user) {
                    self.ledger.insert(user, absent(record, self.now));
                }
            }
            Event::Wait(hours) => self.now += SignedDuration::from_hours(hours),
        }
    }

    fn set(&mut self, user: usize, synced_field: bool, change: impl FnOnce(&mut Person)) {
        let before = self.people[user].clone();
        change(&mut self.people[user]);
        if self.people[user] == before {
            return;
        }
        self.people[user].updated_at = self.now;
        self.history[user].push((self.now, self.people[user].clone()));
        self.dirty[user] |= match self.readings.retrigger {
            Retrigger::AnyChange => true,
            Retrigger::SyncedFields => synced_field || self.people[user].licensed,
            Retrigger::LicenseOnly => !synced_field,
        };
    }

    fn native(&mut self, user: usize) {
        if !self.readings.sync_is_on || !std::mem::take(&mut self.dirty[user]) {
            return;
        }
        let person = self.people[user].clone();
        if !person.licensed {
            if self.readings.removal_closes {
                for account in &mut self.accounts {
                    account.active &= account.coupa_id != Some(user);
                }
            }
            return;
        }
        let login = person.login();
        let by_id = |account: &Account| account.coupa_id == Some(user);
        let by_login = |account: &Account| account.coupa_username.as_ref() == Some(&login);
        let by_email = |account: &Account| account.coupa_id.is_none() && account.email == person.email();
        let by_id = self
            .accounts
            .iter()
            .position(by_id)
            .filter(|_| self.readings.id_links);
        let found = by_id
            .or_else(|| self.accounts.iter().position(by_login))
            .or_else(|| self.accounts.iter().position(by_email));
        let mut first = person.first();
        if self.readings.cuts {
            first.truncate(3);
        }
        let account = Account {
            coupa_id: Some(user),
            coupa_username: Some(login.clone()),
            username: login,
            email: person.email(),
            first,
            active: person.active,
        };
        match found {
            Some(found) => self.accounts[found] = account,
            None => self.accounts.push(account),
        }
    }

    fn record(&mut self, at: Timestamp, user: usize, person: &Person) {
        let profile = person.profile(user, self.readings.coupa_tells_time);
        if let Some(record) = read(self.ledger.remove(&user), &profile, &self.config, at) {
            self.ledger.insert(user, record);
        }
    }

    fn send(&mut self, user: usize) {
        let person = self.people[user].clone();
        let profile = person.profile(user, self.readings.coupa_tells_time);
        let sent = Sent::of(&profile, &self.config).unwrap();
        self.record(self.now, user, &person);
        self.rows.push(Row { user, person, sent });
    }

    fn answer(&mut self, which: usize, standing: Standing) {
        let Some(row) = pick(&self.rows, which) else {
            return;
        };
        self.answers.push(Answer {
            user: row.user,
            person: row.person.clone(),
            expectation: row.sent.expectation,
            standing,
            at: self.now,
        });
        if let Some(record) = self.ledger.remove(&row.user) {
            let after = answered(record, &row.sent, standing, "an answer", self.now);
            self.ledger.insert(row.user, after);
        }
    }

    /// Active accounts only.
    fn export(&mut self) {
        let active = self.accounts.iter().filter(|account| account.active);
        let account = |(line, account): (u64, &Account)| {
            let shown = self.readings.grid_shows_ids;
            let mut cells: BTreeMap<Column, Box<str>> = BTreeMap::from([
                (Column::Username, account.username.as_str().into()),
                (Column::Email, account.email.as_str().into()),
                (Column::FirstName, account.first.as_str().into()),
            ]);
            if let Some(login) = &account.coupa_username {
                cells.insert(Column::CoupaUsername, login.as_str().into());
            }
            TheirAccount {
                line,
                coupa_id: account.coupa_id.filter(|_| shown).map(id),
                cells,
            }
        };
        let rows = (2..).zip(active).map(account).collect();
        self.grids.push((day(self.now), rows));
    }

    fn evidence(&mut self, grid: usize, asked: Option<usize>) {
        if self.grids.is_empty() {
            return;
        }
        let grid = grid % self.grids.len();
        let (at, people) = match asked.and_then(|which| pick(&self.asked_all, which)) {
            Some((at, people)) => (*at, people.clone()),
            None => (self.now, self.people.clone()),
        };
        let tells = self.readings.coupa_tells_time;
        let profiles: Vec<Profile> = people
            .iter()
            .enumerate()
            .map(|(user, person)| person.profile(user, tells))
            .collect();
        let (date, accounts) = self.grids[grid].clone();
        let observations = observe(&profiles, &Roster::new(&accounts));
        for (user, (profile, observation)) in profiles.iter().zip(observations).enumerate() {
            self.record(at, user, &people[user]);
            if let Some(record) = self.ledger.remove(&user) {
                let (after, _) = graded(record, profile, &observation, &self.config, date, at);
                self.ledger.insert(user, after);
            }
        }
        self.graded.push(Graded { grid, asked_at: at });
    }

    fn at(&self, user: usize, at: Timestamp) -> &Person {
        let until = self.history[user].iter().take_while(|(from, _)| *from <= at);
        &until.last().unwrap().1
    }

    /// Everything that every record says, against everything that happened.
    fn is_told_truly(&self) -> Result<(), TestCaseError> {
        for (user, record) in &self.ledger {
            self.reading_is_true(*user, record)?;
            self.standing_is_true(*user, record)?;
            self.link_is_true(*user, record)?;
            let claim = claim(record, &self.config);
            prop_assert!(!claim.contains("created"), "{}", claim);
            let acknowledged = record.standing == Standing::Delivered;
            prop_assert_eq!(
                claim.contains("Risk Assess acknowledged"),
                acknowledged,
                "{}",
                claim
            );
        }
        Ok(())
    }

    fn reading_is_true(&self, user: usize, record: &Record) -> Result<(), TestCaseError> {
        let reading = &record.reading;
        let person = self.at(user, reading.at);
        let profile = person.profile(user, self.readings.coupa_tells_time);
        let shown = fingerprint(&profile);
        prop_assert_eq!(&reading.fields, &shown.fields);
        prop_assert_eq!(&reading.login, &shown.login);
        prop_assert_eq!(&reading.email, &shown.email);
        prop_assert_eq!(
            (reading.licensed, reading.active, reading.updated_at),
            (person.licensed, person.active, profile.updated_at)
        );
        prop_assert_eq!(
            Some(record.expectation),
            expectation(&profile, &self.config),
            "expectation"
        );
        let before = self.told.get(&user).copied().unwrap_or(Timestamp::MIN);
        prop_assert!(before <= reading.at, "an older reading replaced a newer one");
        let held = self.history[user]
            .iter()
            .any(|(at, person)| *at <= self.now && person.licensed);
        prop_assert!(held, "a record of a user who never held the license");
        Ok(())
    }

    fn standing_is_true(&self, user: usize, record: &Record) -> Result<(), TestCaseError> {
        let person = self.at(user, record.reading.at);
        let off = self.config.delivery == Delivery::Native && self.config.user_sync == UserSync::Off;
        match record.standing {
            Standing::Delivered | Standing::Queued | Standing::Doubtful | Standing::Rejected => {
                let given = self.answers.iter().any(|answer| {
                    answer.user == user
                        && answer.standing == record.standing
                        && answer.at == record.since
                        && answer.expectation == record.expectation
                        && answer.person.is_like(person)
                });
                prop_assert!(given, "no such answer: {:?}", record);
            }
            Standing::Seen(date) => {
                let shown = self.graded.iter().any(|graded| {
                    self.grids[graded.grid].0 == date && self.grid_shows(user, record, person, graded)
                });
                prop_assert!(shown, "no such grid: {:?}", record);
            }
            Standing::Expected => {
                let nothing_brings_it =
                    off && matches!(record.expectation, Expectation::Active | Expectation::Closed);
                prop_assert!(!nothing_brings_it, "expected, and nothing brings it");
                prop_assert!(record.expectation != Expectation::Undocumented);
            }
            Standing::Unknown => {}
        }
        Ok(())
    }

    /// Whether that grid is as the record expects it for the user as it was read, who did not change from that day on to when the two were
    /// held against each other.
    fn grid_shows(&self, user: usize, record: &Record, person: &Person, graded: &Graded) -> bool {
        let (date, rows) = &self.grids[graded.grid];
        let unchanged = self.history[user]
            .iter()
            .all(|(at, _)| day(*at) < *date || *at > graded.asked_at);
        let has = |row: &TheirAccount, column, value: &str| row.get(column).is_some_and(|cell| cell == value);
        let (login, email) = (person.login(), person.email());
        let belongs = |row: &&TheirAccount| {
            row.coupa_id == Some(id(user))
                || (has(row, Column::CoupaUsername, &login) && row.coupa_id.is_none_or(|is| is == id(user)))
        };
        let equal = |row: &TheirAccount| {
            has(row, Column::CoupaUsername, &login)
                && has(row, Column::Email, &email)
                && has(row, Column::FirstName, &person.first())
        };
        let any = |row: &TheirAccount| {
            row.coupa_id == Some(id(user))
                || has(row, Column::CoupaUsername, &login)
                || has(row, Column::Username, &login)
                || has(row, Column::Email, &email)
        };
        let as_expected = match record.expectation {
            Expectation::Active => rows.iter().filter(belongs).any(equal),
            Expectation::Closed => !rows.iter().any(any),
            Expectation::Kept => rows.iter().any(any),
            Expectation::Undocumented => false,
        };
        unchanged && as_expected
    }

    fn link_is_true(&self, user: usize, record: &Record) -> Result<(), TestCaseError> {
        let Some((link, date)) = record.link else {
            return Ok(());
        };
        let had = |name: &dyn Fn(&Person) -> String, cell: Option<&str>| {
            let mut persons = self.history[user].iter().map(|(_, person)| person);
            cell.is_some_and(|cell| persons.any(|person| name(person) == cell))
        };
        let rows = self
            .grids
            .iter()
            .filter(|grid| grid.0 == date)
            .flat_map(|grid| &grid.1);
        let mut rows = rows;
        let shown = rows.any(|row| match link {
            Link::CoupaId => row.coupa_id == Some(id(user)),
            Link::Username => [Column::CoupaUsername, Column::Username]
                .into_iter()
                .any(|column| had(&Person::login, row.get(column))),
            Link::Email => had(&Person::email, row.get(Column::Email)),
        });
        prop_assert!(shown, "no such link in a grid of that day: {:?}", record);
        Ok(())
    }
}

fn pick<T>(all: &[T], which: usize) -> Option<&T> {
    (!all.is_empty()).then(|| &all[which % all.len()])
}

fn readings() -> impl Strategy<Value = Readings> {
    let retrigger = prop::sample::select(vec![
        Retrigger::AnyChange,
        Retrigger::SyncedFields,
        Retrigger::LicenseOnly,
    ]);
    let switches = (
        prop::bool::weighted(0.85),
        any::<bool>(),
        prop::bool::weighted(0.7),
        prop::bool::weighted(0.2),
        any::<bool>(),
        prop::bool::weighted(0.8),
    );
    (retrigger, switches).prop_map(|(retrigger, switches)| {
        let (sync_is_on, removal_closes, id_links, cuts, grid_shows_ids, coupa_tells_time) = switches;
        Readings {
            sync_is_on,
            removal_closes,
            retrigger,
            id_links,
            cuts,
            grid_shows_ids,
            coupa_tells_time,
        }
    })
}

fn configs() -> impl Strategy<Value = RiskAssessConfig> {
    (
        prop::sample::select(&Delivery::ALL[..]),
        prop::sample::select(&UserSync::ALL[..]),
        prop::sample::select(&Removal::ALL[..]),
    )
        .prop_map(|(delivery, user_sync, removal)| RiskAssessConfig {
            strictness: Strictness::Standard,
            delivery,
            user_sync,
            removal,
        })
}

fn events() -> impl Strategy<Value = Event> {
    let user = || 0..USERS;
    let name = || 0..NAMES.len();
    let answers = vec![
        Standing::Delivered,
        Standing::Queued,
        Standing::Doubtful,
        Standing::Rejected,
    ];
    prop_oneof![
        2 => (user(), name()).prop_map(|(user, to)| Event::SetLogin(user, to)),
        2 => (user(), name()).prop_map(|(user, to)| Event::SetEmail(user, to)),
        2 => (user(), name()).prop_map(|(user, to)| Event::SetFirst(user, to)),
        2 => (user(), any::<bool>()).prop_map(|(user, to)| Event::SetActive(user, to)),
        4 => (user(), prop::bool::weighted(0.75)).prop_map(|(user, to)| Event::SetLicense(user, to)),
        6 => user().prop_map(Event::Native),
        1 => (name(), any::<bool>()).prop_map(|(name, linked)| Event::ByHand(name, linked)),
        4 => user().prop_map(Event::Follow),
        2 => user().prop_map(Event::Ask),
        2 => any::<usize>().prop_map(Event::Record),
        3 => user().prop_map(Event::Send),
        4 => (any::<usize>(), prop::sample::select(answers)).prop_map(|(row, as_what)| Event::Answer(row, as_what)),
        4 => Just(Event::Export),
        1 => Just(Event::AskAll),
        6 => (any::<usize>(), prop::option::weighted(0.2, any::<usize>()))
            .prop_map(|(grid, asked)| Event::Evidence(grid, asked)),
        1 => user().prop_map(Event::Absent),
        5 => (1i64..40).prop_map(Event::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_claim_of_the_ledger_is_ever_false(
        readings in readings(), config in configs(), events in prop::collection::vec(events(), 1..60),
    ) {
        let mut world = World::new(readings, config);
        for event in events {
            let told = format!("{event:?}");
            world.happens(event);
            world.is_told_truly().map_err(|why| TestCaseError::fail(format!("after {told}: {why}")))?;
        }
    }
}

/// The world is one in which something can be claimed: otherwise the property above would hold of nothing.
#[test]
fn every_standing_is_reached_in_this_world() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let strategy = (readings(), configs(), prop::collection::vec(events(), 40..60));
    let mut reached: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for _ in 0..400 {
        let (readings, config, events) = strategy.new_tree(&mut runner).unwrap().current();
        let mut world = World::new(readings, config);
        for event in events {
            world.happens(event);
            for record in world.ledger.values() {
                *reached
                    .entry((record.expectation.name(), record.standing.name()))
                    .or_default() += 1;
            }
        }
    }
    for expectation in ["active", "closed"] {
        for standing in [
            "expected",
            "delivered",
            "queued",
            "doubtful",
            "rejected",
            "seen",
            "unknown",
        ] {
            assert!(
                reached.contains_key(&(expectation, standing)),
                "{expectation} {standing}: {reached:?}"
            );
        }
    }
    assert!(reached.contains_key(&("kept", "seen")), "{reached:?}");
    assert!(reached.contains_key(&("undocumented", "unknown")), "{reached:?}");
}
