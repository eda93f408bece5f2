//! The wire protocol: types generated from `proto/`, packing of annotations, and canonical JSON.
//!
//! Invariant: nothing here knows Coupa or the rest of the crate; type URLs are always
//! `type.googleapis.com/<full name>`, since Go peers compare them.

pub mod json;

use prost::Name;
use prost_types::Any;

#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/_includes.rs"));
}

pub use generated::c1::config::v1 as config;
pub use generated::c1::connector::v2 as connector;
pub use generated::c1::connector_wrapper::v1 as wrapper;
pub use generated::c1::connectorapi::baton::v1 as platform;
pub use generated::c1::ratelimit::v1 as ratelimit;
pub use generated::c1::utls::v1 as utls;
pub use generated::google::rpc;

/// Every file of `proto/` and what it imports, as a serialized `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Packs `message` into an `Any` with the type URL that Go peers expect.
pub fn pack<M: Name>(message: &M) -> Any {
    Any {
        type_url: M::type_url(),
        value: message.encode_to_vec(),
    }
}

/// The first annotation of type `M`, matched by the name after the last `/`.
///
/// An annotation of the right name that does not decode counts as absent: unknown content must not stop a call.
pub fn annotation<M: Name + Default>(annotations: &[Any]) -> Option<M> {
    let any = annotations.iter().find(|any| is::<M>(any))?;
    M::decode(any.value.as_slice()).ok()
}

/// Whether `any` holds an `M`.
pub fn is<M: Name>(any: &Any) -> bool {
    let name = any.type_url.rsplit('/').next().unwrap_or_default();
    name == M::full_name()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::proto::connector::{EntitlementImmutable, GrantMetadata};

    #[test]
    fn annotations_carry_the_url_go_peers_compare() {
        let any = pack(&EntitlementImmutable {
            source_id: "x".into(),
            metadata: None,
        });
        assert_eq!(
            any.type_url,
            "type.googleapis.com/c1.connector.v2.EntitlementImmutable"
        );
        let list = [pack(&GrantMetadata::default()), any];
        assert_eq!(annotation::<EntitlementImmutable>(&list).unwrap().source_id, "x");
        assert!(annotation::<GrantMetadata>(&list[1..]).is_none());
    }
}
