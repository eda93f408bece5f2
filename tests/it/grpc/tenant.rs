//! A tenant held in memory behind the model's ports, for what the sandbox cannot be: rows of the greatest size, users who
//! appear, and a bug.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use baton_coupa::model::access::{Access, License, LicenseCatalog, LicenseSet, LicenseWrite};
use baton_coupa::model::baseline::{Baseline, Baselines};
use baton_coupa::model::fault::Fault;
use baton_coupa::model::id::{GroupId, RoleId, UserId};
use baton_coupa::model::tenant::{
    ClassMarks, Group, GroupKind, ReadTenant, Role, Survey, Tenant, Usage, User, UserCursor, UserFilter,
    UserOrder, UserPage, UserQuery,
};
use jiff::Timestamp;
use tonic::async_trait;

/// Rows that Coupa gives per call.
const PAGE: usize = 50;
/// Characters of a text in Coupa, at most.
const LONGEST: usize = 255;

/// What a tenant in memory is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// A few short rows.
    Plain,
    /// Many rows, each as large as Coupa allows.
    Bulky,
    /// Plain, but asking for its state panics.
    Buggy,
}

/// The tenant. Everybody holds everything.
pub(crate) struct Memory {
    nature: Nature,
    users: Arc<AtomicU64>,
}

impl Memory {
    pub(crate) fn new(nature: Nature) -> Self {
        let users = match nature {
            Nature::Plain | Nature::Buggy => 60,
            Nature::Bulky => 520,
        };
        Self {
            nature,
            users: Arc::new(AtomicU64::new(users)),
        }
    }

    /// Adds one more user.
    pub(crate) fn grow(&self) {
        self.users.fetch_add(1, Ordering::SeqCst);
    }

    fn text(&self, plain: &str) -> Box<str> {
        match self.nature {
            Nature::Plain | Nature::Buggy => plain.into(),
            // Four bytes each.
            Nature::Bulky => "\u{10348}".repeat(LONGEST).into(),
        }
    }

    fn everybody(&self) -> Vec<User> {
        let users = self.users.load(Ordering::SeqCst);
        (1..=users)
            .filter_map(UserId::new)
            .map(|id| self.person(id))
            .collect()
    }

    fn person(&self, id: UserId) -> User {
        let roles = self.role_list().into_iter().map(|role| role.id).collect();
        let groups = self.group_list().into_iter().map(|group| group.id).collect();
        let mut licenses = LicenseSet::EMPTY;
        licenses.insert(0);
        User {
            id,
            login: self.text(&format!("login{id}")),
            email: Some(self.text(&format!("user{id}@example.com"))),
            first_name: Some(self.text("Zoë")),
            last_name: Some(self.text("Ångström")),
            full_name: Some(self.text("Zoë Ångström")),
            active: true,
            marks: ClassMarks::default(),
            employee_number: Some(self.text("E1")),
            manager: Some(id),
            department: Some(self.text("Finance")),
            sso_identifier: Some(self.text("sso")),
            authentication_method: Some("saml".into()),
            created_at: Some(Timestamp::UNIX_EPOCH),
            updated_at: None,
            access: Access::new(roles, groups, licenses),
        }
    }

    fn role_list(&self) -> Vec<Role> {
        let ids = [1, 4_000_000_000].into_iter().filter_map(RoleId::new);
        ids.map(|id| Role {
            id,
            name: self.text(&format!("Role {id}")),
            description: Some(self.text("What it is for")),
            omnipotent: false,
            system: false,
        })
        .collect()
    }

    fn group_list(&self) -> Vec<Group> {
        let ids = [2, 9_999].into_iter().filter_map(GroupId::new);
        ids.map(|id| Group {
            id,
            name: self.text(&format!("Group {id}")),
            description: None,
            active: true,
            kind: GroupKind::Group,
            can_approve: true,
            open: false,
        })
        .collect()
    }
}

#[async_trait]
impl Tenant for Memory {
    async fn check(&self) -> Result<(), Fault> {
        assert!(self.nature != Nature::Buggy, "a bug, planted by the test");
        Ok(())
    }

    async fn survey(&self) -> Result<Arc<dyn ReadTenant>, Fault> {
        let license = License {
            name: "risk-assess-user".parse().unwrap(),
            label: None,
            write: LicenseWrite::Writable,
        };
        Ok(Arc::new(Reader {
            tenant: Self {
                nature: self.nature,
                users: Arc::clone(&self.users),
            },
            survey: Survey {
                order: UserOrder::ById,
                highest_user: UserId::new(self.users.load(Ordering::SeqCst)),
                licenses: LicenseCatalog::new(vec![license]).unwrap(),
                surface: "memory",
                findings: Vec::new(),
                seen: Vec::new(),
            },
        }))
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }
}

struct Reader {
    tenant: Memory,
    survey: Survey,
}

#[async_trait]
impl ReadTenant for Reader {
    fn survey(&self) -> &Survey {
        &self.survey
    }

    async fn users(&self, query: &UserQuery) -> Result<UserPage, Fault> {
        let UserCursor::After(after) = query.from else {
            return Err(Fault::internal("this tenant lists by id"));
        };
        let wanted = |user: &User| match &query.filter {
            UserFilter::All => true,
            UserFilter::Holding(item) => user.access.holds(item, &self.survey.licenses),
        };
        let rest = self
            .tenant
            .everybody()
            .into_iter()
            .filter(|user| user.id.get() > after);
        let users: Vec<User> = rest.filter(wanted).take(PAGE).collect();
        let next = users.last().map(|user| UserCursor::After(user.id.get()));
        Ok(UserPage { users, next })
    }

    async fn access_another_way(&self, ids: &[UserId]) -> Result<Vec<(UserId, Access)>, Fault> {
        let everybody = self.tenant.everybody().into_iter();
        let wanted = everybody.filter(|user| ids.contains(&user.id));
        Ok(wanted.map(|user| (user.id, user.access)).collect())
    }

    async fn roles(&self) -> Result<Vec<Role>, Fault> {
        Ok(self.tenant.role_list())
    }

    async fn groups(&self) -> Result<Vec<Group>, Fault> {
        Ok(self.tenant.group_list())
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, Fault> {
        Ok(self.tenant.everybody().into_iter().find(|user| user.id == id))
    }

    async fn role(&self, id: RoleId) -> Result<Option<Role>, Fault> {
        Ok(self.tenant.role_list().into_iter().find(|role| role.id == id))
    }

    async fn group(&self, id: GroupId) -> Result<Option<Group>, Fault> {
        Ok(self.tenant.group_list().into_iter().find(|group| group.id == id))
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
