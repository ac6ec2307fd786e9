//! A Proxmox VE API server for tests.

pub mod machine;
