data "pmoves_bridges" "lan" {
  node_name = "pve1"
}

output "vlan_aware_bridges" {
  value = [for bridge in data.pmoves_bridges.lan.bridges : bridge.name if bridge.vlan_aware]
}
