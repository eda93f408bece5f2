//! Decoding, row by row.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use crate::coupa::licenses;
use crate::model::access::LicenseCatalog;
use crate::model::tenant::{ClassMarks, Group, GroupKind};

use super::*;

fn users(body: &str) -> Result<Vec<UserRow>, Trouble> {
    rest(body.as_bytes(), Object::Users)
}

fn path_of(trouble: Trouble) -> String {
    match trouble {
        Trouble::Shape { path } => path,
        other => panic!("{other}"),
    }
}

fn failing_path(body: &str) -> String {
    path_of(users(body).err().expect("an error"))
}

fn catalog(names: &[&str]) -> LicenseCatalog {
    licenses::catalog(&names.iter().map(|name| Box::from(*name)).collect()).unwrap()
}

const FULL: &str = r#"[{"id":"4294967297","login":"zoë","email":"","firstname":"Zoë","lastname":null,"fullname":"Zoë Ü",
    "active":"true","employee-number":7,"manager":{"id":3,"login":"x"},"department":{"name":"Süd","id":1},
    "sso_identifier":"s","authentication-method":"saml","created-at":"2010-03-25T18:38:00-07:00","supplier-id":null,
    "roles":[{"id":2,"name":"User"},{"id":"1"}],"user_groups":[],"risk-assess-user":true,"treasury_user":"false",
    "purchasing-user?":true,"api-user":null,"custom-fields":{"shoe-user":{"deep":[1]}},"moon-user":{"x":1}}]"#;

#[test]
fn a_full_row_in_mixed_spelling() {
    let rows = users(FULL).unwrap();
    let catalog = catalog(&["risk-assess-user", "treasury-user"]);
    let user = rows.into_iter().next().unwrap().into_user(&catalog).unwrap();
    assert_eq!(user.id.get(), 4_294_967_297);
    assert_eq!(&*user.login, "zoë");
    assert_eq!(user.email, None);
    assert_eq!(user.employee_number.as_deref(), Some("7"));
    assert_eq!(user.manager.unwrap().get(), 3);
    assert_eq!(user.department.as_deref(), Some("Süd"));
    assert_eq!(user.sso_identifier.as_deref(), Some("s"));
    assert_eq!(user.created_at.unwrap().to_string(), "2010-03-26T01:38:00Z");
    assert!(user.active && user.marks == ClassMarks::default());
    let held: Vec<_> = user.access.roles().iter().map(|role| role.get()).collect();
    assert_eq!(held, [1, 2]);
    assert!(user.access.groups().is_empty());
    assert_eq!(user.access.licenses.positions().collect::<Vec<_>>(), [0]);
}

#[test]
fn the_same_row_from_graphql() {
    let body = r#"{"data":{"users":[{"id":5,"login":"a","active":false,"apiUser":true,"userGroups":[{"id":9}],
        "roles":null,"clmAdvancedUser":true}]}}"#;
    let rows: Vec<UserRow> = graphql(body.as_bytes(), Object::Users, &[]).unwrap();
    assert_eq!(rows[0].list(List::Groups), Some(&[9][..]));
    assert_eq!(rows[0].list(List::Roles), None);
    assert_eq!(rows[0].flag("clm-advanced-user"), Flag::True);
    assert_eq!(rows[0].flag("api-user"), Flag::True);
}

#[test]
fn errors_name_the_path() {
    for (body, path) in [
        ("null", "users"),
        ("{}", "users"),
        (r#"{"errors":"x"}"#, "users"),
        ("[1]", "users[0]"),
        (r#"[{"login":"a"}]"#, "users[0]"),
        (r#"[{"id":1},{"id":-2}]"#, "users[1].id"),
        (r#"[{"id":0}]"#, "users[0].id"),
        (r#"[{"id":1.5}]"#, "users[0].id"),
        (
            r#"[{"id":1},{"id":2},{"id":3},{"id":4,"roles":{"id":1}}]"#,
            "users[3].roles",
        ),
        (
            r#"[{"id":1,"roles":[{"id":1},{"name":"x"}]}]"#,
            "users[0].roles[1]",
        ),
        (r#"[{"id":1,"user-groups":[null]}]"#, "users[0].user-groups[0]"),
        (r#"[{"id":1,"login":["a"]}]"#, "users[0].login"),
    ] {
        assert_eq!(failing_path(body), path, "{body}");
    }
    for (body, path) in [
        (r#"{"data":null}"#, "users"),
        (r#"{"data":{}}"#, "users"),
        (r#"{"data":{"users":null}}"#, "users"),
        (r#"{"data":{"users":[{"id":1,"roles":3}]}}"#, "users[0].roles"),
    ] {
        let result: Result<Vec<UserRow>, _> = graphql(body.as_bytes(), Object::Users, &[]);
        assert_eq!(path_of(result.err().unwrap()), path, "{body}");
    }
}

#[test]
fn what_a_user_must_have_is_named() {
    let missing = |body: &str| {
        let row = users(body).unwrap().remove(0);
        row.into_user(&catalog(&["risk-assess-user"]))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(missing(r#"[{"id":1,"login":"a"}]"#), "active");
    assert_eq!(missing(r#"[{"id":1,"login":"a","active":null}]"#), "active");
    assert_eq!(missing(r#"[{"id":1,"active":true}]"#), "login");
    assert_eq!(
        missing(r#"[{"id":1,"login":"a","active":true,"risk-assess-user":"maybe"}]"#),
        "risk-assess-user"
    );
    assert_eq!(
        missing(r#"[{"id":1,"login":"a","active":true,"created-at":"yesterday"}]"#),
        "created-at"
    );
}

#[test]
fn classes_are_read_from_marks() {
    let marks = |body: &str| users(body).unwrap().remove(0).marks().unwrap();
    assert!(marks(r#"[{"id":1,"login":"coupasupport"}]"#).support_user);
    assert!(!marks(r#"[{"id":2,"login":"coupasupport"}]"#).support_user);
    assert!(marks(r#"[{"id":2,"supplier-id":44}]"#).supplier_user);
    assert!(marks(r#"[{"id":2,"supplier-user":"true"}]"#).supplier_user);
    assert!(marks(r#"[{"id":2,"msp_user":true}]"#).msp_user);
}

#[test]
fn broken_bodies_are_told_apart() {
    assert!(matches!(users(r#"[{"id":1"#).err(), Some(Trouble::CutOff)));
    assert!(matches!(users("").err(), Some(Trouble::CutOff)));
    assert!(matches!(users("<html>").err(), Some(Trouble::NotJson)));
    assert!(matches!(users("[] x").err(), Some(Trouble::NotJson)));
}

#[test]
fn graphql_errors_come_before_data() {
    let ask = |body: &str| -> Trouble {
        let asked = ["riskAssessUser".to_owned(), "login".to_owned()];
        graphql::<Vec<UserRow>>(body.as_bytes(), Object::Users, &asked)
            .err()
            .unwrap()
    };
    let refused = ask(r#"{"errors":[{"message":"Field 'riskAssessUser' doesn't exist on type 'User'"}]}"#);
    assert!(matches!(refused, Trouble::GraphqlRefused { fields } if fields == ["riskAssessUser"]));
    let refused = ask(r#"{"data":null,"errors":[{"message":"sentinel"}]}"#);
    assert!(matches!(refused, Trouble::GraphqlRefused { fields } if fields.is_empty()));
    let partial = ask(r#"{"data":{"users":[null]},"errors":[{}]}"#);
    assert!(matches!(partial, Trouble::GraphqlPartial));
}

#[test]
fn groups_and_roles() {
    let body = r#"[{"id":7,"name":"A","active":false,"type":"","can-approve":true,"open":null},
        {"id":"8","name":"B","type":"Project"},{"id":9,"name":"C","type":"Pool"}]"#;
    let groups: Vec<GroupRow> = rest(body.as_bytes(), Object::Groups).unwrap();
    let groups: Vec<Group> = groups.into_iter().map(|row| row.into_thing().unwrap()).collect();
    assert!(!groups[0].active && groups[0].can_approve && !groups[0].open);
    assert_eq!(groups[0].kind, GroupKind::Group);
    assert_eq!(groups[1].kind, GroupKind::Project);
    assert_eq!(groups[2].kind, GroupKind::Other("Pool".into()));
    let body = r#"{"data":{"roles":[{"id":1,"name":"Admin","omnipotent":true,"systemRole":true,"description":null}]}}"#;
    let roles: Vec<RoleRow> = graphql(body.as_bytes(), Object::Roles, &[]).unwrap();
    let role = roles.into_iter().next().unwrap().into_thing().unwrap();
    assert!(role.omnipotent && role.system && role.description.is_none());
}

#[test]
fn only_boolean_fields_can_be_flags() {
    let body = r#"{"data":{"__type":{"fields":[{"name":"aUser","type":{"kind":"SCALAR","name":"Boolean"}},
        {"name":"bUser","type":{"name":null,"ofType":{"name":"Boolean"}}},{"name":"cUser","type":{"name":"User"}},
        {"name":"dUser"}]}}}"#;
    let ty: Option<TypeDescription> = graphql(body.as_bytes(), Object::Schema, &[]).unwrap();
    let flags: Vec<bool> = ty
        .unwrap()
        .fields
        .iter()
        .map(FieldDescription::may_be_flag)
        .collect();
    assert_eq!(flags, [true, true, false, true]);
}
