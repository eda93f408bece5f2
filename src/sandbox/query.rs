//! Coupa's filter language: `id[gt]=7&roles[name][starts_with]=CSP&order_by=id`, parsed against the attribute tables.
//!
//! Pure: text in, [`Query`] out, and the test of one row. Conditions combine by AND only.

use super::readings::{Readings, Surface};
use super::schema::{Attribute, Handle, Kind, Leaf, Type, same_name};
use super::tenant::Tenant;

/// Direction of an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Direction {
    #[default]
    Ascending,
    Descending,
}

/// A parsed query string.
#[derive(Debug, Clone, Default)]
pub(super) struct Query {
    /// Bounds on the id of the rows themselves.
    pub(super) bounds: Bounds,
    /// Everything else a row must satisfy.
    pub(super) tests: Vec<Test>,
    pub(super) order_by: Option<&'static Attribute>,
    pub(super) direction: Direction,
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
    /// The raw `fields` parameter.
    pub(super) fields: Option<String>,
}

/// Inclusive id bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            from: 0,
            to: u64::MAX,
        }
    }
}

/// One condition: the attributes that lead to a value, and what it must be.
#[derive(Debug, Clone)]
pub(super) struct Test {
    pub(super) path: Vec<&'static Attribute>,
    pub(super) condition: Condition,
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    Equals(Leaf),
    Differs(Leaf),
    In(Vec<Leaf>),
    NotIn(Vec<Leaf>),
    Above(Leaf),
    Below(Leaf),
    AtLeast(Leaf),
    AtMost(Leaf),
    Contains(String),
    StartsWith(String),
    EndsWith(String),
    Blank(bool),
}

/// Why a query string cannot be used; names the parameter, never its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum QueryError {
    UnknownAttribute(String),
    BadValue(String),
    BadOperator(String),
}

impl std::fmt::Display for QueryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownAttribute(key) => write!(f, "Unknown attribute or association: {key}"),
            Self::BadValue(key) => write!(f, "Invalid value for {key}"),
            Self::BadOperator(key) => write!(f, "Operator not allowed: {key}"),
        }
    }
}

impl Query {
    /// Parses a percent-encoded query string about rows of type `ty`. Empty parts (a leading `&`) are skipped.
    pub(super) fn parse(ty: Type, text: &str) -> Result<Self, QueryError> {
        let mut query = Self::default();
        for (key, value) in url::form_urlencoded::parse(text.as_bytes()) {
            query.take(ty, &key, &value)?;
        }
        Ok(query)
    }

    fn take(&mut self, ty: Type, key: &str, value: &str) -> Result<(), QueryError> {
        match key {
            "fields" => self.fields = Some(value.to_owned()),
            // Shorter forms are for answers to writes; reads stay complete.
            "return_object" => {}
            "limit" => self.limit = value.parse().ok().filter(|&n| n > 0),
            "offset" => self.offset = value.parse().unwrap_or(0),
            "dir" if value.eq_ignore_ascii_case("desc") => self.direction = Direction::Descending,
            "dir" => self.direction = Direction::Ascending,
            "order_by" => {
                let attribute = ty.attribute(value).filter(|a| a.target().is_none());
                self.order_by = Some(attribute.ok_or_else(|| QueryError::UnknownAttribute(key.to_owned()))?);
            }
            _ => {
                let test = parse_test(ty, key, value)?;
                if !self.bounds.absorb(&test) {
                    self.tests.push(test);
                }
            }
        }
        Ok(())
    }

    /// Passes over, or refuses, conditions on elements where this tenant does so.
    pub(super) fn heed(mut self, readings: &Readings, surface: Surface) -> Result<Self, QueryError> {
        let among = |names: &[String], test: &Test| {
            let name = test.path.first().map(|attribute| attribute.name);
            name.filter(|name| names.iter().any(|known| same_name(known, name)))
        };
        let refused = readings.refused_filters.on(surface);
        if let Some(name) = self.tests.iter().find_map(|test| among(refused, test)) {
            return Err(QueryError::UnknownAttribute(name.to_owned()));
        }
        let ignored = readings.ignored_filters.on(surface);
        self.tests.retain(|test| among(ignored, test).is_none());
        Ok(self)
    }

    /// Whether the row satisfies every condition but the id bounds.
    pub(super) fn admits(&self, tenant: &Tenant, row: Handle) -> bool {
        self.tests.iter().all(|test| test.holds(tenant, row))
    }
}

impl Bounds {
    /// Takes a bound on the row's own id into itself; `false` if the test is something else.
    fn absorb(&mut self, test: &Test) -> bool {
        if test.path.len() != 1 || test.path[0].name != "id" {
            return false;
        }
        match test.condition {
            Condition::Above(Leaf::Integer(n)) => self.from = self.from.max(n.saturating_add(1)),
            Condition::AtLeast(Leaf::Integer(n)) => self.from = self.from.max(n),
            Condition::Below(Leaf::Integer(0)) => *self = Self { from: 1, to: 0 },
            Condition::Below(Leaf::Integer(n)) => self.to = self.to.min(n - 1),
            Condition::AtMost(Leaf::Integer(n)) => self.to = self.to.min(n),
            _ => return false,
        }
        true
    }
}

fn parse_test(ty: Type, key: &str, value: &str) -> Result<Test, QueryError> {
    let unknown = || QueryError::UnknownAttribute(key.to_owned());
    let mut segments = split_key(key).ok_or_else(unknown)?;
    let operator = match segments.as_slice() {
        [_, .., last] if is_operator(last) => segments.pop().unwrap_or_default(),
        _ => "",
    };
    let mut path = Vec::with_capacity(segments.len());
    let mut at = Some(ty);
    for segment in segments {
        let attribute = at.and_then(|ty| ty.attribute(segment)).ok_or_else(unknown)?;
        at = attribute.target();
        path.push(attribute);
    }
    let last = *path.last().ok_or_else(unknown)?;
    let condition = parse_condition(last, operator, value, key)?;
    Ok(Test { path, condition })
}

/// `a[b][c]` -> `a`, `b`, `c`.
fn split_key(key: &str) -> Option<Vec<&str>> {
    let Some((head, rest)) = key.split_once('[') else {
        return Some(vec![key]);
    };
    let inner = rest.strip_suffix(']')?;
    Some(std::iter::once(head).chain(inner.split("][")).collect())
}

fn is_operator(word: &str) -> bool {
    const OPERATORS: [&str; 11] = [
        "contains",
        "starts_with",
        "ends_with",
        "gt",
        "lt",
        "gt_or_eq",
        "lt_or_eq",
        "not_eq",
        "in",
        "not_in",
        "blank",
    ];
    OPERATORS.contains(&word)
}

fn parse_condition(
    attribute: &Attribute,
    operator: &str,
    value: &str,
    key: &str,
) -> Result<Condition, QueryError> {
    let refused = || QueryError::BadOperator(key.to_owned());
    let bad = || QueryError::BadValue(key.to_owned());
    let time = matches!(attribute.kind, Kind::Time(_));
    if operator == "blank" {
        let wanted = parse_flag(value).ok_or_else(bad)?;
        return if time {
            Err(refused())
        } else {
            Ok(Condition::Blank(wanted))
        };
    }
    if attribute.target().is_some() {
        return Err(QueryError::UnknownAttribute(key.to_owned()));
    }
    let operand = |text: &str| parse_leaf(attribute, text).ok_or_else(bad);
    let operands = || {
        value
            .split(',')
            .map(|part| operand(part.trim()))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(match operator {
        "" => Condition::Equals(operand(value)?),
        "not_eq" => Condition::Differs(operand(value)?),
        "in" => Condition::In(operands()?),
        "not_in" => Condition::NotIn(operands()?),
        "gt" => Condition::Above(operand(value)?),
        "lt" => Condition::Below(operand(value)?),
        "gt_or_eq" => Condition::AtLeast(operand(value)?),
        "lt_or_eq" => Condition::AtMost(operand(value)?),
        _ if time => return Err(refused()),
        "contains" => Condition::Contains(value.to_owned()),
        "starts_with" => Condition::StartsWith(value.to_owned()),
        "ends_with" => Condition::EndsWith(value.to_owned()),
        _ => return Err(refused()),
    })
}

fn parse_flag(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn parse_leaf(attribute: &Attribute, text: &str) -> Option<Leaf> {
    match attribute.kind {
        Kind::Id(_) | Kind::Integer(_) => text.parse().ok().map(Leaf::Integer),
        Kind::Text(_) => Some(Leaf::Text(text.to_owned().into())),
        Kind::Flag(_) | Kind::License(_) => parse_flag(text).map(Leaf::Flag),
        Kind::Time(_) => parse_time(text).map(Leaf::Time),
        Kind::One(..) | Kind::Many(..) => None,
    }
}

/// ISO 8601; without a zone UTC, without a time midnight.
fn parse_time(text: &str) -> Option<i64> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(instant.as_second());
    }
    let local: jiff::civil::DateTime = text.parse().ok()?;
    local
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp().as_second())
}

impl Test {
    fn holds(&self, tenant: &Tenant, row: Handle) -> bool {
        holds(tenant, row, &self.path, &self.condition)
    }
}

/// Follows the path; a list satisfies a condition when one of its entries does.
fn holds(tenant: &Tenant, row: Handle, path: &[&'static Attribute], condition: &Condition) -> bool {
    let Some((attribute, rest)) = path.split_first() else {
        return false;
    };
    match (&attribute.kind, condition) {
        (Kind::One(_, read), Condition::Blank(wanted)) if rest.is_empty() => {
            read(tenant, row).is_none() == *wanted
        }
        (Kind::Many(_, read), Condition::Blank(wanted)) if rest.is_empty() => {
            read(tenant, row).is_empty() == *wanted
        }
        (Kind::One(_, read), _) => read(tenant, row).is_some_and(|next| holds(tenant, next, rest, condition)),
        (Kind::Many(_, read), _) => read(tenant, row)
            .into_iter()
            .any(|next| holds(tenant, next, rest, condition)),
        _ => attribute
            .leaf(tenant, row)
            .is_some_and(|leaf| condition.admits(&leaf)),
    }
}

impl Condition {
    /// As in SQL, `null` satisfies nothing but `blank` (and `not_in`, `not_eq`, which users expect to include it).
    fn admits(&self, leaf: &Leaf) -> bool {
        let compares = |to: &Leaf| compare(leaf, to);
        match self {
            Self::Equals(to) => leaf == to,
            Self::Differs(to) => leaf != to,
            Self::In(list) => list.contains(leaf),
            Self::NotIn(list) => !list.contains(leaf),
            Self::Above(to) => compares(to).is_some_and(std::cmp::Ordering::is_gt),
            Self::Below(to) => compares(to).is_some_and(std::cmp::Ordering::is_lt),
            Self::AtLeast(to) => compares(to).is_some_and(std::cmp::Ordering::is_ge),
            Self::AtMost(to) => compares(to).is_some_and(std::cmp::Ordering::is_le),
            Self::Contains(part) => as_text(leaf).is_some_and(|text| text.contains(part.as_str())),
            Self::StartsWith(part) => as_text(leaf).is_some_and(|text| text.starts_with(part.as_str())),
            Self::EndsWith(part) => as_text(leaf).is_some_and(|text| text.ends_with(part.as_str())),
            Self::Blank(wanted) => is_blank(leaf) == *wanted,
        }
    }
}

fn as_text(leaf: &Leaf) -> Option<std::borrow::Cow<'_, str>> {
    match leaf {
        Leaf::Text(text) => Some(text.as_ref().into()),
        Leaf::Integer(n) => Some(n.to_string().into()),
        Leaf::Null | Leaf::Flag(_) | Leaf::Time(_) => None,
    }
}

fn is_blank(leaf: &Leaf) -> bool {
    match leaf {
        Leaf::Null | Leaf::Flag(false) => true,
        Leaf::Text(text) => text.trim().is_empty(),
        Leaf::Flag(true) | Leaf::Integer(_) | Leaf::Time(_) => false,
    }
}

/// Order of two values of one kind; nothing compares with `null`.
pub(super) fn compare(a: &Leaf, b: &Leaf) -> Option<std::cmp::Ordering> {
    match (a, b) {
        (Leaf::Integer(a), Leaf::Integer(b)) => Some(a.cmp(b)),
        (Leaf::Text(a), Leaf::Text(b)) => Some(a.cmp(b)),
        (Leaf::Time(a), Leaf::Time(b)) => Some(a.cmp(b)),
        (Leaf::Flag(a), Leaf::Flag(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::sandbox::SandboxConfig;

    fn ids(text: &str) -> Vec<u64> {
        let tenant = Tenant::grow(&SandboxConfig {
            users: 300,
            ..SandboxConfig::default()
        });
        let query = Query::parse(Type::User, text).unwrap_or_else(|e| panic!("{text}: {e}"));
        (0..300)
            .filter(|&u| query.admits(&tenant, u))
            .map(|u| tenant.user(u).id)
            .filter(|id| (query.bounds.from..=query.bounds.to).contains(id))
            .collect()
    }

    fn expected(keep: impl Fn(&Tenant, u64) -> bool) -> Vec<u64> {
        let tenant = Tenant::grow(&SandboxConfig {
            users: 300,
            ..SandboxConfig::default()
        });
        (0..300)
            .filter(|&u| keep(&tenant, u))
            .map(|u| tenant.user(u).id)
            .collect()
    }

    #[test]
    fn every_operator_means_what_it_says() {
        type Keep = fn(&Tenant, u64) -> bool;
        let cases: &[(&str, Keep)] = &[
            ("id=1", |t, u| t.user(u).id == 1),
            ("id[gt]=40", |t, u| t.user(u).id > 40),
            ("id[gt_or_eq]=40", |t, u| t.user(u).id >= 40),
            ("id[lt]=40", |t, u| t.user(u).id < 40),
            ("id[lt_or_eq]=40", |t, u| t.user(u).id <= 40),
            ("id[lt]=0", |_, _| false),
            ("id[gt]=10&id[lt]=20&id[gt]=5", |t, u| {
                (11..20).contains(&t.user(u).id)
            }),
            ("id[in]=1,2, 3", |t, u| (1..=3).contains(&t.user(u).id)),
            ("id[not_in]=1,2", |t, u| t.user(u).id > 2),
            ("id[not_eq]=1", |t, u| t.user(u).id != 1),
            ("login[contains]=svc-", |t, u| t.login(u).contains("svc-")),
            ("login[starts_with]=svc-", |t, u| t.login(u).starts_with("svc-")),
            ("email[ends_with]=%40corp.example", |t, u| {
                t.email(u).is_some_and(|e| e.ends_with("@corp.example"))
            }),
            ("email[blank]=true", |t, u| t.email(u).is_none()),
            ("email[blank]=false", |t, u| t.email(u).is_some()),
            ("&type[blank]=true", |t, u| t.user(u).class != Class::Supplier),
            ("risk-assess-user=true", |t, u| t.user(u).licenses >> 10 & 1 == 1),
            ("risk_assess_user=true", |t, u| t.user(u).licenses >> 10 & 1 == 1),
            ("active=false", |t, u| !t.user(u).active),
            ("roles[id]=4", |t, u| {
                t.user(u).roles.iter().any(|&r| t.roles[r as usize].id == 4)
            }),
            ("roles[name][starts_with]=CSP", |t, u| {
                t.user(u)
                    .roles
                    .iter()
                    .any(|&r| t.roles[r as usize].name.starts_with("CSP"))
            }),
            ("roles[blank]=true", |t, u| t.user(u).roles.is_empty()),
            ("user-groups[id]=1", |t, u| {
                t.groups_of(u).any(|g| t.group(g).id == 1)
            }),
            ("user_groups[id][in]=1,4", |t, u| {
                t.groups_of(u).any(|g| [1, 4].contains(&t.group(g).id))
            }),
            ("manager[blank]=true", |t, u| t.manager(u).is_none()),
            ("manager[manager][id][gt]=1", |t, u| {
                t.manager(u)
                    .and_then(|m| t.manager(m))
                    .is_some_and(|m| t.user(m).id > 1)
            }),
            ("updated_at[gt_or_eq]=2019-06-01T00%3A00%3A00-07%3A00", |t, u| {
                t.updated(u) >= 1_559_372_400
            }),
            ("updated-at[lt]=2019-06-01", |t, u| t.updated(u) < 1_559_347_200),
            ("supplier-user=true&active=true", |t, u| {
                t.user(u).class == Class::Supplier && t.user(u).active
            }),
        ];
        for (text, keep) in cases {
            let want = expected(keep);
            assert_eq!(ids(text), want, "{text}");
            let trivial = *text == "id[lt]=0";
            assert_eq!(want.is_empty(), trivial, "{text} must tell something apart");
        }
    }

    use crate::sandbox::tenant::Class;

    #[test]
    fn wrong_queries_are_refused_by_name() {
        let parse = |text| Query::parse(Type::User, text).map(|_| ());
        assert_eq!(
            parse("shoe-size=4"),
            Err(QueryError::UnknownAttribute("shoe-size".into()))
        );
        assert_eq!(
            parse("roles[shoe]=4"),
            Err(QueryError::UnknownAttribute("roles[shoe]".into()))
        );
        assert_eq!(
            parse("roles=4"),
            Err(QueryError::UnknownAttribute("roles".into()))
        );
        assert_eq!(parse("id[gt]=x"), Err(QueryError::BadValue("id[gt]".into())));
        assert_eq!(
            parse("id[gt=4"),
            Err(QueryError::UnknownAttribute("id[gt".into()))
        );
        assert_eq!(
            parse("active=perhaps"),
            Err(QueryError::BadValue("active".into()))
        );
        assert_eq!(
            parse("created-at[blank]=true"),
            Err(QueryError::BadOperator("created-at[blank]".into()))
        );
        assert_eq!(
            parse("created-at[contains]=2"),
            Err(QueryError::BadOperator("created-at[contains]".into()))
        );
        assert_eq!(
            parse("order_by=roles"),
            Err(QueryError::UnknownAttribute("order_by".into()))
        );
        assert_eq!(
            parse("login[like]=x"),
            Err(QueryError::UnknownAttribute("login[like]".into()))
        );
    }

    #[test]
    fn paging_parameters() {
        let query = Query::parse(Type::Role, "limit=7&offset=3&order_by=created_at&dir=DESC").unwrap();
        assert_eq!(
            (query.limit, query.offset, query.direction),
            (Some(7), 3, Direction::Descending)
        );
        assert_eq!(query.order_by.map(|a| a.name), Some("created-at"));
        assert_eq!(Query::parse(Type::Role, "limit=zero").unwrap().limit, None);
    }
}
