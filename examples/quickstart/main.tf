# From a blank cloud image to a healthy stack: one image, one Docker host, one stack.

terraform {
  required_providers {
    pmoves = { source = "cataclysm-studios/pmoves" }
  }
}

# The endpoint and the API token come from PROXMOX_VE_ENDPOINT and PROXMOX_VE_API_TOKEN.
provider "pmoves" {
  tls_fingerprint = var.tls_fingerprint
}

resource "pmoves_image" "debian" {
  node_name    = var.node_name
  datastore_id = "local"
  url          = var.image_url
  checksum     = var.image_checksum
}

resource "pmoves_docker_vm" "web" {
  name           = "web"
  node_name      = var.node_name
  image          = { id = pmoves_image.debian.id }
  os_disk        = { datastore_id = "local-lvm", size_gb = 8 }
  data_disk      = { size_gb = 4 }
  network_device = { net0 = { bridge = "vmbr0" } }
}

resource "pmoves_stack" "hello" {
  host_id = pmoves_docker_vm.web.id
  name    = "hello"
  compose = file("${path.module}/compose.yaml")
  env     = { REGISTRY = var.registry }
}

output "address" {
  value = pmoves_docker_vm.web.ipv4_address
}

output "docker" {
  value = "${pmoves_docker_vm.web.docker_version}, Compose ${pmoves_docker_vm.web.compose_version}"
}

output "services" {
  value = { for name, service in pmoves_stack.hello.services : name => "${service.image} is ${service.state}" }
}
