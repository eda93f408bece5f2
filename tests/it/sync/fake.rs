//! A connector that tells exactly what a test tells it to, page by page, and writes down what it was asked.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use baton_coupa::model::fault::{Fault, FaultKind};
use baton_coupa::proto::connector as c1;
use baton_coupa::proto::{annotation, pack};
use baton_coupa::sync::Source;
use prost_types::value::Kind;
use prost_types::{Any, Struct, Value};
use tokio::sync::Notify;

/// The connector. Keys of calls are `method type[/resource] token`.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) types: Vec<c1::ResourceType>,
    pub(crate) resources: BTreeMap<String, Vec<c1::Resource>>,
    /// Templates by type.
    pub(crate) templates: BTreeMap<String, Vec<c1::Entitlement>>,
    pub(crate) entitlements: Vec<c1::Entitlement>,
    pub(crate) grants: Vec<c1::Grant>,
    /// Rows per page.
    pub(crate) page: usize,
    /// More than one: type-scoped grants are answered in so many sibling chains.
    pub(crate) shards: usize,
    /// What calls fail with, once each, by the start of their key.
    pub(crate) faults: Mutex<Vec<(String, Fault)>>,
    /// A call with a key that starts so never answers, and says so to `stuck`.
    pub(crate) stall: Option<String>,
    pub(crate) stuck: Notify,
    /// Tokens to answer instead of the right one, by key.
    pub(crate) tokens: BTreeMap<String, String>,
    /// What every question for one resource is answered with.
    pub(crate) instead: Option<c1::ResourceId>,
    /// Entitlements that every listing for one resource shows besides.
    pub(crate) strays: Vec<c1::Entitlement>,
    pub(crate) calls: Mutex<Vec<String>>,
}

type Page<T> = (Vec<T>, String, Vec<Any>);

impl Fake {
    /// A small tenant with every way of listing: static and listed entitlements, grants by type and by resource.
    pub(crate) fn tenant() -> Self {
        let mut fake = Self {
            page: 2,
            shards: 1,
            types: vec![
                kind(
                    "user",
                    c1::resource_type::Trait::User,
                    vec![pack(&c1::SkipEntitlementsAndGrants {})],
                ),
                kind(
                    "group",
                    c1::resource_type::Trait::Group,
                    vec![pack(&c1::SkipEntitlements {}), pack(&c1::TypeScopedGrants {})],
                ),
                kind(
                    "role",
                    c1::resource_type::Trait::Role,
                    vec![pack(&c1::SkipEntitlements {})],
                ),
                kind(
                    "license",
                    c1::resource_type::Trait::LicenseProfile,
                    vec![pack(&c1::TypeScopedEntitlements {})],
                ),
            ],
            ..Self::default()
        };
        for n in 1..=5 {
            fake.add(user(n));
        }
        for n in 1..=3 {
            fake.add(resource(
                "group",
                &n.to_string(),
                vec![pack(&c1::GroupTrait::default())],
            ));
            fake.add(resource(
                "role",
                &n.to_string(),
                vec![pack(&c1::RoleTrait::default())],
            ));
        }
        fake.add(resource("license", "risk-assess-user", vec![]));
        for kind in ["group", "role"] {
            fake.templates.insert(kind.into(), vec![template("member")]);
        }
        fake.entitlements
            .push(entitlement("license", "risk-assess-user", "assigned"));
        for (kind, id, slug, users) in [
            ("group", "1", "member", vec![1, 2, 3, 4, 5]),
            ("group", "2", "member", vec![1]),
            ("role", "1", "member", vec![2, 3, 5]),
            ("license", "risk-assess-user", "assigned", vec![4, 5]),
        ] {
            for user in users {
                fake.grants.push(grant(kind, id, slug, user));
            }
        }
        fake
    }

    pub(crate) fn add(&mut self, resource: c1::Resource) {
        let kind = resource.id.as_ref().unwrap().resource_type.clone();
        self.resources.entry(kind).or_default().push(resource);
    }

    /// The next call whose key starts so fails.
    pub(crate) fn fail(&self, key: &str, fault: Fault) {
        self.faults.lock().unwrap().push((key.to_owned(), fault));
    }

    /// Keys of the calls so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    async fn enter(&self, key: &str) -> Result<(), Fault> {
        self.calls.lock().unwrap().push(key.to_owned());
        if self.stall.as_ref().is_some_and(|stall| key.starts_with(stall)) {
            self.stuck.notify_one();
            std::future::pending::<()>().await;
        }
        let mut faults = self.faults.lock().unwrap();
        match faults.iter().position(|(start, _)| key.starts_with(start)) {
            Some(found) => Err(faults.remove(found).1),
            None => Ok(()),
        }
    }

    async fn list<T: Clone>(&self, what: &str, of: &str, rows: &[T], token: &str) -> Result<Page<T>, Fault> {
        let key = format!("{what} {of} {token}").trim_end().to_owned();
        self.enter(&key).await?;
        let from: usize = if token.is_empty() {
            0
        } else {
            token.parse().unwrap()
        };
        let to = (from + self.page).min(rows.len());
        let next = if to < rows.len() {
            to.to_string()
        } else {
            String::new()
        };
        let next = self.tokens.get(&key).cloned().unwrap_or(next);
        Ok((rows[from..to].to_vec(), next, vec![]))
    }

    /// All grants of a type in `shards` chains: an empty first page starts them, a token is `shard/offset`.
    async fn sharded(&self, kind: &str, rows: &[c1::Grant], token: &str) -> Result<Page<c1::Grant>, Fault> {
        let Some((shard, offset)) = token.split_once('/') else {
            self.enter(&format!("grants {kind}")).await?;
            let page_tokens = (0..self.shards).map(|shard| format!("{shard}/0")).collect();
            let enqueue = c1::EnqueuePageTokens {
                page_tokens,
                ..Default::default()
            };
            return Ok((vec![], String::new(), vec![pack(&enqueue)]));
        };
        let shard_number: usize = shard.parse().unwrap();
        let mine: Vec<c1::Grant> = rows
            .iter()
            .skip(shard_number)
            .step_by(self.shards)
            .cloned()
            .collect();
        let (rows, next, annotations) = self
            .list("grants", &format!("{kind} {shard}"), &mine, offset)
            .await?;
        let next = if next.is_empty() {
            next
        } else {
            format!("{shard}/{next}")
        };
        Ok((rows, next, annotations))
    }
}

#[async_trait]
impl Source for Fake {
    async fn validate(&self) -> Result<(), Fault> {
        self.enter("validate").await
    }

    async fn resource_types(
        &self,
        request: &c1::ResourceTypesServiceListResourceTypesRequest,
    ) -> Result<c1::ResourceTypesServiceListResourceTypesResponse, Fault> {
        let (list, next_page_token, annotations) = self
            .list("types", "all", &self.types, &request.page_token)
            .await?;
        Ok(c1::ResourceTypesServiceListResourceTypesResponse {
            list,
            next_page_token,
            annotations,
        })
    }

    async fn resources(
        &self,
        request: &c1::ResourcesServiceListResourcesRequest,
    ) -> Result<c1::ResourcesServiceListResourcesResponse, Fault> {
        assert_eq!(request.active_sync_id.len(), 27);
        let kind = &request.resource_type_id;
        let rows = self.resources.get(kind).cloned().unwrap_or_default();
        let (list, next_page_token, annotations) =
            self.list("resources", kind, &rows, &request.page_token).await?;
        Ok(c1::ResourcesServiceListResourcesResponse {
            list,
            next_page_token,
            annotations,
        })
    }

    async fn resource(
        &self,
        request: &c1::ResourceGetterServiceGetResourceRequest,
    ) -> Result<c1::ResourceGetterServiceGetResourceResponse, Fault> {
        assert_eq!(request.active_sync_id.len(), 27);
        let id = request.resource_id.as_ref().unwrap();
        self.enter(&format!("get {}/{}", id.resource_type, id.resource))
            .await?;
        let id = self.instead.as_ref().unwrap_or(id);
        let rows = self.resources.get(&id.resource_type);
        let found = rows.and_then(|rows| rows.iter().find(|row| row.id.as_ref() == Some(id)));
        let resource = Some(
            found
                .cloned()
                .ok_or_else(|| Fault::new(FaultKind::NotFound, "no such thing"))?,
        );
        Ok(c1::ResourceGetterServiceGetResourceResponse {
            resource,
            ..Default::default()
        })
    }

    async fn static_entitlements(
        &self,
        request: &c1::EntitlementsServiceListStaticEntitlementsRequest,
    ) -> Result<c1::EntitlementsServiceListStaticEntitlementsResponse, Fault> {
        let kind = &request.resource_type_id;
        let rows = self.templates.get(kind).cloned().unwrap_or_default();
        let (list, next_page_token, annotations) =
            self.list("static", kind, &rows, &request.page_token).await?;
        Ok(c1::EntitlementsServiceListStaticEntitlementsResponse {
            list,
            next_page_token,
            annotations,
        })
    }

    async fn entitlements(
        &self,
        request: &c1::EntitlementsServiceListEntitlementsRequest,
    ) -> Result<c1::EntitlementsServiceListEntitlementsResponse, Fault> {
        let by_type = annotation::<c1::TypeScopedEntitlements>(&request.annotations).is_some();
        let (kind, id) = ids(request.resource.as_ref());
        let rows: Vec<c1::Entitlement> = self
            .entitlements
            .iter()
            .filter(|row| matches(ids(row.resource.as_ref()), (kind, id), by_type))
            .chain(self.strays.iter().filter(|_| !by_type))
            .cloned()
            .collect();
        let of = if by_type {
            kind.to_owned()
        } else {
            format!("{kind}/{id}")
        };
        let (list, next_page_token, annotations) =
            self.list("entitlements", &of, &rows, &request.page_token).await?;
        Ok(c1::EntitlementsServiceListEntitlementsResponse {
            list,
            next_page_token,
            annotations,
        })
    }

    async fn grants(
        &self,
        request: &c1::GrantsServiceListGrantsRequest,
    ) -> Result<c1::GrantsServiceListGrantsResponse, Fault> {
        let by_type = annotation::<c1::TypeScopedGrants>(&request.annotations).is_some();
        let (kind, id) = ids(request.resource.as_ref());
        assert!(
            !by_type || kind == id,
            "a whole type is asked for with the stub {{type, type}}"
        );
        let on = |row: &c1::Grant| {
            let entitlement = row.entitlement.as_ref();
            let (kind, id) = ids(entitlement.and_then(|entitlement| entitlement.resource.as_ref()));
            (kind.to_owned(), id.to_owned())
        };
        let rows: Vec<c1::Grant> = self
            .grants
            .iter()
            .filter(|row| {
                let (on_kind, on_id) = on(row);
                matches((&on_kind, &on_id), (kind, id), by_type)
            })
            .cloned()
            .collect();
        let (list, next_page_token, annotations) = if by_type && self.shards > 1 {
            self.sharded(kind, &rows, &request.page_token).await?
        } else {
            let of = if by_type {
                kind.to_owned()
            } else {
                format!("{kind}/{id}")
            };
            self.list("grants", &of, &rows, &request.page_token).await?
        };
        Ok(c1::GrantsServiceListGrantsResponse {
            list,
            next_page_token,
            annotations,
        })
    }

    async fn cleanup(&self, run_id: &str) -> Result<(), Fault> {
        assert_eq!(run_id.len(), 27);
        self.enter("cleanup").await
    }
}

fn matches(row: (&str, &str), asked: (&str, &str), by_type: bool) -> bool {
    row.0 == asked.0 && (by_type || row.1 == asked.1)
}

fn ids(resource: Option<&c1::Resource>) -> (&str, &str) {
    let id = resource.and_then(|resource| resource.id.as_ref()).unwrap();
    (&id.resource_type, &id.resource)
}

fn kind(id: &str, what: c1::resource_type::Trait, annotations: Vec<Any>) -> c1::ResourceType {
    c1::ResourceType {
        id: id.into(),
        display_name: id.to_uppercase(),
        traits: vec![what.into()],
        annotations,
        ..Default::default()
    }
}

pub(crate) fn resource(kind: &str, id: &str, annotations: Vec<Any>) -> c1::Resource {
    c1::Resource {
        display_name: format!("The {kind} {id}"),
        annotations,
        ..stub(kind, id)
    }
}

/// A user with a profile of several fields: a map whose order must not matter.
pub(crate) fn user(n: u32) -> c1::Resource {
    let text = |text: String| Value {
        kind: Some(Kind::StringValue(text)),
    };
    let class = if n == 5 { "api" } else { "internal" };
    let fields = ["zeta", "login", "department", "alpha", "middle"]
        .into_iter()
        .map(|name| (name.to_owned(), text(format!("{name} of {n}"))))
        .chain([("account_class".to_owned(), text(class.to_owned()))])
        .collect();
    c1::Resource {
        profile: Some(Struct { fields }),
        ..resource("user", &n.to_string(), vec![pack(&c1::UserTrait::default())])
    }
}

fn stub(kind: &str, id: &str) -> c1::Resource {
    c1::Resource {
        id: Some(c1::ResourceId {
            resource_type: kind.into(),
            resource: id.into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn template(slug: &str) -> c1::Entitlement {
    c1::Entitlement {
        slug: slug.into(),
        purpose: c1::entitlement::PurposeValue::Assignment.into(),
        ..Default::default()
    }
}

pub(crate) fn entitlement(kind: &str, id: &str, slug: &str) -> c1::Entitlement {
    c1::Entitlement {
        resource: Some(stub(kind, id)),
        id: format!("{kind}:{id}:{slug}"),
        ..template(slug)
    }
}

pub(crate) fn grant(kind: &str, id: &str, slug: &str, user: u32) -> c1::Grant {
    c1::Grant {
        id: format!("{kind}:{id}:{slug}:user:{user}"),
        entitlement: Some(entitlement(kind, id, slug)),
        principal: Some(stub("user", &user.to_string())),
        ..Default::default()
    }
}
