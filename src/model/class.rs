//! Which class an account belongs to, judged from what every row says.
//!
//! Invariant: pure; every account has exactly one class, and the same account always gets the same one.

use std::collections::HashSet;

use super::id::RoleId;
use super::tenant::{AccountClass, ClassMarks, Role};

/// The roles whose sole holders are portal accounts.
#[derive(Debug, Clone, Default)]
pub struct SupplierRoles(HashSet<RoleId>);

impl SupplierRoles {
    /// Those among the tenant's roles.
    pub fn among(roles: &[Role]) -> Self {
        let marking = roles.iter().filter(|role| role.marks_supplier());
        Self(marking.map(|role| role.id).collect())
    }

    /// Whether the role is one of them.
    pub fn contains(&self, role: RoleId) -> bool {
        self.0.contains(&role)
    }
}

/// The class of an account: Coupa's own marks first, strongest first; then an account that holds nothing but
/// supplier roles is a supplier's.
pub fn classify(marks: ClassMarks, roles: &[RoleId], suppliers: &SupplierRoles) -> AccountClass {
    let only_supplier_roles = || !roles.is_empty() && roles.iter().all(|role| suppliers.contains(*role));
    if marks.support_user {
        AccountClass::Support
    } else if marks.msp_user {
        AccountClass::ManagedService
    } else if marks.supplier_user {
        AccountClass::Supplier
    } else if marks.api_user {
        AccountClass::Api
    } else if only_supplier_roles() {
        AccountClass::Supplier
    } else {
        AccountClass::Internal
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn role(n: u64) -> RoleId {
        RoleId::new(n).unwrap()
    }

    #[test]
    fn marks_outrank_each_other_and_roles() {
        let suppliers = SupplierRoles(HashSet::from([role(7), role(8)]));
        let class = |marks, roles: &[RoleId]| classify(marks, roles, &suppliers);
        let api = ClassMarks {
            api_user: true,
            ..ClassMarks::default()
        };
        let supplier_api = ClassMarks {
            supplier_user: true,
            ..api
        };
        let msp = ClassMarks {
            msp_user: true,
            ..supplier_api
        };
        let support = ClassMarks {
            support_user: true,
            ..msp
        };
        assert_eq!(class(support, &[]), AccountClass::Support);
        assert_eq!(class(msp, &[]), AccountClass::ManagedService);
        assert_eq!(class(supplier_api, &[]), AccountClass::Supplier);
        assert_eq!(
            class(api, &[role(7)]),
            AccountClass::Api,
            "a mark outranks what roles suggest"
        );
        let none = ClassMarks::default();
        assert_eq!(class(none, &[role(7), role(8)]), AccountClass::Supplier);
        assert_eq!(class(none, &[role(7), role(1)]), AccountClass::Internal);
        assert_eq!(
            class(none, &[]),
            AccountClass::Internal,
            "no role at all proves nothing"
        );
    }
}
