# A host with a graphics card, a Zigbee stick and a directory of its node.
#
# All three come by a mapping of the cluster (Datacenter > Resource Mappings and Directory Mappings), which an API token
# may use: Proxmox VE reserves devices by their address to root@pam.

terraform {
  required_providers {
    pmoves = { source = "cataclysm-studios/pmoves" }
  }
}

# The endpoint and the API token come from PROXMOX_VE_ENDPOINT and PROXMOX_VE_API_TOKEN.
provider "pmoves" {
  tls_fingerprint = var.tls_fingerprint
}

variable "tls_fingerprint" {
  description = "SHA-256 fingerprint of the API's certificate: Node > System > Certificates."
  type        = string
}

resource "pmoves_docker_vm" "home" {
  name           = "home"
  node_name      = "pve1"
  bios           = "ovmf"
  machine        = "q35"
  image          = { id = "local:import/debian-13.qcow2" }
  cpu            = { cores = 8, type = "host" }
  memory         = { size = 16384, balloon = 0 }
  os_disk        = { datastore_id = "local-lvm", size_gb = 16 }
  data_disk      = { size_gb = 100 }
  network_device = { net0 = { bridge = "vmbr0" } }

  hostpci  = { hostpci0 = { mapping = "gpu", pcie = true } }
  usb      = { usb0 = { mapping = "zigbee" } }
  virtiofs = { virtiofs0 = { mapping = "media", mount_path = "/mnt/media" } }
}
