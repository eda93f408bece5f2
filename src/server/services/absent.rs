//! The services of which this connector has nothing to show: no event feeds, no tickets, no assets. They
//! answer, because a runner may ask, and say so in the way a Go connector does.

use futures::stream::{self, Empty};
use tonic::{Request, Response, Status, async_trait};

use crate::connector::no_such_event_feed;
use crate::proto::connector as c1;
use crate::proto::connector::asset_service_server::AssetService;
use crate::proto::connector::event_service_server::EventService;
use crate::proto::connector::tickets_service_server::TicketsService;
use crate::server::call::{Reply, respond};

/// Nothing to show.
pub(super) struct Absent;

#[async_trait]
impl EventService for Absent {
    async fn list_events(&self, request: Request<c1::ListEventsRequest>) -> Reply<c1::ListEventsResponse> {
        respond(&request, Err(no_such_event_feed()))
    }

    async fn list_event_feeds(
        &self,
        request: Request<c1::ListEventFeedsRequest>,
    ) -> Reply<c1::ListEventFeedsResponse> {
        respond(&request, Ok(c1::ListEventFeedsResponse::default()))
    }
}

/// What a Go connector without `--ticketing` answers: an error without a code of its own.
fn no_tickets<A>() -> Reply<A> {
    Err(Status::unknown("ticketing is not enabled"))
}

#[async_trait]
impl TicketsService for Absent {
    async fn create_ticket(
        &self,
        _: Request<c1::TicketsServiceCreateTicketRequest>,
    ) -> Reply<c1::TicketsServiceCreateTicketResponse> {
        no_tickets()
    }

    async fn get_ticket(
        &self,
        _: Request<c1::TicketsServiceGetTicketRequest>,
    ) -> Reply<c1::TicketsServiceGetTicketResponse> {
        no_tickets()
    }

    async fn list_ticket_schemas(
        &self,
        _: Request<c1::TicketsServiceListTicketSchemasRequest>,
    ) -> Reply<c1::TicketsServiceListTicketSchemasResponse> {
        no_tickets()
    }

    async fn get_ticket_schema(
        &self,
        _: Request<c1::TicketsServiceGetTicketSchemaRequest>,
    ) -> Reply<c1::TicketsServiceGetTicketSchemaResponse> {
        no_tickets()
    }

    async fn bulk_create_tickets(
        &self,
        _: Request<c1::TicketsServiceBulkCreateTicketsRequest>,
    ) -> Reply<c1::TicketsServiceBulkCreateTicketsResponse> {
        no_tickets()
    }

    async fn bulk_get_tickets(
        &self,
        _: Request<c1::TicketsServiceBulkGetTicketsRequest>,
    ) -> Reply<c1::TicketsServiceBulkGetTicketsResponse> {
        no_tickets()
    }
}

#[async_trait]
impl AssetService for Absent {
    type GetAssetStream = Empty<Result<c1::AssetServiceGetAssetResponse, Status>>;

    async fn get_asset(&self, _: Request<c1::AssetServiceGetAssetRequest>) -> Reply<Self::GetAssetStream> {
        Ok(Response::new(stream::empty()))
    }
}
