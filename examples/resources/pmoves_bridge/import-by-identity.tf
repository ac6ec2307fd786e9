import {
  to = pmoves_bridge.docker
  identity = {
    node_name = "pve1"
    name      = "vmbr1"
  }
}
