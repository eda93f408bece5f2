//! Profiles read from the sandbox by their port alone: complete and equal to the truth however the tenant reads the documents.

use std::collections::{BTreeMap, BTreeSet};

use baton_coupa::coupa::Coupa;
use baton_coupa::model::change::AccountKey;
use baton_coupa::model::id::UserId;
use baton_coupa::model::profile::{
    Address, Phone, Profile, ProfileFilter, RISK_ASSESS_LICENSE, ReadProfiles,
};
use baton_coupa::sandbox::{
    Address as TheirAddress, Change, Country, CountryForm, Edit, EmptyList, GraphqlAccess, Heed, IdForm,
    Ordering, PerSurface, Phone as TheirPhone, ProfileEdit, Readings, RequestKind, RestAccess, Running,
    SandboxConfig, TopLevel, TruthClass, TruthUser,
};
use jiff::Timestamp;

use crate::support::tenant::{client, start};

const USERS: usize = 230;

async fn tenant(readings: Readings) -> (Running, Coupa) {
    let sandbox = start(SandboxConfig {
        users: USERS,
        groups: 20,
        roles: 30,
        readings,
        ..SandboxConfig::default()
    })
    .await;
    let coupa = Coupa::new(client(&sandbox)).unwrap();
    (sandbox, coupa)
}

fn rest<T: Default>(value: T) -> PerSurface<T> {
    PerSurface {
        rest: value,
        ..PerSurface::default()
    }
}

fn graphql<T: Default>(value: T) -> PerSurface<T> {
    PerSurface {
        graphql: value,
        ..PerSurface::default()
    }
}

fn names<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).into()
}

/// Every page of a listing, held to what the port promises of it.
async fn listing(coupa: &Coupa, filter: ProfileFilter) -> BTreeMap<u64, Profile> {
    let (mut all, mut after) = (BTreeMap::new(), None);
    loop {
        let page = coupa
            .profiles(after, filter)
            .await
            .unwrap_or_else(|fault| panic!("{fault:?}"));
        for profile in page.profiles {
            assert!(Some(profile.user) > after, "ascending, above what was asked for");
            after = Some(profile.user);
            assert!(all.insert(profile.user.get(), profile).is_none());
        }
        let Some(next) = page.next else { return all };
        assert!(Some(next) >= after);
        after = Some(next);
    }
}

/// What a tenant shows, where it is not everything.
#[derive(Clone, Copy, Default)]
struct Shows {
    no_license: bool,
    no_address: bool,
    no_street3: bool,
    country: CountryForm,
}

fn text(text: Option<String>) -> Option<Box<str>> {
    text.filter(|text| !text.trim().is_empty()).map(Into::into)
}

fn phone(phone: TheirPhone) -> Phone {
    Phone {
        country_code: text(phone.country_code),
        area_code: text(phone.area_code),
        number: text(phone.number),
        extension: text(phone.extension),
    }
}

fn address(address: TheirAddress, shows: Shows) -> Address {
    let country = |country: Country| match shows.country {
        CountryForm::Object | CountryForm::Code => country.code,
        CountryForm::Name => country.name,
    };
    Address {
        street1: text(address.street1),
        street2: text(address.street2),
        street3: text(address.street3).filter(|_| !shows.no_street3),
        street4: text(address.street4),
        city: text(address.city),
        state: text(address.state),
        state_iso_code: text(address.state_iso_code),
        postal_code: text(address.postal_code),
        country: text(address.country.and_then(country)),
    }
}

fn is_licensed(user: &TruthUser) -> bool {
    user.licenses.iter().any(|name| name == RISK_ASSESS_LICENSE)
}

fn expected(sandbox: &Running, user: TruthUser, shows: Shows) -> Profile {
    use baton_coupa::model::tenant::AccountClass;
    Profile {
        user: UserId::new(user.id).unwrap(),
        class: match user.class {
            TruthClass::Internal => AccountClass::Internal,
            TruthClass::Api => AccountClass::Api,
            TruthClass::Supplier => AccountClass::Supplier,
            TruthClass::Support => AccountClass::Support,
            TruthClass::ManagedService => AccountClass::ManagedService,
        },
        active: user.active,
        licensed: (!shows.no_license).then(|| is_licensed(&user)),
        login: user.login.into(),
        email: text(user.email),
        first_name: text(Some(user.first_name)),
        middle_name: text(user.middle_name),
        last_name: text(Some(user.last_name)),
        phone: user.phone_work.map(phone),
        address: user
            .default_address
            .filter(|_| !shows.no_address)
            .map(|theirs| address(theirs, shows)),
        authentication_method: text(Some(user.authentication_method)),
        updated_at: Some(Timestamp::from_second(sandbox.updated_at(user.id).unwrap()).unwrap()),
    }
}

/// The fields in which two profiles differ, for messages without values.
fn differing(a: &Profile, b: &Profile) -> Vec<&'static str> {
    let pairs = [
        ("class", a.class == b.class),
        ("active", a.active == b.active),
        ("licensed", a.licensed == b.licensed),
        ("login", a.login == b.login),
        ("email", a.email == b.email),
        (
            "names",
            (&a.first_name, &a.middle_name, &a.last_name) == (&b.first_name, &b.middle_name, &b.last_name),
        ),
        ("phone", a.phone == b.phone),
        ("address", a.address == b.address),
        (
            "authentication method",
            a.authentication_method == b.authentication_method,
        ),
        ("updated at", a.updated_at == b.updated_at),
    ];
    pairs
        .into_iter()
        .filter(|(_, same)| !same)
        .map(|(name, _)| name)
        .collect()
}

async fn reads_the_truth(name: &str, readings: Readings, shows: Shows) {
    let (sandbox, coupa) = tenant(readings).await;
    let read = listing(&coupa, ProfileFilter::All).await;
    let truth = sandbox.truth().users;
    assert_eq!(read.len(), truth.len(), "{name}");
    for (n, user) in truth.into_iter().enumerate() {
        let id = user.id;
        let expected = expected(&sandbox, user, shows);
        let differ = differing(&read[&id], &expected);
        assert!(read[&id] == expected, "{name}: user {id}: {differ:?}");
        if n % 40 == 0 {
            let alone = coupa.profile(expected.user).await.unwrap().unwrap();
            let differ = differing(&alone, &expected);
            assert!(alone == expected, "{name}: user {id} alone: {differ:?}");
        }
    }
    let nobody = UserId::new(u64::MAX / 2).unwrap();
    assert!(coupa.profile(nobody).await.unwrap().is_none(), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_the_same_user_is_read_alike() {
    let country = |form| Shows {
        country: form,
        ..Shows::default()
    };
    for (name, readings, shows) in [
        ("default", Readings::default(), Shows::default()),
        (
            "the country's code as a text",
            Readings {
                country: rest(CountryForm::Code),
                ..Readings::default()
            },
            country(CountryForm::Code),
        ),
        (
            "the country's name as a text",
            Readings {
                country: rest(CountryForm::Name),
                ..Readings::default()
            },
            country(CountryForm::Name),
        ),
        (
            "whole objects only",
            Readings {
                fields: Heed::Ignored,
                ids: PerSurface::both(IdForm::Text),
                ..Readings::default()
            },
            Shows::default(),
        ),
        (
            "null for empty lists",
            Readings {
                empty_list: PerSurface::both(EmptyList::Null),
                ..Readings::default()
            },
            Shows::default(),
        ),
        (
            "rows repeated",
            Readings {
                repeated_row: PerSurface::both(true),
                ..Readings::default()
            },
            Shows::default(),
        ),
        (
            "null at the end",
            Readings {
                top_level: rest(TopLevel::NullWhenEmpty),
                ..Readings::default()
            },
            Shows::default(),
        ),
        (
            "no GraphQL",
            Readings {
                graphql: GraphqlAccess::NotFound,
                ..Readings::default()
            },
            Shows::default(),
        ),
        (
            "the license over GraphQL only",
            Readings {
                hidden: rest(names([RISK_ASSESS_LICENSE])),
                ..Readings::default()
            },
            Shows::default(),
        ),
        (
            "the license nowhere",
            Readings {
                hidden: PerSurface::both(names([RISK_ASSESS_LICENSE])),
                ..Readings::default()
            },
            Shows {
                no_license: true,
                ..Shows::default()
            },
        ),
    ] {
        reads_the_truth(name, readings, shows).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rest_users_are_read_over_graphql_as_far_as_it_shows_them() {
    let alone = || Readings {
        rest_users: RestAccess::Forbidden,
        ..Readings::default()
    };
    for (name, readings, shows) in [
        ("GraphQL alone", alone(), Shows::default()),
        (
            "GraphQL with a plain country",
            Readings {
                country: graphql(CountryForm::Code),
                ..alone()
            },
            Shows::default(),
        ),
        (
            "GraphQL without addresses",
            Readings {
                hidden: graphql(names(["default-address"])),
                ..alone()
            },
            Shows {
                no_address: true,
                ..Shows::default()
            },
        ),
        (
            "GraphQL without a part of addresses",
            Readings {
                hidden: graphql(names(["street3"])),
                ..alone()
            },
            Shows {
                no_street3: true,
                ..Shows::default()
            },
        ),
        (
            "GraphQL without the codes of countries",
            Readings {
                hidden: graphql(names(["code"])),
                ..alone()
            },
            Shows {
                no_address: true,
                ..Shows::default()
            },
        ),
    ] {
        // Without the codes GraphQL cannot tell what it refuses: whole objects are left out.
        if name.ends_with("countries") {
            let (_sandbox, coupa) = tenant(readings).await;
            let read = listing(&coupa, ProfileFilter::All).await;
            assert_eq!(read.len(), USERS);
            assert!(
                read.values()
                    .all(|profile| profile.address.is_none() && profile.phone.is_none())
            );
        } else {
            reads_the_truth(name, readings, shows).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_leading_surface_refuses_is_read_over_the_other() {
    let disordered = Readings {
        order: rest(Ordering::Scattered),
        hidden: graphql(names(["default-address", "middlename"])),
        ..Readings::default()
    };
    reads_the_truth("addresses from REST", disordered, Shows::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_an_order_of_its_own_is_listed_once_and_read_by_ids() {
    for order in [Ordering::Scattered, Ordering::ShuffledPage] {
        let readings = Readings {
            order: PerSurface::both(order),
            ..Readings::default()
        };
        reads_the_truth("no order", readings, Shows::default()).await;
    }
}

fn ids(read: &BTreeMap<u64, Profile>) -> BTreeSet<u64> {
    read.keys().copied().collect()
}

fn truly(sandbox: &Running, is: impl Fn(&TruthUser) -> bool) -> BTreeSet<u64> {
    let users = sandbox.truth().users.into_iter();
    users.filter(|user| is(user)).map(|user| user.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_of_the_license_are_found_wherever_it_is_shown() {
    let hidden = || rest(names([RISK_ASSESS_LICENSE]));
    for (name, readings, heeded) in [
        ("REST", Readings::default(), true),
        (
            "GraphQL",
            Readings {
                hidden: hidden(),
                ..Readings::default()
            },
            true,
        ),
        (
            "GraphQL without an order",
            Readings {
                hidden: hidden(),
                order: graphql(Ordering::Scattered),
                ..Readings::default()
            },
            false,
        ),
        (
            "no order at all",
            Readings {
                order: PerSurface::both(Ordering::Scattered),
                ..Readings::default()
            },
            true,
        ),
        (
            "ignored",
            Readings {
                ignored_filters: rest(names([RISK_ASSESS_LICENSE])),
                ..Readings::default()
            },
            false,
        ),
        (
            "refused",
            Readings {
                refused_filters: rest(names([RISK_ASSESS_LICENSE])),
                ..Readings::default()
            },
            false,
        ),
    ] {
        let (sandbox, coupa) = tenant(readings).await;
        let holders = truly(&sandbox, is_licensed);
        let read = listing(&coupa, ProfileFilter::Licensed).await;
        let licensed: BTreeSet<u64> = read
            .iter()
            .filter(|(_, profile)| profile.licensed == Some(true))
            .map(|(id, _)| *id)
            .collect();
        assert!(!holders.is_empty() && licensed == holders, "{name}");
        assert_eq!(ids(&read) == holders, heeded, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changed_is_among_those_listed_since() {
    for (name, readings, heeded) in [
        ("heeded", Readings::default(), true),
        (
            "over GraphQL",
            Readings {
                rest_users: RestAccess::Forbidden,
                ..Readings::default()
            },
            true,
        ),
        (
            "ignored",
            Readings {
                ignored_filters: rest(names(["updated-at"])),
                ..Readings::default()
            },
            false,
        ),
        (
            "refused",
            Readings {
                refused_filters: rest(names(["updated-at"])),
                ..Readings::default()
            },
            false,
        ),
    ] {
        let (sandbox, coupa) = tenant(readings).await;
        let users = sandbox.truth().users;
        let mut times: Vec<i64> = users
            .iter()
            .filter_map(|user| sandbox.updated_at(user.id))
            .collect();
        times.sort_unstable();
        let median = times[USERS / 2];
        let changed = truly(&sandbox, |user| sandbox.updated_at(user.id) >= Some(median));
        // A part of a second later is the same second for Coupa.
        let since = Timestamp::new(median, 900_000_000).unwrap();
        let read = ids(&listing(&coupa, ProfileFilter::ChangedSince(since)).await);
        assert!(read.is_superset(&changed), "{name}");
        assert_eq!(read == changed, heeded, "{name}");
    }
}

fn edit(sandbox: &Running, user: u64, edit: ProfileEdit) {
    let change = Change::SetProfile(Box::new(edit));
    sandbox.edit(&Edit { user, change }).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_by_somebody_else_is_read_at_once() {
    let (sandbox, coupa) = tenant(Readings::default()).await;
    let whole = |user: &TruthUser| user.phone_work.is_some() && user.default_address.is_some();
    let id = *truly(&sandbox, whole).first().unwrap();
    let user = UserId::new(id).unwrap();
    let before = coupa.profile(user).await.unwrap().unwrap();
    edit(
        &sandbox,
        id,
        ProfileEdit {
            login: Some("new.login".to_owned()),
            email: Some("new@corp.example".to_owned()),
            default_address: Some(TheirAddress {
                street1: Some("1 New Street".to_owned()),
                country: Some(Country {
                    code: Some("XX".to_owned()),
                    name: None,
                }),
                ..TheirAddress::default()
            }),
            empty: names(["lastname", "phone-work"]),
            ..ProfileEdit::default()
        },
    );
    let now = coupa.profile(user).await.unwrap().unwrap();
    assert_eq!(&*now.login, "new.login");
    assert_eq!((now.last_name.as_deref(), now.phone.is_none()), (None, true));
    let address = now.address.unwrap();
    assert_eq!((address.country.as_deref(), address.city), (Some("XX"), None));
    assert!(now.updated_at > before.updated_at, "and Coupa tells when");
    let since = ProfileFilter::ChangedSince(now.updated_at.unwrap());
    assert_eq!(ids(&listing(&coupa, since).await), BTreeSet::from([id]));
    edit(
        &sandbox,
        id,
        ProfileEdit {
            empty: names(["default-address", "email"]),
            ..ProfileEdit::default()
        },
    );
    let now = coupa.profile(user).await.unwrap().unwrap();
    assert!(now.address.is_none() && now.email.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_one_address_are_all_named() {
    let (sandbox, coupa) = tenant(Readings::default()).await;
    let mut people = truly(&sandbox, |user| user.class == TruthClass::Internal).into_iter();
    let (one, other) = (people.next().unwrap(), people.next().unwrap());
    for (id, email) in [(one, "Shared@Corp.example"), (other, "shared@corp.example")] {
        let email = Some(email.to_owned());
        edit(
            &sandbox,
            id,
            ProfileEdit {
                email,
                ..ProfileEdit::default()
            },
        );
    }
    let read = async |key: AccountKey<'static>| -> Vec<u64> {
        let users = coupa.accounts_named(key).await.unwrap();
        users.into_iter().map(UserId::get).collect()
    };
    assert_eq!(read(AccountKey::Email("Shared@Corp.example")).await, [one, other]);
    assert!(
        read(AccountKey::Email("SHARED@corp.example"))
            .await
            .contains(&other)
    );
    assert!(read(AccountKey::Login("nobody at all")).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_costs_its_pages_and_a_single_read_one_request() {
    let (sandbox, coupa) = tenant(Readings::default()).await;
    let user = UserId::new(sandbox.truth().users[5].id).unwrap();
    coupa.profile(user).await.unwrap();
    let before = sandbox.stats();
    coupa.profile(user).await.unwrap();
    assert_eq!(sandbox.stats().api_total - before.api_total, 1);
    sandbox.clear_log();
    listing(&coupa, ProfileFilter::All).await;
    let log = sandbox.log();
    // 230 users at 50 a page, and the empty page.
    assert_eq!(log.len(), 6);
    assert!(log.iter().all(|entry| entry.kind == RequestKind::RestUsers));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_breaks_later_is_noticed_and_read_in_another_way() {
    let (sandbox, coupa) = tenant(Readings::default()).await;
    let first = coupa.profiles(None, ProfileFilter::All).await.unwrap();
    sandbox.set_readings(Readings {
        order: PerSurface::both(Ordering::Scattered),
        ..Readings::default()
    });
    let mut seen: BTreeSet<u64> = first.profiles.iter().map(|profile| profile.user.get()).collect();
    let mut after = first.next;
    while after.is_some() {
        let page = coupa.profiles(after, ProfileFilter::All).await.unwrap();
        seen.extend(page.profiles.iter().map(|profile| profile.user.get()));
        after = page.next;
    }
    assert_eq!(seen, truly(&sandbox, |_| true));
}
