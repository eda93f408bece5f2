//! The life of an account: made, or found; deactivated where the platform says delete, since Coupa deletes nobody.
//!
//! Invariant: an account is made without a secret of ours. What cannot be honoured (a password, a key that nobody here
//! encrypts for) is refused before anything is sent. Success means that the account has every license that was asked for; who existed
//! before is given none.

use std::collections::BTreeSet;

use super::super::kind::Kind;
use super::super::{Connector, in_time, missing, user};
use super::draft::{Blank, draft, licenses, switch};
use super::elements::Element;
use super::{unsupported, user_id};
use crate::model::access::Item;
use crate::model::change::{AccountDraft, Activity, AuthenticationMethod, Change, Effect, OnInactive, Order};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::{LicenseName, UserId};
use crate::model::profile::RISK_ASSESS_LICENSE;
use crate::model::tenant::{ReadTenant, User};
use crate::proto::connector as c1;
use crate::proto::connector::connector_account_creation_schema as schema;
use crate::proto::connector::create_account_response as answer;
use crate::proto::connector::credential_options::Options;
use crate::proto::pack;
use crate::snapshot::Account;

/// Key of the licenses a new account is to have.
const LICENSES: &str = "licenses";

/// Key of the switch that lets an inactive account come back.
const REACTIVATE: &str = "reactivate";

/// Ways of encrypting that the protocol knows.
const PROVIDERS: [&str; 2] = ["baton/jwk/v1", "baton/age/v1"];

/// The form of new accounts.
pub(in super::super) fn account_schema() -> c1::ConnectorAccountCreationSchema {
    let reactivate = schema::Field {
        display_name: "Reactivate".to_owned(),
        description: "If the account exists and is inactive, activate it instead of reporting it".to_owned(),
        field: Some(schema::field::Field::BoolField(schema::BoolField {
            default_value: Some(false),
        })),
        ..schema::Field::default()
    };
    let elements = Element::ALL.map(|element| (element.name(), element.of_form()));
    let licenses = schema::Field {
        display_name: "Licenses".to_owned(),
        description:
            "Dashed names of the licenses that a new account is to have; an account that exists is given none"
                .to_owned(),
        placeholder: RISK_ASSESS_LICENSE.to_owned(),
        field: Some(schema::field::Field::StringListField(
            schema::StringListField::default(),
        )),
        ..schema::Field::default()
    };
    let others = [(LICENSES, licenses), (REACTIVATE, reactivate)];
    let fields = elements.into_iter().chain(others);
    let numbered = fields.zip(1..).map(|((name, field), order)| {
        let field = schema::Field { order, ..field };
        (name.to_owned(), field)
    });
    c1::ConnectorAccountCreationSchema {
        field_map: numbered.collect(),
    }
}

/// How new accounts sign in, as far as this connector has a say.
pub(in super::super) fn account_provisioning() -> c1::CredentialDetailsAccountProvisioning {
    use c1::CapabilityDetailCredentialOption::{NoPassword, Sso};
    c1::CredentialDetailsAccountProvisioning {
        supported_credential_options: vec![NoPassword.into(), Sso.into()],
        preferred_credential_option: NoPassword.into(),
    }
}

impl Connector {
    /// Makes an account, or finds it.
    pub async fn create_account(
        &self,
        order: &Order,
        request: &c1::CreateAccountRequest,
    ) -> Result<c1::CreateAccountResponse, Fault> {
        self.provisioning()?;
        let change = creation(request)?;
        // What the answer needs is had before anything is written: an account that was made must not be told as a failure.
        let fresh = in_time(self.deadline(), self.snapshots.fresh()).await?;
        let suppliers = in_time(self.deadline(), fresh.supplier_roles()).await?;
        let outcome = self.apply(order, &change).await?;
        let effect = outcome.effect;
        let lacks = match effect {
            Effect::Made | Effect::Reactivated => {
                self.lacks(&*fresh.reader, outcome.user.id, licenses_of(&change))
                    .await
            }
            Effect::Existed | Effect::AlreadySo => None,
        };
        let (account, _) = Account::of(outcome.user, suppliers);
        let resource = Some(user::resource(&account));
        let result = match (effect, lacks) {
            (_, Some(message)) => answer::Result::ActionRequired(answer::ActionRequiredResult {
                resource,
                message,
                is_create_account_result: true,
            }),
            (Effect::Made | Effect::Reactivated, None) => answer::Result::Success(answer::SuccessResult {
                resource,
                is_create_account_result: true,
                ..answer::SuccessResult::default()
            }),
            (Effect::Existed | Effect::AlreadySo, None) => {
                answer::Result::AlreadyExists(answer::AlreadyExistsResult {
                    resource,
                    is_create_account_result: true,
                })
            }
        };
        Ok(c1::CreateAccountResponse {
            result: Some(result),
            ..c1::CreateAccountResponse::default()
        })
    }

    /// What a person has to do about licenses that the account was to have. Which it has is read here, since positions in a set of
    /// licenses mean nothing without the catalog they were made for.
    async fn lacks(
        &self,
        reader: &dyn ReadTenant,
        user: UserId,
        licenses: &BTreeSet<LicenseName>,
    ) -> Option<String> {
        if licenses.is_empty() {
            return None;
        }
        let held = |user: &User, name: &LicenseName| {
            let item = Item::License(name.clone());
            user.access.holds(&item, &reader.survey().licenses)
        };
        let read = in_time(self.deadline(), reader.user(user)).await;
        let (missing, what): (Vec<&LicenseName>, _) = if let Ok(Some(user)) = read {
            let missing = licenses.iter().filter(|name| !held(&user, name));
            (missing.collect(), "Coupa does not show these licenses as given")
        } else {
            let all = licenses.iter().collect();
            (all, "it could not be read whether these licenses are given")
        };
        let names: Vec<&str> = missing.into_iter().map(LicenseName::as_str).collect();
        (!names.is_empty()).then(|| {
            let names = names.join(", ");
            format!("the account is there, but {what}: {names}; grant them to it")
        })
    }

    /// Deactivates an account.
    pub async fn delete_resource(
        &self,
        order: &Order,
        request: &c1::DeleteResourceRequest,
    ) -> Result<c1::DeleteResourceResponse, Fault> {
        let annotations = self.deactivate(order, request.resource_id.as_ref()).await?;
        Ok(c1::DeleteResourceResponse { annotations })
    }

    /// The same as [`Connector::delete_resource`].
    pub async fn delete_resource_v2(
        &self,
        order: &Order,
        request: &c1::DeleteResourceV2Request,
    ) -> Result<c1::DeleteResourceV2Response, Fault> {
        let annotations = self.deactivate(order, request.resource_id.as_ref()).await?;
        Ok(c1::DeleteResourceV2Response { annotations })
    }

    async fn deactivate(
        &self,
        order: &Order,
        id: Option<&c1::ResourceId>,
    ) -> Result<Vec<prost_types::Any>, Fault> {
        self.provisioning()?;
        let id = id.ok_or_else(|| missing("resource id"))?;
        if Kind::parse(&id.resource_type) != Some(Kind::User) {
            return Err(unsupported("resources of this type cannot be deleted")
                .advise("only accounts can be deactivated; remove other things in Coupa"));
        }
        let change = Change::SetActive {
            user: user_id(&id.resource)?,
            to: Activity::Inactive,
        };
        match self.apply(order, &change).await {
            Ok(_) => Ok(Vec::new()),
            Err(fault) if *fault.kind() == FaultKind::NotFound => {
                Ok(vec![pack(&c1::ResourceDoesNotExist {})])
            }
            Err(fault) => Err(fault),
        }
    }
}

/// The licenses that a new account is to have.
fn licenses_of(change: &Change) -> &BTreeSet<LicenseName> {
    static NONE: BTreeSet<LicenseName> = BTreeSet::new();
    match change {
        Change::Create { draft, .. } => &draft.licenses,
        _ => &NONE,
    }
}

/// Reads the request for an account.
fn creation(request: &c1::CreateAccountRequest) -> Result<Change, Fault> {
    // Without a type the account manager of users is meant.
    if !matches!(request.resource_type_id.as_str(), "" | "user") {
        return Err(unsupported("there are no accounts of this type").advise("accounts are of type user"));
    }
    let sign_in = SignIn::asked(request.credential_options.as_ref())?;
    request.encryption_configs.iter().try_for_each(encryption)?;
    let info = request
        .account_info
        .as_ref()
        .ok_or_else(|| missing("account info"))?;
    let profile = info.profile.clone().unwrap_or_default();
    let reactivate = switch(REACTIVATE, profile.fields.get(REACTIVATE))?.unwrap_or_default();
    let mut account = draft(&profile, &[LICENSES, REACTIVATE], Blank::Unsaid)?;
    account.licenses = licenses(LICENSES, profile.fields.get(LICENSES))?;
    complete(&mut account, info)?;
    sign_in.settle(&mut account)?;
    Ok(Change::Create {
        draft: Box::new(account),
        on_inactive: if reactivate {
            OnInactive::Reactivate
        } else {
            OnInactive::Leave
        },
    })
}

/// Fills in what the request says beside the profile. Aliases are not kept: Coupa has one login.
fn complete(account: &mut AccountDraft, info: &c1::AccountInfo) -> Result<(), Fault> {
    let logins = [info.login.as_str()];
    account.login = filled(Element::Login, account.login.take(), &logins)?;
    // The primary address first: it is the one that fills in.
    let mut emails: Vec<&c1::account_info::Email> = info.emails.iter().collect();
    emails.sort_by_key(|email| !email.is_primary);
    let emails: Vec<&str> = emails.iter().map(|email| email.address.as_str()).collect();
    account.email = filled(Element::Email, account.email.take(), &emails)?;
    let needed = Element::ALL.into_iter().filter(|element| element.needed());
    let missing: Vec<&str> = needed
        .filter(|element| !element.is_said(account))
        .map(Element::name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(", ");
    Err(Fault::invalid(format!("missing in the profile: {names}")))
}

/// What the profile says, or else the first of `others`. If both say something, one of `others` must be what the profile says,
/// letter case aside.
fn filled(element: Element, profile: Option<Box<str>>, others: &[&str]) -> Result<Option<Box<str>>, Fault> {
    let mut others = others.iter().filter(|other| !other.trim().is_empty()).peekable();
    let Some(first) = others.peek() else {
        return Ok(profile);
    };
    match profile {
        None => {
            element.judge(first)?;
            Ok(Some(Box::from(**first)))
        }
        Some(said) => {
            let folded = said.to_lowercase();
            if others.any(|other| other.to_lowercase() == folded) {
                return Ok(Some(said));
            }
            let name = element.name();
            Err(Fault::invalid(format!(
                "the profile's {name} contradicts that of the account info"
            )))
        }
    }
}

/// How the person is to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignIn {
    /// As the profile says, or as Coupa has it.
    Unsaid,
    /// By single sign-on.
    Sso,
}

impl SignIn {
    fn asked(options: Option<&c1::CredentialOptions>) -> Result<Self, Fault> {
        // Whether a password must be changed at the next login says nothing where there is none.
        match options.and_then(|options| options.options.as_ref()) {
            None | Some(Options::NoPassword(_)) => Ok(Self::Unsaid),
            Some(Options::Sso(_)) => Ok(Self::Sso),
            Some(Options::RandomPassword(_) | Options::EncryptedPassword(_)) => {
                Err(Fault::invalid("this connector sets no passwords")
                    .advise("choose no password or single sign-on as credential option"))
            }
        }
    }

    fn settle(self, account: &mut AccountDraft) -> Result<(), Fault> {
        if self == Self::Unsaid {
            return Ok(());
        }
        if account.authentication_method == Some(AuthenticationMethod::CoupaCredentials) {
            return Err(Fault::invalid(
                "authentication_method contradicts the credential option: it is not single sign-on",
            ));
        }
        account
            .authentication_method
            .get_or_insert(AuthenticationMethod::Saml);
        if account.sso_identifier.is_none() {
            account.sso_identifier.clone_from(&account.login);
        }
        Ok(())
    }
}

/// Nothing is encrypted here, since nothing secret is made; but who names a way of encrypting must name one that there is.
fn encryption(config: &c1::EncryptionConfig) -> Result<(), Fault> {
    let named = config.provider.trim().to_lowercase();
    let known = PROVIDERS.contains(&named.as_str()) || (named.is_empty() && config.config.is_some());
    if known {
        return Ok(());
    }
    Err(Fault::invalid("an encryption config names no known provider")
        .advise(format!("providers are {}", PROVIDERS.join(" and "))))
}
