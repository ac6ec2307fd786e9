//! The pmoves provider: Docker hosts on Proxmox VE, and Compose stacks on them.

pub mod framework;
pub mod functions;
pub mod guest;
pub mod plugin;
pub mod provider;
pub mod pve;
pub mod resources;
pub mod secret;
