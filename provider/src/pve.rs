//! The Proxmox VE API.
