//! The pmoves provider: Docker hosts on Proxmox VE, and Compose stacks on them.

pub mod framework;
pub mod guest;
pub mod plugin;
pub mod pve;
pub mod secret;
