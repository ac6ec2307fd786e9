//! The pmoves provider: Docker hosts on Proxmox VE, and Compose stacks on them.

pub mod guest;
pub mod pve;
