resource "pmoves_docker_lxc" "apps" {
  name      = "apps"
  node_name = "pve1"

  # Volume id of a container template; `pveam download local TEMPLATE` fetches one.
  template_file_id = "local:vztmpl/debian-13-standard_13.0-1_amd64.tar.zst"
  cpu              = { cores = 4 }
  memory           = { size = 4096 }

  # Docker needs nesting, and runs without keyctl, which no token can switch on.
  features = {
    nesting = true
    keyctl  = false
  }

  root_disk = {
    datastore_id = "local-lvm"
    size_gb      = 8
  }

  # Images, containers and volumes live here. A destroy of the container takes it along.
  data_volume = {
    size_gb = 50
  }

  network_interface = {
    net0 = { bridge = "vmbr0" }
  }

  initialization = {
    user_account = {
      keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2bZ8hUgmtGUmRxbVRmZXhhbXBsZWtleWZvcmRvY3Mx me@example.com"]
    }
  }
}

output "address" {
  value = pmoves_docker_lxc.apps.ipv4_address
}

# A host that is set up once, and containers that are made of it in seconds.
resource "pmoves_docker_lxc" "golden" {
  name              = "golden"
  node_name         = "pve1"
  template_file_id  = "local:vztmpl/debian-13-standard_13.0-1_amd64.tar.zst"
  template          = true
  features          = { keyctl = false }
  root_disk         = { datastore_id = "local-lvm" }
  data_volume       = { size_gb = 20 }
  network_interface = { net0 = { bridge = "vmbr0" } }
}

resource "pmoves_docker_lxc" "worker" {
  count             = 2
  name              = "worker${count.index}"
  node_name         = "pve1"
  clone             = { vm_id = pmoves_docker_lxc.golden.vm_id, full = false }
  data_volume       = { size_gb = 20 }
  network_interface = { net0 = { bridge = "vmbr0" } }
}
