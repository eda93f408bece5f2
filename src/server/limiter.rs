//! The limiter service that a platform's runner asks before and after every unary call.
//!
//! Invariant: never in the way. The connector paces itself towards Coupa, so the answer is always "no limit configured"
//! (`STATUS_EMPTY`); any other status could make the runner skip the call, and a failing `Report` would hide the call's own error.

use tonic::{Request, Response, async_trait};

use super::call::Reply;
use crate::proto::ratelimit as rl;
use crate::proto::ratelimit::rate_limiter_service_server::RateLimiterService;

/// A limiter that limits nothing.
pub(super) struct NoLimit;

#[async_trait]
impl RateLimiterService for NoLimit {
    async fn r#do(&self, request: Request<rl::DoRequest>) -> Reply<rl::DoResponse> {
        Ok(Response::new(rl::DoResponse {
            request_token: request.into_inner().request_token,
            description: Some(rl::RateLimitDescription {
                status: rl::rate_limit_description::Status::Empty.into(),
                ..Default::default()
            }),
        }))
    }

    async fn report(&self, _: Request<rl::ReportRequest>) -> Reply<rl::ReportResponse> {
        Ok(Response::new(rl::ReportResponse {}))
    }
}
