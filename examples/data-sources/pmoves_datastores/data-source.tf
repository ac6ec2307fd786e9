# Where the disks of guests may be on this node.
data "pmoves_datastores" "disks" {
  node_name    = "pve1"
  content_type = "images"
}

output "disk_datastores" {
  value = [for datastore in data.pmoves_datastores.disks.datastores : datastore.id if datastore.active]
}
