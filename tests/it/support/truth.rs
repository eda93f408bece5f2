//! Compares a file, read independently, with what the sandbox says is really there: nothing missing, extra or doubled.

use std::collections::{BTreeMap, BTreeSet};

use baton_coupa::sandbox::{Truth, TruthClass, TruthGroupKind, TruthUser};
use prost_reflect::{DynamicMessage, Value};

use super::reader::{Run, annotation, field, text};

/// The classes served by default.
pub const DEFAULT_CLASSES: [TruthClass; 2] = [TruthClass::Internal, TruthClass::Api];

/// The license of the sandbox that every document calls read-only; they disagree about the other one that is.
const DOCUMENTED_READ_ONLY: &str = "category-strategy-user";

/// Ids of everything that a complete sync must hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ids {
    pub resources: BTreeSet<(String, String)>,
    pub entitlements: BTreeSet<String>,
    pub grants: BTreeSet<String>,
}

impl Ids {
    /// Those in `truth` for someone who serves `classes`.
    pub fn of(truth: &Truth, classes: &[TruthClass]) -> Self {
        let mut ids = Self::default();
        for group in &truth.groups {
            ids.item("group", &group.id.to_string(), "member");
        }
        for role in &truth.roles {
            ids.item("role", &role.id.to_string(), "member");
        }
        for license in &truth.licenses {
            ids.item("license", &license.name, "assigned");
        }
        for user in served(truth, classes) {
            ids.user(user);
        }
        ids
    }

    /// Something that can be held, and its one entitlement.
    pub fn item(&mut self, kind: &str, id: &str, slug: &str) {
        self.resources.insert((kind.to_owned(), id.to_owned()));
        self.entitlements.insert(format!("{kind}:{id}:{slug}"));
    }

    fn user(&mut self, user: &TruthUser) {
        self.resources.insert(("user".to_owned(), user.id.to_string()));
        let groups = user.groups.iter().map(|id| format!("group:{id}:member"));
        let roles = user.roles.iter().map(|id| format!("role:{id}:member"));
        let licenses = user
            .licenses
            .iter()
            .map(|name| format!("license:{name}:assigned"));
        let held = groups.chain(roles).chain(licenses);
        self.grants
            .extend(held.map(|entitlement| format!("{entitlement}:user:{}", user.id)));
    }
}

/// What of `truth` belongs to these resources, by type and id: they, and their holders of every class.
pub fn restricted(truth: &Truth, targets: &[(&str, String)]) -> Truth {
    let named = |kind: &str, id: &str| targets.iter().any(|target| target.0 == kind && target.1 == id);
    let mut part = truth.clone();
    part.groups.retain(|group| named("group", &group.id.to_string()));
    part.roles.retain(|role| named("role", &role.id.to_string()));
    part.licenses.retain(|license| named("license", &license.name));
    for user in &mut part.users {
        user.groups.retain(|id| named("group", &id.to_string()));
        user.roles.retain(|id| named("role", &id.to_string()));
        user.licenses.retain(|name| named("license", name));
    }
    part.users.retain(|user| {
        let holds = !user.groups.is_empty() || !user.roles.is_empty() || !user.licenses.is_empty();
        holds || named("user", &user.id.to_string())
    });
    part
}

fn served<'a>(truth: &'a Truth, classes: &'a [TruthClass]) -> impl Iterator<Item = &'a TruthUser> {
    truth.users.iter().filter(|user| classes.contains(&user.class))
}

/// Fails with a list of differences if `run` is not exactly `truth` as seen by someone who serves `classes`.
pub fn assert_equal(run: &Run, truth: &Truth, classes: &[TruthClass]) {
    let mut wrong = Vec::new();
    let ids = Ids::of(truth, classes);
    let types = ["group", "license", "role", "user"].map(str::to_owned).into();
    let resources = ids.resources.iter().map(|(kind, id)| format!("{kind}:{id}"));
    for (what, found, expected) in [
        ("resource types", &run.types, &types),
        ("resources", &run.resources, &resources.collect()),
        ("entitlements", &run.entitlements, &ids.entitlements),
        ("grants", &run.grants, &ids.grants),
    ] {
        sets(what, &mut wrong, &keys(found), expected);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    for user in served(truth, classes) {
        check_user(&run.resources[&format!("user:{}", user.id)], user);
    }
    for group in &truth.groups {
        let found = &run.resources[&format!("group:{}", group.id)];
        assert_eq!(text(found, "display_name"), group.name);
        assert_eq!(
            text(found, "description"),
            group.description.as_deref().unwrap_or_default()
        );
        let group_trait = annotation(found, "GroupTrait").unwrap();
        let project = group.kind == TruthGroupKind::Project;
        assert_eq!(
            text(&group_trait, "group_source_type"),
            if project { "project" } else { "group" }
        );
        assert_eq!(
            profile(found)["active"],
            Value::Bool(group.active),
            "group {}",
            group.id
        );
        assert_eq!(
            profile(found)["can_approve"],
            Value::Bool(group.can_approve),
            "group {}",
            group.id
        );
    }
    for role in &truth.roles {
        let found = &run.resources[&format!("role:{}", role.id)];
        assert_eq!(text(found, "display_name"), role.name);
        assert_eq!(
            text(found, "description"),
            role.description.as_deref().unwrap_or_default()
        );
        assert!(annotation(found, "RoleTrait").is_some());
        assert_eq!(
            profile(found)["omnipotent"],
            Value::Bool(role.omnipotent),
            "role {}",
            role.id
        );
    }
    for license in &truth.licenses {
        let found = &run.resources[&format!("license:{}", license.name)];
        let license_trait = annotation(found, "LicenseProfileTrait").unwrap();
        let seats = truth
            .users
            .iter()
            .filter(|user| user.licenses.contains(&license.name))
            .count();
        assert_eq!(
            field(&license_trait, "consumed_seats"),
            Value::I64(i64::try_from(seats).unwrap()),
            "seats of {}",
            license.name
        );
        let entitlement = &run.entitlements[&format!("license:{}:assigned", license.name)];
        let immutable = annotation(entitlement, "EntitlementImmutable").is_some();
        if license.name == DOCUMENTED_READ_ONLY {
            assert!(immutable, "{} cannot be changed", license.name);
        } else if immutable {
            assert!(license.read_only, "{} can be changed", license.name);
        }
    }
}

fn keys(map: &BTreeMap<String, DynamicMessage>) -> BTreeSet<String> {
    map.keys().cloned().collect()
}

fn sets(what: &str, wrong: &mut Vec<String>, found: &BTreeSet<String>, expected: &BTreeSet<String>) {
    let some =
        |ids: Vec<&String>| format!("{} ({:?} ...)", ids.len(), ids.iter().take(5).collect::<Vec<_>>());
    if found != expected {
        wrong.push(format!(
            "{what}: missing {}, extra {}",
            some(expected.difference(found).collect()),
            some(found.difference(expected).collect())
        ));
    }
}

fn profile(resource: &DynamicMessage) -> BTreeMap<String, Value> {
    let profile = field(resource, "profile");
    let fields = field(profile.as_message().unwrap(), "fields");
    let mut plain = BTreeMap::new();
    for (key, value) in fields.as_map().unwrap() {
        let value = value.as_message().unwrap();
        let (_, inner) = value
            .fields()
            .next()
            .unwrap_or_else(|| panic!("an empty profile value"));
        plain.insert(key.as_str().unwrap().to_owned(), inner.clone());
    }
    plain
}

fn check_user(found: &DynamicMessage, user: &TruthUser) {
    let id = user.id;
    let profile = profile(found);
    let same = |key: &str, expected: Option<&str>| {
        let got = profile
            .get(key)
            .map(|value| value.as_str().unwrap_or("not a text").to_owned());
        // Personal values stay out of failure messages of a run against a real tenant; here they are made up.
        assert_eq!(got.as_deref(), expected, "user {id}: {key}");
    };
    same("login", Some(&user.login));
    same("email", user.email.as_deref());
    same("first_name", Some(&user.first_name));
    same("last_name", Some(&user.last_name));
    same("full_name", Some(&user.full_name));
    same("employee_number", user.employee_number.as_deref());
    same("department", user.department.as_deref());
    same("sso_identifier", user.sso_identifier.as_deref());
    same("authentication_method", Some(&user.authentication_method));
    same("manager_id", user.manager_id.map(|id| id.to_string()).as_deref());
    assert_eq!(text(found, "display_name"), user.full_name, "user {id}");

    let user_trait = annotation(found, "UserTrait").unwrap();
    assert_eq!(text(&user_trait, "login"), user.login);
    let (enabled, disabled) = (1, 2);
    let status = if user.active { enabled } else { disabled };
    assert_eq!(
        field(field(&user_trait, "status").as_message().unwrap(), "status"),
        Value::I32(status),
        "user {id}"
    );
    let (human, service) = (1, 2);
    let account = if user.class == TruthClass::Api {
        service
    } else {
        human
    };
    if matches!(user.class, TruthClass::Internal | TruthClass::Api) {
        assert_eq!(
            field(&user_trait, "account_type"),
            Value::I32(account),
            "user {id}"
        );
    }
    let created = field(found, "created_at");
    assert_eq!(
        field(created.as_message().unwrap(), "seconds"),
        Value::I64(user.created_at),
        "user {id}"
    );
}
