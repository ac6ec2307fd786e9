# A network that only the Docker hosts of this node share; a router among them leads out.
resource "pmoves_bridge" "docker" {
  node_name = "pve1"
  name      = "vmbr1"
  address   = "10.10.0.1/24"
  comment   = "Docker hosts"
}

# A bridge onto a second NIC whose guests pick their VLAN.
resource "pmoves_bridge" "trunk" {
  node_name  = "pve1"
  name       = "vmbr2"
  ports      = ["eno2"]
  vlan_aware = true
  vids       = "2-100,200"
}
