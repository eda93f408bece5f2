//! What a child does in its life.
