# A template that has Docker, and hosts that are cloned from it in seconds.

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

variable "workers" {
  description = "Number of hosts."
  type        = number
  default     = 3
}

resource "pmoves_docker_vm" "template" {
  name           = "docker-template"
  node_name      = "pve1"
  template       = true
  image          = { id = "local:import/debian-13.qcow2" }
  os_disk        = { datastore_id = "local-lvm", size_gb = 8 }
  data_disk      = { size_gb = 8 }
  network_device = { net0 = { bridge = "vmbr0" } }
}

# A linked clone shares the disks of its template, so it takes next to no time and space. A change of the template
# leaves the clones as they are.
resource "pmoves_docker_vm" "worker" {
  count          = var.workers
  name           = "worker${count.index}"
  node_name      = "pve1"
  clone          = { vm_id = pmoves_docker_vm.template.vm_id, full = false }
  data_disk      = { size_gb = 32 }
  network_device = { net0 = { bridge = "vmbr0" } }
}

output "addresses" {
  value = { for host in pmoves_docker_vm.worker : host.name => host.ipv4_address }
}
