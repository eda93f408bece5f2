//! The rows of a twin with their defect.

use std::sync::atomic::Ordering;

use baton_coupa::proto::connector as c1;
use prost_types::Any;

use super::super::Upstream;
use super::{Defect, State, rows as data};
use crate::grpc::harvest::has;

impl State {
    pub(super) fn types(&self) -> Vec<c1::ResourceType> {
        let turn = self.listed.fetch_add(1, Ordering::SeqCst);
        let mut types = data::types();
        match self.defect {
            Some(Defect::NoTypes) => types.clear(),
            Some(Defect::DoubledType) => types.push(types[0].clone()),
            Some(Defect::ShiftingTypes) if turn > 3 => types.truncate(2),
            Some(Defect::NoTypeScoped) => types.iter_mut().for_each(|kind| kind.annotations.clear()),
            _ => {}
        }
        types
    }

    /// Resources of a type, without regard to parents.
    pub(super) fn resources(&self, kind: &str, grown: bool) -> Vec<c1::Resource> {
        if kind == "role" && self.upstream == Upstream::NoRoles {
            return Vec::new();
        }
        let mut rows = data::resources(kind, grown);
        if kind == "user" {
            self.spoil_users(&mut rows);
            rows.extend(self.newcomers());
        }
        rows
    }

    fn spoil_users(&self, rows: &mut Vec<c1::Resource>) {
        let foreign = |name: &str| Any {
            type_url: format!("type.googleapis.com/c1.connector.v2.{name}"),
            value: Vec::new(),
        };
        if self.upstream == Upstream::Bulky {
            for row in &mut *rows {
                row.description = "x".repeat(900_000);
            }
        }
        let first = &mut rows[0];
        match self.defect {
            Some(Defect::HugePage) => first.description = "x".repeat(5 << 20),
            Some(Defect::NoTrait) => first.annotations.clear(),
            Some(Defect::CarriesBatonId) => first.annotations.push(foreign("BatonID")),
            Some(Defect::CarriesETag) => first.annotations.push(foreign("ETag")),
            Some(Defect::EmptyResourceId) => first.id = Some(c1::ResourceId::default()),
            Some(Defect::UnlistedType) => first.id = data::resource("alien", "1", Vec::new()).id,
            Some(Defect::LongResourceId) => {
                first.id = data::resource("user", &"9".repeat(1025), Vec::new()).id;
            }
            Some(Defect::DoubledResource) => rows[1] = rows[0].clone(),
            Some(Defect::LosesUser) => drop(rows.remove(4)),
            Some(Defect::ChangingIds) => {
                let id = first.id.as_mut().unwrap();
                id.resource = format!("{}-{}", id.resource, self.nonce);
            }
            _ => {}
        }
    }

    pub(super) fn entitlements(&self, kind: &str, id: &str) -> Vec<c1::Entitlement> {
        let mut rows = data::entitlements(kind, id);
        if let Some(first) = rows.first_mut() {
            self.spoil_entitlement(first, id);
        }
        if self.has(Defect::CrowdedGroup) && id == "plus" {
            rows.extend(std::iter::repeat_n(rows[0].clone(), 60));
        }
        rows
    }

    fn spoil_entitlement(&self, row: &mut c1::Entitlement, id: &str) {
        match self.defect {
            Some(Defect::OddEntitlementId) => row.id = format!("odd/{id}"),
            Some(Defect::EntitlementWithoutId) if id == "plus" => row.id.clear(),
            Some(Defect::TwoExclusionGroups) => row.annotations.push(data::exclusion("other", false)),
            Some(Defect::TwoDefaults) => row.annotations = vec![data::exclusion("tier", true)],
            Some(Defect::GroupAcrossTypes) if id == "plus" => {
                row.resource = Some(data::resource("group", "1", Vec::new()));
            }
            _ => {}
        }
    }

    pub(super) fn grants(&self, kind: &str) -> Vec<c1::Grant> {
        if kind == "role" && self.upstream == Upstream::NoRoles {
            return Vec::new();
        }
        let mut rows = data::grants(kind);
        if kind == "group" {
            self.spoil_grants(&mut rows);
        }
        if let (Some(sources), "role") = (self.sources(), kind) {
            let expandable = rows
                .iter_mut()
                .find(|row| has::<c1::GrantExpandable>(&row.annotations));
            expandable.unwrap().annotations = vec![data::expandable(&sources)];
        }
        self.after_changes(kind, rows)
    }

    fn sources(&self) -> Option<Vec<&'static str>> {
        Some(match self.defect? {
            Defect::ExpandsNothing => vec![],
            Defect::ExpandsTwice => vec!["group:1:member", "group:1:member"],
            Defect::ExpandsForeign => vec!["group:2:member"],
            _ => return None,
        })
    }

    fn spoil_grants(&self, rows: &mut Vec<c1::Grant>) {
        let first = &mut rows[0];
        match self.defect {
            Some(Defect::OddGrantId) => "grant-1".clone_into(&mut first.id),
            Some(Defect::GrantWithoutPrincipal) => first.principal = None,
            Some(Defect::GrantWithoutResource) => first.entitlement.as_mut().unwrap().resource = None,
            Some(Defect::GrantToStranger) => *first = data::grant("group", "1", "member", ("user", "99")),
            Some(Defect::GrantOfUnlisted) => *first = data::grant("group", "1", "owner", ("user", "1")),
            Some(Defect::CarriesETagMatch) => first.annotations.push(Any {
                type_url: "type.googleapis.com/c1.connector.v2.ETagMatch".to_owned(),
                value: Vec::new(),
            }),
            Some(Defect::LosesGrant) => drop(rows.pop()),
            _ => {}
        }
    }
}
