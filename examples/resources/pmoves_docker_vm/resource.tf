resource "pmoves_docker_vm" "apps" {
  name      = "apps"
  node_name = "pve1"

  # Volume id of an image, such as the id of a pmoves_image.
  image  = { id = "local:import/debian-13.qcow2" }
  cpu    = { cores = 4 }
  memory = { size = 8192 }

  os_disk = {
    datastore_id = "local-lvm"
    size_gb      = 16
  }

  # Images, containers and volumes live here. A destroy of the VM takes it along.
  data_disk = {
    datastore_id = "local-lvm"
    size_gb      = 100
  }

  network_device = {
    net0 = { bridge = "vmbr0" }
  }

  initialization = {
    datastore_id = "local"
    ip_config = {
      net0 = {
        ipv4 = {
          address = "192.0.2.10/24"
          gateway = "192.0.2.1"
        }
      }
    }
    dns = { servers = ["192.0.2.1"] }
    user_account = {
      keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2bZ8hUgmtGUmRxbVRmZXhhbXBsZWtleWZvcmRvY3Mx me@example.com"]
    }
  }
}

output "address" {
  value = pmoves_docker_vm.apps.ipv4_address
}
