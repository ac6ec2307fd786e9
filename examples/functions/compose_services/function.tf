# ["db", "web"]
output "services" {
  value = provider::pmoves::compose_services(<<-EOT
    services:
      web: { image: nginx }
      db: { image: postgres }
  EOT
  )
}
