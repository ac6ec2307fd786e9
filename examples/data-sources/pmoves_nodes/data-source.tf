data "pmoves_nodes" "all" {}

output "online_nodes" {
  value = [for node in data.pmoves_nodes.all.nodes : node.name if node.online]
}
