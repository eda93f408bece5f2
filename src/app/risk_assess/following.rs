//! The engine that follows accounts into Risk Assess, composed over a tenant: ledger, outbox, courier, and the looks at changed users while
//! serving.
//!
//! Invariant: the outbox is there exactly where delivery is not Coupa's own, and a courier exactly where it is ours.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::tenant::Parts;
use super::reports::Reports;
use crate::config::{RiskAssessLogin, RiskAssessSettings};
use crate::model::change::WriteTenant;
use crate::model::downstream::{Ledger, Load, Outbox, Parcel, ParcelId, ParcelStage};
use crate::model::fault::{Fault, FaultKind};
use crate::risk_assess::deliver::{
    Address, Courier, CourierConfig, Deliveries, Desk, Quick, QuickIntegration,
};
use crate::risk_assess::follow::Downstream;
use crate::risk_assess::report::ShownBy;
use crate::risk_assess::sync::Scope;
use crate::risk_assess::{Delivery, RiskAssess};
use crate::state::State;

/// How long what is under way may take after the program was told to stop. What is left, the next process delivers.
const DRAIN: Duration = Duration::from_secs(20);

/// Accounts are followed for as long as this lives.
pub(in crate::app) struct Following {
    pub(in crate::app) downstream: Arc<Downstream>,
    courier: Option<Arc<Courier>>,
    desk: Option<Desk>,
    wake: Arc<Notify>,
    reports: Reports,
}

impl Following {
    /// The engine for this tenant; `None` where nothing is kept between runs, so that there is no ledger.
    pub(in crate::app) fn over(parts: &Parts, settings: &RiskAssessSettings) -> Result<Option<Self>, Fault> {
        let Some(state) = &parts.state else {
            return Ok(None);
        };
        let ledger: Arc<dyn Ledger> = state.clone();
        let wake = Arc::new(Notify::new());
        let ours = settings.config.delivery != Delivery::Native;
        let outbox: Option<Arc<dyn Outbox>> = ours.then(|| {
            Arc::new(Waking {
                state: state.clone(),
                wake: wake.clone(),
            }) as Arc<dyn Outbox>
        });
        let desk = outbox
            .clone()
            .map(|outbox| Desk::new(outbox, ledger.clone(), parts.coupa.clone(), &settings.config));
        let courier = match (&desk, settings.config.delivery) {
            (Some(desk), Delivery::QuickIntegration) => Some(Arc::new(Courier::new(
                desk.clone(),
                Arc::new(Quick::new(login(parts.risk_assess.as_ref(), settings)?)?),
                CourierConfig::default(),
            ))),
            _ => None,
        };
        let downstream = Downstream::new(parts.coupa.clone(), ledger, outbox, settings.config.clone());
        Ok(Some(Self {
            downstream: Arc::new(downstream),
            courier,
            desk,
            wake,
            reports: Reports::of(settings, state)?,
        }))
    }

    /// Changes over `inner`, with readiness before and the account followed after.
    pub(in crate::app) fn around(&self, inner: Arc<dyn WriteTenant>) -> Arc<dyn WriteTenant> {
        Arc::new(RiskAssess::new(inner, self.downstream.clone()))
    }

    /// Sends what the outbox holds, where delivery is ours.
    pub(in crate::app) async fn deliver(&self) -> Option<Deliveries> {
        match &self.courier {
            Some(courier) => Some(courier.deliver_all().await),
            None => None,
        }
    }

    /// The desk at which a file for a person is made up.
    pub(super) fn desk(&self) -> Option<&Desk> {
        self.desk.as_ref()
    }

    /// Where error reports go.
    pub(super) fn reports(&self) -> &Reports {
        &self.reports
    }

    /// Delivers what is posted, and looks at changed users every `interval`, until [`Serving::end`].
    pub(in crate::app) fn serve(self: Arc<Self>, interval: Option<Duration>) -> Serving {
        let stop = CancellationToken::new();
        let mut tasks = Vec::new();
        if let Some(courier) = &self.courier {
            tasks.push(tokio::spawn(
                Arc::clone(courier).run(self.wake.clone(), stop.clone()),
            ));
        }
        if let Some(interval) = interval {
            tasks.push(tokio::spawn(self.look_again(interval, stop.clone())));
        }
        Serving { tasks, stop }
    }

    async fn look_again(self: Arc<Self>, interval: Duration, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = stop.cancelled() => return,
            }
            tokio::select! {
                () = self.look() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// One look. A failure is told and the next one tries again: what was not recorded is looked at again then.
    async fn look(&self) {
        match self.downstream.sync(Scope::Changed, &|_| {}).await {
            Ok(report) => {
                tracing::info!(
                    followed = report.followed,
                    new = report.new,
                    changed = report.changed,
                    closed = report.closed,
                    problems = report.problems,
                    "followed changed users into Risk Assess"
                );
                if let Err(fault) = self.reports.send(&report.mismatches, ShownBy::GridExport).await {
                    tracing::error!(
                        ?fault,
                        "the error report of Risk Assess could not be given to anybody"
                    );
                }
            }
            // A tenant without the license has nobody to follow.
            Err(fault) if *fault.kind() == FaultKind::Unsupported => {
                tracing::debug!(?fault, "nobody to follow");
            }
            Err(fault) => tracing::warn!(?fault, "changed users could not be followed into Risk Assess"),
        }
    }
}

/// What runs beside a server.
pub(in crate::app) struct Serving {
    tasks: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Serving {
    /// Stops; the exchange under way comes to its end, within a bound.
    pub(in crate::app) async fn end(self) {
        self.stop.cancel();
        let all = futures::future::join_all(self.tasks);
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            tracing::warn!("stopped while delivering to Risk Assess; the next start goes on with it");
        }
    }
}

/// Where to deliver and as whom; `sandbox` is the login of an embedded tenant.
pub(in crate::app) fn login(
    sandbox: Option<&RiskAssessLogin>,
    settings: &RiskAssessSettings,
) -> Result<QuickIntegration, Fault> {
    let wanted = settings
        .login
        .as_ref()
        .ok_or_else(|| Fault::internal("delivery by Quick Integration without a login"))?;
    let login = match (&wanted.url, sandbox) {
        (None, Some(sandbox)) => sandbox,
        (Some(_), _) | (None, None) => wanted,
    };
    let url = login.url.as_deref().unwrap_or_default();
    let address = Address::parse(url).map_err(|error| Fault::invalid(format!("risk-assess-url: {error}")))?;
    Ok(QuickIntegration {
        address,
        username: login.username.clone(),
        password: login.password.clone(),
    })
}

/// The outbox, which wakes the courier when something is put in.
struct Waking {
    state: Arc<State>,
    wake: Arc<Notify>,
}

impl Outbox for Waking {
    fn post(&self, loads: &[Load]) -> Result<(), Fault> {
        self.state.post(loads)?;
        self.wake.notify_one();
        Ok(())
    }

    fn unsettled(&self) -> Result<Vec<Parcel>, Fault> {
        self.state.unsettled()
    }

    fn parcels(&self) -> Result<Vec<Parcel>, Fault> {
        self.state.parcels()
    }

    fn advance(&self, parcels: &[ParcelId], stage: &ParcelStage) -> Result<(), Fault> {
        self.state.advance(parcels, stage)
    }
}
