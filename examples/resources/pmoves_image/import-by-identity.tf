import {
  to = pmoves_image.debian
  identity = {
    node_name = "pve1"
    id        = "local:import/debian-13.qcow2"
  }
}
