//! Users: one resource per account of a listed class.
//!
//! Invariant: the listing and `GetResource` build a user here, so they cannot show different fields.

use super::kind::Kind;
use super::profile::{Profile, name, timestamp, value};
use super::resource_id;
use crate::model::tenant::AccountClass;
use crate::proto::connector as c1;
use crate::proto::connector::{status, user_trait};
use crate::proto::pack;
use crate::snapshot::Account;

/// The resource of an account.
pub(super) fn resource(account: &Account) -> c1::Resource {
    let profile = profile(account);
    let created_at = account.created_at.map(timestamp);
    let (own_status, trait_status) = if account.active {
        (
            status::ResourceStatus::Enabled,
            user_trait::status::Status::Enabled,
        )
    } else {
        (
            status::ResourceStatus::Disabled,
            user_trait::status::Status::Disabled,
        )
    };
    let user = c1::UserTrait {
        emails: emails(account),
        status: Some(user_trait::Status {
            status: trait_status.into(),
            ..user_trait::Status::default()
        }),
        profile: Some(profile.clone()),
        account_type: account_type(account.class).into(),
        login: value(&account.login),
        employee_ids: account
            .employee_number
            .iter()
            .map(|number| value(number))
            .collect(),
        created_at,
        sso_status: sso_status(account),
        structured_name: structured_name(account),
        ..c1::UserTrait::default()
    };
    c1::Resource {
        id: Some(resource_id(Kind::User, account.id)),
        display_name: display_name(account),
        annotations: vec![pack(&user)],
        profile: Some(profile),
        status: Some(c1::Status {
            status: own_status.into(),
            ..c1::Status::default()
        }),
        created_at,
        ..c1::Resource::default()
    }
}

fn profile(account: &Account) -> prost_types::Struct {
    let manager = account.manager.map(|id| id.to_string());
    Profile::default()
        .text("login", Some(&account.login))
        .text("email", account.email.as_deref())
        .text("first_name", account.first_name.as_deref())
        .text("last_name", account.last_name.as_deref())
        .text("full_name", account.full_name.as_deref())
        .text("employee_number", account.employee_number.as_deref())
        .text("manager_id", manager.as_deref())
        .text("department", account.department.as_deref())
        .text("sso_identifier", account.sso_identifier.as_deref())
        .text("authentication_method", account.authentication_method.as_deref())
        .text("account_class", Some(account.class.name()))
        .done()
}

/// Full name, else first and last, else login: always something Coupa said.
fn display_name(account: &Account) -> String {
    let given = |text: &Option<Box<str>>| {
        text.as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let parts: Vec<String> = [&account.first_name, &account.last_name]
        .into_iter()
        .filter_map(given)
        .collect();
    let joined = (!parts.is_empty()).then(|| parts.join(" "));
    let shown = given(&account.full_name).or(joined);
    name(shown.as_deref().unwrap_or(&account.login))
}

/// The address, where it is one by the protocol's rule; otherwise it stays in the profile only.
fn emails(account: &Account) -> Vec<user_trait::Email> {
    let address = account.email.as_deref().map(str::trim);
    let valid = address.filter(|address| is_address(address));
    valid
        .map(|address| user_trait::Email {
            address: address.to_owned(),
            is_primary: true,
        })
        .into_iter()
        .collect()
}

/// The platform validates addresses: lengths as in RFC 5321, a host name behind the last `@`, nothing that needs quoting before it.
pub(super) fn is_address(text: &str) -> bool {
    let Some((user, host)) = text.rsplit_once('@') else {
        return false;
    };
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"()<>[]:;@\\,\"".contains(c);
    let dots = !user.starts_with('.') && !user.ends_with('.') && !user.contains("..");
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 254
        && (1..=64).contains(&user.len())
        && user.chars().all(plain)
        && dots
        && host.split('.').all(label)
}

const fn account_type(class: AccountClass) -> user_trait::AccountType {
    match class {
        AccountClass::Api => user_trait::AccountType::Service,
        AccountClass::Internal
        | AccountClass::Supplier
        | AccountClass::Support
        | AccountClass::ManagedService => user_trait::AccountType::Human,
    }
}

/// SAML is single sign-on and a password kept in Coupa is not; of other methods Coupa does not tell.
fn sso_status(account: &Account) -> Option<user_trait::SsoStatus> {
    let sso_enabled = match account.authentication_method.as_deref()? {
        "saml" => true,
        "coupa_credentials" => false,
        _ => return None,
    };
    Some(user_trait::SsoStatus { sso_enabled })
}

fn structured_name(account: &Account) -> Option<user_trait::StructuredName> {
    if account.first_name.is_none() && account.last_name.is_none() {
        return None;
    }
    let text = |text: &Option<Box<str>>| text.as_deref().map(value).unwrap_or_default();
    Some(user_trait::StructuredName {
        given_name: text(&account.first_name),
        family_name: text(&account.last_name),
        ..user_trait::StructuredName::default()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::id::UserId;
    use crate::proto::annotation;

    fn account() -> Account {
        Account {
            id: UserId::new(7).unwrap(),
            class: AccountClass::Internal,
            login: "anna".into(),
            email: Some("anna@example.com".into()),
            first_name: Some("Anna".into()),
            last_name: Some("Nagy".into()),
            full_name: Some("Anna K. Nagy".into()),
            active: true,
            employee_number: Some("E7".into()),
            manager: UserId::new(5_000_000_000),
            department: None,
            sso_identifier: None,
            authentication_method: Some("saml".into()),
            created_at: Some("2020-01-02T03:04:05Z".parse().unwrap()),
        }
    }

    fn user_of(account: &Account) -> (c1::Resource, c1::UserTrait) {
        let resource = resource(account);
        let user = annotation(&resource.annotations).unwrap();
        (resource, user)
    }

    #[test]
    fn a_user_says_what_coupa_says() {
        let (resource, user) = user_of(&account());
        assert_eq!(resource.id.unwrap().resource, "7");
        assert_eq!(resource.display_name, "Anna K. Nagy");
        assert_eq!(user.emails[0].address, "anna@example.com");
        assert_eq!(user.employee_ids, ["E7"]);
        assert!(user.sso_status.unwrap().sso_enabled);
        assert!(
            user.profile.is_some() && user.profile == resource.profile,
            "mirrored"
        );
        assert_eq!(resource.created_at.unwrap().seconds, 1_577_934_245);
        let keys: Vec<_> = resource.profile.unwrap().fields.into_keys().collect();
        assert_eq!(
            keys,
            [
                "account_class",
                "authentication_method",
                "email",
                "employee_number",
                "first_name",
                "full_name",
                "last_name",
                "login",
                "manager_id"
            ]
        );
    }

    #[test]
    fn names_are_never_invented() {
        let mut account = account();
        account.full_name = Some("  ".into());
        assert_eq!(display_name(&account), "Anna Nagy");
        account.first_name = None;
        assert_eq!(display_name(&account), "Nagy");
        account.last_name = None;
        let (resource, user) = user_of(&account);
        assert_eq!(resource.display_name, "anna");
        assert!(user.structured_name.is_none());
    }

    #[test]
    fn doubtful_values_are_left_out() {
        let mut account = account();
        let long = format!("{}@example.com", "a".repeat(65));
        let odd = [
            "nobody",
            "@example.com",
            "a@",
            "a b@example.com",
            "",
            "a@b@example.com",
            "a..b@example.com",
            "a@-example.com",
            "Anna <a@example.com>",
            "a@exämple.com",
            &long,
        ];
        for odd in odd {
            account.email = Some(odd.into());
            assert!(user_of(&account).1.emails.is_empty(), "{odd}");
        }
        for good in [
            "o'brien+coupa@mail.example.co",
            "  anna@example.com ",
            "a@localhost",
            "zoë@example.com",
        ] {
            account.email = Some(good.into());
            assert_eq!(user_of(&account).1.emails[0].address, good.trim());
        }
        account.authentication_method = Some("ldap".into());
        assert!(user_of(&account).1.sso_status.is_none());
    }

    #[test]
    fn integrations_are_service_accounts_and_inactive_ones_disabled() {
        let mut account = account();
        account.class = AccountClass::Api;
        account.active = false;
        let (resource, user) = user_of(&account);
        assert!(user.account_type() == user_trait::AccountType::Service);
        assert!(user.status.unwrap().status() == user_trait::status::Status::Disabled);
        assert!(resource.status.unwrap().status() == status::ResourceStatus::Disabled);
    }
}
