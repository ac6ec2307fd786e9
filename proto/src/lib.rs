//! The plugin protocol.
