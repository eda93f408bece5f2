//! A tenant held in memory behind the model's ports, with moods. It knows its own truth, by arithmetic and not by asking
//! the connector.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use baton_coupa::model::access::{Access, License, LicenseCatalog, LicenseSet, LicenseWrite};
use baton_coupa::model::baseline::{Baseline, Baselines};
use baton_coupa::model::fault::{Fault, FaultKind};
use baton_coupa::model::id::{GroupId, RoleId, UserId};
use baton_coupa::model::tenant::{
    ClassMarks, Group, GroupKind, ReadTenant, Role, Survey, Tenant, Usage, User, UserCursor, UserFilter,
    UserOrder, UserPage, UserQuery,
};
use jiff::{SignedDuration, Timestamp};
use tonic::async_trait;

/// What state the tenant is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upstream {
    Healthy,
    /// Every field as long as Coupa allows, everybody holds everything.
    Bulky,
    /// No role exists.
    NoRoles,
    /// The client is not accepted.
    BadCredentials,
    /// The client lacks a scope.
    Forbidden,
    /// The host does not answer.
    Unreachable,
    /// Every call answers 429.
    RateLimited,
    /// Every call answers 500.
    Broken,
    /// The list of users answers 404.
    MissingCollection,
    /// Asking for the state of the tenant panics.
    Panics,
}

impl Upstream {
    /// What a call that reaches the tenant in this state ends in.
    fn fault(self) -> Result<(), Fault> {
        Err(match self {
            Self::Healthy | Self::Bulky | Self::NoRoles | Self::MissingCollection | Self::Panics => {
                return Ok(());
            }
            Self::BadCredentials => Fault::new(FaultKind::Unauthenticated, "Coupa refuses the client"),
            Self::Forbidden => {
                let scope = "core.user.read".into();
                Fault::new(FaultKind::MissingScope { scope }, "the client lacks a scope")
            }
            Self::Unreachable => Fault::unavailable("Coupa cannot be reached"),
            Self::Broken => Fault::unavailable("Coupa answers 500"),
            Self::RateLimited => {
                let until = Timestamp::now()
                    .saturating_add(SignedDuration::from_secs(2))
                    .unwrap();
                Fault::new(FaultKind::RateLimited { until }, "Coupa asks to wait")
            }
        })
    }
}

/// Rows that Coupa gives per call.
const PAGE: usize = 50;
const LICENSES: [&str; 3] = ["analytics-user", "risk-assess-user", "sourcing-user"];
/// The one license that cannot be changed.
const READ_ONLY: &str = "sourcing-user";

/// The tenant.
pub(crate) struct Memory {
    upstream: Upstream,
    /// Whether the latecomer has arrived.
    grown: Arc<AtomicBool>,
}

impl Memory {
    pub(crate) fn new(upstream: Upstream) -> Self {
        Self {
            upstream,
            grown: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Adds one more user.
    pub(crate) fn grow(&self) {
        self.grown.store(true, Ordering::SeqCst);
    }

    /// What a complete sync must hold.
    pub(crate) fn truth(&self) -> Truth {
        let reader = self.reader();
        let mut truth = Truth::default();
        for user in reader.everybody().iter().filter(|user| synced(user)) {
            truth.resources.insert(("user".to_owned(), user.id.to_string()));
            let mut grant = |entitlement: String| {
                truth.grants.insert(format!("{entitlement}:user:{}", user.id));
            };
            user.access
                .groups()
                .iter()
                .for_each(|id| grant(format!("group:{id}:member")));
            user.access
                .roles()
                .iter()
                .for_each(|id| grant(format!("role:{id}:member")));
            user.access
                .licenses
                .positions()
                .for_each(|position| grant(format!("license:{}:assigned", LICENSES[position])));
        }
        for group in Reader::group_list() {
            truth.item("group", &group.id.to_string(), "member");
        }
        for role in reader.role_list() {
            truth.item("role", &role.id.to_string(), "member");
        }
        for license in LICENSES {
            truth.item("license", license, "assigned");
        }
        truth
    }

    fn reader(&self) -> Reader {
        let licenses = LICENSES.map(|name| License {
            name: name.parse().unwrap(),
            label: None,
            write: if name == READ_ONLY {
                LicenseWrite::ReadOnly
            } else {
                LicenseWrite::Writable
            },
        });
        Reader {
            upstream: self.upstream,
            grown: Arc::clone(&self.grown),
            survey: Survey {
                order: UserOrder::ById,
                highest_user: UserId::new(user_number(USERS - 1)),
                licenses: LicenseCatalog::new(licenses.to_vec()).unwrap(),
                surface: "memory",
                findings: Vec::new(),
            },
        }
    }
}

/// Ids of everything that a complete sync must hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) resources: BTreeSet<(String, String)>,
    pub(crate) entitlements: BTreeSet<String>,
    pub(crate) grants: BTreeSet<String>,
}

impl Truth {
    pub(crate) fn item(&mut self, kind: &str, id: &str, slug: &str) {
        self.resources.insert((kind.to_owned(), id.to_owned()));
        self.entitlements.insert(format!("{kind}:{id}:{slug}"));
    }
}

/// The default classes: internal and api.
fn synced(user: &User) -> bool {
    !user.marks.supplier_user && !user.marks.support_user && !user.marks.msp_user
}

struct Reader {
    upstream: Upstream,
    grown: Arc<AtomicBool>,
    survey: Survey,
}

const USERS: u64 = 173;

/// Ids with gaps, the last ones above 2^31.
fn user_number(n: u64) -> u64 {
    if n < USERS - 9 { 3 + n * 7 } else { (1 << 31) + n }
}

fn role_id(number: u64) -> RoleId {
    RoleId::new(number).unwrap()
}

fn group_id(number: u64) -> GroupId {
    GroupId::new(number).unwrap()
}

impl Reader {
    fn everybody(&self) -> Vec<User> {
        let latecomer = u64::from(self.grown.load(Ordering::SeqCst));
        let users = if self.upstream == Upstream::Bulky {
            3 * USERS
        } else {
            USERS
        };
        (0..users + latecomer).map(|n| self.person(n)).collect()
    }

    fn person(&self, n: u64) -> User {
        let bulky = self.upstream == Upstream::Bulky;
        let text = |plain: String| if bulky { "\u{10348}".repeat(255) } else { plain };
        let some = |plain: String| Some(text(plain).into_boxed_str());
        let roles = self.role_list().into_iter().map(|role| role.id);
        let groups = Self::group_list().into_iter().map(|group| group.id);
        let mut licenses = LicenseSet::EMPTY;
        (0..3)
            .filter(|position| bulky || n.is_multiple_of(position + 2))
            .for_each(|position| licenses.insert(usize::try_from(position).unwrap()));
        User {
            id: UserId::new(user_number(n)).unwrap(),
            login: text(format!("login{n}")).into(),
            email: (n % 10 != 4).then(|| text(format!("user{n}@example.com")).into()),
            first_name: some(format!("Zoë{n}")),
            last_name: some(format!("Ångström{n}")),
            full_name: some(format!("Zoë{n} Ångström{n}")),
            active: n % 6 != 1,
            marks: ClassMarks {
                api_user: n % 20 == 7,
                supplier_user: n % 11 == 5,
                ..ClassMarks::default()
            },
            employee_number: some(format!("E{n}")),
            manager: UserId::new(user_number(n / 2)),
            department: some("Finance".to_owned()),
            sso_identifier: some(format!("sso{n}")),
            authentication_method: Some("saml".into()),
            created_at: Some(Timestamp::UNIX_EPOCH),
            access: Access::new(
                // Role 1 is everybody's.
                roles.filter(|id| bulky || n.is_multiple_of(id.get())).collect(),
                // Group 60 is nobody's.
                groups.filter(|id| bulky || n % id.get() == 1).collect(),
                licenses,
            ),
        }
    }

    fn role_list(&self) -> Vec<Role> {
        let numbers: &[u64] = match self.upstream {
            Upstream::NoRoles => &[],
            _ => &[1, 2, 5, 4_000_000_000],
        };
        numbers
            .iter()
            .map(|&number| Role {
                id: role_id(number),
                name: format!("Role {number}").into(),
                description: Some("What it is for".into()),
                omnipotent: number == 2,
                system: number == 1,
            })
            .collect()
    }

    fn group_list() -> Vec<Group> {
        [2, 3, 60, 9_999]
            .map(|number| Group {
                id: group_id(number),
                name: format!("Group {number}").into(),
                description: None,
                active: number != 3,
                kind: if number == 9_999 {
                    GroupKind::Project
                } else {
                    GroupKind::Group
                },
                can_approve: true,
                open: false,
            })
            .to_vec()
    }
}

#[async_trait]
impl Tenant for Memory {
    async fn check(&self) -> Result<(), Fault> {
        assert!(self.upstream != Upstream::Panics, "a bug, planted by the test");
        self.upstream.fault()
    }

    async fn survey(&self) -> Result<Arc<dyn ReadTenant>, Fault> {
        self.upstream.fault()?;
        Ok(Arc::new(self.reader()))
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }
}

#[async_trait]
impl ReadTenant for Reader {
    fn survey(&self) -> &Survey {
        &self.survey
    }

    async fn users(&self, query: &UserQuery) -> Result<UserPage, Fault> {
        self.upstream.fault()?;
        if self.upstream == Upstream::MissingCollection {
            // The port's contract: a listing never says that an object is missing.
            return Err(Fault::corrupt("Coupa answers 404 to the list of users"));
        }
        let UserCursor::After(after) = query.from else {
            return Err(Fault::internal("this tenant lists by id"));
        };
        let users: Vec<User> = self
            .everybody()
            .into_iter()
            .filter(|user| user.id.get() > after)
            .filter(|user| match &query.filter {
                UserFilter::All => true,
                UserFilter::Holding(item) => user.access.holds(item, &self.survey.licenses),
            })
            .take(PAGE)
            .collect();
        let next = users.last().map(|user| UserCursor::After(user.id.get()));
        Ok(UserPage { users, next })
    }

    async fn access_another_way(&self, ids: &[UserId]) -> Result<Vec<(UserId, Access)>, Fault> {
        self.upstream.fault()?;
        let wanted = |user: &User| ids.contains(&user.id);
        Ok(self
            .everybody()
            .into_iter()
            .filter(wanted)
            .map(|user| (user.id, user.access))
            .collect())
    }

    async fn roles(&self) -> Result<Vec<Role>, Fault> {
        self.upstream.fault()?;
        Ok(self.role_list())
    }

    async fn groups(&self) -> Result<Vec<Group>, Fault> {
        self.upstream.fault()?;
        Ok(Self::group_list())
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, Fault> {
        self.upstream.fault()?;
        Ok(self.everybody().into_iter().find(|user| user.id == id))
    }

    async fn role(&self, id: RoleId) -> Result<Option<Role>, Fault> {
        self.upstream.fault()?;
        Ok(self.role_list().into_iter().find(|role| role.id == id))
    }

    async fn group(&self, id: GroupId) -> Result<Option<Group>, Fault> {
        self.upstream.fault()?;
        Ok(Self::group_list().into_iter().find(|group| group.id == id))
    }
}

/// Remembers no pass: the truncation guard has nothing to compare with.
pub(crate) struct Forgetful;

impl Baselines for Forgetful {
    fn last(&self) -> Result<Option<Baseline>, Fault> {
        Ok(None)
    }

    fn record(&self, _: &Baseline) -> Result<(), Fault> {
        Ok(())
    }
}
