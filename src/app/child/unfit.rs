//! A tenant that cannot be composed, because of its state directory for instance: it has one answer to everything.

use std::sync::Arc;

use async_trait::async_trait;

use crate::app::baselines::KeptBaselines;
use crate::connector::{Connector, ConnectorConfig};
use crate::model::change::{Change, Order, Outcome, Plan, WriteTenant};
use crate::model::fault::Fault;
use crate::model::tenant::{ReadTenant, Tenant, Usage};

/// A connector that answers `fault` wherever it would ask the tenant, also to changes if it `makes_changes`.
pub(super) fn connector(fault: Fault, makes_changes: bool) -> Connector {
    let tenant = Arc::new(Unfit(fault));
    let baselines = Arc::new(KeptBaselines::new(None, None));
    let connector = Connector::new(tenant.clone(), baselines, None, ConnectorConfig::default());
    if makes_changes {
        connector.with_writes(tenant)
    } else {
        connector
    }
}

struct Unfit(Fault);

#[async_trait]
impl Tenant for Unfit {
    async fn check(&self) -> Result<(), Fault> {
        Err(self.0.clone())
    }

    async fn survey(&self) -> Result<Arc<dyn ReadTenant>, Fault> {
        Err(self.0.clone())
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }
}

#[async_trait]
impl WriteTenant for Unfit {
    async fn check(&self) -> Result<(), Fault> {
        Err(self.0.clone())
    }

    async fn apply(&self, _: &Order, _: &Change) -> Result<Outcome, Fault> {
        Err(self.0.clone())
    }

    async fn plan(&self, _: &Change) -> Result<Plan, Fault> {
        Err(self.0.clone())
    }
}
