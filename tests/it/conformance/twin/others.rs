//! The twin's services beside lists and changes: single resources, events, tickets and assets.

use std::sync::atomic::Ordering;
use std::time::Duration;

use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::asset_service_server::AssetService;
use baton_coupa::proto::connector::event_service_server::EventService;
use baton_coupa::proto::connector::resource_getter_service_server::ResourceGetterService;
use baton_coupa::proto::connector::tickets_service_server::TicketsService;
use futures::stream::{self, Iter};
use tonic::{Request, Response, Status, async_trait};

use super::{Defect, State, rows as data};
use crate::grpc::harvest::key;

type Reply<A> = Result<Response<A>, Status>;

/// The twin's only feed, and how many events it has.
const FEED: &str = "changes";
const EVENTS: usize = 5;
const EVENTS_PER_PAGE: usize = 2;

#[async_trait]
impl ResourceGetterService for State {
    async fn get_resource(
        &self,
        request: Request<c1::ResourceGetterServiceGetResourceRequest>,
    ) -> Reply<c1::ResourceGetterServiceGetResourceResponse> {
        self.reach()?;
        let wanted = key(request.get_ref().resource_id.as_ref())
            .ok_or_else(|| Status::invalid_argument("resource_id"))?;
        let (kind, id) = &wanted;
        let known = data::types().iter().any(|known| known.id == *kind);
        if !known && self.has(Defect::UnknownGetIsInternal) {
            return Err(Status::internal("no such type"));
        }
        if !known || *kind == "chapter" {
            return Err(Status::unimplemented("not one by one"));
        }
        if *kind == "user" && self.has(Defect::GetsNoUsers) {
            return Err(Status::not_found("user"));
        }
        let rows = self.resources(kind, false);
        let row = rows
            .into_iter()
            .find(|row| key(row.id.as_ref()).as_ref() == Some(&wanted));
        let mut resource = match row {
            Some(row) => row,
            None if self.has(Defect::GetInvents) => data::resource(kind, id, Vec::new()),
            None => return Err(Status::not_found("no such resource")),
        };
        if self.has(Defect::GetDiffers) {
            resource.display_name.push('!');
        }
        Ok(Response::new(c1::ResourceGetterServiceGetResourceResponse {
            resource: Some(resource),
            annotations: Vec::new(),
        }))
    }
}

#[async_trait]
impl EventService for State {
    async fn list_events(&self, request: Request<c1::ListEventsRequest>) -> Reply<c1::ListEventsResponse> {
        let ask = request.get_ref();
        if ask.event_feed_id != FEED && !self.has(Defect::AnyFeed) {
            return Err(Status::not_found("feed"));
        }
        let start = match ask.cursor.trim_start_matches('0') {
            "" => 0,
            cursor => cursor.parse().map_err(|_| Status::invalid_argument("cursor"))?,
        };
        let end = EVENTS.min(start + EVENTS_PER_PAGE);
        let back = !self.cursors.lock().unwrap().insert(ask.cursor.clone());
        if back && self.has(Defect::CursorOnce) {
            return Ok(Response::new(c1::ListEventsResponse::default()));
        }
        let event = |number: usize| c1::Event {
            id: number.to_string(),
            ..Default::default()
        };
        let width = if self.has(Defect::CursorHuge) { 4097 } else { 1 };
        Ok(Response::new(c1::ListEventsResponse {
            events: (start..end).map(event).collect(),
            cursor: format!("{end:0width$}"),
            has_more: end < EVENTS || self.has(Defect::EventsEndless),
            annotations: Vec::new(),
        }))
    }

    async fn list_event_feeds(
        &self,
        _: Request<c1::ListEventFeedsRequest>,
    ) -> Reply<c1::ListEventFeedsResponse> {
        if self.has(Defect::NoFeedList) {
            return Err(Status::unimplemented("feeds"));
        }
        Ok(Response::new(c1::ListEventFeedsResponse {
            list: vec![c1::EventFeedMetadata {
                id: FEED.to_owned(),
                ..Default::default()
            }],
            ..Default::default()
        }))
    }
}

impl State {
    async fn ticket<A: Default>(&self) -> Reply<A> {
        match self.defect {
            Some(Defect::TicketsForAll) => Ok(Response::new(A::default())),
            Some(Defect::TicketsHang) => {
                self.in_flight.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_mins(10)).await;
                Err(Status::unknown("at last"))
            }
            _ => Err(Status::unknown("no tickets")),
        }
    }
}

macro_rules! tickets {
    ($($method:ident($request:ident) -> $response:ident),+ $(,)?) => {
        #[async_trait]
        impl TicketsService for State {
            $(async fn $method(&self, _: Request<c1::$request>) -> Reply<c1::$response> {
                self.ticket().await
            })+
        }
    };
}

tickets! {
    create_ticket(TicketsServiceCreateTicketRequest) -> TicketsServiceCreateTicketResponse,
    get_ticket(TicketsServiceGetTicketRequest) -> TicketsServiceGetTicketResponse,
    list_ticket_schemas(TicketsServiceListTicketSchemasRequest) -> TicketsServiceListTicketSchemasResponse,
    get_ticket_schema(TicketsServiceGetTicketSchemaRequest) -> TicketsServiceGetTicketSchemaResponse,
    bulk_create_tickets(TicketsServiceBulkCreateTicketsRequest) -> TicketsServiceBulkCreateTicketsResponse,
    bulk_get_tickets(TicketsServiceBulkGetTicketsRequest) -> TicketsServiceBulkGetTicketsResponse,
}

#[async_trait]
impl AssetService for State {
    type GetAssetStream = Iter<std::vec::IntoIter<Result<c1::AssetServiceGetAssetResponse, Status>>>;

    async fn get_asset(&self, _: Request<c1::AssetServiceGetAssetRequest>) -> Reply<Self::GetAssetStream> {
        let messages = match self.defect {
            Some(Defect::AssetsFail) => return Err(Status::unimplemented("assets")),
            Some(Defect::AssetsInvented) => vec![Ok(c1::AssetServiceGetAssetResponse::default())],
            _ => Vec::new(),
        };
        Ok(Response::new(stream::iter(messages)))
    }
}
