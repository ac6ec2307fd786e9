//! A Proxmox VE API server for tests.
