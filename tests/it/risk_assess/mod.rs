//! Risk Assess: what is judged before, followed after, delivered, imported, compared and reported.

mod acceptance;
mod import;
mod outbox;
mod profile;
mod report;
mod scene;
