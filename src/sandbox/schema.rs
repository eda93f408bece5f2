//! One table per object type: its attributes, how each is read, and where it is shown.
//!
//! Invariant: REST answers, `fields`, filters, GraphQL and its introspection are all driven by these tables, so they cannot
//! disagree about what exists. Names here are the REST ones; GraphQL uses their lower camel form.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::person::{COUNTRIES, Country};
use super::readings::CountryForm;
use super::seed::DEPARTMENTS;
use super::tenant::{Class, GroupKind, LICENSES, Tenant, as_index, membership_id};

/// Names one object of a given [`Type`]: for users, groups, roles and memberships their index.
pub(super) type Handle = u64;

/// An object type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    User,
    Group,
    Role,
    Membership,
    Department,
    ContentGroup,
    AccountGroup,
    Address,
    Country,
    Currency,
    Limit,
    Phone,
    CustomFields,
    Warehouse,
}

/// A value without parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leaf {
    Null,
    Flag(bool),
    Integer(u64),
    Text(Cow<'static, str>),
    /// Seconds since 1970.
    Time(i64),
}

type Read<T> = fn(&Tenant, Handle) -> T;

/// How an attribute is read, which is also what it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// The public id; the form it is written in can be switched.
    Id(Read<u64>),
    Integer(Read<Leaf>),
    Text(Read<Leaf>),
    Flag(Read<bool>),
    /// License of this number.
    License(usize),
    Time(Read<i64>),
    One(Type, Read<Option<Handle>>),
    Many(Type, Read<Vec<Handle>>),
}

/// Where an attribute is shown without being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Also where the object stands inside another.
    Always,
    /// Only where the object is the answer itself.
    WhenWhole,
    /// Only when named in `fields` or a GraphQL selection.
    OnRequest,
}

/// One attribute of a type.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    /// REST name as printed.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) shown: Shown,
}

impl Attribute {
    /// The value, if it has no parts.
    pub(super) fn leaf(&self, tenant: &Tenant, handle: Handle) -> Option<Leaf> {
        Some(match self.kind {
            Kind::Id(read) => Leaf::Integer(read(tenant, handle)),
            Kind::Integer(read) | Kind::Text(read) => read(tenant, handle),
            Kind::Flag(read) => Leaf::Flag(read(tenant, handle)),
            Kind::License(bit) => Leaf::Flag(tenant.user(handle).licenses >> bit & 1 == 1),
            Kind::Time(read) => Leaf::Time(read(tenant, handle)),
            Kind::One(..) | Kind::Many(..) => return None,
        })
    }

    /// Custom fields differ per tenant and are left out of GraphQL.
    pub(super) fn in_graphql(&self) -> bool {
        self.target() != Some(Type::CustomFields)
    }

    /// The type of the object or objects it leads to.
    pub(super) fn target(&self) -> Option<Type> {
        match self.kind {
            Kind::One(target, _) | Kind::Many(target, _) => Some(target),
            _ => None,
        }
    }
}

impl Type {
    /// The type's attributes in the order they are printed.
    pub(super) fn attributes(self) -> &'static [Attribute] {
        match self {
            Type::User => &USER,
            Type::Group => &GROUP,
            Type::Role => &ROLE,
            Type::Membership => &MEMBERSHIP,
            Type::Department => &DEPARTMENT,
            Type::ContentGroup => &CONTENT_GROUP,
            Type::AccountGroup => &ACCOUNT_GROUP,
            Type::Address => &ADDRESS,
            Type::Country => &COUNTRY,
            Type::Currency => &CURRENCY,
            Type::Limit => &LIMIT,
            Type::Phone => &PHONE,
            Type::CustomFields => &CUSTOM_FIELDS,
            Type::Warehouse => &WAREHOUSE,
        }
    }

    /// The attribute of a REST name, dashed or underscored.
    pub(super) fn attribute(self, name: &str) -> Option<&'static Attribute> {
        self.attributes().iter().find(|a| same_name(a.name, name))
    }

    /// The attribute of a GraphQL name.
    pub(super) fn graphql_attribute(self, name: &str) -> Option<&'static Attribute> {
        self.attributes()
            .iter()
            .find(|a| a.in_graphql() && camel(a.name) == name)
    }

    /// Name of the type in GraphQL.
    pub(super) fn graphql_name(self) -> &'static str {
        match self {
            Type::User => "User",
            Type::Group => "UserGroup",
            Type::Role => "Role",
            Type::Membership => "UserGroupMembership",
            Type::Department => "Department",
            Type::ContentGroup => "BusinessGroup",
            Type::AccountGroup => "AccountGroup",
            Type::Address => "Address",
            Type::Country => "Country",
            Type::Currency => "Currency",
            Type::Limit => "ApprovalLimit",
            Type::Phone => "PhoneNumber",
            Type::CustomFields => "CustomFields",
            Type::Warehouse => "Warehouse",
        }
    }

    /// All types that GraphQL shows.
    pub(super) const IN_GRAPHQL: [Type; 13] = [
        Type::User,
        Type::Group,
        Type::Role,
        Type::Membership,
        Type::Department,
        Type::ContentGroup,
        Type::AccountGroup,
        Type::Address,
        Type::Country,
        Type::Currency,
        Type::Limit,
        Type::Phone,
        Type::Warehouse,
    ];
}

/// Equal but for dashes and underscores.
pub(super) fn same_name(a: &str, b: &str) -> bool {
    let dashed = |byte: u8| if byte == b'_' { b'-' } else { byte };
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(x, y)| dashed(x) == dashed(y))
}

/// `risk-assess-user` -> `riskAssessUser`.
pub(super) fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut raise = false;
    for c in name.chars() {
        match c {
            '-' | '_' => raise = true,
            c if raise => {
                out.extend(c.to_uppercase());
                raise = false;
            }
            c => out.push(c),
        }
    }
    out
}

fn text(value: impl Into<Cow<'static, str>>) -> Leaf {
    Leaf::Text(value.into())
}

fn optional(value: Option<String>) -> Leaf {
    value.map_or(Leaf::Null, text)
}

fn number(value: Option<u64>) -> Leaf {
    value.map_or(Leaf::Null, Leaf::Integer)
}

const fn attribute(name: &'static str, kind: Kind, shown: Shown) -> Attribute {
    Attribute { name, kind, shown }
}

/// Approval limits of a user: handle is user * 16 + place in this list. Name, amount.
const LIMITS: [(&str, &str); 4] = [
    ("Limit 500", "500.00"),
    ("Limit 10k", "10000.00"),
    ("Limit 1M", "1000000.00"),
    ("No limit", "999999999999.99"),
];

fn limit(user: u64, place: u64) -> Option<Handle> {
    let which = (user + place) % 7;
    (which < LIMITS.len() as u64).then(|| user * 16 + which)
}

/// Codes of currencies, by handle; their ids are one higher.
pub(super) const CURRENCIES: [&str; 3] = ["USD", "EUR", "JPY"];

/// Content and account groups, by handle.
const CONTENT_GROUPS: [(u64, &str); 3] = [(1, "Everyone"), (5, "EMEA – Süd"), (9, "US only")];
const ACCOUNT_GROUPS: [(u64, &str); 2] = [(2, "Chart 1000-1999"), (6, "Chart \"R&D\"")];

fn some_of(user: u64, count: usize) -> Vec<Handle> {
    (0..count as u64).filter(|n| (user >> n) % 5 == 1).collect()
}

#[rustfmt::skip] // one attribute a line
static USER: LazyLock<Vec<Attribute>> = LazyLock::new(|| {
    use Kind::{Flag, Id, Integer, License, Many, One, Text, Time};
    use Shown::{Always, OnRequest, WhenWhole};
    let mut table = vec![
        attribute("id", Id(|t, u| t.user(u).id), Always),
        attribute("created-at", Time(Tenant::created), WhenWhole),
        attribute("updated-at", Time(Tenant::updated), WhenWhole),
        attribute("login", Text(|t, u| text(t.login(u))), Always),
        attribute("active", Flag(|t, u| t.user(u).active), WhenWhole),
        attribute("email", Text(|t, u| optional(t.email(u))), Always),
        attribute("employee-number", Text(|t, u| optional(t.employee_number(u))), Always),
        attribute("firstname", Text(|t, u| text(t.first_name(u))), Always),
        attribute("lastname", Text(|t, u| text(t.last_name(u))), Always),
        attribute("middlename", Text(|t, u| optional(t.middle_name(u))), WhenWhole),
        attribute("fullname", Text(|t, u| text(format!("{} {}", t.first_name(u), t.last_name(u)))), Always),
        attribute("salesforce-id", Text(|_, _| Leaf::Null), Always),
        attribute("mention-name", Text(|t, u| text(format!("m{}", t.user(u).id))), WhenWhole),
        attribute("authentication-method", Text(|t, u| text(t.authentication_method(u))), WhenWhole),
        attribute("sso-identifier", Text(|t, u| optional(t.sso_identifier(u))), WhenWhole),
        attribute("type", Text(user_type), WhenWhole),
        attribute("api-user", Flag(|t, u| t.user(u).class == Class::Api), WhenWhole),
        attribute("supplier-user", Flag(|t, u| t.user(u).class == Class::Supplier), WhenWhole),
        attribute("supplier-id", Integer(|t, u| number(t.supplier_id(u))), WhenWhole),
        attribute("support-user", Flag(|t, u| t.user(u).class == Class::Support), WhenWhole),
        attribute("msp-user", Flag(|t, u| t.user(u).class == Class::ManagedService), WhenWhole),
        attribute("salesforce-enabled", Flag(|_, _| false), WhenWhole),
        attribute("allow-user-to-upload-invoice-from-mobile", Flag(|_, u| u % 9 == 4), WhenWhole),
        attribute("allow-employee-payment-account-creation", Flag(|_, u| u % 11 == 4), WhenWhole),
        attribute("eligible-for-virtual-cards", Flag(|_, u| u % 13 == 4), WhenWhole),
    ];
    table.extend(LICENSES.iter().enumerate().map(|(bit, l)| attribute(l.name, License(bit), WhenWhole)));
    table.extend([
        attribute("business-group-security-type", Integer(|_, u| Leaf::Integer(u % 2)), WhenWhole),
        attribute("account-security-type", Integer(|_, u| Leaf::Integer(u % 3)), WhenWhole),
        attribute("seniority-level", Text(|_, _| Leaf::Null), WhenWhole),
        attribute("business-function", Text(|_, _| Leaf::Null), WhenWhole),
        attribute("default-locale", Text(|t, u| text(t.locale(u))), WhenWhole),
        attribute("default-currency", One(Type::Currency, Tenant::currency), WhenWhole),
        attribute("default-address", One(Type::Address, Tenant::address_of), WhenWhole),
        attribute("phone-work", One(Type::Phone, Tenant::phone_work), WhenWhole),
        attribute("phone-mobile", One(Type::Phone, |_, u| (u % 5 == 0).then_some(u + 1)), WhenWhole),
        attribute("department", One(Type::Department, Tenant::department), WhenWhole),
        attribute("manager", One(Type::User, Tenant::manager), WhenWhole),
        attribute("roles", Many(Type::Role, |t, u| t.user(u).roles.iter().map(|&r| r.into()).collect()), WhenWhole),
        attribute("user-groups", Many(Type::Group, |t, u| t.groups_of(u).collect()), WhenWhole),
        attribute("approval-groups", Many(Type::Group, approval_groups), WhenWhole),
        attribute("content-groups", Many(Type::ContentGroup, |_, u| some_of(u, CONTENT_GROUPS.len())), WhenWhole),
        attribute("account-groups", Many(Type::AccountGroup, |_, u| some_of(u, ACCOUNT_GROUPS.len())), WhenWhole),
        attribute("requisition-approval-limit", One(Type::Limit, |_, u| limit(u, 0)), WhenWhole),
        attribute("expense-approval-limit", One(Type::Limit, |_, u| limit(u, 1)), WhenWhole),
        attribute("invoice-approval-limit", One(Type::Limit, |_, u| limit(u, 2)), WhenWhole),
        attribute("contract-approval-limit", One(Type::Limit, |_, u| limit(u, 3)), WhenWhole),
        attribute("work-confirmation-approval-limit", One(Type::Limit, |_, u| limit(u, 4)), WhenWhole),
        attribute("requisition-self-approval-limit", One(Type::Limit, |_, u| limit(u, 5)), WhenWhole),
        attribute("expense-self-approval-limit", One(Type::Limit, |_, u| limit(u, 6)), WhenWhole),
        attribute("invoice-self-approval-limit", One(Type::Limit, |_, _| None), WhenWhole),
        attribute("contract-self-approval-limit", One(Type::Limit, |_, _| None), WhenWhole),
        attribute("escalation-threshold", One(Type::Limit, |_, _| None), WhenWhole),
        attribute("can-expense-for", Many(Type::User, |t, u| t.manager(u).into_iter().collect()), WhenWhole),
        attribute("expenses-delegated-to", Many(Type::User, |_, _| Vec::new()), WhenWhole),
        attribute("working-warehouses", Many(Type::Warehouse, |_, u| (0..u % 2).collect()), WhenWhole),
        attribute("inventory-organizations", Many(Type::Warehouse, |_, _| Vec::new()), WhenWhole),
        attribute("custom-fields", One(Type::CustomFields, |_, u| Some(u)), WhenWhole),
        attribute("created-by", One(Type::User, |_, _| Some(0)), WhenWhole),
        attribute("updated-by", One(Type::User, |_, u| Some(u / 2)), WhenWhole),
        attribute("avatar-thumb-url", Text(|_, u| text(format!("/user/avatar/{u}/thumb.png"))), OnRequest),
    ]);
    table
});

fn user_type(tenant: &Tenant, user: Handle) -> Leaf {
    match tenant.user(user).class {
        Class::Supplier => text("SupplierUser"),
        _ => Leaf::Null,
    }
}

fn approval_groups(tenant: &Tenant, user: Handle) -> Vec<Handle> {
    tenant
        .groups_of(user)
        .filter(|&g| tenant.group(g).can_approve)
        .collect()
}

fn group_type(kind: GroupKind) -> Leaf {
    match kind {
        GroupKind::Group => Leaf::Null,
        GroupKind::Project => text("Project"),
    }
}

/// Groups and roles carry fixed dates by place.
fn made(handle: Handle) -> i64 {
    1_420_070_400_i64.saturating_add_unsigned(handle % 1000 * 86_400)
}

#[rustfmt::skip] // one attribute a line
static GROUP: [Attribute; 12] = [
    attribute("id", Kind::Id(|t, g| t.group(g).id), Shown::Always),
    attribute("created-at", Kind::Time(|_, g| made(g)), Shown::WhenWhole),
    attribute("updated-at", Kind::Time(|_, g| made(g) + 3_600), Shown::WhenWhole),
    attribute("name", Kind::Text(|t, g| text(t.group(g).name.clone())), Shown::Always),
    attribute("description", Kind::Text(|t, g| optional(t.group(g).description.clone())), Shown::WhenWhole),
    attribute("type", Kind::Text(|t, g| group_type(t.group(g).kind)), Shown::WhenWhole),
    attribute("active", Kind::Flag(|t, g| t.group(g).active), Shown::Always),
    attribute("can-approve", Kind::Flag(|t, g| t.group(g).can_approve), Shown::Always),
    attribute("open", Kind::Flag(|t, g| t.group(g).open), Shown::WhenWhole),
    attribute("content-groups", Kind::Many(Type::ContentGroup, |_, g| some_of(g, 3)), Shown::WhenWhole),
    attribute("owner", Kind::One(Type::User, group_owner), Shown::WhenWhole),
    attribute("users", Kind::Many(Type::User, group_users), Shown::OnRequest),
];

fn group_owner(tenant: &Tenant, group: Handle) -> Option<Handle> {
    tenant.members[as_index(group)].first().map(|&u| u.into())
}

fn group_users(tenant: &Tenant, group: Handle) -> Vec<Handle> {
    tenant.members[as_index(group)]
        .iter()
        .map(|&u| u.into())
        .collect()
}

#[rustfmt::skip] // one attribute a line
static ROLE: [Attribute; 7] = [
    attribute("id", Kind::Id(|t, r| t.role(r).id), Shown::Always),
    attribute("created-at", Kind::Time(|_, r| made(r)), Shown::WhenWhole),
    attribute("updated-at", Kind::Time(|_, r| made(r) + 60), Shown::WhenWhole),
    attribute("name", Kind::Text(|t, r| text(t.role(r).name.clone())), Shown::Always),
    attribute("description", Kind::Text(|t, r| optional(t.role(r).description.clone())), Shown::Always),
    attribute("omnipotent", Kind::Flag(|t, r| t.role(r).omnipotent), Shown::Always),
    attribute("system-role", Kind::Flag(|t, r| t.role(r).system), Shown::Always),
];

#[rustfmt::skip] // one attribute a line
static MEMBERSHIP: [Attribute; 10] = [
    attribute("id", Kind::Id(|_, m| membership_id(m)), Shown::Always),
    attribute("created-at", Kind::Time(joined), Shown::WhenWhole),
    attribute("updated-at", Kind::Time(joined), Shown::WhenWhole),
    attribute("user-id", Kind::Id(|t, m| t.user(t.membership(m).user.into()).id), Shown::Always),
    attribute("user-group-id", Kind::Id(|t, m| t.group(t.membership(m).group.into()).id), Shown::Always),
    attribute("user-group-type", Kind::Text(membership_type), Shown::Always),
    attribute("owner", Kind::Flag(Tenant::is_owner), Shown::Always),
    attribute("participant", Kind::Flag(|t, m| !t.is_owner(m)), Shown::Always),
    attribute("user", Kind::One(Type::User, |t, m| Some(t.membership(m).user.into())), Shown::WhenWhole),
    attribute("user-group", Kind::One(Type::Group, |t, m| Some(t.membership(m).group.into())), Shown::WhenWhole),
];

fn joined(tenant: &Tenant, membership: Handle) -> i64 {
    tenant.joined(membership).unwrap_or_else(|| made(membership))
}

fn badge_colour(tenant: &Tenant, user: Handle) -> Leaf {
    tenant.custom_fields(user).badge_colour.map_or(Leaf::Null, text)
}

fn membership_type(tenant: &Tenant, membership: Handle) -> Leaf {
    text(
        match tenant.group(tenant.membership(membership).group.into()).kind {
            GroupKind::Group => "UserGroup",
            GroupKind::Project => "Project",
        },
    )
}

#[rustfmt::skip] // one attribute a line
static DEPARTMENT: [Attribute; 3] = [
    attribute("id", Kind::Id(|_, d| DEPARTMENTS[as_index(d)].0), Shown::Always),
    attribute("name", Kind::Text(|_, d| text(DEPARTMENTS[as_index(d)].1)), Shown::Always),
    attribute("active", Kind::Flag(|_, _| true), Shown::Always),
];

#[rustfmt::skip] // one attribute a line
static CONTENT_GROUP: [Attribute; 2] = [
    attribute("id", Kind::Id(|_, g| CONTENT_GROUPS[as_index(g)].0), Shown::Always),
    attribute("name", Kind::Text(|_, g| text(CONTENT_GROUPS[as_index(g)].1)), Shown::Always),
];

#[rustfmt::skip] // one attribute a line
static ACCOUNT_GROUP: [Attribute; 2] = [
    attribute("id", Kind::Id(|_, g| ACCOUNT_GROUPS[as_index(g)].0), Shown::Always),
    attribute("name", Kind::Text(|_, g| text(ACCOUNT_GROUPS[as_index(g)].1)), Shown::Always),
];

/// Underscored key on purpose: Coupa prints addresses that way.
#[rustfmt::skip] // one attribute a line
static ADDRESS: [Attribute; 12] = [
    attribute("id", Kind::Id(|_, a| a + 9_000), Shown::Always),
    attribute("name", Kind::Text(|_, _| text("Head office")), Shown::Always),
    attribute("street1", Kind::Text(|t, a| optional(t.address(a).street1)), Shown::Always),
    attribute("street2", Kind::Text(|t, a| optional(t.address(a).street2)), Shown::Always),
    attribute("street3", Kind::Text(|t, a| optional(t.address(a).street3)), Shown::Always),
    attribute("street4", Kind::Text(|t, a| optional(t.address(a).street4)), Shown::Always),
    attribute("city", Kind::Text(|t, a| optional(t.address(a).city)), Shown::Always),
    attribute("state", Kind::Text(|t, a| optional(t.address(a).state)), Shown::Always),
    attribute("state_iso_code", Kind::Text(|t, a| optional(t.address(a).state_iso_code)), Shown::Always),
    attribute("postal_code", Kind::Text(|t, a| optional(t.address(a).postal_code)), Shown::Always),
    attribute("active", Kind::Flag(|_, _| true), Shown::Always),
    attribute("country", Kind::One(Type::Country, |t, a| t.address(a).country.map(|_| a)), Shown::Always),
];

/// The handle is that of the address.
#[rustfmt::skip] // one attribute a line
static COUNTRY: [Attribute; 3] = [
    attribute("id", Kind::Id(country_id), Shown::Always),
    attribute("code", Kind::Text(|t, a| optional(country(t, a).code)), Shown::Always),
    attribute("name", Kind::Text(|t, a| optional(country(t, a).name)), Shown::Always),
];

fn country(tenant: &Tenant, address: Handle) -> Country {
    tenant.address(address).country.unwrap_or_default()
}

/// Countries nobody knows share the last one.
fn country_id(tenant: &Tenant, address: Handle) -> u64 {
    let code = country(tenant, address).code;
    let mut known = COUNTRIES.iter();
    let place = known.position(|(known, _)| Some(*known) == code.as_deref());
    place.unwrap_or(COUNTRIES.len()) as u64 + 200
}

/// An address's country where it is written as a plain text.
pub(super) fn country_text(tenant: &Tenant, address: Handle, form: CountryForm) -> Option<String> {
    let country = country(tenant, address);
    match form {
        CountryForm::Code | CountryForm::Object => country.code,
        CountryForm::Name => country.name,
    }
}

#[rustfmt::skip] // one attribute a line
static CURRENCY: [Attribute; 3] = [
    attribute("id", Kind::Id(|_, c| c + 1), Shown::Always),
    attribute("code", Kind::Text(|_, c| text(CURRENCIES[as_index(c)])), Shown::Always),
    attribute("decimals", Kind::Integer(|_, c| Leaf::Integer([2, 2, 0][as_index(c)])), Shown::Always),
];

#[rustfmt::skip] // one attribute a line
static LIMIT: [Attribute; 5] = [
    attribute("id", Kind::Id(|_, l| l % 16 + 70), Shown::Always),
    attribute("name", Kind::Text(|_, l| text(LIMITS[as_index(l % 16)].0)), Shown::Always),
    attribute("amount", Kind::Text(|_, l| text(LIMITS[as_index(l % 16)].1)), Shown::Always),
    attribute("subject", Kind::Text(|_, _| Leaf::Null), Shown::Always),
    attribute("currency", Kind::One(Type::Currency, |_, l| Some(l / 16 % 3)), Shown::Always),
];

#[rustfmt::skip] // one attribute a line
static PHONE: [Attribute; 5] = [
    attribute("id", Kind::Id(|_, p| p + 1), Shown::Always),
    attribute("country-code", Kind::Text(|t, p| optional(t.phone(p).country_code)), Shown::Always),
    attribute("area-code", Kind::Text(|t, p| optional(t.phone(p).area_code)), Shown::Always),
    attribute("number", Kind::Text(|t, p| optional(t.phone(p).number)), Shown::Always),
    attribute("extension", Kind::Text(|t, p| optional(t.phone(p).extension)), Shown::Always),
];

#[rustfmt::skip] // one attribute a line
static CUSTOM_FIELDS: [Attribute; 3] = [
    attribute("badge-colour", Kind::Text(badge_colour), Shown::Always),
    attribute("reviewer?", Kind::Flag(|t, u| t.custom_fields(u).reviewer), Shown::Always),
    attribute("site", Kind::One(Type::Department, |t, u| t.custom_fields(u).site), Shown::Always),
];

#[rustfmt::skip] // one attribute a line
static WAREHOUSE: [Attribute; 2] = [
    attribute("id", Kind::Id(|_, w| w + 1), Shown::Always),
    attribute("name", Kind::Text(|_, w| text(format!("Warehouse {w}"))), Shown::Always),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn names_convert() {
        assert_eq!(camel("risk-assess-user"), "riskAssessUser");
        assert_eq!(camel("postal_code"), "postalCode");
        assert!(same_name("user-groups", "user_groups") && !same_name("user-groups", "users"));
        assert_eq!(
            Type::User
                .graphql_attribute("coupaNaviAiAgentUser")
                .map(|a| a.name),
            None
        );
        assert_eq!(
            Type::User.graphql_attribute("qualityUser").map(|a| a.name),
            Some("quality-user")
        );
        assert!(Type::User.graphql_attribute("customFields").is_none());
    }

    #[test]
    fn every_attribute_of_every_object_can_be_read() {
        let tenant = Tenant::grow(&crate::sandbox::SandboxConfig {
            users: 120,
            ..Default::default()
        });
        let counts = [
            (Type::User, tenant.users.len()),
            (Type::Group, tenant.groups.len()),
            (Type::Role, tenant.roles.len()),
            (Type::Membership, tenant.memberships.len()),
        ];
        let mut read = 0;
        for (ty, count) in counts {
            for handle in 0..count as u64 {
                read += walk(&tenant, ty, handle, 3);
            }
        }
        assert!(read > 10_000);
    }

    fn walk(tenant: &Tenant, ty: Type, handle: Handle, depth: u32) -> usize {
        let mut read = 0;
        for attribute in ty.attributes() {
            read += 1;
            match attribute.kind {
                _ if depth == 0 => {}
                Kind::One(target, get) => {
                    read += get(tenant, handle).map_or(0, |h| walk(tenant, target, h, depth - 1));
                }
                Kind::Many(Type::User, get) => read += get(tenant, handle).len(),
                Kind::Many(target, get) => {
                    read += get(tenant, handle)
                        .iter()
                        .map(|&h| walk(tenant, target, h, depth - 1))
                        .sum::<usize>();
                }
                _ => assert!(attribute.leaf(tenant, handle).is_some()),
            }
        }
        read
    }
}
