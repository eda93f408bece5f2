//! What several tests share: an independent reader of c1z files, and tenants to read.

pub mod mime;
pub mod program;
pub mod reader;
pub mod smtp;
pub mod tenant;
pub mod truth;
