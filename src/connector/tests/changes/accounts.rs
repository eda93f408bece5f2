//! Accounts made, found and deactivated.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::proto::connector::create_account_response::Result as Answer;
use crate::proto::connector::credential_options::Options;

fn with_option(options: Options) -> c1::CreateAccountRequest {
    c1::CreateAccountRequest {
        credential_options: Some(c1::CredentialOptions {
            options: Some(options),
            ..c1::CredentialOptions::default()
        }),
        ..account([])
    }
}

#[tokio::test]
async fn an_account_has_one_result() {
    let (connector, writes) = setup();
    for kind in ["", "user"] {
        let request = c1::CreateAccountRequest {
            resource_type_id: kind.to_owned(),
            ..account([])
        };
        let answer = connector.create_account(&order(), &request).await.unwrap();
        let Some(Answer::Success(made)) = answer.result else {
            panic!("not made");
        };
        assert!(made.is_create_account_result && answer.encrypted_data.is_empty());
        let listed = connector.get_resource(&get("user", "7000000000")).await.unwrap();
        assert_eq!(
            made.resource.unwrap().encode_to_vec(),
            listed.resource.unwrap().encode_to_vec()
        );
    }
    writes.ends(Effect::Reactivated);
    let answer = connector.create_account(&order(), &account([])).await.unwrap();
    assert!(matches!(answer.result, Some(Answer::Success(_))));
    for effect in [Effect::Existed, Effect::AlreadySo] {
        writes.ends(effect);
        let answer = connector.create_account(&order(), &account([])).await.unwrap();
        let Some(Answer::AlreadyExists(found)) = answer.result else {
            panic!("not told as existing");
        };
        assert!(found.resource.is_some());
    }
}

/// What the tenant is asked to make.
async fn made(request: &c1::CreateAccountRequest) -> Result<(AccountDraft, OnInactive), Fault> {
    let (connector, writes) = setup();
    let answer = connector.create_account(&order(), request).await;
    let mut asked = writes.asked();
    match (answer, asked.pop()) {
        (Ok(_), Some(Change::Create { draft, on_inactive })) => Ok((*draft, on_inactive)),
        (Err(fault), None) => Err(fault),
        _ => panic!("a failure after a change, or a success without one"),
    }
}

#[tokio::test]
async fn the_profile_and_the_account_info_make_one_account() {
    let (draft, on_inactive) = made(&account([])).await.unwrap();
    assert_eq!(draft.names(), ["login", "email", "firstname", "lastname"]);
    assert_eq!(on_inactive, OnInactive::Leave);
    let (_, on_inactive) = made(&account([("reactivate", ValueKind::BoolValue(true).into())]))
        .await
        .unwrap();
    assert_eq!(on_inactive, OnInactive::Reactivate);

    let email = |address: &str, is_primary| c1::account_info::Email {
        address: address.to_owned(),
        is_primary,
    };
    let mut request = account([("login", text("")), ("email", text(""))]);
    let info = request.account_info.as_mut().unwrap();
    info.login = "anna@idp".to_owned();
    info.emails = vec![email("a@example.com", false), email("b@example.com", true)];
    let (draft, _) = made(&request).await.unwrap();
    assert_eq!(draft.login.as_deref(), Some("anna@idp"));
    assert_eq!(draft.email.as_deref(), Some("b@example.com"), "the primary one");

    let mut request = account([]);
    let info = request.account_info.as_mut().unwrap();
    info.login = "ANNA".to_owned();
    info.emails = vec![email("b@example.com", true), email("Anna@example.com", false)];
    let (draft, _) = made(&request).await.unwrap();
    assert_eq!(draft.login.as_deref(), Some("anna"), "the profile's spelling");
    assert_eq!(draft.email.as_deref(), Some("anna@example.com"));

    let mut other_login = account([]);
    other_login.account_info.as_mut().unwrap().login = "bert".to_owned();
    let mut other_email = account([]);
    other_email.account_info.as_mut().unwrap().emails = vec![email("bert@example.com", true)];
    for request in [other_login, other_email] {
        let fault = made(&request).await.unwrap_err();
        assert!(
            fault.message().contains("contradicts") && !fault.message().contains("bert"),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_account_is_named() {
    for (request, words) in [
        (
            account([("login", text("")), ("last_name", Value::default())]),
            "login, last_name",
        ),
        (account([("nickname", text("x"))]), "nickname"),
        (account([("reactivate", text("yes"))]), "reactivate"),
        (c1::CreateAccountRequest::default(), "account info"),
    ] {
        let fault = made(&request).await.unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Invalid);
        assert!(fault.message().contains(words), "{fault}");
    }
}

#[tokio::test]
async fn only_ways_to_sign_in_without_a_password_are_offered() {
    use c1::credential_options::{EncryptedPassword, NoPassword, RandomPassword, Sso};
    for refused in [
        Options::RandomPassword(RandomPassword::default()),
        Options::EncryptedPassword(EncryptedPassword::default()),
    ] {
        let fault = made(&with_option(refused)).await.unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Invalid, "and nothing was sent");
    }
    let (draft, _) = made(&with_option(Options::NoPassword(NoPassword {})))
        .await
        .unwrap();
    assert_eq!(draft.authentication_method, None);

    let (draft, _) = made(&with_option(Options::Sso(Sso::default()))).await.unwrap();
    assert_eq!(
        draft.authentication_method.map(AuthenticationMethod::name),
        Some("saml")
    );
    assert_eq!(draft.sso_identifier.as_deref(), Some("anna"), "the login");
    let sso = |method: &str| c1::CreateAccountRequest {
        credential_options: with_option(Options::Sso(Sso::default())).credential_options,
        ..account([
            ("authentication_method", text(method)),
            ("sso_identifier", text("a@idp")),
        ])
    };
    let (draft, _) = made(&sso("ldap")).await.unwrap();
    assert_eq!(
        draft.authentication_method.map(AuthenticationMethod::name),
        Some("ldap")
    );
    assert_eq!(draft.sso_identifier.as_deref(), Some("a@idp"));
    assert!(made(&sso("coupa_credentials")).await.is_err(), "a contradiction");
}

#[tokio::test]
async fn an_unknown_way_of_encrypting_is_refused_before_anything_is_sent() {
    use c1::encryption_config::{Config, JwkPublicKeyConfig};
    let encrypted = |provider: &str, config| c1::CreateAccountRequest {
        encryption_configs: vec![c1::EncryptionConfig {
            provider: provider.to_owned(),
            config,
            ..c1::EncryptionConfig::default()
        }],
        ..account([])
    };
    let jwk = || Some(Config::JwkPublicKeyConfig(JwkPublicKeyConfig::default()));
    for (provider, config) in [("baton/JWK/v1", None), ("", jwk()), ("baton/age/v1", None)] {
        assert!(made(&encrypted(provider, config)).await.is_ok(), "{provider}");
    }
    for (provider, config) in [("rot13", jwk()), ("", None)] {
        assert!(made(&encrypted(provider, config)).await.is_err(), "{provider}");
    }
}

#[tokio::test]
async fn deleting_deactivates_by_either_call() {
    let (connector, writes) = setup();
    let v1 = c1::DeleteResourceRequest {
        resource_id: Some(of("user", "5")),
        parent_resource_id: None,
    };
    let v2 = c1::DeleteResourceV2Request {
        resource_id: Some(of("user", "5")),
        parent_resource_id: Some(of("group", "1")),
    };
    let both = async || {
        [
            connector
                .delete_resource(&order(), &v1)
                .await
                .unwrap()
                .annotations,
            connector
                .delete_resource_v2(&order(), &v2)
                .await
                .unwrap()
                .annotations,
        ]
    };
    assert!(both().await.iter().all(Vec::is_empty));
    let wanted = Change::SetActive {
        user: user_id(5),
        to: Activity::Inactive,
    };
    assert_eq!(writes.asked(), [wanted.clone(), wanted]);
    writes.fails(FaultKind::NotFound);
    for annotations in both().await {
        assert!(is::<c1::ResourceDoesNotExist>(&annotations[0]));
    }
}

fn licenses(names: &[&str]) -> Value {
    let values = names.iter().map(|name| text(name)).collect();
    ValueKind::ListValue(prost_types::ListValue { values }).into()
}

#[tokio::test]
async fn success_means_that_the_licenses_are_held() {
    let wanted = licenses(&["analytics-user", "risk-assess-user", "analytics-user"]);
    let request = account([("licenses", wanted)]);
    let (draft, _) = made(&request).await.unwrap();
    assert_eq!(draft.licenses.len(), 2);

    let (connector, writes) = setup();
    let answer = connector.create_account(&order(), &request).await.unwrap();
    assert!(matches!(answer.result, Some(Answer::Success(_))));
    for effect in [Effect::Made, Effect::Reactivated] {
        writes.ends(effect);
        writes.withholds("analytics-user");
        let answer = connector.create_account(&order(), &request).await.unwrap();
        let Some(Answer::ActionRequired(required)) = answer.result else {
            panic!("told as a success");
        };
        assert!(required.resource.is_some() && required.is_create_account_result);
        assert!(
            required.message.contains("analytics-user") && !required.message.contains("risk-assess-user"),
            "{}",
            required.message
        );
    }
    writes.ends(Effect::Existed);
    let answer = connector.create_account(&order(), &request).await.unwrap();
    assert!(matches!(answer.result, Some(Answer::AlreadyExists(_))));

    let refused = account([("licenses", licenses(&["Travel"]))]);
    let fault = made(&refused).await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Invalid);
}

#[test]
fn the_form_offers_licenses() {
    use crate::proto::connector::connector_account_creation_schema::field::Field;
    let fields = crate::connector::changes::account_schema().field_map;
    let field = &fields["licenses"];
    assert!(matches!(field.field, Some(Field::StringListField(_))) && !field.required);
}
