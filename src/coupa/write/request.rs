//! Method, path and body of each write. Pure.
//!
//! Invariant: a body holds what is to change and nothing else, since Coupa's `PUT` leaves alone what is not named.

use serde_json::{Map, Value, json};

use crate::coupa::rights::Right;
use crate::model::change::{
    AccountDraft, Call, CustomValue, EmptyForm, MembershipId, PlannedRequest, Spelling,
};
use crate::model::id::UserId;

const USERS: &str = "/api/users";

/// What allows it.
pub(super) const fn right(call: &Call) -> Right {
    match call {
        Call::DeleteMembership(_) => Right::Memberships,
        Call::PutList { .. }
        | Call::ClearList { .. }
        | Call::SetLicense { .. }
        | Call::SetActive { .. }
        | Call::Update { .. }
        | Call::Create(_) => Right::Users,
    }
}

/// The request of a call.
pub(super) fn planned(call: &Call) -> PlannedRequest {
    match call {
        Call::PutList { user, list, ids } => {
            let entries = ids.iter().map(|id| json!({ "id": id })).collect();
            put(*user, list.name(), Value::Array(entries))
        }
        Call::ClearList { user, list, form } => {
            let nothing = match form {
                EmptyForm::Null => Value::Null,
                EmptyForm::Brackets => json!([]),
            };
            put(*user, list.name(), nothing)
        }
        Call::DeleteMembership(MembershipId(id)) => PlannedRequest {
            method: "DELETE",
            path: format!("/api/user_group_memberships/{id}"),
            body: String::new(),
            condition: None,
        },
        Call::SetLicense {
            user,
            name,
            held,
            spelling,
        } => {
            let key = match spelling {
                Spelling::Dashed => name.as_str().to_owned(),
                Spelling::Underscored => name.as_str().replace('-', "_"),
            };
            put(*user, &key, json!(held))
        }
        Call::SetActive { user, to } => put(*user, "active", json!(to.is_active())),
        Call::Update { user, draft } => put_all(*user, elements(draft)),
        Call::Create(draft) => PlannedRequest {
            method: "POST",
            path: USERS.to_owned(),
            body: Value::Object(newcomer(draft)).to_string(),
            condition: None,
        },
    }
}

/// The elements of an account to make, and its licenses. A license whose key has a second spelling is sent under the documented one:
/// both in one body may be refused.
fn newcomer(draft: &AccountDraft) -> Map<String, Value> {
    let licenses = draft.licenses.iter();
    let flags = licenses.map(|name| (name.as_str().to_owned(), Value::Bool(true)));
    elements(draft).into_iter().chain(flags).collect()
}

fn put(user: UserId, key: &str, value: Value) -> PlannedRequest {
    put_all(user, Map::from_iter([(key.to_owned(), value)]))
}

fn put_all(user: UserId, elements: Map<String, Value>) -> PlannedRequest {
    PlannedRequest {
        method: "PUT",
        path: format!("{USERS}/{user}"),
        body: Value::Object(elements).to_string(),
        condition: None,
    }
}

/// What is set, under Coupa's names; references by the key Coupa finds them by.
fn elements(draft: &AccountDraft) -> Map<String, Value> {
    let text = |value: &Option<Box<str>>| value.as_deref().map(Value::from);
    let custom = || {
        let fields = draft.custom.iter().map(|(name, value)| {
            let value = match value {
                CustomValue::Text(text) => Value::from(&**text),
                CustomValue::Switch(on) => Value::Bool(*on),
            };
            (name.to_string(), value)
        });
        Value::Object(fields.collect())
    };
    let method = draft.authentication_method.map(|method| method.name().into());
    let set = [
        ("login", text(&draft.login)),
        ("email", text(&draft.email)),
        ("firstname", text(&draft.first_name)),
        ("lastname", text(&draft.last_name)),
        ("employee-number", text(&draft.employee_number)),
        ("authentication-method", method),
        ("sso-identifier", text(&draft.sso_identifier)),
        ("manager", draft.manager.map(|id| json!({ "id": id.get() }))),
        (
            "department",
            draft.department.as_ref().map(|name| json!({ "name": name })),
        ),
        ("default-locale", text(&draft.default_locale)),
        (
            "default-currency",
            draft
                .default_currency
                .as_ref()
                .map(|code| json!({ "code": code })),
        ),
        ("custom-fields", (!draft.custom.is_empty()).then(custom)),
    ];
    let named = set.into_iter();
    named
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::model::change::{Activity, AuthenticationMethod, ListKind};

    fn user() -> UserId {
        UserId::new(4_294_967_297).unwrap()
    }

    fn line(call: &Call) -> String {
        let PlannedRequest {
            method, path, body, ..
        } = planned(call);
        format!("{method} {path} {body}")
    }

    #[test]
    fn calls_that_change_one_element() {
        let list = ListKind::Roles;
        let license = |spelling| Call::SetLicense {
            user: user(),
            name: "risk-assess-user".parse().unwrap(),
            held: false,
            spelling,
        };
        for (call, expected) in [
            (
                Call::PutList {
                    user: user(),
                    list,
                    ids: vec![2, 9],
                },
                r#"PUT /api/users/4294967297 {"roles":[{"id":2},{"id":9}]}"#,
            ),
            (
                Call::PutList {
                    user: user(),
                    list: ListKind::Groups,
                    ids: vec![7],
                },
                r#"PUT /api/users/4294967297 {"user-groups":[{"id":7}]}"#,
            ),
            (
                Call::ClearList {
                    user: user(),
                    list,
                    form: EmptyForm::Null,
                },
                r#"PUT /api/users/4294967297 {"roles":null}"#,
            ),
            (
                Call::ClearList {
                    user: user(),
                    list,
                    form: EmptyForm::Brackets,
                },
                r#"PUT /api/users/4294967297 {"roles":[]}"#,
            ),
            (
                license(Spelling::Dashed),
                r#"PUT /api/users/4294967297 {"risk-assess-user":false}"#,
            ),
            (
                license(Spelling::Underscored),
                r#"PUT /api/users/4294967297 {"risk_assess_user":false}"#,
            ),
            (
                Call::SetActive {
                    user: user(),
                    to: Activity::Inactive,
                },
                r#"PUT /api/users/4294967297 {"active":false}"#,
            ),
            (
                Call::DeleteMembership(MembershipId(5)),
                "DELETE /api/user_group_memberships/5 ",
            ),
        ] {
            assert_eq!(line(&call), expected);
        }
    }

    #[test]
    fn a_draft_sends_what_is_set_and_no_more() {
        let draft = AccountDraft {
            login: Some("ann".into()),
            email: Some("ann@example.com".into()),
            first_name: Some("Ann".into()),
            last_name: Some("O\"Hara".into()),
            employee_number: Some("0017".into()),
            authentication_method: Some(AuthenticationMethod::Saml),
            sso_identifier: Some("a1".into()),
            manager: UserId::new(3),
            department: Some("Süd".into()),
            default_locale: Some("en".into()),
            default_currency: Some("EUR".into()),
            custom: [
                ("cost-center".into(), CustomValue::Text("7".into())),
                ("remote".into(), CustomValue::Switch(true)),
            ]
            .into(),
            licenses: ["treasury-user", "risk-assess-user"]
                .map(|name| name.parse().unwrap())
                .into(),
        };
        assert_eq!(
            line(&Call::Create(Box::new(draft))),
            "POST /api/users {\"login\":\"ann\",\"email\":\"ann@example.com\",\"firstname\":\"Ann\",\
             \"lastname\":\"O\\\"Hara\",\"employee-number\":\"0017\",\"authentication-method\":\"saml\",\
             \"sso-identifier\":\"a1\",\"manager\":{\"id\":3},\"department\":{\"name\":\"Süd\"},\"default-locale\":\"en\",\
             \"default-currency\":{\"code\":\"EUR\"},\"custom-fields\":{\"cost-center\":\"7\",\"remote\":true},\
             \"risk-assess-user\":true,\"treasury-user\":true}"
        );
        let draft = AccountDraft {
            last_name: Some("Lee".into()),
            ..AccountDraft::default()
        };
        let update = Call::Update {
            user: user(),
            draft: Box::new(draft),
        };
        assert_eq!(line(&update), r#"PUT /api/users/4294967297 {"lastname":"Lee"}"#);
    }

    #[test]
    fn the_names_of_a_draft_are_the_keys_sent() {
        let draft = AccountDraft {
            login: Some("ann".into()),
            manager: UserId::new(3),
            custom: [("x".into(), CustomValue::Switch(false))].into(),
            ..AccountDraft::default()
        };
        let keys: Vec<String> = elements(&draft).keys().cloned().collect();
        assert_eq!(keys, draft.names());
    }

    #[test]
    fn only_membership_rows_need_more_than_users() {
        assert_eq!(
            right(&Call::DeleteMembership(MembershipId(1))),
            Right::Memberships
        );
        assert_eq!(right(&Call::Create(Box::default())), Right::Users);
    }
}
