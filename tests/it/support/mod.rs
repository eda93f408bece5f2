//! What several tests share: an independent reader of c1z files, and tenants to read.

pub mod program;
pub mod reader;
pub mod tenant;
pub mod truth;
