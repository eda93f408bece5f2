//! A Coupa connector for identity governance.

pub mod sandbox;
