//! The daemon: tasks of the platform in, answers and sync files out.
//!
//! Invariant: a task that was claimed is finished, with an answer or an error, unless the platform called it off.

mod config;

pub use config::PlatformConfig;
